"""What each node was told of the leader's count: so that it is told once, and at once only if it waits for it."""

from __future__ import annotations

from collections.abc import Iterable


class ChosenMarks:
    """The mark that each of ``members`` was told last; nothing yet."""

    def __init__(self, members: Iterable[int]) -> None:
        self._through = dict.fromkeys(members, -1)

    @property
    def least(self) -> int:
        """All nodes were told this mark, or a higher one."""
        return min(self._through.values())

    def tell(self, nodes: Iterable[int], through: int) -> list[int]:
        """Those of ``nodes`` that were not told ``through`` yet; from now on they were.

        Strangers are left out: what phase 1 found may come from a node that is no member.
        """
        behind = [node for node in nodes if self._through.get(node, through) < through]
        self._through.update(dict.fromkeys(behind, through))
        return behind
