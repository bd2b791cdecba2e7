"""The keys of all databases, their values, deadlines and revisions, and the replicated time that they live by.

A key whose deadline is at or below the time does not exist, for every command. It may be stored for a while still
(``dkv.kv.erasure``), and nothing that anybody sees depends on that. Everything that counts or orders keys is kept up
here, together with the keys themselves: how many each database has, the index of deadlines, the marks of erased keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from sys import maxsize

from dkv import noted
from dkv.actor import Turn
from dkv.keys import (
    APPLIED_THROUGH,
    DATABASES_KEY,
    DIGEST,
    NOTIFICATIONS,
    STATE,
    TIME,
    pack_number,
    unpack_number,
)
from dkv.kv.cursors import Cursors
from dkv.kv.databases import Databases, unpack_databases
from dkv.kv.effort import LOOK, PAGE, Effort
from dkv.kv.expiry import DeadlineIndex
from dkv.kv.key_events import DELETED, EXPIRED, EXPIRES, NEW, SET, Event, EventCollector
from dkv.kv.key_filter import KeyFilter
from dkv.kv.plain_keys import PlainKeys
from dkv.kv.stored import (
    ABSENT,
    DEADLINE_MAX,
    HEADER_BYTES,
    STRING,
    Held,
    Revision,
    deadline_of,
    revision_of,
    string_header,
    unpack_string,
)
from dkv.kv.tombstones import last_erased, mark_erased

BACKLOG_MAX = 1_000
"""A constant of the format: so many keys whose deadlines have passed, and which are stored still, are not counted."""

_PREFIX_BYTES = len(STATE) + 1


class Keyspace:
    """The keys as they are after the entries so far.

    ``slot`` and ``index`` are the place of the entry at hand, which becomes the revision of what it writes. ``seen`` is
    the last slot whose changes have all been applied.
    """

    def __init__(self) -> None:
        self.time = 0
        """The replicated time, in milliseconds since 1970. It never falls; 0 as long as no slot had a time."""
        self.slot = self.index = self.seen = 0
        self.plain = PlainKeys()
        self._filter = KeyFilter()
        self.deadlines = DeadlineIndex()
        self.databases = Databases()
        self.effort = Effort()
        self.events = EventCollector()
        """What the slot at hand has done to keys, for those who want to be told."""
        self.cursors = Cursors()
        """Those of the clients of this node: no part of the state."""
        self._prefixes: list[bytes] = []
        self._changed = False
        """Whether the databases are to be staged."""
        self._arrange()

    def start(self, turn: Turn) -> None:
        """Load what is kept in memory. The state may be another one than before: nothing of that is kept."""
        self.time = unpack_number(turn.load(TIME))
        self.slot = self.seen = unpack_number(turn.load(APPLIED_THROUGH))
        self.index = 0
        self.plain.clear()
        self._filter.start()
        self.deadlines.start()
        self.events.start(turn.load(NOTIFICATIONS) or b"")
        stored = turn.load(DATABASES_KEY)
        self.databases = unpack_databases(stored) if stored is not None else _counted(turn)
        self._changed = stored is None and self.databases.pack() != b""
        self._arrange()
        if self._changed:
            self._mark_again(turn)
        self.settle(turn)

    def begin_slot(self, turn: Turn, slot: int, stamp: int) -> None:
        """Slot ``slot`` is applied next. ``stamp`` is its time, 0 if it has none."""
        self.slot, self.index, self.seen = slot, 0, slot - 1
        if stamp > self.time:
            self.time = min(stamp, DEADLINE_MAX)  # anything may stand in the log
            turn.stage(TIME, pack_number(self.time))
        self._get_to_know(turn)

    def _get_to_know(self, turn: Turn) -> None:
        """Read a page of the stored keys, if some are to be read: a slot takes no more."""
        stored = self.databases.stored
        if self.plain.make_room(stored):
            self._filter.read_again()
        page = self._filter.read_on(turn, stored)
        self.plain.add_all(name for name, value in page if value[0] == STRING)

    def settle(self, turn: Turn) -> None:
        """Stage what has changed of the databases: with the slot at hand, whatever comes behind it."""
        if self._changed:
            self._changed = False
            packed = self.databases.pack()
            if packed:
                turn.stage(DATABASES_KEY, packed)
            else:
                turn.stage_erase(DATABASES_KEY)

    # --- what may be undone ---

    def begin_trial(self, turn: Turn) -> None:
        """What is done from here on may turn out to be too much."""
        self.settle(turn)
        turn.begin_trial()
        self.effort.begin()
        self.events.begin_trial()

    def end_trial(self, turn: Turn) -> None:
        """It was not."""
        self.effort.end()
        turn.end_trial()

    def undo_trial(self, turn: Turn) -> None:
        """It was: all is as it was when it began."""
        self.effort.end()
        self.events.undo_trial()
        for name in turn.undo_trial():
            self.plain.discard(name)
        self.deadlines.start()
        stored = turn.load(DATABASES_KEY)
        self.databases = Databases() if stored is None else unpack_databases(stored)
        self._changed = False
        self._arrange()

    def _mark_again(self, turn: Turn) -> None:
        """Stage the marks of the state as they are: what is written back says which slots it amounts to."""
        turn.stage(APPLIED_THROUGH, pack_number(self.slot))
        digest = turn.load(DIGEST)
        if digest is not None:
            turn.stage(DIGEST, digest)

    # --- reading ---

    def prefix(self, db: int) -> bytes:
        """What stands in front of the keys of a database where they are stored."""
        return self._prefixes[db]

    def is_alive(self, stored: bytes) -> bool:
        """Whether the deadline of a stored value, if it has one, lies ahead."""
        return stored[0] == STRING or deadline_of(stored) > self.time

    def value(self, turn: Turn, db: int, key: bytes) -> bytes | None:
        """The value of a key; None if it does not exist."""
        return self.value_of(self._look(turn, self._prefixes[db] + key))

    def value_of(self, stored: bytes | None) -> bytes | None:
        """The value in what is stored for a key; None if the key does not exist, or no more."""
        if stored is None:
            return None
        if stored[0] == STRING:
            return stored[HEADER_BYTES:]
        held = unpack_string(stored)
        return held.value if held.deadline > self.time else None

    def load(self, turn: Turn, db: int, key: bytes) -> Held | None:
        """The value of a key with its deadline and revision; None if it does not exist."""
        stored = self._look(turn, self._prefixes[db] + key)
        return unpack_string(stored) if stored is not None and self.is_alive(stored) else None

    def revision(self, turn: Turn, db: int, key: bytes) -> Revision:
        """The revision of a key; ``ABSENT`` if it does not exist."""
        stored = self._look(turn, self._prefixes[db] + key)
        return revision_of(stored) if stored is not None and self.is_alive(stored) else ABSENT

    def gone_since(self, turn: Turn, db: int, key: bytes) -> int:
        """A slot behind which a key that does not exist has never existed: usually the last one in which it was erased.

        A key that has lived and died since may be stored still. Then its revision says so.
        """
        stored = self._look(turn, self._prefixes[db] + key)
        unmarked = 0 if stored is None else revision_of(stored)[0]
        return max(last_erased(turn, db, key), self.databases.numbered[db].flushed, unmarked)

    def page(
        self, turn: Turn, prefix: bytes, after: bytes, count: int, bytes_max: int = maxsize
    ) -> list[tuple[bytes, bytes]]:
        """A page of what is stored, as ``Turn.scan_page`` has it: keys that are dead, too."""
        pairs = turn.scan_page(prefix, after, count, bytes_max)
        self.effort.take(PAGE + sum(LOOK + len(stored) for _, stored in pairs))
        return pairs

    def _look(self, turn: Turn, name: bytes) -> bytes | None:
        stored = turn.load(name)
        self.effort.take(LOOK if stored is None else LOOK + len(stored))
        return stored

    def counts(self, turn: Turn, db: int) -> tuple[int, int]:
        """How many keys a database has, and how many of them have a deadline.

        Beyond ``BACKLOG_MAX``, keys that are dead and stored still count, too.
        """
        self.look_at_backlog(turn)
        return self.counts_in_memory(db)

    def look_at_backlog(self, turn: Turn) -> None:
        """Have the keys that are not counted in memory: from then on ``counts_in_memory`` tells the same."""
        self.deadlines.read_on(turn, BACKLOG_MAX)

    def counts_in_memory(self, db: int) -> tuple[int, int]:
        """As ``counts``, by what memory has of the index of deadlines."""
        database = self.databases.numbered[db]
        passed = self.deadlines.passed_in_front(self.time, BACKLOG_MAX)
        dead = sum(name[0] == database.space for _, name in passed)
        return database.keys - dead, database.mortal - dead

    # --- writing ---

    def store(
        self, turn: Turn, db: int, key: bytes, value: bytes, deadline: int = 0, event: Event | None = SET
    ) -> None:
        """Store a string, with the revision of the entry at hand. ``deadline`` 0 is none.

        A deadline that is not ahead erases the key. ``event`` is what this is told as. None: the value is that of
        another key, which is told as new in any case, and the caller tells the rest.
        """
        if deadline and deadline <= self.time:
            self._store_dead(turn, db, key, event)
            return
        name = self._prefixes[db] + key
        deadline = min(deadline, DEADLINE_MAX)
        stored = None if self._filter.is_new(name) else turn.load(name)
        before = 0 if stored is None else len(stored)
        self.effort.take((3 if deadline else 2) * LOOK + before + len(value))
        if self.events.wanted:
            is_dead = stored is not None and not self.is_alive(stored)
            if is_dead:
                self.events.add(EXPIRED, db, key)
            self._tell_stored(db, key, event, stored is None or is_dead)
        self._prepare(turn, db, name, stored, deadline)
        turn.stage(name, string_header(self.slot, self.index, deadline) + value)

    def _store_dead(self, turn: Turn, db: int, key: bytes, event: Event | None) -> None:
        """Store what is dead at once. It is told as Redis does: the end of a key that only got another deadline."""
        if event is EXPIRES:
            self.erase(turn, db, key)
            return
        existed = self.erase(turn, db, key, None)
        self._tell_stored(db, key, event, not existed)

    def _tell_stored(self, db: int, key: bytes, event: Event | None, is_new: bool) -> None:
        if is_new or event is None:
            self.events.add(NEW, db, key)
        if event is not None:
            self.events.add(event, db, key)

    def put_all(self, turn: Turn, puts: dict[bytes, bytes], told: Sequence[bytes] = ()) -> None:
        """Store strings without a deadline in database 0: what is stored for each, by names that have its prefix.

        As ``_prepare`` does for one key: all at once for those that are new, and nothing for those that are known.
        ``told`` are the keys in the order of the entries, repeats included, if their events are wanted.
        """
        came: dict[bytes, bool] = {}
        """The names that did not exist, if they are told, and whether each was dead and stored still."""
        coming = self.plain.not_in_first(puts)
        if coming:
            new, unsure = self._filter.sift(coming)
            if new:
                self.databases.numbered[0].keys += len(new)
                self._changed = True
                self.plain.add_all(new)
                if told:
                    came = dict.fromkeys(new, False)
            unknown = self.plain.not_in_second(unsure)
            if unknown:
                for name, stored in turn.find(unknown):
                    self._prepare(turn, 0, name, stored, 0)
                    if told and (stored is None or not self.is_alive(stored)):
                        came[name] = stored is not None
        turn.stage_all(puts)
        if told:
            self._tell_puts(told, came)

    def _tell_puts(self, keys: Sequence[bytes], came: dict[bytes, bool]) -> None:
        prefix = self._prefixes[0]
        for key in keys:
            was_dead = came.pop(prefix + key, None) if came else None
            if was_dead:
                self.events.add(EXPIRED, 0, key)
            self._tell_stored(0, key, SET, was_dead is not None)

    def erase(self, turn: Turn, db: int, key: bytes, event: Event | None = DELETED) -> bool:
        """Erase a key, and say whether it existed. That is told as ``event``; None: the caller tells it, if anybody."""
        name = self._prefixes[db] + key
        stored = self._look(turn, name)
        if stored is None:
            return False
        self.effort.take(2 * LOOK)
        existed = self.is_alive(stored)
        told = event if existed else EXPIRED
        if told is not None:
            self.events.add(told, db, key)
        self.erase_stored(turn, name, deadline_of(stored), db)
        return existed

    def erase_stored(self, turn: Turn, name: bytes, deadline: int, db: int | None) -> None:
        """Erase what is stored under ``name``, which has this deadline; ``db`` is None if its space is flushed."""
        turn.stage_erase(name)
        self.plain.discard(name)
        if deadline:
            self.deadlines.remove(turn, deadline, name[len(STATE) :])
        if db is None:
            self.databases.erased(name[len(STATE)])
        else:
            database = self.databases.numbered[db]
            database.keys -= 1
            database.mortal -= deadline > 0
            self._mark(turn, db, name[_PREFIX_BYTES:])
        self._changed = True

    def want_events(self, turn: Turn, letters: bytes) -> None:
        """Collect these events from here on (``dkv.kv.key_events``)."""
        self.events.want(letters)
        if letters:
            turn.stage(NOTIFICATIONS, letters)
        else:
            turn.stage_erase(NOTIFICATIONS)

    def flush(self, numbers: range) -> bool:
        """Empty these databases at once, whatever they hold; False, and nothing is done, if no space is free for it."""
        if not self.databases.flush(numbers, self.slot):
            return False
        self._changed = True
        self._arrange()
        return True

    def _prepare(self, turn: Turn, db: int, name: bytes, stored: bytes | None, deadline: int) -> None:
        """Count the key that is stored next, unless it is there as ``stored``, and keep the index of deadlines."""
        database = self.databases.numbered[db]
        if stored is None:
            database.keys += 1
            self._changed = True
        before = 0 if stored is None else deadline_of(stored)
        if before != deadline:
            if before:
                self.deadlines.remove(turn, before, name[len(STATE) :])
            if deadline:
                self.deadlines.add(turn, deadline, name[len(STATE) :])
            database.mortal += (deadline > 0) - (before > 0)
            self._changed = True
        if deadline:
            self.plain.discard(name)
        else:
            self.plain.add_all((name,))

    def _mark(self, turn: Turn, db: int, key: bytes) -> None:
        """Mark that the key is erased.

        Before the first slot with a time nothing is marked: nodes come to this version at different slots, and their
        states must not differ by it. An EXEC has a time.
        """
        if self.time:
            mark_erased(turn, db, key, self.slot)

    def _arrange(self) -> None:
        self._prefixes = [STATE + bytes((database.space,)) for database in self.databases.numbered]


def _counted(turn: Turn) -> Databases:
    """The databases of a state that formats 1 to 5 have made: all keys are in database 0, and nobody counted them."""
    databases = Databases()
    databases.numbered[0].keys = sum(1 for _ in turn.scan(STATE))
    if databases.numbered[0].keys:
        turn.note(noted.keys_counted, keys=databases.numbered[0].keys)
    return databases
