"""A gap in one node's log, in classic mode: the node misses one slot, and hears late of those that follow.

Meanwhile others agree on slot after slot. The node knows that some slots above its gap are chosen, some of them in a
ballot lower than its own promise there. Proposers that have not heard that such a slot is chosen ask it for votes.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from dkv.messages import AcceptSlot, SlotChosen, SlotSettled
from dkv.sim.aim import Aim
from dkv.sim.simulated_node import SimulatedNode
from dkv.sim.wires import LOST, Wires
from dkv.state_messages import ChosenSlots


class Gap:
    """Delays or loses messages while ``node`` has a gap; those of some proposers are up to ``seconds`` late."""

    def __init__(self, node: int, random: Random, seconds: float) -> None:
        self._node = node
        self._random = random
        self._seconds = seconds
        self._late: dict[int, float] = {}  # by proposer
        self._slot = 0  # the slot that the node misses: the first one it would hear of

    def lateness(self, to: int, message: Any) -> float:
        """How many seconds longer than usual a message to ``to`` travels, or ``LOST``."""
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
        # A stalled connection: the next proposer may ask the node first, and get a promise above this ballot.
        late = self._late.setdefault(message.ballot.node, self._random.choice((0.0, self._seconds)))
        return late * self._random.random()


class Gaps:
    """Makes gaps at ``wires``; ``delay`` is the usual time that a message travels, in seconds."""

    def __init__(self, aim: Aim, wires: Wires, delay: float, note: Callable[[int, str, str], None]) -> None:
        self.strikes = {"gap": self._open}
        self._aim = aim
        self._wires = wires
        self._delay = delay
        self._note = note

    def _open(self, node: SimulatedNode) -> None:
        """Give a node a gap, unless another one has one."""
        if self._wires.hindrance is None:
            late = self._aim.random.choice((4 * self._delay, 0.1, 0.3, 1.0))
            self._wires.hindrance = Gap(node.number, self._aim.random, late).lateness
            self._note(node.number, "gap", "misses a slot")
            self._aim.later(self._aim.lasting(), self._close)

    def _close(self) -> None:
        self._wires.hindrance = None
