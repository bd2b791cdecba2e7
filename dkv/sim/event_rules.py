"""The rule of keyspace notifications (I13): all nodes tell the same events for the same slots, those of the log.

A node tells the events of each slot that it applies while it serves: once, and in order. It tells none of the slots
that it applies again after its start, and none of those that a snapshot stands for. What a crash takes with it is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dkv import noted
from dkv.actor import LEARNER, Note
from dkv.client_events import KeyEvents
from dkv.sim.chosen import Chosen
from dkv.sim.simulated_connection import Life
from dkv.sim.simulated_node import SimulatedNode

Told = tuple[bool, bool, int, bytes, bytes]
"""An event with the ways in which it is told: by key, by event, and then the database, the event and the key."""


class _Listener:
    """What one life of a node has told."""

    def __init__(self) -> None:
        self.serves = False
        self.owed: dict[int, list[Told]] = {}
        """The events that are still to be told, by slot, in order."""


class EventRules:
    """Hears of notes and messages, and calls ``violated(sentence)`` if the rule is broken."""

    def __init__(self, chosen: Chosen, violated: Callable[[str], None]) -> None:
        self._chosen = chosen
        self._violated = violated
        self._listeners: dict[Life, _Listener] = {}

    def noted(self, node: SimulatedNode, actor: str, event: Note[...], fields: Mapping[str, Any]) -> None:
        """A learner has applied a slot, or a snapshot in place of slots."""
        if actor != LEARNER or node.damaged:
            return
        listener = self._listeners.setdefault(node.life, _Listener())
        if event is noted.replayed:
            listener.serves = True
        elif event is noted.snapshot_installed:
            listener.owed.pop(fields["through"], None)
        elif event is noted.applied and listener.serves:
            through = fields["through"]
            told = self._chosen.reference.told.get(through, ())
            if told:
                listener.owed[through] = [(b"K" in ways, b"E" in ways, db, name, key) for ways, db, name, key in told]

    def delivered(self, node: SimulatedNode, message: Any) -> None:
        """Events of keys come to those who tell subscribers."""
        if not isinstance(message, KeyEvents) or node.damaged:
            return
        listener = self._listeners.setdefault(node.life, _Listener())
        told = [(message.by_key, message.by_event, *event) for event in message.events]
        what = f"I13: node {node.number} tells {_shown(told)} for slot {message.slot}"
        if not listener.owed:
            self._violated(f"{what}, where nothing is to be told")
            return
        slot, owed = next(iter(listener.owed.items()))
        if slot != message.slot or owed[: len(told)] != told:
            self._violated(f"{what}, and the next to be told is {_shown(owed)} of slot {slot}")
            return
        del owed[: len(told)]
        if not owed:
            del listener.owed[slot]

    def has_told(self, node: SimulatedNode) -> bool:
        """Whether the present life of a node has told all that it had to tell."""
        listener = self._listeners.get(node.life)
        return listener is None or not listener.owed


def _shown(told: list[Told]) -> str:
    return ", ".join(f"{name.decode()} {key!r}" for _, _, _, name, key in told[:3])
