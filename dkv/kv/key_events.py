"""Keyspace notifications: what happens to keys, in Redis's names, as it is told to those who subscribe to it.

Events are a function of the log: each command names the event where it stores or erases a key (``Keyspace``), so all
nodes have the same ones, in the same order. Which of them are wanted is part of the state. No event is kept once its
slot is applied. The letters that say what is wanted are Redis's:

======= =====================================================================
letter  meaning
======= =====================================================================
``K``   tell the event's name to ``__keyspace@<db>__:<key>``
``E``   tell the key to ``__keyevent@<db>__:<event>``
``g``   events that any type of value has: del, expire, rename_from ...
``$``   events of strings: set, append, incrby ...
``x``   expired: a key is erased, as its deadline has passed
``n``   new: a key comes that did not exist
``A``   all of ``g$lshzxetd``
======= =====================================================================

The letters ``l``, ``s``, ``h``, ``z``, ``t`` and ``d`` are of types that dkv does not have, and ``e`` is of keys that
are evicted, which dkv never does. They are kept, and no event belongs to them. Redis's ``m`` tells of keys that a read
does not find. It is refused: reads are not in the log.
"""

from __future__ import annotations

from typing import NamedTuple

from dkv.client_events import KeyEvent, KeyEvents

_KINDS = b"g$lshzxetdn"
_WAYS = b"KE"
_ALL = b"A"
_OF_ALL = b"g$lshzxetd"
MISSES = b"m"

NOT_SERVED = "dkv tells of no reads, and so of no key that a read does not find: leave out 'm'"
NO_LETTER = "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."
"""Redis's words."""


class Event(NamedTuple):
    """Something that happens to a key; ``kind`` is the letter of the events that it belongs to."""

    name: bytes
    kind: bytes


APPENDED = Event(b"append", b"$")
COPIED = Event(b"copy_to", b"g")
DELETED = Event(b"del", b"g")
EXPIRED = Event(b"expired", b"x")
EXPIRES = Event(b"expire", b"g")
INCREASED = Event(b"incrby", b"$")
INCREASED_BY_DECIMAL = Event(b"incrbyfloat", b"$")
NEW = Event(b"new", b"n")
OVERWRITTEN_IN_PART = Event(b"setrange", b"$")
PERSISTS = Event(b"persist", b"g")
RENAMED_FROM = Event(b"rename_from", b"g")
RENAMED_TO = Event(b"rename_to", b"g")
SET = Event(b"set", b"$")


class NotWanted(Exception):
    """The letters cannot be had; the text says why."""


def canonical(letters: bytes) -> bytes:
    """The same letters in one form and order, each of them once; ``NotWanted`` if they are not taken."""
    given = frozenset(letters)
    if not given <= frozenset(_KINDS + _WAYS + _ALL + MISSES):
        raise NotWanted(NO_LETTER)
    if given & frozenset(MISSES):
        raise NotWanted(NOT_SERVED)
    if given & frozenset(_ALL):
        given |= frozenset(_OF_ALL)
    kinds = bytes(letter for letter in _KINDS if letter in given)
    if given >= frozenset(_OF_ALL):
        kinds = _ALL + kinds[len(_OF_ALL) :]
    return kinds + bytes(letter for letter in _WAYS if letter in given)


def is_canonical(letters: bytes) -> bool:
    """Whether the letters are ones that ``canonical`` gives."""
    try:
        return canonical(letters) == letters
    except NotWanted:
        return False


def as_redis_shows(letters: bytes) -> bytes:
    """Canonical letters as CONFIG GET of Redis has them: it does not show ``n`` beside ``A``."""
    return letters.replace(b"n", b"") if letters[:1] == _ALL else letters


_Part = tuple[bytes, list[KeyEvent]]
"""What was wanted, and the events that were collected meanwhile."""


class EventCollector:
    """Collects the events of the slot at hand."""

    def __init__(self) -> None:
        self.letters = b""
        """What is wanted, in canonical form."""
        self.wanted: frozenset[bytes] = frozenset()
        """The kinds of the events that are collected; none, as long as no channel would be told."""
        self._parts: list[_Part] = []
        self._events: list[KeyEvent] = []
        self._begun = (0, 0)
        self.start(b"")

    def start(self, letters: bytes) -> None:
        """The state may be another one, in which ``letters`` are wanted: nothing is kept."""
        self._parts.clear()
        self.want(letters)

    def want(self, letters: bytes) -> None:
        """These are wanted from here on. What was collected before is told as it was wanted then."""
        self._events = []
        self._parts.append((letters, self._events))
        self._go_by(letters)

    def _go_by(self, letters: bytes) -> None:
        is_told = any(way in letters for way in _WAYS)
        kinds = letters.replace(_ALL, _OF_ALL) if is_told else b""
        self.letters = letters
        self.wanted = frozenset(bytes((kind,)) for kind in kinds if kind in _KINDS)

    def add(self, event: Event, db: int, key: bytes) -> None:
        """It has happened to this key; nothing is done if nobody wants to know."""
        if event.kind in self.wanted:
            self._events.append((db, event.name, key))

    def begin_trial(self) -> None:
        """What is collected from here on may be undone."""
        self._begun = len(self._parts), len(self._events)

    def undo_trial(self) -> None:
        """It is: what was wanted before is wanted again."""
        parts, events = self._begun
        del self._parts[parts:]
        letters, self._events = self._parts[-1]
        del self._events[events:]
        self._go_by(letters)

    def take(self, slot: int) -> list[KeyEvents]:
        """What was collected since the last time: one message for each time in which something else was wanted."""
        if len(self._parts) == 1 and not self._events:
            return []
        parts = [(letters, tuple(events)) for letters, events in self._parts if events]
        told = [KeyEvents(events, b"K" in letters, b"E" in letters, slot) for letters, events in parts]
        self._parts.clear()
        self._events = []
        self._parts.append((self.letters, self._events))
        return told
