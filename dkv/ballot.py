"""Ballots: the totally ordered names of attempts to lead ("proposal numbers", Paxos Made Simple, section 2.2)."""

from __future__ import annotations

from typing import NamedTuple


class Ballot(NamedTuple):
    """(round, node): compared by round, then by node; never reused by its node, restarts included.

    A named tuple, since ballots are compared for every message and tuples compare in C.
    """

    round: int
    node: int

    def above(self, node: int) -> Ballot:
        """The lowest ballot of ``node`` that exceeds this one whatever its node is."""
        return Ballot(self.round + 1, node)

    def __str__(self) -> str:
        return f"{self.round}.{self.node}"


ZERO = Ballot(0, 0)
"""Below every ballot that a proposer can own: what an acceptor has promised before its first promise."""
