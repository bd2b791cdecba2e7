"""The faults of a soak: a plan that is drawn from a seed, and what carries it out.

Faults overlap. So what holds at a moment is derived from all that are active: a node is up if no fault keeps it down.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from dkv.settings import MIB
from tests.soak.cluster import SoakNode
from tests.soak.networks import Network

FULL_GRACE_SECONDS = 5.0
"""For so long after there is room again a node may end because of a write that failed before."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault: how often it is drawn, and the least and the most that it lasts, in seconds."""

    weight: int
    least: float
    most: float


KINDS = {
    "kill": Kind(5, 0.1, 3.0),
    "freeze": Kind(4, 0.3, 6.0),
    "isolate": Kind(3, 0.5, 8.0),
    "deaf": Kind(2, 0.5, 8.0),
    "mute": Kind(2, 0.5, 8.0),
    "one way": Kind(2, 0.5, 8.0),
    "loss": Kind(2, 1.0, 8.0),
    "fill": Kind(2, 1.0, 5.0),
    "short": Kind(1, 2.0, 6.0),
    "behind": Kind(0, 8.0, 14.0),
    "members": Kind(0, 0.1, 0.1),
}
"""``deaf`` and ``mute`` nodes lose all that comes in, or all that goes out; ``one way`` is for one pair, and ``loss``
for a share of everything. ``fill`` leaves no room on a disk, ``short`` less than ``disk_free_bytes_min``. ``behind`` is
a kill after which the node stays down until the others have compacted. ``members`` is the begin of the next change of
members, if none is under way: it goes on until it is complete."""

DOWN = ("kill", "behind")
DISKS = ("fill", "short")
SHORT_BYTES = 20 * MIB
SEVERAL = 0.2
"""How often a kill, a freeze or a full disk strikes several nodes at once, up to all of them."""
CHANGE_PAUSE_SECONDS = 1.0
"""The mean time between two looks at whether a change of members is complete and the next may begin."""
PAUSE_SECONDS = 2.0
BEHIND_PAUSE_SECONDS = 4.0
"""The mean time between the begins of two faults; and while one node is down, so that the others get on with their
work."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: when it begins, counted from the begin of its phase, how long it lasts, whom it strikes.

    ``share`` is that of the packets which are lost.
    """

    at: float
    seconds: float
    kind: str
    nodes: tuple[int, ...]
    share: float = 1.0

    def __str__(self) -> str:
        if self.kind == "members":
            return "members change, if they do not already"
        many = f"{self.kind} node{'s' * (len(self.nodes) > 1)} {', '.join(map(str, self.nodes))}"
        lost = f", {self.share:.0%} of packets" if self.kind == "loss" else ""
        return f"{many}{lost}, for {self.seconds:.1f} s"


def draw(random: Random, nodes: Sequence[int], seconds: float, *, disks: bool, behind: bool) -> list[Fault]:
    """The faults of a phase of so many seconds, in the order of their begins; all of them end within it.

    ``nodes`` are the ids of those that may be struck; some may not be there yet. Without ``disks`` none is filled. With
    ``behind`` one node is kept down for long.
    """
    names = [name for name, kind in KINDS.items() if kind.weight and (disks or name not in DISKS)]
    weights = [KINDS[name].weight for name in names]
    faults = []
    at = random.uniform(0.2, 1.0)
    if behind:
        faults.append(_draw_one(random, "behind", nodes, at, seconds))
    while at < seconds - 0.5:
        at += random.expovariate(1 / (BEHIND_PAUSE_SECONDS if behind else PAUSE_SECONDS))
        if at < seconds - 0.5:
            faults.append(_draw_one(random, random.choices(names, weights)[0], nodes, at, seconds))
    at = random.uniform(0.0, 1.0)
    while at < seconds - 0.5:
        faults.append(_draw_one(random, "members", nodes, at, seconds))
        at += random.expovariate(1 / CHANGE_PAUSE_SECONDS)
    return sorted(faults, key=lambda fault: fault.at)


