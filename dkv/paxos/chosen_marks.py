"""How far each node was told that slots are chosen: it is told once, and at once only if its clients wait for it."""

from __future__ import annotations

from collections.abc import Iterable


class ChosenMarks:
    """The mark that each of ``members`` was told last; at first none was told anything."""

    def __init__(self, members: Iterable[int]) -> None:
        self._through = dict.fromkeys(members, -1)

    def know(self, members: Iterable[int]) -> None:
        """The members are these from now on: new ones were told nothing, and nobody waits for those that have left."""
        self._through = {node: self._through.get(node, -1) for node in members}

    @property
    def least(self) -> int:
        """The mark that all nodes were told, or a higher one."""
        return min(self._through.values())

    def tell(self, nodes: Iterable[int], through: int) -> list[int]:
        """Those of ``nodes`` that were not told ``through`` yet; from now on they count as told.

        Strangers are left out: a batch that phase 1 found may come from a node that is no member (B33).
        """
        behind = [node for node in nodes if self._through.get(node, through) < through]
        self._through.update(dict.fromkeys(behind, through))
        return behind
