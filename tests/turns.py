"""A turn for role tests: inject a message, then assert what was sent and written, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from dkv.actor import Actor, Address, Note, NoteFields


class FakeTurn:
    """Records what an actor asks for. ``early`` holds what was sent without waiting for the disk."""

    def __init__(self, now: float = 100.0, stored: dict[bytes, bytes] | None = None) -> None:
        self.now = now
        self.random = Random(7)
        self.stored: dict[bytes, bytes] = dict(stored or {})
        self.sent: list[tuple[Address, Any]] = []
        self.early: list[tuple[Address, Any]] = []
        self.persisted: dict[bytes, bytes | None] = {}
        self.staged: dict[bytes, bytes | None] = {}
        self.timers: dict[str, float] = {}
        self.notes: list[tuple[str, dict[str, Any]]] = []
        self.measures: list[tuple[str, dict[str, Any]]] = []

    def send(self, to: Address, message: Any) -> None:
        self.sent.append((to, message))

    def send_early(self, to: Address, message: Any) -> None:
        self.early.append((to, message))

    def persist(self, key: bytes, value: bytes) -> None:
        self.stored[key] = value
        self.persisted[key] = value

    def persist_erase(self, key: bytes) -> None:
        self.stored.pop(key, None)
        self.persisted[key] = None

    def stage(self, key: bytes, value: bytes) -> None:
        self.stored[key] = value
        self.staged[key] = value

    def stage_erase(self, key: bytes) -> None:
        self.stored.pop(key, None)
        self.staged[key] = None

    def load(self, key: bytes) -> bytes | None:
        return self.stored.get(key)

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        for key in sorted(self.stored):
            if key.startswith(prefix) and key >= start:
                yield key, self.stored[key]

    def set_timer(self, name: str, seconds: float) -> None:
        self.timers[name] = self.now + seconds

    def cancel_timer(self, name: str) -> None:
        self.timers.pop(name, None)

    def note(self, event: Note[NoteFields], /, *_: NoteFields.args, **fields: NoteFields.kwargs) -> None:
        (self.measures if event.level is None else self.notes).append((event.name, fields))

    def take(self) -> list[tuple[Address, Any]]:
        """What was sent since the last ``take``, held and early together in that order; forgets it and the writes."""
        taken = self.sent + self.early
        self.sent, self.early = [], []
        self.persisted, self.staged = {}, {}
        return taken

    def noted(self) -> list[str]:
        """The events noted so far."""
        return [event for event, _ in self.notes]


def inject(actor: Actor, turn: FakeTurn, sender: Address, message: Any) -> list[tuple[Address, Any]]:
    """Let ``actor`` handle one message; what it sent in that turn."""
    before = len(turn.sent), len(turn.early)
    actor.receive(turn, sender, message)
    return turn.sent[before[0] :] + turn.early[before[1] :]
