"""The rules of a gateway's own batches (I10), checked from outside: what its clients are told of them."""

from __future__ import annotations

from collections.abc import Callable

from dkv.client_events import BatchApplied, Passed
from dkv.keys import APPLIED_THROUGH, unpack_number
from dkv.sim.chosen import Chosen
from dkv.sim.simulated_node import SimulatedNode


class BatchRules:
    """Hears of what learners tell their gateways, and calls ``violated(sentence)`` if a rule is broken.

    ``acknowledged(slot)`` hears of each slot whose results clients are about to be told.
    """

    def __init__(self, chosen: Chosen, acknowledged: Callable[[int], None], violated: Callable[[str], None]) -> None:
        self._chosen = chosen
        self._acknowledged = acknowledged
        self._violated = violated
        self._seq: dict[tuple[int, int], int] = {}  # the last batch that each life of a node heard of

    def applied(self, node: SimulatedNode, message: BatchApplied) -> None:
        """A batch took effect at its place in the log: it is chosen, and the next one."""
        life, batch, slot = (node.number, node.boot), f"{node.boot}-{message.seq}", self._slot(node, message.seq)
        if slot == 0:
            self._violated(f"node {node.number} is about to acknowledge batch {batch}, which no majority has on disk")
        if message.seq != self._seq.get(life, 0) + 1:
            self._violated(f"I10: node {node.number} applied its batch {batch} twice or out of order")
        self._seq[life] = message.seq
        self._acknowledged(slot)

    def passed(self, node: SimulatedNode, message: Passed) -> None:
        """A snapshot stands for the slots of all batches up to this one."""
        life, slot = (node.number, node.boot), self._slot(node, message.seq)
        through = unpack_number(node.disk.states.current.get(APPLIED_THROUGH))
        if not 0 < slot <= through:
            batch = f"{node.boot}-{message.seq}"
            self._violated(f"I10: node {node.number} takes its batch {batch} to be in the state of slot {through}")
        self._seq[life] = max(message.seq, self._seq.get(life, 0))

    def _slot(self, node: SimulatedNode, seq: int) -> int:
        """The first slot in which the batch is chosen, 0 if it is in none."""
        return self._chosen.batches.get((node.number, node.incarnation, node.boot, seq), 0)
