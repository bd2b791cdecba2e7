"""Which nodes would grant this node an election: the answers to its newest poll."""

from __future__ import annotations


class PollGrants:
    """The grants of one poll at a time. A late answer still counts, until the next poll begins."""

    def __init__(self, node: int) -> None:
        self._node = node
        self._number = 0
        self.nodes: set[int] = set()
        """The nodes that have granted the open poll; empty if none is open."""

    def start(self, number: int) -> None:
        """Begin to count behind ``number``, which is random: answers to an earlier life's polls must not count."""
        self._number = number

    def open(self) -> int:
        """Begin the next poll, which the node itself grants; its number."""
        self._number += 1
        self.nodes = {self._node}
        return self._number

    def close(self) -> None:
        """The poll has led to a campaign: one is enough."""
        self.nodes = set()

    def add(self, node: int, number: int) -> bool:
        """``node`` grants poll ``number``: whether that is the open one."""
        if number != self._number or not self.nodes:
            return False
        self.nodes.add(node)
        return True
