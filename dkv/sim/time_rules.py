"""The rule of the replicated time: it is never ahead of the latest clock that goes as it should.

Which clock is right nobody can know, so the errors of those that do not jump are none. Those that jump are too few to
move the time ahead, as long as every quorum has a machine that is not one of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dkv.messages import Accept, AcceptSlot
from dkv.sim.chosen import Chosen
from dkv.sim.due_rules import DueRules
from dkv.sim.fault_injector import FaultInjector
from dkv.sim.schedule import Schedule
from dkv.sim.simulated_node import SimulatedNode
from dkv.sim.wall_clocks import WallClocks

AHEAD_MS = 1_000
"""How far ahead the time may be in a run whose monotonic clocks are right."""

FAST = 0.12
"""How much faster than the true time a monotonic clock may go in a run, at most, with what that adds up to."""


class TimeRules:
    """Hears of messages, and calls ``violated(sentence)`` if the rule is broken."""

    def __init__(
        self,
        clocks: WallClocks,
        chosen: Chosen,
        faults: FaultInjector,
        schedule: Schedule,
        violated: Callable[[str], None],
    ) -> None:
        self._clocks = clocks
        self._members = chosen.members
        self._faults = faults
        self._schedule = schedule
        self._violated = violated
        self.due = DueRules(chosen, faults, schedule, violated)

    def sending(self, node: SimulatedNode, message: Any) -> None:
        """Check what a proposer takes for the time, and its stamps, before they leave."""
        self.due.sending(node, message)
        if not isinstance(message, Accept | AcceptSlot) or self._may_be_misled():
            return
        allowed = AHEAD_MS + (FAST * self._schedule.now + self._faults.leapt_seconds) * 1000
        ahead = max(message.clock, message.value.time) - self._clocks.latest_steady_ms()
        if ahead > allowed:
            self._violated(
                f"node {node.number} takes the time to be {ahead / 1000:.1f} s later than the latest clock that does"
                " not jump"
            )

    def _may_be_misled(self) -> bool:
        """Whether all clocks of a quorum may jump, in some set that there ever was."""
        return any(each.decides(self._clocks.jumping) for each in self._members.sets)
