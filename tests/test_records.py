"""Stored forms: what was written is what is read, and anything else is refused."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from dkv.ballot import Ballot
from dkv.records import Batch, RecordDamaged, SlotRecord, Value, follows, pack_record, unpack_record, value_bytes

counts = some.integers(0, 2**63 - 1)
ids = some.integers(1, 2**32 - 1)
batches = some.builds(Batch, ids, some.integers(0, 2**64 - 1), counts, counts, some.binary(max_size=50))
values = some.builds(Value, some.lists(batches, max_size=4).map(tuple), some.just(0) | counts)
records = some.builds(SlotRecord, some.builds(Ballot, counts, ids), values, some.booleans())

BATCH = Batch(1, 2, 3, 4, b"blob")
HEADER = "00000000000000030000000200000001"
STORED_BATCH = "00000001000000000000000200000000000000030000000000000004" + "00000004626c6f62"


class RecordTests(SynchronousTestCase):
    @given(records)
    def test_round_trip(self, record: SlotRecord) -> None:
        """An acceptor that reads back something else has forgotten its vote (B8)."""
        self.assertEqual(unpack_record(pack_record(record)), record)

    @given(records, some.data())
    def test_cut_or_longer(self, record: SlotRecord, data: some.DataObject) -> None:
        """A record that lost its end, or has something behind it, is damaged."""
        packed = pack_record(record)
        cut = data.draw(some.integers(0, len(packed) - 1))
        for damaged in (packed[:cut], packed + b"\0"):
            with self.assertRaises(RecordDamaged):
                unpack_record(damaged)

    @given(some.binary(max_size=200))
    def test_anything(self, data: bytes) -> None:
        """No bytes make it raise anything else."""
        try:
            record = unpack_record(data)
        except RecordDamaged:
            return
        self.assertEqual(pack_record(record), data)

    def test_a_stamp_is_part_of_the_value(self) -> None:
        """An acceptor that forgets a stamp votes for another value. What was stored before stamps has none."""
        ballot = Ballot(3, 2)
        plain, stamped = (SlotRecord(ballot, Value((BATCH,), time), chosen=True) for time in (0, 1_795_000_000_123))
        self.assertNotEqual(plain.value, stamped.value)
        self.assertEqual(pack_record(plain).hex(), f"01{HEADER}{STORED_BATCH}")
        self.assertEqual(pack_record(stamped).hex(), f"03{HEADER}000001a1ee565e7b{STORED_BATCH}")
        for damaged in (f"02{HEADER}{'0' * 16}{STORED_BATCH}", f"04{HEADER}{STORED_BATCH}", f"02{HEADER[:-8]}00000000"):
            self.assertRaises(RecordDamaged, unpack_record, bytes.fromhex(damaged))

    @given(values)
    def test_size(self, value: Value) -> None:
        """Limits are kept by this size: it must not be less than what is stored, but for the head and the stamp."""
        header = len(pack_record(SlotRecord(Ballot(1, 1), Value(time=value.time))))
        self.assertEqual(value_bytes(value), len(pack_record(SlotRecord(Ballot(1, 1), value))) - header)


class FollowsTests(SynchronousTestCase):
    def test_the_next(self) -> None:
        """The same boot with seq + 1, or any later boot with 1; nothing else (B15, B28)."""
        for boot, seq, expected in (
            (3, 8, True),
            (3, 7, False),
            (3, 9, False),
            (4, 1, True),
            (9, 1, True),
            (4, 2, False),
        ):
            self.assertEqual(follows((3, 7), boot, seq), expected, (boot, seq))
        self.assertFalse(follows((3, 7), 2, 1))
        self.assertTrue(follows((0, 0), 1, 1))
