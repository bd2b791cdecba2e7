"""The filter of keys that are certainly not stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.keys import STATE
from dkv.kv.key_filter import PAGE_KEYS, KeyFilter
from dkv.kv.stored import string_header
from tests.kv.one_keyspace import OneKeyspace
from tests.turns import FakeTurn

NAMES = [STATE + b"\0" + name for name in (b"a", b"b", b"cc", b"ddd", b"eeee")]


class KeyFilterTests(SynchronousTestCase):
    @given(
        st.lists(st.one_of(st.sampled_from(NAMES), st.sampled_from(["erase", "slot", "start"])), max_size=60),
        st.integers(1, 3),
        st.integers(1, 2),
    )
    def test_a_stored_key_is_never_new(self, steps: list[bytes | str], blocks: int, growth: int) -> None:
        """However small it is, and whenever it grows or is made anew."""
        turn, stored = FakeTurn(), set[bytes]()
        with patch.multiple("dkv.kv.key_filter", BLOCKS=blocks, GROWTH=growth, PAGE_KEYS=2):
            known = KeyFilter()
            for step in steps:
                if step == "slot":
                    known.read_on(turn, len(stored))
                elif step == "start":
                    known.start()
                elif step == "erase":
                    for name in sorted(stored)[:1]:
                        turn.stage_erase(name)
                        stored.remove(name)
                elif isinstance(step, bytes):
                    new, others = known.sift([step])
                    self.assertEqual([*new, *others], [step])
                    self.assertFalse(new and step in stored)
                    turn.stage(step, b"value")
                    stored.add(step)

    def test_it_reads_what_is_stored_page_by_page(self) -> None:
        """Until it has read all, no key is called new, and behind that only those are that are not stored."""
        turn, known = FakeTurn(), KeyFilter()
        names = [STATE + b"\0%04d" % number for number in range(PAGE_KEYS + 1)]
        for name in names:
            turn.stage(name, b"value")
        read: list[bytes] = []
        for place in range(3):
            self.assertFalse(known.is_new(STATE + b"\0none%d" % place))
            read += [name for name, _ in known.read_on(turn, len(names))]
        self.assertEqual(read, names)
        self.assertEqual(known.read_on(turn, len(names)), [])
        self.assertTrue(known.is_new(STATE + b"\0another"))
        self.assertEqual(known.sift([*names, STATE + b"\0another"])[0], [])

    def test_it_grows(self) -> None:
        """With ten times the keys that the first table is for, it must still tell nearly all new ones."""
        turn = FakeTurn()
        with patch("dkv.kv.key_filter.BLOCKS", 100):
            known = KeyFilter()
            known.read_on(turn, 0)
            names = [STATE + b"\0%d" % number for number in range(1_000)]
            found = 0
            for stored, name in enumerate(names):
                found += known.is_new(name)
                known.read_on(turn, stored)
            self.assertGreater(found, 940)
            self.assertEqual([name for name in names if known.is_new(name)], [])

    def test_it_is_made_anew(self) -> None:
        """Where keys come and go it must not grow for ever; and it tells new ones while it is made."""
        turn = FakeTurn()
        with patch.multiple("dkv.kv.key_filter", BLOCKS=100, PAGE_KEYS=1):
            known = KeyFilter()
            kept = [STATE + b"\0kept%d" % number for number in range(20)]
            known.sift(kept)
            for name in kept:
                turn.stage(name, b"value")
            for _ in range(22):
                known.read_on(turn, 20)
            found = 0
            for number in range(5_000):
                found += known.is_new(STATE + b"\0%d" % number)
                known.read_on(turn, 20)
            self.assertGreater(found, 4_900)
            self.assertEqual([name for name in kept if known.is_new(name)], [])
            self.assertTrue(any(known.is_new(STATE + b"\0%d" % number) for number in range(100)))  # it has forgotten

    def looks(self, one: OneKeyspace) -> list[bytes]:
        """The keys that it looks for from now on."""
        looked: list[bytes] = []
        find, load = one.turn.find, one.turn.load

        def noted(keys: Iterable[bytes]) -> Iterator[tuple[bytes, bytes | None]]:
            looked.extend(keys)
            return find(keys)

        def noted_one(key: bytes) -> bytes | None:
            if key.startswith(STATE):
                looked.append(key)
            return load(key)

        self.patch(one.turn, "find", noted)
        self.patch(one.turn, "load", noted_one)
        return looked

    def test_a_new_key_is_not_looked_for(self) -> None:
        """To find out in LevelDB that a key is absent costs more than the rest of the write."""
        one = OneKeyspace()
        looked = self.looks(one)
        one.keyspace.put_all(one.turn, {NAMES[0]: string_header(1, 0) + b"value", NAMES[2]: string_header(1, 1)})
        one.put(b"b", 2_000)
        self.assertEqual((looked, one.keys()), ([], 3))
        one.keyspace.put_all(one.turn, {NAMES[0]: string_header(1, 2) + b"value"})  # it is known
        self.assertEqual((looked, one.keys()), ([], 3))
        one.put(b"b", 3_000)
        self.assertEqual((looked, one.keys()), ([NAMES[1]], 3))

    def test_more_room_is_filled_at_once(self) -> None:
        """The keys that are stored when the memory of known ones grows are read again, and are known in it."""
        with patch("dkv.kv.plain_keys.PLACES", 4):
            one = OneKeyspace()
            one.keyspace.put_all(one.turn, {name: string_header(1, 0) for name in NAMES})
            one.begin(1_001)
            looked = self.looks(one)
            one.keyspace.put_all(one.turn, {name: string_header(2, 0) for name in NAMES})
        self.assertEqual((looked, one.keys()), ([], len(NAMES)))

    def test_what_is_read_is_known(self) -> None:
        """Behind a start, a write of a key that was read already need not look for it."""
        one = OneKeyspace()
        one.put(b"a")
        one.put(b"b", 2_000)
        one.begin(1_001)
        one.restart()
        one.begin(1_002)
        looked = self.looks(one)
        one.keyspace.put_all(one.turn, {name: string_header(3, 0) for name in NAMES[:2]})
        self.assertEqual((looked, one.keyspace.counts(one.turn, 0)), (NAMES[1:2], (2, 0)))
