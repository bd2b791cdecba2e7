"""The rule of the checks of the state: what a node says of its state after a slot is true (I9).

The sum is written a second time here, over the state of the second state machine.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from dkv.sim.chosen import Chosen
from dkv.sim.simulated_node import SimulatedNode
from dkv.state_messages import StateDigest


class StateRules:
    """Hears of messages, and calls ``violated(sentence)`` if a node is wrong about its state."""

    def __init__(self, chosen: Chosen, violated: Callable[[str], None]) -> None:
        self._chosen = chosen
        self._violated = violated
        self._expected: dict[int, tuple[bytes, int]] = {}

    def sending(self, node: SimulatedNode, message: Any) -> None:
        """Check a message to another node before it leaves; what a damaged node says is for the others to judge."""
        if not isinstance(message, StateDigest) or node.damaged:
            return
        if message.slot > self._chosen.through:
            self._violated(f"I8: node {node.number} has a state after slot {message.slot}, which is not chosen")
        elif (message.digest, message.count) != self._state_after(message.slot):
            self._violated(f"I9: what node {node.number} says of its state after slot {message.slot} is not true")

    def _state_after(self, slot: int) -> tuple[bytes, int]:
        """The sum of the state that follows from the log, and the number of pairs."""
        if slot not in self._expected:
            state, total = self._chosen.reference.state_at(slot), 0
            for key, value in state.items():
                text = str(len(key)).encode() + b":" + key + value
                total += int(blake2b(text, digest_size=16).hexdigest(), 16)
            self._expected[slot] = (total % 2**128).to_bytes(16, "big"), len(state)
        return self._expected[slot]
