"""Random logs, applied by the real machine and by a dumb one: equal answers, and the caches of the real one never show.

One real machine goes through. Another one begins anew from what is stored whenever the test says so, and its caches
hold next to nothing. The two must store the same, byte for byte: nodes restart at any time, and their states are
compared.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.configurations import first_configurations
from dkv.keys import APPLIED_THROUGH, pack_number
from dkv.kv.census import Census
from dkv.kv.codes import (
    ANY,
    APPEND,
    DBSIZE,
    DELETE,
    ERASE,
    EXEC,
    EXTEND,
    FLUSHALL,
    FLUSHDB,
    GET,
    IDMP,
    KEYSPACE,
    NO_LIFE,
    PUT,
    READ,
    RELATIVE,
    SET,
    TIME,
    WATCH,
)
from dkv.kv.machine import Machine
from dkv.records import Batch
from dkv.replies import Error, Watched
from dkv.wire.codec import decode_entries, encode_entries
from tests.kv.dumb_machine import DumbMachine
from tests.turns import FakeTurn

FORGETFUL = {
    "dkv.kv.expiry.FRONT_MAX": 1,
    "dkv.kv.plain_keys.PLACES": 2,
    "dkv.kv.key_filter.BLOCKS": 1,
}

BYTES_MAX = 6
DBS = st.sampled_from([0, 0, 1, 15])
KEYS = st.sampled_from([b"", b"a", b"b", b"\xff"])
VALUES = st.binary(max_size=3)
LIVES = st.sampled_from([(NO_LIFE, 0), (RELATIVE, 1), (RELATIVE, 5), (RELATIVE, 30), (RELATIVE, -1), (RELATIVE, 2**62)])

WRITE_ENTRIES = st.one_of(
    st.builds(lambda k, v: [PUT, k, v], KEYS, VALUES),
    st.builds(lambda k, v: [APPEND, k, v, BYTES_MAX], KEYS, VALUES),
    st.builds(lambda k: [DELETE, k], KEYS),
    st.builds(lambda db, k, v, life: [SET, db, BYTES_MAX, k, v, ANY, b"", *life, 0], DBS, KEYS, VALUES, LIVES),
    st.builds(lambda db, k, v: [EXTEND, db, BYTES_MAX, k, v], DBS, KEYS, VALUES),
    st.builds(lambda db, keys: [ERASE, db, BYTES_MAX, *keys], DBS, st.lists(KEYS, min_size=1, max_size=3)),
    st.builds(lambda db: [FLUSHDB, db, BYTES_MAX], DBS),
    st.just([FLUSHALL, 0, BYTES_MAX]),
)
READ_ENTRIES = st.one_of(
    st.builds(lambda k: [GET, k], KEYS),
    st.builds(lambda db, k: [READ, db, BYTES_MAX, k], DBS, KEYS),
    st.builds(lambda db: [DBSIZE, db, BYTES_MAX], DBS),
    st.just([TIME, 0, BYTES_MAX]),
)
COMMANDS = st.one_of(WRITE_ENTRIES, READ_ENTRIES)
WATCHES = st.builds(lambda db, keys: [WATCH, db, BYTES_MAX, *keys], DBS, st.lists(KEYS, min_size=1, max_size=2))
EXECS = st.builds(lambda entries: [EXEC, 0, BYTES_MAX, [], entries], st.lists(COMMANDS, max_size=4))
"""What they watch is filled in when they are applied: all that was watched since the last EXEC."""
WITH_TOKENS = st.builds(lambda op, write: [IDMP, b"p", op, write], st.integers(1, 9), st.one_of(WRITE_ENTRIES, EXECS))
ENTRIES = st.one_of(COMMANDS, WATCHES, EXECS, WITH_TOKENS)
SLOTS = st.tuples(st.sampled_from([0, 1, 2, 10]), st.booleans(), st.lists(ENTRIES, max_size=5))
"""How far the stamp is behind that of the slot before, whether a machine restarts before it, and its entries."""


def plain(result: Any) -> Any:
    """A result, with -1 in place of errors."""
    if isinstance(result, list):
        return [plain(each) for each in result]
    return -1 if isinstance(result, Error) else result


class RealMachine:
    """A machine with its turn. ``constants`` are in force while it works."""

    def __init__(self, constants: dict[str, Any]) -> None:
        self._constants = constants
        self.turn = FakeTurn()
        self.slot = 0
        self.restart()

    def restart(self) -> None:
        """A new machine over what the old one has stored."""
        self.turn.stored[APPLIED_THROUGH] = pack_number(self.slot)
        self.machine = Machine(decode_entries, first_configurations((1,)))
        self._run(lambda: self.machine.start(self.turn))

    def apply(self, slot: int, stamp: int, entries: list[Any], own: bool) -> list[Any]:
        """Apply a slot with one batch: the results."""
        self.slot = slot

        def work() -> list[Any]:
            self.machine.begin_slot(self.turn, slot, stamp)
            results = self.machine.apply(self.turn, Batch(1, 2, 3, slot, encode_entries(entries)), own)
            assert results is not None
            return [plain(result) for result in results]

        results: list[Any] = self._run(work)
        return results

    def read(self, entry: list[Any]) -> Any:
        """What a read finds after the slot."""
        return self._run(lambda: self.machine.read(self.turn, [entry])[0])

    def _run(self, work: Callable[[], Any]) -> Any:
        with ExitStack() as stack:
            for name, value in self._constants.items():
                stack.enter_context(patch(name, value))
            return work()


class SecondMachineTests(SynchronousTestCase):
    """Random logs."""

    def compare(self, log: list[tuple[int, bool, list[Any]]], constants: dict[str, Any], slow: bool) -> None:
        """Apply the log by all machines."""
        through = RealMachine(constants)
        anew = RealMachine(constants | FORGETFUL)
        dumb = DumbMachine(slow)
        watched: list[Any] = []
        stamp = 1_000
        for slot, (step, restarts, entries) in enumerate(log, 1):
            stamp += step - 1  # so that some stamps fall
            for entry in entries:
                execution = entry[3] if entry[0] == IDMP else entry
                if execution[0] == EXEC:
                    execution[3], watched = watched, []
            if restarts:
                anew.restart()
            found = through.apply(slot, stamp, entries, True)
            self.assertEqual(len(found), len(entries))
            others = anew.apply(slot, stamp, entries, False)
            dumb.begin_slot(slot, stamp)
            for entry, result, other in zip(entries, found, others, strict=True):
                expected = plain(dumb.apply(entry, result))
                dumb.index += 1
                if entry[0] == WATCH:
                    self.assertEqual((result.slot, result.revisions), (slot - 1, expected.revisions))
                    watched += watched_keys(entry, result)
                else:
                    self.assertEqual(result, expected, entry)
                self.assertIn(other, (None, result), entry)
            self.assertEqual(through.read([KEYSPACE, 0, 0]), dumb.counts())
            watch = [WATCH, 1, 0, b"a", b"b"]
            self.assertEqual(through.read(watch), dumb.apply(watch, None))
            self.assertEqual(
                anew.turn.stored, through.turn.stored | {APPLIED_THROUGH: anew.turn.stored[APPLIED_THROUGH]}
            )
        census = Census()
        for key, value in sorted((through.turn.stored | {APPLIED_THROUGH: pack_number(len(log))}).items()):
            census.add(key, value)
        census.finish()

    @given(st.lists(SLOTS, max_size=12))
    def test_all_dead_keys_of_a_slot_at_once(self, log: list[tuple[int, bool, list[Any]]]) -> None:
        """As in production, where few logs have more keys that die in one slot than it erases."""
        self.compare(log, {}, slow=False)

    @given(st.lists(SLOTS, max_size=12), st.integers(1, 2))
    def test_few_dead_keys_of_a_slot(self, log: list[tuple[int, bool, list[Any]]], erased_max: int) -> None:
        """Dead keys that are stored for many slots more are seen by nobody."""
        constants = {"dkv.kv.erasure.ERASED_MAX": erased_max, "dkv.kv.erasure.PAGE_KEYS": 1}
        self.compare(log, constants, slow=True)


def watched_keys(watch: list[Any], result: Watched) -> list[Any]:
    """What an EXEC says of the keys that a WATCH has read."""
    _, db, _, *keys = watch
    return [[db, key, *revision, result.slot] for key, revision in zip(keys, result.revisions, strict=True)]
