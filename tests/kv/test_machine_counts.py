"""How many writes took effect, as operators and the simulator see it: each once, whatever kind it is."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.kv import erasure, expiry
from dkv.kv.codes import APPEND, DBSIZE, DELETE, GET, IDMP, PUT, SET
from tests.kv.test_machine import Node, batch

ROOM = 100


class CountTests(SynchronousTestCase):
    def executed(self, *entries: Any) -> int:
        """How many writes a machine counts that applies these entries in one batch."""
        node = Node()
        node.apply(batch(list(entries), 1, 1))
        return node.machine.executed

    def test_each_kind_of_write(self) -> None:
        """A rate that leaves one kind out shows an idle cluster where there is none."""
        self.assertEqual(self.executed([PUT, b"k", b"v"], [PUT, b"k", b"v"]), 2)
        self.assertEqual(self.executed([APPEND, b"k", b"v", ROOM]), 1)
        self.assertEqual(self.executed([DELETE, b"k", b"l"]), 1)

    def test_with_a_token(self) -> None:
        """A repeat takes no effect, and counts for nothing."""
        write = [IDMP, b"producer", 1, [PUT, b"k", b"v"]]
        self.assertEqual(self.executed(write), 1)
        self.assertEqual(self.executed(write, write, write), 1)

    def test_what_is_no_write(self) -> None:
        """Reads in a batch and entries without meaning change nothing."""
        self.assertEqual(self.executed([GET, b"k"], [PUT, b"k"], [APPEND, b"k"], [DELETE], [99, b"k"]), 0)

    def test_keys(self) -> None:
        """INFO tells how many keys each database has, without a look at what is stored."""
        node = Node()
        self.assertEqual((node.machine.counted(), node.machine.expired), ([], 0))
        node.apply(batch([[PUT, b"k", b"v"], [PUT, b"l", b"v"], [PUT, b"k", b"w"], [DELETE, b"l"]], 1, 1))
        self.assertEqual(node.machine.counted(), [(0, 1, 0)])
        node.restart()
        self.assertEqual(node.machine.counted(), [(0, 1, 0)])

    def test_keys_that_have_expired(self) -> None:
        """INFO and DBSIZE tell the same, also while keys that are dead wait to be erased."""
        node = Node()
        entries: list[Any] = [
            [SET, db, ROOM, b"%d" % key, b"v", 0, b"", 3, 1_010, 0] for db in (0, 1) for key in range(4)
        ]
        node.apply(batch([*entries, [PUT, b"k", b"v"]], 1, 1))
        self.assertEqual(node.machine.counted(), [(0, 5, 4), (1, 4, 4)])
        self.patch(erasure, "ERASED_MAX", 1)
        self.patch(expiry, "FRONT_MAX", 1)
        node.machine.begin_slot(node.turn, 2, 1_010)
        self.assertEqual(node.machine.due(node.turn), 0)
        self.assertEqual(node.machine.counted(), [(0, 1, 0)])
        self.assertEqual(node.machine.read(node.turn, [[DBSIZE, 0, ROOM], [DBSIZE, 1, ROOM]]), [1, 0])
