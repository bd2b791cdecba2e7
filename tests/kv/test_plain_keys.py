"""The keys that are known to exist: a bounded memory of what is stored."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.plain_keys import PlainKeys

NAMES = [b"a", b"bb", b"ccc", b"dddd", b"eeeee"]
STEPS = st.lists(st.tuples(st.booleans(), st.lists(st.sampled_from(NAMES), max_size=3)))


def known(plain: PlainKeys, names: list[bytes]) -> list[bytes]:
    """Those of the keys that it knows, asked as a PUT asks."""
    unknown = plain.not_in_second(plain.not_in_first(names))
    return [name for name in names if name not in unknown]


class PlainKeyTests(SynchronousTestCase):
    @given(STEPS, st.integers(1, 7))
    def test_it_knows_nothing_wrong(self, steps: list[tuple[bool, list[bytes]]], places: int) -> None:
        """Never a key that was discarded, however little room there is, and always the latest one."""
        model = set[bytes]()
        with patch("dkv.kv.plain_keys.PLACES", places):
            plain = PlainKeys()
            for add, names in steps:
                if add:
                    plain.add_all(names)
                    model |= set(names)
                    self.assertEqual(known(plain, names[-1:]), names[-1:])
                else:
                    for name in names:
                        plain.discard(name)
                    model -= set(names)
                self.assertLessEqual(set(known(plain, NAMES)), model)
                self.assertLessEqual(len(known(plain, NAMES)), places)
            plain.clear()
            self.assertEqual(known(plain, NAMES), [])

    def test_it_grows(self) -> None:
        """With the stored keys, as far as it may; then nothing is known, as its places are others."""
        with patch.multiple("dkv.kv.plain_keys", PLACES=4, PLACES_MAX=50):
            plain = PlainKeys()
            plain.add_all(NAMES[:1])
            self.assertFalse(plain.make_room(1))
            self.assertEqual(known(plain, NAMES), NAMES[:1])
            self.assertTrue(plain.make_room(2))
            self.assertEqual(known(plain, NAMES), [])
            grown = [plain.make_room(stored) for stored in (4, 5, 13, 1_000_000, 0)]
            self.assertEqual(grown, [False, True, False, False, False])
            plain.clear()
            self.assertTrue(plain.make_room(1_000_000))  # at once, as far as it may
            self.assertFalse(plain.make_room(1_000_000))

    def test_most_are_known(self) -> None:
        """With as many keys as half of the places nearly all must be, or each write of the others looks for its key."""
        names = [b"S\0key:%012d" % number for number in range(2_000)]
        with patch("dkv.kv.plain_keys.PLACES", 4_096):
            plain = PlainKeys()
            for _ in range(3):
                plain.add_all(plain.not_in_second(plain.not_in_first(names)))
            self.assertGreater(len(known(plain, names)), 1_900)

    def test_a_place_does_not_follow_from_the_mark(self) -> None:
        """Keys with the same mark are confused in the same place alone: of 1,000 others hardly one shares it."""
        names = [b"S\0key:%012d" % number for number in range(1_001)]
        with patch("dkv.kv.plain_keys.PLACES", 1 << 20), patch("dkv.kv.plain_keys.hash", lambda _: 7, create=True):
            plain = PlainKeys()
            plain.add_all(names[:1])
            self.assertLessEqual(len(known(plain, names)), 5)
