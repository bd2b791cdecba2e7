"""Copies of directories: an older one is put back, a disk loses writes that it confirmed, one runs twice (B34).

A loss that no living node knows of cannot be noticed, and dkv is not to blame for it. So a copy comes into use only
when the two disks show that it lacks a start or a vote of the node, and every other member has on its disk what the
node had to tell of itself by then. From then on a process on the copy must not vote or take part in anything, whatever
else happens.
"""

from __future__ import annotations

from collections.abc import Callable

from dkv.ballot import ZERO, Ballot
from dkv.identity import Acquaintance, Start
from dkv.keys import PROMISE, RECORD, SLOT_BALLOT, SLOT_PROMISE, unpack_ballot
from dkv.records import unpack_record
from dkv.sim.aim import Aim
from dkv.sim.disk import Disk, DiskCopy
from dkv.sim.simulated_node import SimulatedNode
from dkv.storage.data_directory import load_members
from dkv.storage.lives import read_identity, votes_of
from dkv.storage.store import Store

LOOKS_MAX = 20
"""How many times to look whether the others know enough, before the copy is given up."""

LOOK_SECONDS = 0.5

Use = Callable[[SimulatedNode, DiskCopy], None]


class Copies:
    """Sets back nodes that ``may_damage`` allows. ``set_back(node)`` hears of each; ``start`` starts one again.

    ``clone(node, copy)`` begins a second process of a node, on a copy of its directory.
    """

    def __init__(
        self,
        aim: Aim,
        note: Callable[[int, str, str], None],
        may_damage: Callable[[SimulatedNode], bool],
        set_back: Callable[[SimulatedNode], None],
        start: Callable[[SimulatedNode], None],
        clone: Callable[[SimulatedNode, DiskCopy], None],
    ) -> None:
        self._aim = aim
        self._note = note
        self._may_damage = may_damage
        self._set_back = set_back
        self._start = start
        self._begin_clone = clone
        self._copied: set[int] = set()
        """The nodes that have a copy which may come into use."""
        self.cloned = False
        """Whether a second process of a node was ever begun."""
        self.strikes: dict[str, Callable[[SimulatedNode], None]] = {
            "clone": self._clone,
            "lying-disk": self._lie,
            "old-copy": self._copy,
        }

    def _copy(self, node: SimulatedNode) -> None:
        """Stop the node, copy its directory and start it again; put the copy back later."""
        if node.number not in self._copied and self._may_set_back(node):
            self._note(node.number, "copy", "stopped, copied, and started again")
            node.crash()
            self._keep(node, self._put_back)
            self._start(node)

    def _lie(self, node: SimulatedNode) -> None:
        """From now on the disk confirms writes and does not keep them, as the next power cut shows."""
        if node.number not in self._copied and self._may_set_back(node):
            self._note(node.number, "copy", "the disk writes nothing any more")
            self._keep(node, self._put_back)

    def _clone(self, node: SimulatedNode) -> None:
        """Copy the directory of a running node; later a second process runs on the copy, beside the first."""
        if node.number not in self._copied and self._may_set_back(node):
            self._note(node.number, "copy", "copied while it runs")
            self._keep(node, self._begin_beside)

    def _keep(self, node: SimulatedNode, use: Use) -> None:
        self._copied.add(node.number)
        self._aim.later(self._aim.lasting(), self._missed, use, node, node.disk.copied(), LOOKS_MAX)

    def _missed(self, use: Use, node: SimulatedNode, copy: DiskCopy, looks: int) -> None:
        """Wait until the node has done something that the copy does not know of."""
        if not looks or not self._may_set_back(node):
            self._copied.discard(node.number)
        elif _lacks(copy, node.disk):
            self._use(use, node, copy, node.disk.copied(), LOOKS_MAX)
        else:
            self._aim.later(LOOK_SECONDS, self._missed, use, node, copy, looks - 1)

    def _use(self, use: Use, node: SimulatedNode, copy: DiskCopy, later: DiskCopy, looks: int) -> None:
        """Bring the copy into use as soon as the others know all that the node could tell with the disk ``later``."""
        others = [other for other in self._aim.nodes if other is not node]
        if self._may_set_back(node) and looks:
            if not all(_knows(load_members(other.disk.log)[node.number], later) for other in others):
                self._aim.later(LOOK_SECONDS, self._use, use, node, copy, later, looks - 1)
                return
            use(node, copy)
        self._copied.discard(node.number)

    def _put_back(self, node: SimulatedNode, copy: DiskCopy) -> None:
        self._note(node.number, "set back", "to the copy")
        node.crash()
        node.damaged = True
        node.disk.restore(copy)
        self._set_back(node)
        self._start(node)

    def _begin_beside(self, node: SimulatedNode, copy: DiskCopy) -> None:
        self.cloned = True
        self._begin_clone(node, copy)

    def _may_set_back(self, node: SimulatedNode) -> bool:
        """Bring the copy into use. Only one is used in a run, because two might know nothing of each other."""
        whole = not self.cloned and not any(other.damaged for other in self._aim.nodes)
        return whole and self._joined_nobody() and self._may_damage(node)

    def _joined_nobody(self) -> bool:
        """A node that came later cannot know what a copy lacks: no member would have told it."""
        return all(other.number in other.first_members for other in self._aim.nodes)


def _lacks(copy: DiskCopy, disk: Disk) -> bool:
    """Whether ``disk`` holds a start or a vote that ``copy`` lacks, judged by the votes themselves, not by counts."""
    known = _votes(copy.log)
    voted = any(ballot > known.get(key, ZERO) for key, ballot in _votes(disk.log).items())
    return voted or _starts(disk.log)[-1] not in _starts(copy.log)


def _votes(store: Store) -> dict[bytes, Ballot]:
    """The ballots of promises and accepted slots, by the keys under which they are stored."""
    stored = {key: store.get(key) for key in (PROMISE, SLOT_BALLOT)} | dict(store.scan(SLOT_PROMISE))
    promised = {key: Ballot(*unpack_ballot(value)) for key, value in stored.items() if value is not None}
    return promised | {key: unpack_record(value).ballot for key, value in store.scan(RECORD)}


def _knows(held: Acquaintance, disk: DiskCopy) -> bool:
    """Whether a node that keeps ``held`` of a member knows all that the member could tell of itself with this disk."""
    return held.start.boot >= _starts(disk.log)[-1].boot and held.votes.covers(votes_of(disk.log))


def _starts(store: Store) -> tuple[Start, ...]:
    identity = read_identity(store)
    assert identity is not None
    return identity.starts
