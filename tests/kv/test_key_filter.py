"""The filter of keys that are certainly not stored."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.keys import STATE
from dkv.kv import key_filter
from dkv.kv.key_filter import PAGE_KEYS, KeyFilter
from tests.kv.one_keyspace import OneKeyspace
from tests.turns import FakeTurn

NAMES = [STATE + b"\0" + name for name in (b"a", b"b", b"cc", b"ddd", b"eeee")]


class KeyFilterTests(SynchronousTestCase):
    @given(
        st.lists(st.one_of(st.sampled_from(NAMES), st.sampled_from(["erase", "slot", "start"])), max_size=40),
        st.integers(1, 3),
        st.integers(1, 4),
    )
    def test_a_stored_key_is_never_new(self, steps: list[bytes | str], size: int, added_max: int) -> None:
        """However small it is, and whenever it begins anew."""
        turn, stored = FakeTurn(), set[bytes]()
        with patch.multiple("dkv.kv.key_filter", FILTER_BYTES=size, ADDED_MAX=added_max, PAGE_KEYS=2):
            known = KeyFilter()
            for step in steps:
                if step == "slot":
                    known.read_on(turn)
                elif step == "start":
                    known.start()
                elif step == "erase":
                    for name in sorted(stored)[:1]:
                        turn.stage_erase(name)
                        stored.remove(name)
                elif isinstance(step, bytes):
                    self.assertFalse(known.is_new(step) and step in stored)
                    turn.stage(step, b"value")
                    stored.add(step)

    def test_it_reads_what_is_stored_page_by_page(self) -> None:
        """Until it has read all, no key is called new, and behind that only those are that are stored."""
        turn, known = FakeTurn(), KeyFilter()
        names = [STATE + b"\0%04d" % number for number in range(PAGE_KEYS + 1)]
        for name in names:
            turn.stage(name, b"value")
        self.patch(key_filter, "ADDED_MAX", PAGE_KEYS)  # what is stored does not count as added
        for place in range(3):
            self.assertFalse(known.is_new(STATE + b"\0none%d" % place))
            known.read_on(turn)
        known.read_on(turn)
        self.assertTrue(known.is_new(STATE + b"\0another"))
        self.assertEqual([known.is_new(name) for name in (*names, STATE + b"\0another")], [False] * (len(names) + 1))

    def test_it_begins_anew(self) -> None:
        """The bits of erased keys would fill it up."""
        turn, known = FakeTurn(), KeyFilter()
        with patch.multiple("dkv.kv.key_filter", FILTER_BYTES=1, ADDED_MAX=7):
            known.start()
            known.read_on(turn)
            names = [b"%d" % number for number in range(100)]
            self.assertEqual(sum(map(known.is_new, names)), 8)
            known.read_on(turn)
            known.read_on(turn)
            self.assertTrue(known.is_new(names[0]))

    def test_a_new_key_is_not_looked_for(self) -> None:
        """To find out in LevelDB that a key is absent costs more than the rest of the write."""
        one = OneKeyspace()
        loaded: list[bytes] = []
        load = one.turn.load

        def noted(key: bytes) -> bytes | None:
            loaded.append(key)
            return load(key)

        self.patch(one.turn, "load", noted)
        one.keyspace.put(one.turn, NAMES[0], b"value")
        one.put(b"b", 2_000)
        self.assertEqual([name for name in loaded if name.startswith(STATE)], [])
        self.assertEqual(one.keys(), 2)
        one.put(b"b", 3_000)
        self.assertEqual([name for name in loaded if name.startswith(STATE)], [NAMES[1]])
        self.assertEqual(one.keys(), 2)
