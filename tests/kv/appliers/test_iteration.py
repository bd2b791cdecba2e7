"""SCAN and KEYS find all keys that exist, and none that does not, whatever is written meanwhile."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.appliers import iteration
from dkv.kv.appliers.iteration import BAD_CURSOR, KEYS_AT_ONCE, PATTERN_TOO_LONG, SCANNED_AT_ONCE, keys, scan
from dkv.kv.asks import UNKNOWN, Ask
from dkv.kv.codes import KEYS, SCAN
from dkv.kv.glob import PATTERN_BYTES_MAX
from dkv.kv.keyspace import Keyspace
from dkv.replies import TOO_LONG
from dkv.settings import KIB, MIB
from tests.turns import FakeTurn

NAMES = st.binary(max_size=2)
CHANGES = st.lists(st.tuples(NAMES, st.booleans()), max_size=6)


class IterationTests(SynchronousTestCase):
    """A keyspace whose time is 1,000."""

    def setUp(self) -> None:
        self.begin()

    def begin(self) -> None:
        """No keys."""
        self.turn, self.keyspace = FakeTurn(), Keyspace()
        self.keyspace.start(self.turn)
        self.keyspace.begin_slot(self.turn, 1, 1_000)

    def store(self, *names: bytes, db: int = 0, deadline: int = 0, value: bytes = b"v") -> None:
        """Keys."""
        for name in names:
            self.keyspace.store(self.turn, db, name, value, deadline)

    def keys(self, pattern: bytes = b"*", db: int = 0) -> Any:
        """What KEYS answers."""
        return keys(self.keyspace, self.turn, Ask(KEYS, db, 0, [pattern]))

    def page(self, cursor: int, pattern: bytes = b"*", count: int = 10, kind: bytes = b"", db: int = 0) -> Any:
        """What SCAN answers."""
        return scan(self.keyspace, self.turn, Ask(SCAN, db, 0, [cursor, pattern, count, kind]))

    def scanned(self, pattern: bytes = b"*", count: int = 10, db: int = 0) -> list[list[bytes]]:
        """All pages, to the end."""
        pages: list[list[bytes]] = []
        cursor = b"0"
        while not pages or cursor != b"0":
            cursor, page = self.page(int(cursor), pattern, count, db=db)
            pages.append(page)
        return pages

    def test_keys(self) -> None:
        """Keys of this database that match, and of no other."""
        self.store(b"user:1", b"user:2", b"job:1", b"")
        self.store(b"user:3", db=1)
        self.assertEqual(self.keys(), [b"", b"job:1", b"user:1", b"user:2"])
        self.assertEqual(self.keys(b"user:*"), [b"user:1", b"user:2"])
        self.assertEqual(self.keys(b"*:1"), [b"job:1", b"user:1"])
        self.assertEqual((self.keys(db=1), self.keys(db=2)), ([b"user:3"], []))

    def test_expired(self) -> None:
        """A key whose deadline has passed does not exist, though it is stored still."""
        self.store(b"dies", deadline=1_500)
        self.store(b"lives", deadline=2_500)
        self.store(b"stays")
        self.keyspace.begin_slot(self.turn, 2, 2_000)
        self.assertEqual(self.keys(), [b"lives", b"stays"])
        self.assertEqual(self.scanned(), [[b"lives", b"stays"]])

    def test_too_many(self) -> None:
        """More than a slot may take time for: the error is the same on every node, and a survey follows elsewhere."""
        self.patch(iteration, "KEYS_AT_ONCE", 5)
        self.store(*(b"a%d" % number for number in range(7)), b"b", b"c")
        self.assertIs(self.keys(), TOO_LONG)
        self.assertEqual(self.keys(b"[bc]"), TOO_LONG, "it begins with no byte in particular")
        self.assertEqual(self.keys(b"b*"), [b"b"])

    def test_pages(self) -> None:
        """COUNT is how many keys are looked at; the last page has the cursor 0."""
        names = [b"k%02d" % number for number in range(25)]
        self.store(*names)
        self.assertEqual(self.scanned(count=10), [names[:10], names[10:20], names[20:]])
        self.assertEqual(self.scanned(count=5), [names[start : start + 5] for start in range(0, 25, 5)] + [[]])
        self.assertEqual(self.scanned(b"k?7", count=10), [[b"k07"], [b"k17"], []])
        self.assertEqual(self.scanned(b"k1*", count=100), [names[10:20]])

    def test_a_cursor_again(self) -> None:
        """A reply that was lost is asked for again."""
        self.store(*(b"k%02d" % number for number in range(25)))
        cursor = int(self.page(0)[0])
        again = [self.page(cursor)[1] for _ in range(3)]
        self.assertEqual(again, [[b"k%02d" % number for number in range(10, 20)]] * 3)

    def test_a_strange_cursor(self) -> None:
        """A client that was moved to another node is told to begin again: it must not miss keys in silence."""
        self.store(b"k")
        for cursor in (1, 17, 2**64 - 1, -1):
            self.assertIs(self.page(cursor), BAD_CURSOR)
        self.store(*(b"k%02d" % number for number in range(25)))
        self.assertIs(self.page(int(self.page(0)[0]), db=1), BAD_CURSOR)

    def test_types(self) -> None:
        """There are strings and nothing else."""
        self.store(b"k")
        self.assertEqual(self.page(0, kind=b"string"), [b"0", [b"k"]])
        self.assertEqual(self.page(0, kind=b"hash"), [b"0", []])

    def test_bounds(self) -> None:
        """One SCAN must not hold up the node: neither by its COUNT, nor by long keys or values."""
        self.store(*(b"k%04d" % number for number in range(SCANNED_AT_ONCE + 5)))
        self.assertEqual(len(self.page(0, count=2**62)[1]), SCANNED_AT_ONCE)
        self.assertEqual(len(self.page(0, count=0)[1]), 1)
        self.begin()
        self.store(*(b"%d" % number + bytes(20 * KIB) for number in range(9)))
        self.assertEqual([len(page) for page in self.scanned()], [4, 4, 1])
        self.begin()
        self.store(*(b"%d" % number for number in range(9)), value=bytes(MIB // 2))
        self.assertEqual([len(page) for page in self.scanned()], [2, 2, 2, 2, 1])
        self.assertIs(self.keys(), TOO_LONG)
        self.assertIs(self.keys(b"*" * (PATTERN_BYTES_MAX + 1)), PATTERN_TOO_LONG)
        self.assertIs(self.page(0, b"*" * (PATTERN_BYTES_MAX + 1)), PATTERN_TOO_LONG)

    def test_at_the_bound(self) -> None:
        """So many keys are too many, one less is not."""
        self.store(*(b"%d" % number for number in range(KEYS_AT_ONCE - 1)))
        self.assertEqual(len(self.keys()), KEYS_AT_ONCE - 1)
        self.store(b"k")
        self.assertIs(self.keys(), TOO_LONG)

    def test_of_another_shape(self) -> None:
        """Anything may stand in the log."""
        strange: tuple[list[Any], ...] = ([], [b"*", b"*"], [1], [None])
        for arguments in strange:
            self.assertIs(keys(self.keyspace, self.turn, Ask(KEYS, 0, 0, arguments)), UNKNOWN)
        strange = ([], [0], [b"0", b"", 10, b""], [0, b"", 10], [0, 1, 10, b""], [0, b"", b"10", b""])
        for arguments in strange:
            self.assertIs(scan(self.keyspace, self.turn, Ask(SCAN, 0, 0, arguments)), UNKNOWN)

    @given(st.sets(NAMES, max_size=12), st.lists(CHANGES, max_size=12), st.integers(1, 4))
    def test_while_others_write(self, stays: set[bytes], changes: list[Any], count: int) -> None:
        """What exists all the time is found once; nothing is found that never existed; no key is found twice."""
        self.begin()
        self.store(*stays)
        existed, found, cursor = set(stays), [], b"0"
        coming = iter(changes)
        while True:
            cursor, page = self.page(int(cursor), count=count)
            found += page
            if cursor == b"0":
                break
            for name, appears in next(coming, []):
                if appears:
                    self.store(name)
                    existed.add(name)
                elif name not in stays:
                    self.keyspace.erase(self.turn, 0, name)
        self.assertEqual(len(found), len(set(found)))
        self.assertLessEqual(stays, set(found))
        self.assertLessEqual(set(found), existed)
