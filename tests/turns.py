"""A turn for role tests: inject a message, then assert what was sent and written, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from math import inf
from random import Random
from sys import maxsize
from typing import Any

from dkv.actor import Actor, Address, Note, NoteFields
from dkv.keys import APPLIED_KEYS, APPLIED_THROUGH, unpack_number


class FakeView:
    """A copy of the state's pairs; ``closed`` says whether the actor has closed it."""

    def __init__(self, pairs: dict[bytes, bytes]) -> None:
        self._pairs = dict(pairs)
        self.applied_through = unpack_number(pairs.get(APPLIED_THROUGH))
        self.closed = False

    def get(self, key: bytes) -> bytes | None:
        return self._pairs.get(key)

    def read(self, after: bytes, bytes_max: int) -> list[tuple[bytes, bytes]]:
        found: list[tuple[bytes, bytes]] = []
        size = 0
        for key in sorted(each for each in self._pairs if each > after):
            size += len(key) + len(self._pairs[key])
            if found and size > bytes_max:
                break
            found.append((key, self._pairs[key]))
        return found

    def close(self) -> None:
        self.closed = True


class FakeStates:
    """The generations of a fake turn. ``written`` has those beside the one in force, which is in the turn's ``stored``.

    Nothing answers ``write`` but the test, with StateWritten.
    """

    def __init__(self, turn: FakeTurn) -> None:
        self._turn = turn
        self.written: dict[int, dict[bytes, bytes]] = {}
        self.views: list[FakeView] = []
        self.captured: list[str] = []
        """The roles that were to get a view."""
        self.full = False
        """Whether no view can be had."""
        self.installed: list[int] = []
        self.abandoned: list[int] = []
        self._newest = 1

    def view(self) -> FakeView:
        pairs = {key: value for key, value in self._turn.stored.items() if key[:1] in APPLIED_KEYS}
        self.views.append(FakeView(pairs))
        return self.views[-1]

    def capture(self, role: str) -> bool:
        if not self.full:
            self.captured.append(role)
        return not self.full

    def begin(self) -> int:
        self._newest += 1
        self.written[self._newest] = {}
        return self._newest

    def write(self, generation: int, pairs: Mapping[bytes, bytes]) -> None:
        self.written[generation].update(pairs)

    def install(self, generation: int) -> None:
        stored = self._turn.stored
        for key in [key for key in stored if key[:1] in APPLIED_KEYS]:
            del stored[key]
        stored.update(self.written.pop(generation))
        self.installed.append(generation)

    def abandon(self, generation: int) -> None:
        del self.written[generation]
        self.abandoned.append(generation)


class FakeTurn:
    """Records what an actor asks for. ``early`` holds what was sent without waiting for the disk."""

    def __init__(self, now: float = 100.0, stored: dict[bytes, bytes] | None = None) -> None:
        self.now = now
        self.woke_at = -inf
        self.wall_ms = 1_795_000_000_000
        self.random = Random(7)
        self.stored: dict[bytes, bytes] = dict(stored or {})
        self.sent: list[tuple[Address, Any]] = []
        self.early: list[tuple[Address, Any]] = []
        self.persisted: dict[bytes, bytes | None] = {}
        self.staged: dict[bytes, bytes | None] = {}
        self.before_trial: tuple[dict[bytes, bytes], dict[bytes, bytes | None]] | None = None
        self.states = FakeStates(self)
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

    def stage_all(self, pairs: Mapping[bytes, bytes]) -> None:
        assert all(key[:1] in APPLIED_KEYS for key in pairs), "they are of the state"
        self.stored.update(pairs)
        self.staged.update(pairs)

    def stage_erase(self, key: bytes) -> None:
        self.stored.pop(key, None)
        self.staged[key] = None

    def begin_trial(self) -> None:
        assert self.before_trial is None, "a trial is under way"
        self.before_trial = dict(self.stored), dict(self.staged)

    def end_trial(self) -> None:
        assert self.before_trial is not None, "no trial is under way"
        self.before_trial = None

    def undo_trial(self) -> Iterable[bytes]:
        assert self.before_trial is not None, "no trial is under way"
        tried = self.staged.keys() | self.stored.keys()
        self.stored, self.staged = self.before_trial
        self.before_trial = None
        return tried

    def load(self, key: bytes) -> bytes | None:
        return self.stored.get(key)

    def find(self, keys: Iterable[bytes]) -> Iterator[tuple[bytes, bytes | None]]:
        return ((key, self.stored.get(key)) for key in keys)

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        for key in sorted(self.stored):
            if key.startswith(prefix) and key >= start:
                yield key, self.stored[key]

    def scan_page(self, prefix: bytes, after: bytes, count: int, bytes_max: int = maxsize) -> list[tuple[bytes, bytes]]:
        assert prefix[:1] in APPLIED_KEYS, "pages are of the state"
        found: list[tuple[bytes, bytes]] = []
        for pair in islice(self.scan(prefix, after + b"\0"), count):
            found.append(pair)
            if sum(len(key) + len(value) for key, value in found) >= bytes_max:
                break
        return found

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
