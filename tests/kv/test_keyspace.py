"""Keys with their deadlines, counts and revisions, and the time that they live by."""

from __future__ import annotations

from sys import maxsize

from twisted.trial.unittest import SynchronousTestCase

from dkv.keys import DATABASES_KEY, STATE, TIME, TOMBSTONE, pack_number
from dkv.kv.keyspace import Keyspace
from dkv.kv.stored import ABSENT, DEADLINE_MAX, string_header
from tests.kv.one_keyspace import OneKeyspace
from tests.turns import FakeTurn


class KeyspaceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.one = OneKeyspace()
        self.keyspace, self.turn = self.one.keyspace, self.one.turn

    def test_a_key_lives_until_its_deadline(self) -> None:
        """At its deadline it is gone, for whoever looks, also if it is stored still."""
        self.one.put(b"k", 1_010)
        self.keyspace.time = 1_009
        self.assertEqual(self.one.get(b"k"), b"v")
        self.assertNotEqual(self.keyspace.revision(self.turn, 0, b"k"), ABSENT)
        self.keyspace.time = 1_010
        self.assertIsNone(self.one.get(b"k"))
        self.assertIsNone(self.keyspace.load(self.turn, 0, b"k"))
        self.assertEqual(self.keyspace.revision(self.turn, 0, b"k"), ABSENT)
        self.assertEqual(self.keyspace.counts(self.turn, 0), (0, 0))
        self.assertFalse(self.keyspace.erase(self.turn, 0, b"k"))

    def test_time_never_falls(self) -> None:
        """A leader whose clock is behind cannot bring a dead key back, nor can a slot without a time, or a restart."""
        self.one.put(b"k", 1_010)
        for stamp in (1_010, 1_009, 0):
            self.one.begin(stamp)
            self.assertEqual((self.keyspace.time, self.one.get(b"k")), (1_010, None))
        self.one.restart()
        self.assertEqual((self.one.keyspace.time, self.one.keyspace.slot), (1_010, 4))
        self.assertEqual(self.turn.load(TIME), pack_number(1_010))

    def test_a_time_from_nowhere(self) -> None:
        """No stamp in the log can stop a node, not even the last one that a record can have."""
        self.one.put(b"k", 2**70)
        for _ in range(2):
            self.one.begin(2**64 - 1)
            self.assertEqual((self.keyspace.time, self.one.keys()), (DEADLINE_MAX, 0))
        self.one.put(b"k", 2**70)
        self.assertIsNone(self.one.get(b"k"))

    def test_a_deadline_that_has_passed(self) -> None:
        """Such a key is not stored, and the one that was there is gone."""
        self.one.put(b"k")
        self.one.put(b"k", 1_000)
        self.one.put(b"l", -5)
        self.assertEqual((self.one.stored(STATE), self.one.stored(b"E"), self.one.keys()), ([], [], 0))

    def test_the_farthest_deadline(self) -> None:
        """A number that the stored form cannot have is the last one that it can."""
        self.one.put(b"k", 2**70)
        held = self.keyspace.load(self.turn, 0, b"k")
        assert held is not None
        self.assertEqual(held.deadline, DEADLINE_MAX)

    def test_counts_and_index_agree(self) -> None:
        """Whatever is stored over whatever else, each key counts once and has one deadline at most."""
        for deadline, mortal in ((0, 0), (1_500, 1), (1_600, 1), (0, 0), (1_500, 1)):
            self.one.put(b"k", deadline)
            self.assertEqual(self.keyspace.counts(self.turn, 0), (1, mortal))
            self.assertEqual(len(self.one.stored(b"E")), mortal)
            self.keyspace.settle(self.turn)
            self.assertEqual(self.turn.load(DATABASES_KEY), self.keyspace.databases.pack())
        self.assertTrue(self.keyspace.erase(self.turn, 0, b"k"))
        self.assertEqual((self.keyspace.counts(self.turn, 0), self.one.stored(b"E")), ((0, 0), []))
        self.keyspace.settle(self.turn)
        self.assertIsNone(self.turn.load(DATABASES_KEY))

    def test_databases_are_apart(self) -> None:
        """The same key in two databases is two keys."""
        self.one.put(b"k", value=b"0")
        self.one.put(b"k", db=15, value=b"15")
        self.assertEqual([self.one.get(b"k", db) for db in (0, 1, 15)], [b"0", None, b"15"])
        self.keyspace.erase(self.turn, 0, b"k")
        self.assertEqual([self.one.keys(db) for db in (0, 15)], [0, 1])

    def test_a_flush_is_at_once(self) -> None:
        """Everything is gone for whoever looks, also what was written in the same slot, and only in that database."""
        self.one.put(b"old")
        self.one.put(b"other", db=1)
        self.one.begin(1_001)
        self.one.put(b"new", 2_000)
        self.assertTrue(self.keyspace.flush(range(1)))
        self.assertEqual([self.one.get(key) for key in (b"old", b"new")], [None, None])
        self.assertEqual([self.keyspace.counts(self.turn, db) for db in (0, 1)], [(0, 0), (1, 0)])
        self.one.put(b"old", value=b"again")
        self.assertEqual((self.one.get(b"old"), self.one.keys()), (b"again", 1))

    def test_a_flushed_key_is_not_known(self) -> None:
        """A space that is used again begins empty: a PUT there counts, though the key was known there before."""
        self.one.put(b"k")
        self.keyspace.flush(range(1))
        self.one.begin(1_001)
        self.one.put(b"l")
        self.keyspace.flush(range(1))
        self.one.begin(1_002)
        self.assertEqual(self.keyspace.databases.numbered[0].space, 0)
        self.one.put(b"k")
        self.assertEqual(self.one.keys(), 1)

    def test_erased_since(self) -> None:
        """An erasure is marked, by whatever means it happened, and a dead key that nobody has erased is known, too."""
        marks = []
        for slot in range(2, 6):
            self.one.put(b"k", 1_003 if slot == 4 else 0)
            if slot == 3:
                self.keyspace.flush(range(1))
            self.one.begin(1_000 + slot - 1)
            if slot == 2:
                self.keyspace.erase(self.turn, 0, b"k")
            marks.append(self.keyspace.gone_since(self.turn, 0, b"k"))
        self.assertEqual(marks, [2, 2, 4, 4])

    def test_a_state_of_format_5(self) -> None:
        """Nobody counted its keys: they are counted once, and the count is stored with the next commit."""
        stored = {STATE + b"\0" + key: string_header(1, 0) for key in (b"", b"a", b"b")}
        self.one.turn = FakeTurn(stored=stored)
        self.one.restart()
        self.assertEqual(self.one.keys(), 3)
        self.assertEqual(self.one.turn.notes, [("keys_counted", {"keys": 3})])
        counted = self.one.turn.staged[DATABASES_KEY]
        self.one.restart()
        self.assertEqual((self.one.keys(), len(self.one.turn.notes)), (3, 1))
        self.assertEqual(self.one.keyspace.databases.pack(), counted)

    def test_another_state(self) -> None:
        """A snapshot is put in force: what memory knew of the state before it counts for nothing."""
        self.one.put(b"k")
        self.one.put(b"l", 5_000)
        self.assertEqual(self.keyspace.deadlines.nearest(self.turn), 5_000)
        turn = FakeTurn()
        self.keyspace.start(turn)
        self.assertEqual(self.keyspace.deadlines.nearest(turn), maxsize)
        self.keyspace.store(turn, 0, b"k", b"v")
        self.assertEqual(self.keyspace.counts(turn, 0), (1, 0))

    def test_dead_keys_of_another_database(self) -> None:
        """They are not taken from this one's count."""
        self.one.put(b"k")
        self.one.put(b"k", 1_010, db=1)
        self.keyspace.time = 1_010
        self.assertEqual([self.keyspace.counts(self.turn, db) for db in (0, 1)], [(1, 0), (0, 0)])

    def test_no_marks_before_there_is_a_time(self) -> None:
        """A node that applied such slots with an older version has none, and both states must be equal."""
        turn, keyspace = FakeTurn(), Keyspace()
        keyspace.start(turn)
        keyspace.begin_slot(turn, 1, 0)
        keyspace.store(turn, 0, b"k", b"v")
        keyspace.erase(turn, 0, b"k")
        self.assertEqual([*turn.scan(TOMBSTONE)], [])
