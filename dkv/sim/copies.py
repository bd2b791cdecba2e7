"""Copies of directories: an older one is put back, a disk has lost what it said was written, one runs twice (B34).

What nobody alive knows of cannot be found, and is no fault of the product. So a copy comes into use only once every
other member has on its disk what gives it away: a start that the copy does not remember, or votes that it lacks. From
then on whoever runs on it must not vote, nor take part in anything, whatever else happens.
"""

from __future__ import annotations

from collections.abc import Callable

from dkv.identity import Acquaintance
from dkv.sim.aim import Aim
from dkv.sim.memory import MemoryStore
from dkv.sim.node import Node
from dkv.storage.check import check_log
from dkv.storage.identity import load_members
from dkv.storage.lives import read_identity, votes_of

LOOKS_MAX = 20
"""How often it is looked whether the others know enough, before a copy is given up."""

LOOK_SECONDS = 0.5

Use = Callable[[Node, MemoryStore], None]


class Copies:
    """Sets nodes back whom ``may_damage`` allows; ``set_back(node)`` hears of each, ``start`` starts one again.

    ``clone(node, copy)`` begins a second process of a node, on a copy of its directory.
    """

    def __init__(
        self,
        aim: Aim,
        note: Callable[[int, str, str], None],
        may_damage: Callable[[Node], bool],
        set_back: Callable[[Node], None],
        start: Callable[[Node], None],
        clone: Callable[[Node, MemoryStore], None],
    ) -> None:
        self._aim = aim
        self._note = note
        self._may_damage = may_damage
        self._set_back = set_back
        self._start = start
        self._begin_clone = clone
        self._copied: set[int] = set()
        """The nodes of which there is a copy that may come into use."""
        self._cloned = False
        self.strikes: dict[str, Callable[[Node], None]] = {
            "clone": self._clone,
            "lying-disk": self._lie,
            "old-copy": self._copy,
        }

    def _copy(self, node: Node) -> None:
        """The node is stopped, its directory copied, and the node started again; later the copy is put back."""
        if node.number not in self._copied and self._may_set_back(node):
            self._note(node.number, "copy", "stopped, copied, and started again")
            node.crash()
            self._keep(node, self._put_back)
            self._start(node)

    def _lie(self, node: Node) -> None:
        """Nothing that the disk says is written from now on is, as the next power cut shows."""
        if node.number not in self._copied and self._may_set_back(node):
            self._note(node.number, "copy", "the disk writes nothing any more")
            self._keep(node, self._put_back)

    def _clone(self, node: Node) -> None:
        """The directory of a node that runs is copied; later a second process runs on the copy, beside the first."""
        if node.number not in self._copied and self._may_set_back(node):
            self._note(node.number, "copy", "copied while it runs")
            self._keep(node, self._begin_beside)

    def _keep(self, node: Node, use: Use) -> None:
        self._copied.add(node.number)
        self._aim.later(self._aim.lasting(), self._use, use, node, node.disk.copied(), LOOKS_MAX)

    def _use(self, use: Use, node: Node, copy: MemoryStore, looks: int) -> None:
        """Bring the copy into use as soon as the others know better."""
        others = [other for other in self._aim.nodes if other is not node]
        if self._may_set_back(node) and looks:
            if not all(_gives_away(load_members(other.disk)[node.number], copy) for other in others):
                self._aim.later(LOOK_SECONDS, self._use, use, node, copy, looks - 1)
                return
            use(node, copy)
        self._copied.discard(node.number)

    def _put_back(self, node: Node, copy: MemoryStore) -> None:
        self._note(node.number, "set back", "to the copy")
        node.crash()
        node.damaged = True
        node.disk.restore(copy)
        self._set_back(node)
        self._start(node)

    def _begin_beside(self, node: Node, copy: MemoryStore) -> None:
        self._cloned = True
        self._begin_clone(node, copy)

    def _may_set_back(self, node: Node) -> bool:
        """One copy comes into use in a run: two might know nothing of each other."""
        whole = not self._cloned and not any(other.damaged for other in self._aim.nodes)
        return whole and self._may_damage(node)


def _gives_away(held: Acquaintance, copy: MemoryStore) -> bool:
    """Whether who keeps ``held`` of a member knows that the directory of that member is a copy."""
    identity = read_identity(copy)
    assert identity is not None
    starts = identity.starts  # those before the first of them are known to none any more
    forgotten = held.start not in starts and held.start.boot >= starts[0].boot
    return forgotten or not votes_of(copy, check_log(copy).last_slot).covers(held.votes)
