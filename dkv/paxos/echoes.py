"""Whether a quorum hears this node and is heard by it, by numbers that peers send back with what they say anyway.

Classic mode tells by it a node that can serve from one that only hears the others (B41). In leader mode the heartbeats
and their answers do the same.
"""

from __future__ import annotations

from dkv.configurations import Configuration
from dkv.messages import ChosenThrough
from dkv.paxos.proof import Proof


class Echoes:
    """The echoes that node ``node`` hears of its own numbers."""

    def __init__(self, node: int) -> None:
        self._node = node
        self._number = 0
        self._heard: dict[int, int] = {}
        self._proof = Proof()
        self._answered: set[int] = set()
        self._through = 0

    def start(self, number: int) -> None:
        """Begin to count behind ``number``, which is random: an echo of an earlier life's number must be none."""
        self._number = number

    def tell(self, now: float) -> int:
        """The number of what is said now."""
        self._number += 1
        if self._proof.ask(self._number, now):
            self._answered, self._through = {self._node}, 0
        return self._number

    def of(self, node: int) -> int:
        """The last number heard of ``node``, for it to hear back; 0 if none was."""
        return self._heard.get(node, 0)

    def heard(self, node: int, message: ChosenThrough) -> None:
        """``node`` says something: it has answered if it echoes a number said since the proof under way began."""
        self._heard[node] = message.number
        if message.echo <= self._number and self._proof.answered_by(message.echo):
            self._answered.add(node)
            self._through = max(self._through, message.through)

    def take_proof(self, in_force: Configuration) -> tuple[float, int] | None:
        """The moment that is proved, as a quorum has answered, and how far their logs reach; None if nothing is."""
        if not self._proof.under_way or not in_force.decides(self._answered):
            return None
        return self._proof.take(), self._through
