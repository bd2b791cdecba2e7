"""The rules of a gateway's own batches (I10), checked from outside: what its clients are told of them."""

from __future__ import annotations

from collections.abc import Callable

from dkv.client_events import BatchApplied, Passed
from dkv.keys import APPLIED_THROUGH, unpack_number
from dkv.sim.chosen import Chosen
from dkv.sim.second_commands import UNJUDGED
from dkv.sim.simulated_node import SimulatedNode


def is_same(results: object, expected: object) -> bool:
    """Whether these are the results that the reference has come to. A 1 is no True, and a nil no 0."""
    if isinstance(expected, list):
        same_length = isinstance(results, list) and len(results) == len(expected)
        return same_length and all(map(is_same, results, expected))  # type: ignore[call-overload]  # it is a list
    return expected is UNJUDGED or (type(results), results) == (type(expected), expected)


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
        expected = self._chosen.reference.results.get((node.number, node.incarnation, node.boot, message.seq))
        if expected is not None and not is_same(message.results, expected):
            told = f"{message.results!r:.300}, which should be {expected!r:.300}"
            self._violated(f"I9: the results of batch {batch} on node {node.number} are {told}")
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
