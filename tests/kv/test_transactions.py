"""WATCH and EXEC: all of it or nothing, and nothing if a watched key has changed in any way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from dkv.configurations import first_configurations
from dkv.keys import TOMBSTONE
from dkv.kv.asks import UNKNOWN
from dkv.kv.codes import APPEND, DBSIZE, DELETE, ERASE, EXEC, FLUSHDB, GET, IDMP, PUT, READ, SCAN, WATCH
from dkv.kv.effort import TOO_MUCH
from dkv.kv.machine import Machine
from dkv.kv.sessions import MISMATCH
from dkv.records import Batch
from dkv.replies import ABORTED, OK, Error
from dkv.wire.codec import decode_entries, encode_entries
from tests.turns import FakeTurn

EMPTY: list[Any] = []


class TransactionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.turn = FakeTurn()
        self.machine = Machine(decode_entries, first_configurations((1,)))
        self.machine.start(self.turn)
        self.slot, self.time = 0, 1_000

    def apply(self, *entries: Any, own: bool = True) -> list[Any]:
        """Apply entries in the next slot."""
        self.slot += 1
        self.machine.begin_slot(self.turn, self.slot, self.time)
        results = self.machine.apply(self.turn, Batch(1, 2, 3, self.slot, encode_entries(list(entries))), own)
        assert results is not None
        return results

    def watch(self, *keys: bytes, db: int = 0) -> list[Any]:
        """What a read says of keys now, as an EXEC has it."""
        watched: Any = self.machine.read(self.turn, [[WATCH, db, 0, *keys]])[0]
        return [[db, key, *each, watched.slot] for key, each in zip(keys, watched.revisions, strict=True)]

    def test_results(self) -> None:
        """One result for each command, in order; one that fails undoes nothing."""
        entries = [[PUT, b"k", b"1"], [APPEND, b"k", b"2", 1], [GET, b"k"], [DBSIZE, 1, 0], [DELETE, b"k"]]
        result, after = self.apply([EXEC, 0, 0, [], entries], [GET, b"k"])
        self.assertEqual([OK, b"1", 0, 1], [each for each in result if type(each) is not Error])
        self.assertEqual((len(result), type(result[1]), after), (5, Error, None))
        self.assertEqual(self.machine.executed, 3)

    def test_reads_are_evaluated_everywhere(self) -> None:
        """Its answer may be stored under a token, so it must be the same on every node."""
        write = [EXEC, 0, 0, [], [[READ, 0, 0, b"k"], [PUT, b"k", b"1"], [GET, b"k"]]]
        self.assertEqual(self.apply([IDMP, b"p", 1, write], own=False), [[None, OK, b"1"]])

    def changes(self, change: Callable[[], object], db: int = 0) -> bool:
        """Whether an EXEC that watched k before a change is aborted; it must not be before it."""
        watched = self.watch(b"k", db=db)
        self.assertEqual(self.apply([EXEC, 0, 0, watched, EMPTY]), [[]])
        change()
        return self.apply([EXEC, 0, 0, watched, [[PUT, b"done", b"1"]]]) == [ABORTED]

    def test_what_is_a_change(self) -> None:
        """Any write of the key, also of the same value; no write of another one, and no read."""
        put, delete = [PUT, b"k", b"1"], [DELETE, b"k"]
        self.assertTrue(self.changes(lambda: self.apply(put)))
        self.assertTrue(self.changes(lambda: self.apply(put)))
        self.assertTrue(self.changes(lambda: self.apply(delete)))
        self.assertTrue(self.changes(lambda: self.apply(put, delete)))
        self.assertTrue(self.changes(lambda: self.apply([EXEC, 0, 0, [], [put, delete]])))
        self.assertEqual(self.machine.read(self.turn, [[GET, b"done"]]), [None])
        self.assertFalse(self.changes(lambda: self.apply([PUT, b"l", b"1"], [GET, b"k"], [ERASE, 1, 0, b"k"])))
        self.assertEqual(self.machine.read(self.turn, [[GET, b"done"]]), [b"1"])

    def test_a_restart_changes_nothing(self) -> None:
        """What a WATCH goes by is stored."""
        self.apply([PUT, b"k", b"1"], [DELETE, b"k"])
        self.assertFalse(self.changes(lambda: self.machine.start(self.turn)))
        self.apply([PUT, b"k", b"1"])
        self.assertFalse(self.changes(lambda: self.machine.start(self.turn)))

    def store(self, key: bytes, deadline: int) -> None:
        """Store a key with a deadline, in the next slot."""
        self.apply()
        self.machine._keyspace.store(self.turn, 0, key, b"v", deadline)

    def test_expiry_is_a_change(self) -> None:
        """The key is another one at the slot where its time passes, whether it is erased by then or not."""
        for erased_max in (500, 0):
            with patch("dkv.kv.erasure.ERASED_MAX", erased_max):
                self.store(b"k", self.time + 5)

                def pass_time() -> None:
                    self.time += 5

                self.assertTrue(self.changes(pass_time))

    def test_a_key_that_came_and_expired(self) -> None:
        """It was absent when it was watched and is absent now, and has lived in between."""
        for erased_max in (500, 0):
            with patch("dkv.kv.erasure.ERASED_MAX", erased_max):

                def come_and_go() -> None:
                    self.store(b"k", self.time + 5)
                    self.time += 5

                self.assertTrue(self.changes(come_and_go))

    def test_a_flush_is_a_change(self) -> None:
        """For keys that were there, and for those that may have been."""
        flush = [FLUSHDB, 0, 0]
        self.apply([PUT, b"k", b"1"])
        self.assertTrue(self.changes(lambda: self.apply(flush)))
        self.assertTrue(self.changes(lambda: self.apply([PUT, b"k", b"1"], flush)))
        self.assertFalse(self.changes(lambda: self.apply(flush)), "nothing was there")
        self.apply([PUT, b"l", b"1"])
        self.assertFalse(self.changes(lambda: self.apply(flush), db=1), "another database")

    def test_a_watch_in_the_middle_of_a_slot(self) -> None:
        """What the rest of its slot does is not seen yet."""
        watched = self.apply([WATCH, 0, 0, b"k"], [PUT, b"k", b"1"], [DELETE, b"k"])[0]
        execution = [EXEC, 0, 0, [[0, b"k", *watched.revisions[0], watched.slot]], EMPTY]
        self.assertEqual(self.apply(execution), [ABORTED])

    def test_marks_are_bounded(self) -> None:
        """A mark is kept for a bucket, and not for each key that ever was."""
        self.apply(*([PUT, b"%d" % number, b""] for number in range(9)))
        self.apply(*([DELETE, b"%d" % number] for number in range(9)))
        with patch("dkv.kv.tombstones.BUCKET_BYTES", 1):
            self.apply(*([PUT, b"%d" % number, b""] for number in range(600)))
            self.apply(*([DELETE, b"%d" % number] for number in range(600)))
        self.assertLessEqual(len([*self.turn.scan(TOMBSTONE)]), 9 + 256)

    def test_with_a_token(self) -> None:
        """It happens once, and a repeat gets its results, though it has to watch again before it is sent."""
        entries = [[APPEND, b"k", b"1", 9], [GET, b"k"]]
        first = self.apply([IDMP, b"p", 1, [EXEC, 0, 5, self.watch(b"k"), entries]])
        entries[0][3] = 8
        again = self.apply([IDMP, b"p", 1, [EXEC, 0, 6, self.watch(b"k"), entries]])
        self.assertEqual((first, again), ([[1, b"1"]], [[1, b"1"]]))
        others = [EXEC, 0, 5, self.watch(b"l"), entries], [EXEC, 0, 5, self.watch(b"k"), entries[:1]]
        self.assertEqual([self.apply([IDMP, b"p", 1, other])[0] for other in others], [MISMATCH] * 2)

    def test_an_abort_with_a_token(self) -> None:
        """It is an outcome like any other: the repeat is not executed either."""
        execution = [EXEC, 0, 0, [[0, b"k", 1, 0, 1]], [[PUT, b"k", b"1"]]]
        results = [self.apply([IDMP, b"p", 1, execution]) for _ in range(2)]
        self.assertEqual((results, self.apply([GET, b"k"])), ([[ABORTED]] * 2, [None]))

    def test_results_that_are_too_large(self) -> None:
        """Nothing is done, and nobody's memory holds what cannot be sent."""
        reads = [[GET, b"k"] for _ in range(9)]
        self.apply([PUT, b"k", b"v" * 50])
        with patch("dkv.kv.transactions.ANSWER_BYTES_MAX", 200):
            result = self.apply([EXEC, 0, 0, [], [[PUT, b"l", b"1"], *reads]])
            self.assertEqual(result, [TOO_MUCH])
            self.assertEqual(len(self.apply([EXEC, 0, 0, [], reads[:3]])[0]), 3)
        self.assertEqual(self.apply([GET, b"l"]), [None])

    def test_other_shapes(self) -> None:
        """An EXEC that no gateway makes does nothing, on any node."""
        put = [PUT, b"k", b"1"]
        for watched, entries in (
            (0, [put]), ([], put), ([[0, b"k", 1, 0]], [put]), ([[16, b"k", 0, 0, 0]], [put]), ([b""], [put]),
            ([[0, 1, 0, 0, 0]], [put]), ([], [put, [EXEC, 0, 0, [], []]]), ([], [put, [WATCH, 0, 0, b"k"]]),
            ([], [put, []]), ([], [put, [SCAN, 0, 0, 0, b"", 1, b""]]), ([], [put, [b"1"]]),
            ([], [put, [IDMP, b"p", 1, put]]),
        ):  # fmt: skip
            self.assertEqual(self.apply([EXEC, 0, 0, watched, entries]), [UNKNOWN], (watched, entries))
        self.assertEqual(self.apply([EXEC, 0, 0, []], [EXEC, 0, 0, [], [], []], [EXEC, 16, 0, [], []]), [UNKNOWN] * 3)
        self.assertEqual(self.apply([GET, b"k"]), [None])
