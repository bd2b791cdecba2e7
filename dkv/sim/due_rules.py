"""The rule of slots that are wanted though nobody writes: they come when something is due, and for nothing else.

Something is due when the time reaches the nearest deadline, or when dead keys are left to be erased. What is due after
a slot follows from the log a second time here. In classic mode nobody knows the time before a quorum has promised a
slot, so there a node must have waited as long as the deadline was ahead. That such slots come at all is seen when a run
ends: in a cluster that nobody uses, no key stays whose deadline has passed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dkv.actor import PROPOSER
from dkv.ballot import Ballot
from dkv.events import Due, Origins
from dkv.messages import Accept, AcceptSlot
from dkv.sim.chosen import Chosen
from dkv.sim.fault_injector import FaultInjector
from dkv.sim.schedule import Schedule
from dkv.sim.simulated_connection import Life
from dkv.sim.simulated_node import SimulatedNode

NEAR_MS = 5_000
"""Deadlines that are no further ahead of the last slot's time must pass soon in a cluster that nobody uses."""

FAST = 1.12
"""How much faster than the true time a node's clock may go, with a little more."""


class DueRules:
    """Hears of messages, and calls ``violated(sentence)`` if the rule is broken."""

    def __init__(
        self, chosen: Chosen, faults: FaultInjector, schedule: Schedule, violated: Callable[[str], None]
    ) -> None:
        self._chosen = chosen
        self._faults = faults
        self._schedule = schedule
        self._violated = violated
        self._told: dict[Life, tuple[int, float]] = {}
        """The slot after which the learner of each life has last said what is due, and the moment."""
        self._proposed: set[tuple[int, int]] = set()
        """The slots without batches that were proposed by now, with their stamps."""
        self._last: dict[Ballot | Life, tuple[int, int]] = {}
        """The last one of each lead, or of each life in classic mode, with its stamp."""

    def delivered(self, node: SimulatedNode, role: str, message: Any) -> None:
        """A learner tells the proposer of its node what is due, or in classic mode what time a slot has come to."""
        if role == PROPOSER and (isinstance(message, Due) or self._is_new(node, message)):
            self._told[node.life] = message.through, self._moment()

    def _is_new(self, node: SimulatedNode, message: Any) -> bool:
        """Whether this says what a node's own slot without batches has come to: it may have come too early."""
        if not isinstance(message, Origins) or not node.classic:
            return False
        (last_slot, _), (through, _) = self._last.get(node.life, (0, 0)), self._told.get(node.life, (0, 0.0))
        return through < last_slot <= message.through

    def _moment(self) -> float:
        """The time in seconds, on a clock that takes part in all leaps of the nodes' clocks."""
        return self._schedule.now + self._faults.leapt_seconds

    def sending(self, node: SimulatedNode, message: Any) -> None:
        """Check a proposal without batches before it leaves; one without a stamp fills a gap and is another matter."""
        if not isinstance(message, Accept | AcceptSlot) or message.value.batches or not message.value.time:
            return
        slot, stamp = message.slot, message.value.time
        if (slot, stamp) in self._proposed:
            return  # it is sent again, or recovered from an earlier ballot
        self._proposed.add((slot, stamp))
        if isinstance(message, AcceptSlot) and self._is_to_be_filled(slot):
            return
        through, told_at = self._told.get(node.life, (0, 0.0))
        keys = self._chosen.reference.keys_at(through)
        at, whose = keys.due(), node.life if node.classic else message.ballot
        last_slot, last_stamp = self._last.get(whose, (slot, 0))
        self._last[whose] = slot, stamp
        has_waited = (self._moment() - told_at) * 1000 * FAST >= at - keys.time
        proposes = f"node {node.number} proposes slot {slot} without batches"
        if at > stamp and not (node.classic and has_waited):
            self._violated(f"{proposes}, and nothing is due at {stamp}: the nearest deadline is {at}")
        elif through < last_slot < slot and at <= last_stamp:
            self._violated(f"{proposes}, and its learner has not said what is due after slot {last_slot}")

    def _is_to_be_filled(self, slot: int) -> bool:
        """Whether a change of members waits for slots: then classic proposers fill them, with stamps."""
        return self._chosen.members.config(slot) is not self._chosen.members.sets[-1]

    def is_waiting(self) -> bool:
        """Whether keys are left that must be erased soon, though nobody writes."""
        keys = self._chosen.reference.keys_at(self._chosen.through)
        return keys.due() <= keys.time + NEAR_MS
