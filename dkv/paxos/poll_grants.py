"""Which nodes would grant this node an election: the answers to its newest poll."""

from __future__ import annotations

from collections.abc import Iterable

from dkv.paxos.quorum import is_quorum


class PollGrants:
    """The grants of one poll at a time. A late answer still counts, until the next poll begins."""

    def __init__(self, node: int, members: Iterable[int]) -> None:
        self._node = node
        self._members = tuple(members)
        self._number = 0
        self._nodes: set[int] = set()  # empty: no poll is open

    def start(self, number: int) -> None:
        """Begin to count behind ``number``, which is random: answers to an earlier life's polls must not count."""
        self._number = number

    def open(self) -> int:
        """Begin the next poll, which the node itself grants; its number."""
        self._number += 1
        self._nodes = {self._node}
        return self._number

    def close(self) -> None:
        """The poll has led to a campaign: one is enough."""
        self._nodes = set()

    def add(self, node: int, number: int) -> bool:
        """``node`` grants poll ``number``: whether that is the open one."""
        if number != self._number or not self._nodes:
            return False
        self._nodes.add(node)
        return True

    @property
    def quorum(self) -> bool:
        """Whether a majority has granted the open poll."""
        return is_quorum(self._nodes, self._members)
