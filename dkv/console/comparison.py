"""The state of a node after one slot, held for a person who compares nodes (``dkv compare``).

It is an actor, because it needs the state captured after a slot and a timer, and it is asked by the orders of a
connection, which want an answer at once. It holds one view at a time, and gives it back when nobody has asked about it
for a while: an open view keeps on the disk what is overwritten meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_never

from dkv.actor import COMPARISON, LEARNER, Address, StateView, Turn
from dkv.events import Captured, CaptureMissed, CaptureState, TimerFired
from dkv.keys import STATE, SUMMED
from dkv.kv.stored import header_bytes, is_string, revision_of
from dkv.replies import Nested
from dkv.state_sum import StateSum, pair_digest

HOLD_SECONDS = 30.0
"""For how long a view is held, or waited for, although nobody asks about it."""

PAGE_BYTES = 64 * 1024
"""The bytes of the state that one answer is about, at least one pair: the node does nothing else so long."""

TIMER = "hold"

WAITING, HELD, MISSED, NONE = b"waiting", b"held", b"missed", b"none"

ComparisonMessage = Captured | CaptureMissed | TimerFired


class NotHeld(Exception):
    """The state after the slot in question is not held here, or another one is."""


class HeldState:
    """Holds the state of ``node``. ``deliver`` gives a message to an actor of it; ``now`` is in monotonic seconds."""

    def __init__(self, node: int, deliver: Callable[[str, Address, Any], None], now: Callable[[], float]) -> None:
        self._here = Address(node, COMPARISON)
        self._deliver = deliver
        self._now = now
        self._slot = 0
        self._state = NONE
        self._asked_at = 0.0
        self._view: StateView | None = None

    # --- the actor ---

    def start(self, turn: Turn) -> None:
        """Nothing to load."""

    def receive(self, turn: Turn, sender: Address, message: ComparisonMessage) -> None:
        """React to one message."""
        match message:
            case Captured():
                self._on_captured(turn, message)
            case CaptureMissed():
                if message.slot == self._slot and self._state == WAITING:
                    self._state = MISSED
            case TimerFired():
                self._on_timer(turn)
            case _:
                assert_never(message)

    def _on_captured(self, turn: Turn, message: Captured) -> None:
        if self._state != WAITING or message.view.applied_through != self._slot:
            message.view.close()  # Nobody wants it any more.
            return
        self._view, self._state = message.view, HELD
        turn.set_timer(TIMER, HOLD_SECONDS)

    def _on_timer(self, turn: Turn) -> None:
        """Give the view back, unless somebody has asked about it lately."""
        rest = self._asked_at + HOLD_SECONDS - self._now()
        if self._view is not None and rest > 0:
            turn.set_timer(TIMER, rest)
        else:
            self.release(self._slot)

    # --- orders ---

    def hold(self, slot: int) -> None:
        """Hold the state after ``slot`` as soon as it is on disk; ``NotHeld`` while another one is held."""
        busy = self._state in (WAITING, HELD) and self._now() < self._asked_at + HOLD_SECONDS
        if busy and slot != self._slot:
            raise NotHeld(f"the state after slot {self._slot} is held for somebody else; ask again in a moment")
        self._asked_at = self._now()
        if not busy:
            self.release(self._slot)
            self._slot, self._state = slot, WAITING
            self._deliver(LEARNER, self._here, CaptureState(slot))

    def held(self) -> tuple[int, bytes]:
        """The slot that was asked for last, and what became of that: waiting, held, missed, or none."""
        return self._slot, self._state

    def release(self, slot: int) -> None:
        """The state after ``slot`` is not wanted any more."""
        if slot == self._slot:
            self._state = NONE
            if self._view is not None:
                self._view.close()
                self._view = None

    def page(self, slot: int, after: bytes) -> list[Nested]:
        """What follows key ``after``: the last key, pairs, keys of users among them, bytes, digest of the whole page.

        The last key is None at the end. ``NotHeld`` as above.
        """
        pairs = self._read(slot, after)
        total = StateSum()
        total.add(pairs)
        return [pairs[-1][0] if pairs else None, total.count, total.values, total.size, total.digest]

    def pairs(self, slot: int, after: bytes) -> list[Nested]:
        """The same page, pair by pair: key, bytes of the value, its revision (of users' keys), its digest."""
        return [
            [key, *_length_and_revision(key, value), pair_digest(key, value)]
            for key, value in self._read(slot, after)
            if key[:1] in SUMMED
        ]

    def _read(self, slot: int, after: bytes) -> list[tuple[bytes, bytes]]:
        if self._view is None or slot != self._slot:
            raise NotHeld(f"the state after slot {slot} is not held here any more")
        self._asked_at = self._now()
        return self._view.read(after, PAGE_BYTES)


def _length_and_revision(key: bytes, value: bytes) -> list[Nested]:
    if key[:1] != STATE or not is_string(value):  # a damaged value may be like none that dkv has written
        return [len(value), None]
    slot, index = revision_of(value)
    return [len(value) - header_bytes(value), b"%d.%d" % (slot, index)]
