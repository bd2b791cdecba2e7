"""Ballots: the totally ordered names of attempts to lead ("proposal numbers", Paxos Made Simple, section 2.2)."""

from __future__ import annotations

from typing import NamedTuple


class Ballot(NamedTuple):
    """(round, node), compared by round, then by node. A node never uses a ballot twice, not even after a restart.

    A named tuple, since ballots are compared for every message and tuples compare in C.
    """

    round: int
    node: int

    def above(self, node: int) -> Ballot:
        """The ballot of ``node`` in the next round: it exceeds this one, whatever node owns this one."""
        return Ballot(self.round + 1, node)

    def __str__(self) -> str:
        return f"{self.round}.{self.node}"


ZERO = Ballot(0, 0)
"""Below every ballot of a proposer: it stands for the promise of an acceptor that has made none."""