def _draw_one(random: Random, name: str, nodes: Sequence[int], at: float, end: float) -> Fault:
    kind = KINDS[name]
    lasts = min(random.uniform(kind.least, kind.most), end - at)
    count = 1
    if name in ("kill", "freeze", *DISKS) and random.random() < SEVERAL:
        count = random.randint(2, len(nodes))
    struck = tuple(sorted(random.sample(nodes, count)))
    if name == "one way":
        struck = tuple(random.sample(nodes, 2))
    if name == "loss":
        return Fault(at, lasts, name, tuple(nodes), round(random.uniform(0.02, 0.25), 2))
    return Fault(at, lasts, name, () if name == "members" else struck)


def shares(faults: Sequence[Fault], nodes: Sequence[int]) -> dict[tuple[int, int], float]:
    """What is lost from whom to whom while these faults are active; of several shares the largest."""
    lost: dict[tuple[int, int], float] = {}
    pairs = [(one, other) for one in nodes for other in nodes if one != other]
    for fault in faults:
        for sender, receiver in pairs:
            first = next(iter(fault.nodes), None)
            struck = {
                "isolate": first in (sender, receiver),
                "deaf": first == receiver,
                "mute": first == sender,
                "one way": (sender, receiver) == fault.nodes,
                "loss": True,
            }
            if struck.get(fault.kind):
                lost[sender, receiver] = max(fault.share, lost.get((sender, receiver), 0.0))
    return lost


class Weather:
    """Carries faults out. ``settle`` makes the nodes and the network what the active faults say.

    ``nodes`` are all there are at any time, and ``change_members`` begins the next change of them.
    """

    def __init__(
        self,
        nodes: Sequence[SoakNode],
        network: Network,
        change_members: Callable[[], None],
        tell: Callable[[str], None],
    ) -> None:
        self._nodes = nodes
        self._change_members = change_members
        self._network = network
        self._tell = tell
        self._active: list[Fault] = []
        self._room: dict[int, int] = {}
        """By node, the bytes that a fault has left on its disk."""
        self._frozen: set[int] = set()

    def begin(self, fault: Fault) -> None:
        """A fault begins."""
        self._active.append(fault)
        if fault.kind == "members":
            self._change_members()
            return
        self._tell(str(fault))
        for node in self._struck(fault, *DOWN):
            node.kill()
        self.settle()

    def end(self, fault: Fault) -> None:
        """It ends."""
        self._active.remove(fault)
        self.settle()

    def settle(self) -> None:
        """Disks first, since nodes find them so when they start. The network last: nodes must run to be ordered.

        A node whose disk is full is started all the same: its reserve is there for that.
        """
        for node in [*self._nodes]:
            self._fill(node)
            self._start(node)
            self._freeze(node)
        awake = [node.real for node in self._nodes if node.runs and not self._is(node, "freeze")]
        self._network.lose(shares(self._active, [node.number for node in self._nodes]), awake)

    def _is(self, node: SoakNode, *kinds: str) -> bool:
        return any(node in self._struck(fault, *kinds) for fault in self._active)

    def _struck(self, fault: Fault, *kinds: str) -> list[SoakNode]:
        return [node for node in self._nodes if fault.kind in kinds and node.number in fault.nodes]

    def _fill(self, node: SoakNode) -> None:
        """Fill its disk further, or empty it: never fill it anew, since what it writes may need its reserve."""
        left = 0 if self._is(node, "fill") else SHORT_BYTES if self._is(node, "short") else None
        room = self._room.get(node.number)
        if left is None and room is not None:
            del self._room[node.number]
            node.empty(FULL_GRACE_SECONDS)
        elif left is not None and (room is None or left < room):
            self._room[node.number] = left
            node.fill(left)

    def _start(self, node: SoakNode) -> None:
        if not node.runs and not self._is(node, *DOWN):
            self._frozen.discard(node.number)
            node.start()

    def _freeze(self, node: SoakNode) -> None:
        frozen = self._is(node, "freeze") and node.runs
        if frozen != (node.number in self._frozen):
            node.freeze(frozen)
            self._frozen ^= {node.number}
