"""What all faults share: the choice of a node, a duration, and an end."""

from __future__ import annotations

from collections.abc import Callable, Collection
from random import Random

from dkv.sim.schedule import Schedule
from dkv.sim.simulated_node import SimulatedNode


class Aim:
    """Aims at ``nodes``, mostly at those in ``leading``; every choice is drawn from ``random``."""

    def __init__(
        self, schedule: Schedule, random: Random, nodes: list[SimulatedNode], leading: Collection[int]
    ) -> None:
        self.random = random
        self.nodes = nodes
        self.stopped = False
        """Whether all faults are over."""
        self._schedule = schedule
        self._leading = leading

    def victim(self, bias: float) -> SimulatedNode:
        """A leader with the probability ``bias``, else any node."""
        leading = [node for node in self.nodes if node.number in self._leading]
        return self.random.choice(leading if leading and self.random.random() < bias else self.nodes)

    def later(self, seconds: float, call: Callable[..., None], *arguments: object) -> None:
        """Undo a fault after some time, unless all faults have been undone by then."""
        self._schedule.after(seconds, lambda: None if self.stopped else call(*arguments))

    def lasting(self) -> float:
        """The duration of a fault, in seconds."""
        return self.random.choice((0.05, 0.5, 1.0, 3.0, 8.0)) * self.random.uniform(0.5, 1.5)
