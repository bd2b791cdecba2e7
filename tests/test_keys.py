"""Keys: the order on disk is that of slots, and no key is another's."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from dkv import keys

numbers = some.integers(0, 2**64 - 1)


class KeyTests(SynchronousTestCase):
    @given(numbers, numbers)
    def test_slots_in_order(self, one: int, two: int) -> None:
        """A scan that meets slot 10 before slot 9 applies them so."""
        self.assertEqual(keys.record_key(one) < keys.record_key(two), one < two)
        self.assertEqual(keys.slot_of(keys.record_key(one)), one)
        self.assertEqual(keys.slot_of(keys.slot_promise_key(one)), one)

    @given(numbers, some.integers(0, 2**32 - 1))
    def test_round_trips(self, number: int, node: int) -> None:
        """What was stored is what is read."""
        self.assertEqual(keys.unpack_number(keys.pack_number(number)), number)
        self.assertEqual(keys.unpack_ballot(keys.pack_ballot(number, node)), (number, node))
        self.assertEqual(keys.node_of(keys.member_key(node)), node)

    def test_nothing_is_zero(self) -> None:
        """A mark that was never written says that nothing was chosen."""
        self.assertEqual(keys.unpack_number(None), 0)

    def test_prefixes_differ(self) -> None:
        """Two actors under one prefix would overwrite each other."""
        prefixes = [value for name, value in vars(keys).items() if name.isupper() and isinstance(value, bytes)]
        self.assertEqual(len(prefixes), len(set(prefixes)))
        self.assertEqual({len(prefix) for prefix in prefixes}, {1})
