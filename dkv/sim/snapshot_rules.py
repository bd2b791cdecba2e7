"""The rules of snapshots, checked from outside: what is sent, and what is put in force.

The state in a snapshot is what the log amounts to at one slot, with sessions and marks (I9). It comes into force by one
commit, together with the mark that the log begins behind that slot (I12).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dkv.keys import APPLIED_THROUGH, COMPACTED, DIGEST, pack_number, unpack_compacted
from dkv.sim.chosen import Chosen
from dkv.sim.simulated_node import SimulatedNode
from dkv.state_messages import SnapshotChunk


class SnapshotRules:
    """Hears of chunks and switches, and calls ``violated(sentence)`` if a rule is broken."""

    def __init__(self, chosen: Chosen, violated: Callable[[str], None]) -> None:
        self._chosen = chosen
        self._violated = violated
        self._through = 0
        self._state: Mapping[bytes, bytes] = {}  # that of the log at that slot

    def _state_at(self, through: int) -> Mapping[bytes, bytes]:
        if through != self._through:
            self._through, self._state = through, self._chosen.reference.state_at(through)
        return self._state

    def sending(self, node: SimulatedNode, message: SnapshotChunk) -> None:
        """A chunk leaves: each pair is what the log amounts to at the slot that the chunk names (I9)."""
        through = message.through
        if node.damaged:
            return  # It may hold anything; a receiver finds out by the digest that comes with it.
        if through > self._chosen.through:
            self._violated(f"I9: node {node.number} sends the state of slot {through}, which is not chosen")
            return
        expected = self._state_at(through)
        marks = {APPLIED_THROUGH: pack_number(through), DIGEST: self._chosen.digests[through]}
        for key, value in message.pairs:
            if value != expected.get(key, marks.get(key)):
                self._violated(
                    f"I9: node {node.number} sends {value!r} for key {key!r} in the state of slot {through}, and"
                    f" {expected.get(key, marks.get(key))!r} follows from the log"
                )
                return

    def written(self, node: SimulatedNode, generation: int, writes: Mapping[bytes, bytes | None]) -> None:
        """A chunk is on disk, in a generation that is not in force. The first one has the lowest key, of a mark."""
        held = len(node.disk.states.stores[generation].durable)
        if APPLIED_THROUGH in writes and held > len(writes):
            self._violated(f"I9: node {node.number} writes a snapshot over what is left of another one")

    def switched(self, node: SimulatedNode, applied: int, writes: Mapping[bytes, bytes | None]) -> None:
        """A commit has put another generation in force: the log begins behind it, from the same moment on (I12)."""
        compacted, _ = unpack_compacted(writes.get(COMPACTED))
        if compacted != applied:
            begins = f"its log begins behind slot {compacted}"
            self._violated(f"I12: node {node.number} put the state of slot {applied} in force, and {begins}")
