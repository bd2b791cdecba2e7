"""A count of the pairs of a whole state, each of which is looked at: for backups, and for those who check a node.

What the state machine keeps twice must agree: the deadlines in the headers of values with their index, and the keys of
each database, and of flushed ones, with the counts.
"""

from __future__ import annotations

import struct
from collections import Counter

from dkv.configurations import Configurations, unpack_configurations
from dkv.keys import (
    APPLIED_KEYS,
    APPLIED_THROUGH,
    BATCH_MARK,
    CONFIGURATIONS,
    DATABASES_KEY,
    DEADLINE,
    DIGEST,
    DIGEST_BYTES,
    NOTIFICATIONS,
    STATE,
    TIME,
    TOKEN,
    TOMBSTONE,
    unpack_number,
)
from dkv.kv.databases import Databases, unpack_databases
from dkv.kv.expiry import deadline_key
from dkv.kv.key_events import is_canonical
from dkv.kv.sessions import producer_counts, unpack_answer_of
from dkv.kv.stored import deadline_of, header_bytes, is_string, revision_of
from dkv.kv.tombstones import BUCKET_BYTES
from dkv.state_sum import pair_digest

_ORIGIN = struct.Struct(">IQ")
_MARK = struct.Struct(">QQ")


class StateDamaged(ValueError):
    """A pair of the state is not what the state machine would have written; the text names the key."""


class Census:
    """Takes all pairs of a state in the order of their keys, one after another.

    ``keys`` are the users' keys, ``key_bytes`` and ``value_bytes`` their bytes and those of their values, without
    headers. At the end those of flushed databases are no ``keys`` any more. ``time`` is the replicated time, in
    milliseconds since 1970. ``databases`` are None if there never were keys, and in a state of format 5 or below.
    ``answers`` are those that are kept for ``producers``, ``origins`` those that batches came from. ``configurations``
    are the sets of members, None if these never changed. ``notifications`` are the events of keys that are told
    (``dkv.kv.key_events``). ``latest_change`` is the last slot that changed a key or the members.
    """

    def __init__(self) -> None:
        self.applied_through = self.time = 0
        self.databases: Databases | None = None
        self.digest: bytes | None = None
        self.configurations: Configurations | None = None
        self.notifications = b""
        self.keys = self.key_bytes = self.value_bytes = 0
        self.producers = self.answers = self.origins = 0
        self.latest_change = 0
        self._answers_counted = 0
        self._last = b""
        self._spaces: Counter[int] = Counter()
        """How many keys there are in each space."""
        self._mortal: Counter[int] = Counter()
        """How many of them have a deadline."""
        self._unmatched = 0
        """The sum of ``_number`` over the index of deadlines, less that over the keys with a deadline."""

    def add(self, key: bytes, value: bytes) -> None:
        """Count the next pair; ``StateDamaged`` if it is none of the state's, or comes out of its order."""
        if key <= self._last:
            raise StateDamaged(f"key {key!r:.80} comes behind key {self._last!r:.80}")
        self._last = key
        kind = key[:1]
        try:
            if kind == STATE:
                self._add_value(key, value)
            elif kind == TOKEN:
                self._add_token(key, value)
            elif kind == DEADLINE and value == b"":
                self._unmatched += _number(key)
            elif kind == TOMBSTONE and len(key) == 1 + BUCKET_BYTES:
                self.latest_change = max(self.latest_change, unpack_number(value))
            elif key == TIME:
                self.time = unpack_number(value)
            elif key == DATABASES_KEY:
                self.databases = unpack_databases(value)
            elif kind == BATCH_MARK:
                _ORIGIN.unpack(key[1:])
                _MARK.unpack(value)
                self.origins += 1
            elif key == CONFIGURATIONS:
                self.configurations = unpack_configurations(value)
                self.latest_change = max(self.latest_change, self.configurations.newest.slot)
            elif key == NOTIFICATIONS and value and is_canonical(value):
                self.notifications = value
            elif key == APPLIED_THROUGH:
                self.applied_through = unpack_number(value)
            elif key == DIGEST and len(value) == DIGEST_BYTES:
                self.digest = value
            else:
                raise StateDamaged(f"key {key!r:.80} is none of a state")
        except (struct.error, ValueError) as error:
            if isinstance(error, StateDamaged):
                raise
            raise StateDamaged(f"the value of key {key!r:.80} has another form") from None

    def finish(self) -> None:
        """All pairs were counted: ``StateDamaged`` if they do not go together."""
        if self.latest_change > self.applied_through:
            raise StateDamaged(
                f"slot {self.latest_change} has changed something, and the state ends at slot {self.applied_through}"
            )
        if self.answers != self._answers_counted:
            raise StateDamaged(f"producers count {self._answers_counted} answers, and there are {self.answers}")
        if self._unmatched:
            raise StateDamaged("the index of deadlines does not agree with the keys that have one")
        self._compare_counts()

    def _compare_counts(self) -> None:
        """The keys of every space are as many as the databases count."""
        if self.databases is None:
            self.databases = Databases()
            if not self.time:  # format 5 and those below do not count, and their slots have no time
                self.databases.numbered[0].keys = self._spaces[0]
        for number, database in enumerate(self.databases.numbered):
            found = self._spaces.pop(database.space, 0), self._mortal.pop(database.space, 0)
            if found != (database.keys, database.mortal):
                raise StateDamaged(
                    f"database {number} counts {database.keys} keys, {database.mortal} with a deadline, and there are"
                    f" {found[0]} and {found[1]}"
                )
        if self._spaces != self.databases.flushed:
            raise StateDamaged("there are other keys of flushed databases than are counted")
        self.keys -= self._spaces.total()

    def _add_value(self, key: bytes, value: bytes) -> None:
        if len(key) < 2 or not is_string(value):
            raise ValueError
        space, deadline = key[1], deadline_of(value)
        self.keys += 1
        self.key_bytes += len(key) - 2
        self.value_bytes += len(value) - header_bytes(value)
        self.latest_change = max(self.latest_change, revision_of(value)[0])
        self._spaces[space] += 1
        if deadline:
            self._mortal[space] += 1
            self._unmatched -= _number(deadline_key(deadline, key[len(STATE) :]))

    def _add_token(self, key: bytes, value: bytes) -> None:
        counted = producer_counts(key, value)
        if counted is None:
            unpack_answer_of(value)
            self.answers += 1
        else:
            self.producers += 1
            self._answers_counted += counted


def _number(entry: bytes) -> int:
    """A number for an entry of the index, which no other one has in all likelihood."""
    return int.from_bytes(pair_digest(entry, b""), "big")


_COUNTED = {
    APPLIED_THROUGH, BATCH_MARK, CONFIGURATIONS, DATABASES_KEY, DEADLINE, DIGEST, NOTIFICATIONS, STATE, TIME, TOKEN,
    TOMBSTONE,
}  # fmt: skip
assert _COUNTED == APPLIED_KEYS, "every kind of key of the state is counted"
