"""The rules of what reads find (I9, I11): the state as it was after some slot that their node had applied by then.

A read is evaluated once its barrier is applied, and not later than its answer leaves. So the second state machine must
have found the same after one of these slots: by the time of that slot, and not by any clock.
"""

from __future__ import annotations

from collections.abc import Callable

from dkv.client_events import Read, ReadResults
from dkv.sim.batch_rules import is_same
from dkv.sim.chosen import Chosen
from dkv.sim.second_commands import execute
from dkv.sim.simulated_connection import Life
from dkv.sim.simulated_node import SimulatedNode


class AnswerRules:
    """Hears of reads and their results within each node, and calls ``violated(sentence)`` if a rule is broken."""

    def __init__(self, chosen: Chosen, violated: Callable[[str], None]) -> None:
        self._chosen = chosen
        self._violated = violated
        self._asked: dict[tuple[Life, int], Read] = {}

    def asked(self, node: SimulatedNode, message: Read) -> None:
        """A gateway hands its learner a read."""
        self._asked[node.life, message.number] = message

    def told(self, node: SimulatedNode, message: ReadResults) -> None:
        """A learner answers it."""
        read = self._asked.pop((node.life, message.number))
        for slot in range(self._chosen.through, read.through - 1, -1):
            keys = self._chosen.reference.keys_at(slot)
            if is_same(message.results, [execute(keys, entry) for entry in read.entries]):
                return
        found = f"{message.results!r:.300} for {read.entries!r:.300}"
        self._violated(f"I9: node {node.number} read {found}, which is true after no slot from {read.through} on")
