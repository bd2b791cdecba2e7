"""The set of members that each node goes by: what its learner tells its other actors, and whether that is so (I9)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dkv.actor import ELECTOR
from dkv.configurations import Configuration
from dkv.events import MembersAre
from dkv.messages import Poll
from dkv.sim.chosen import Chosen
from dkv.sim.schedule import Schedule
from dkv.sim.simulated_connection import Life
from dkv.sim.simulated_node import SimulatedNode


class SetsInForce:
    """Hears of messages, and calls ``violated(sentence)`` if a node is told of another set than the log makes."""

    def __init__(self, chosen: Chosen, schedule: Schedule, violated: Callable[[str], None]) -> None:
        self._chosen = chosen
        self._schedule = schedule
        self._violated = violated
        self._sets: dict[Life, tuple[Configuration, float]] = {}
        self._removed: set[Life] = set()
        """The lives that were told that the log has removed their node."""

    def delivered(self, node: SimulatedNode, role: str, message: Any) -> None:
        """An actor is about to handle a message. What is told to a node with a damaged disk may be wrong."""
        if role != ELECTOR or not isinstance(message, MembersAre):
            return
        applied, told = message.applied, message.configurations.in_force(message.applied)
        right = applied <= self._chosen.through and told == self._chosen.config(applied + 1)
        if not right and not node.damaged:
            self._violated(f"I9: node {node.number} takes {sorted(told.voters)} for the voters of slot {applied + 1}")
        elif told != self.of(node):
            self._sets[node.life] = told, self._schedule.now
        if message.configurations.was_removed(node.number, applied):
            self._removed.add(node.life)

    def sending(self, node: SimulatedNode, message: Any) -> None:
        """A node that knows that it was removed asks for no votes: it would only disturb the others."""
        if isinstance(message, Poll) and node.life in self._removed:
            self._violated(f"node {node.number} asks for votes, and knows that it was removed")

    def of(self, node: SimulatedNode) -> Configuration:
        """The set that decides the next slot of a node, as the node was told; a life begins with the first set."""
        return self._sets.get(node.life, (self._chosen.members.sets[0], 0.0))[0]

    def since(self, node: SimulatedNode) -> float:
        """When it was told of that set, in simulated seconds."""
        return self._sets.get(node.life, (None, 0.0))[1]
