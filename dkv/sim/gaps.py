"""A gap in one node's log, in classic mode: it misses one slot, and hears late of those that follow.

Others agree on slot after slot meanwhile. The node knows some of them to be chosen, above its gap, some in a ballot
that is lower than what it promised there; and proposers that did not hear that such a slot is chosen ask it for votes.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from dkv.messages import AcceptSlot, ChosenSlots, SlotChosen, SlotSettled
from dkv.sim.aim import Aim
from dkv.sim.simulated_node import SimulatedNode
from dkv.sim.wires import LOST, Wires


class Gap:
    """What becomes of messages while ``node`` has a gap; those of some proposers are up to ``seconds`` late."""

    def __init__(self, node: int, random: Random, seconds: float) -> None:
        self._node = node
        self._random = random
        self._seconds = seconds
        self._late: dict[int, float] = {}  # by proposer
        self._slot = 0  # the one that the node misses: the first that it would hear of

    def lateness(self, to: int, message: Any) -> float:
        """How many seconds longer than usual a message to ``to`` is on its way, or ``LOST``."""
        if to == self._node:
            return self._lateness_there(message)
        if isinstance(message, SlotChosen | SlotSettled) and self._random.random() < 0.5:
            return LOST  # so a rival goes on with a slot that is chosen
        return 0.0

    def _lateness_there(self, message: Any) -> float:
        if isinstance(message, ChosenSlots):
            return LOST  # no catch-up closes the gap
        if not isinstance(message, AcceptSlot | SlotChosen):
            return 0.0
        if not self._slot:
            self._slot = message.slot
        if message.slot == self._slot:
            return LOST
        # A stalled connection: the next proposer may ask the node first, so that it promises more than this ballot.
        late = self._late.setdefault(message.ballot.node, self._random.choice((0.0, self._seconds)))
        return late * self._random.random()


class Gaps:
    """Strikes at ``wires``; ``delay`` is how long messages are on their way mostly, in seconds."""

    def __init__(self, aim: Aim, wires: Wires, delay: float, note: Callable[[int, str, str], None]) -> None:
        self.strikes = {"gap": self._open}
        self._aim = aim
        self._wires = wires
        self._delay = delay
        self._note = note

    def _open(self, node: SimulatedNode) -> None:
        """One node at a time."""
        if self._wires.hindrance is None:
            late = self._aim.random.choice((4 * self._delay, 0.1, 0.3, 1.0))
            self._wires.hindrance = Gap(node.number, self._aim.random, late).lateness
            self._note(node.number, "gap", "misses a slot")
            self._aim.later(self._aim.lasting(), self._close)

    def _close(self) -> None:
        self._wires.hindrance = None
