"""Faults of connections: nodes that are cut off from each other for a while, and nodes that cannot dial others."""

from __future__ import annotations

from dkv.actor import Address
from dkv.messages import Accept, AcceptSlot
from dkv.sim.aim import Aim
from dkv.sim.simulated_node import SimulatedNode
from dkv.sim.wires import Wires


class Cuts:
    """Cuts ``wires``; ``delay`` is the usual time that a message travels, in seconds."""

    def __init__(self, aim: Aim, wires: Wires, delay: float) -> None:
        self.strikes = {
            "contest": self._contest,
            "flap": self._flap,
            "laggard": self._lag,
            "lossy-link": self._lossy,
            "one-sided": self._block,
            "partition": self._partition,
            "rotation": self._rotation,
        }
        self._aim = aim
        self._random = aim.random
        self._wires = wires
        self._delay = delay
        self._contests = 0
        """How many more candidates are cut off as they ask for votes."""
        self._contested: list[tuple[int, int]] = []
        """The cuts of the candidate that is cut off at present."""

    def sending(self, node: SimulatedNode, to: Address, message: object) -> None:
        """The node is about to send ``message``."""
        if self._contests and not self._aim.stopped and isinstance(message, Accept | AcceptSlot):
            self._asked(node)

    def _other(self, node: SimulatedNode) -> int:
        """A node that ``node`` has connections with."""
        return self._random.choice([each.number for each in self._aim.nodes if each is not node])

    def _partition(self, node: SimulatedNode) -> None:
        numbers = [each.number for each in self._aim.nodes]
        kind = self._random.choice(("isolate", "isolate", "split", "bridge", "bridge", "one way", "link"))
        other = self._other(node)
        if kind == "isolate":
            cuts = self._around(node)
        elif kind == "bridge":  # the other node sees both sides, which do not see each other
            cuts = [(node.number, number) for number in numbers if number not in (node.number, other)]
        elif kind == "split":
            side = set(self._random.sample(numbers, self._random.randint(1, len(numbers) - 1)))
            cuts = [(one, two) for one in numbers for two in numbers if one in side and two not in side]
        else:
            cuts = [(node.number, other)]
        if kind not in ("isolate", "one way"):
            cuts += [(two, one) for one, two in cuts]
        self._cut(cuts)
        self._aim.later(self._aim.lasting(), self._mend, cuts)

    def _around(self, node: SimulatedNode) -> list[tuple[int, int]]:
        """Cut every direction to and from ``node``."""
        others = [each.number for each in self._aim.nodes if each is not node]
        return [(node.number, other) for other in others] + [(other, node.number) for other in others]

    def _cut(self, cuts: list[tuple[int, int]]) -> None:
        for one, two in cuts:
            self._wires.cut(one, two)

    def _mend(self, cuts: list[tuple[int, int]]) -> None:
        for one, two in cuts:
            self._wires.mend(one, two)

    def _rotation(self, node: SimulatedNode) -> None:
        """Cut off one node after the other, mostly the present leader, each when the one before comes back.

        A leader that was just elected, and has agreed on a slot or two, is followed by one with other values in the
        same slots.
        """
        self._rotate([], self._random.randint(2, 8), self._random.choice((0.7, 1.0, 1.5)))

    def _rotate(self, cuts: list[tuple[int, int]], times: int, seconds: float) -> None:
        self._mend(cuts)
        if times:
            cuts = self._around(self._aim.victim(0.9))
            self._cut(cuts)
            self._aim.later(self._random.uniform(0.5, 1.5) * seconds, self._rotate, cuts, times - 1, seconds)

    def _lag(self, node: SimulatedNode) -> None:
        """Leave one node behind, and cut off the leader when it comes back: a candidate must catch up, among rivals."""
        cuts = self._around(node)
        self._cut(cuts)
        self._aim.later(self._random.uniform(1.0, 5.0), self._return, node, cuts)

    def _return(self, node: SimulatedNode, cuts: list[tuple[int, int]]) -> None:
        self._mend(cuts)
        rival = self._aim.victim(0.9)
        if rival is not node:
            cuts, wait = self._around(rival), self._random.choice((0.0, 0.3, 1.0))
            self._aim.later(wait, self._cut, cuts)
            self._aim.later(wait + self._random.uniform(0.5, 6.0), self._mend, cuts)

    def _contest(self, node: SimulatedNode) -> None:
        """Cut off each candidate before, while or after its question is heard, when the one before comes back.

        Each leaves a value with one vote or a few. The value may be chosen, and the next leader must find out.
        """
        self._contests = self._random.randint(2, 6)

    def _asked(self, node: SimulatedNode) -> None:
        cuts = self._around(node)
        if cuts == self._contested or self._random.random() < 0.5:
            return
        self._contests -= 1
        ended, self._contested = self._contested, cuts
        delays = self._random.choice((0.0, 2.0, 8.0))
        if delays:
            self._aim.later(delays * self._delay, self._replace, ended, cuts)
        else:
            self._replace(ended, cuts)  # at once: the message that is about to be sent is held back
        if not self._contests:
            self._aim.later(self._aim.lasting(), self._mend, cuts)

    def _replace(self, ended: list[tuple[int, int]], cuts: list[tuple[int, int]]) -> None:
        self._mend(ended)
        self._cut(cuts)

    def _lossy(self, node: SimulatedNode) -> None:
        other = self._other(node)
        self._wires.lose(node.number, other, self._random.choice((0.2, 0.5, 1.0)))
        self._aim.later(self._aim.lasting(), self._wires.lose, node.number, other, 0.0)

    def _flap(self, node: SimulatedNode) -> None:
        other = self._other(node)
        self._toggle(node.number, other, self._random.randint(2, 20), self._random.choice((0.05, 0.3, 1.0)))

    def _toggle(self, one: int, other: int, times: int, seconds: float) -> None:
        """Cut and mend a link in turns; in the end it is mended."""
        for pair in ((one, other), (other, one)):
            (self._wires.cut if times % 2 else self._wires.mend)(*pair)
        if times:
            self._aim.later(self._random.uniform(0.5, 1.5) * seconds, self._toggle, one, other, times - 1, seconds)

    def _block(self, node: SimulatedNode) -> None:
        """A packet filter or a wrong address: for long a node cannot dial some of the others, and they can dial it.

        Or the other way round.
        """
        others = [each.number for each in self._aim.nodes if each is not node]
        pairs = [(node.number, other) for other in self._random.sample(others, self._random.randint(1, len(others)))]
        if self._random.random() < 0.5:
            pairs = [(other, number) for number, other in pairs]
        for pair in pairs:
            self._wires.block(*pair)
        self._aim.later(3 * self._aim.lasting(), self._unblock, pairs)

    def _unblock(self, pairs: list[tuple[int, int]]) -> None:
        for pair in pairs:
            self._wires.unblock(*pair)
