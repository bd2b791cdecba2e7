"""The erasure of dead keys: a bounded number each slot, on all nodes alike."""

from __future__ import annotations

from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from dkv.keys import DEADLINE, STATE, TOMBSTONE
from dkv.kv import erasure
from tests.kv.one_keyspace import OneKeyspace


class ErasureTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.one = OneKeyspace()
        self.patch(erasure, "ERASED_MAX", 3)
        self.patch(erasure, "PAGE_KEYS", 2)

    def names(self) -> list[bytes]:
        """The stored keys, with their spaces."""
        return [key[1:] for key in self.one.stored(STATE)]

    def test_the_nearest_first(self) -> None:
        """So many a slot, in the order of the deadlines, with all that is kept of them."""
        for number, key in enumerate(b"dcbae"):
            self.one.put(bytes((key,)), 1_010 + number)
        self.one.begin(1_013)
        self.assertEqual(self.names(), [b"\0a", b"\0e"])
        self.assertTrue(self.one.eraser.is_due(self.one.turn))
        self.assertEqual(len(self.one.stored(TOMBSTONE)), 3)
        self.assertEqual(self.one.eraser.expired, 3)
        self.one.begin(1_013)
        self.assertEqual((self.names(), len(self.one.stored(DEADLINE))), ([b"\0e"], 1))
        self.assertFalse(self.one.eraser.is_due(self.one.turn))
        self.one.begin(1_014)
        self.assertEqual((self.names(), self.one.stored(DEADLINE)), ([], []))

    def test_nobody_sees_it(self) -> None:
        """Keys that are dead and stored are neither counted nor found."""
        for key in b"abcde":
            self.one.put(bytes((key,)), 1_010)
        self.one.put(b"f")
        self.one.begin(1_010)
        self.assertEqual((len(self.names()), self.one.keys()), (3, 1))
        with patch("dkv.kv.keyspace.BACKLOG_MAX", 1):
            self.assertEqual(self.one.keys(), 2)

    def test_flushed_databases_come_behind(self) -> None:
        """What is left of the bound goes to them, in the order of their keys; the space is free at the end."""
        for key in b"abcd":
            self.one.put(bytes((key,)), 5_000 if key == ord("b") else 0)
        self.one.put(b"z", db=1)
        self.one.keyspace.flush(range(1))
        self.one.put(b"e", 1_001)
        self.one.begin(1_001)
        self.assertEqual(self.names(), [b"\0c", b"\0d", b"\1z"])
        self.assertEqual((self.one.stored(DEADLINE), self.one.keyspace.databases.flushed), ([], {0: 2}))
        self.assertTrue(self.one.eraser.is_due(self.one.turn))
        self.one.restart()
        self.one.begin(1_002)
        self.assertEqual((self.names(), self.one.keyspace.databases.flushed), ([b"\1z"], {}))
        self.assertFalse(self.one.eraser.is_due(self.one.turn))

    def test_large_values(self) -> None:
        """They are read before they are erased, so a slot erases few of them."""
        for key in b"abcd":
            self.one.put(bytes((key,)), value=bytes(50))
        self.one.keyspace.flush(range(1))
        with patch("dkv.kv.erasure.ERASED_BYTES_MAX", 60):
            self.one.begin(1_001)
        self.assertEqual(self.names(), [b"\0c", b"\0d"])

    def test_a_space_that_is_used_again(self) -> None:
        """Where its last erasure ended means nothing for the next one."""
        for _ in range(2):
            self.one.put(b"z", 1_002)
            self.one.put(b"a")
            self.one.put(b"b")
            self.one.put(b"c")
            self.one.keyspace.flush(range(1))
            self.one.begin(1_001)
            self.one.begin(self.one.keyspace.time + 1)
            self.assertEqual(self.names(), [])
            self.one.put(b"x")
            self.one.keyspace.flush(range(1))
            self.one.begin(1_000)
