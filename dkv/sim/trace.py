"""The trace of a run: its events, in order, as text that is the same for a seed on every machine."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, fields
from typing import Any, TextIO

from dkv.ballot import Ballot
from dkv.records import Batch, SlotRecord, Value

LAST_EVENTS = 20_000
"""How many events are kept in memory: enough for a picture or a report of the way to a failure."""


@dataclass(frozen=True, slots=True)
class Happening:
    """One event. ``kind`` is one word; ``about`` is a message or the rest of the line.

    A message that is sent has a ``number``, which its arrivals have too; ``peer`` is the node at its other end.
    """

    time: float
    node: int
    kind: str
    about: Any
    number: int = 0
    peer: int = 0

    def line(self) -> str:
        """The event as a line of text."""
        where = f"node {self.node}" if self.node else "world"
        what = self.about if isinstance(self.about, str) else describe(self.about)
        if self.kind in ("send", "drop"):
            what = f"to {self.peer} #{self.number} {what}"
        elif self.kind == "arrive":
            what = f"from {self.peer} #{self.number} {what}"
        return f"{self.time:11.6f}  {where:7} {self.kind:8} {what}"


class Trace:
    """Keeps the last events, and writes all events to ``out`` if there is one."""

    def __init__(self, out: TextIO | None = None) -> None:
        self.events: deque[Happening] = deque(maxlen=LAST_EVENTS)
        self._out = out

    def add(self, event: Happening) -> None:
        """Note one event."""
        self.events.append(event)
        if self._out is not None:
            self._out.write(event.line() + "\n")


def describe(message: Any) -> str:
    """A message in words: its class and fields, values by the numbers of their batches."""
    shown = [f"{field.name}={_shown(getattr(message, field.name))}" for field in fields(message)]
    return " ".join([type(message).__name__, *shown])


def _shown(value: Any) -> str:
    if isinstance(value, Ballot):
        return str(value)
    if isinstance(value, Batch):
        return f"{value.node}/{value.boot}-{value.seq}:{len(value.blob)}B"
    if isinstance(value, Value):
        return _shown(value.batches) + (f"@{value.time}" if value.time else "")
    if isinstance(value, SlotRecord):
        return f"{value.ballot}{'!' if value.chosen else ''}{_shown(value.value)}"
    if isinstance(value, tuple):
        return f"[{' '.join(map(_shown, value))}]"
    return str(value)
