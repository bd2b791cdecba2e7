"""Sealed values: what comes back is what was written, or an error."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.keys import FORMAT, PROMISE, STATE, record_key
from dkv.storage.seal import seal, unseal
from dkv.storage.store import RecordCorrupt

SEALED_KEYS = st.sampled_from([PROMISE, record_key(1), record_key(2**64 - 1), b"B\x00x", b"unknown", b""])


class SealTests(SynchronousTestCase):
    @given(SEALED_KEYS, st.binary())
    def test_round_trip(self, key: bytes, value: bytes) -> None:
        """A promise that reads back as another one would let an acceptor break it."""
        self.assertEqual(unseal(key, seal(key, value)), value)

    @given(SEALED_KEYS, st.binary(), st.data())
    def test_any_flipped_bit_is_noticed(self, key: bytes, value: bytes, data: st.DataObject) -> None:
        """A disk that returns other bits than it was given must not make an acceptor forget what it accepted."""
        stored = bytearray(seal(key, value))
        bit = data.draw(st.integers(0, len(stored) * 8 - 1))
        stored[bit // 8] ^= 1 << bit % 8
        self.assertRaises(RecordCorrupt, unseal, key, bytes(stored))

    @given(SEALED_KEYS, st.binary(min_size=1))
    def test_a_cut_value_is_noticed(self, key: bytes, value: bytes) -> None:
        """Half a record must not be served as a chosen value."""
        stored = seal(key, value)
        for length in range(len(stored)):
            self.assertRaises(RecordCorrupt, unseal, key, stored[:length])

    def test_a_value_under_another_key_is_noticed(self) -> None:
        """The record of one slot must not answer for another slot."""
        self.assertRaises(RecordCorrupt, unseal, record_key(8), seal(record_key(7), b"value"))

    def test_state_and_format_are_stored_as_they_are(self) -> None:
        """A checksum for every applied value would cost what was measured to halve throughput; the log has one."""
        for key in (FORMAT, STATE + b"key"):
            self.assertEqual(seal(key, b"value"), b"value")
            self.assertEqual(unseal(key, b"value"), b"value")

    def test_the_stored_bytes_are_fixed(self) -> None:
        """Directories written by this version must stay readable: CRC32C of key and value, big-endian, first."""
        self.assertEqual(seal(b"P", b"12345678"), bytes.fromhex("f383f0e1") + b"12345678")

    def test_the_error_names_the_slot_and_says_what_to_do(self) -> None:
        """An operator who reads the last line must know that the node may not simply be started again."""
        error = self.assertRaises(RecordCorrupt, unseal, record_key(7), b"rubbish")
        self.assertIn("slot 7", str(error))
        self.assertIn("must not vote", str(error))

    def test_the_error_names_what_is_no_record(self) -> None:
        """Keys of other kinds may be as long as a record's, and theirs may be longer or shorter."""
        for key in (b"T23456789", b"P", b"R234"):
            error = self.assertRaises(RecordCorrupt, unseal, key, b"rubbish")
            self.assertIn(repr(key), str(error))
