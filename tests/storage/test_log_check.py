"""The check at start: a log with a hole or a damaged record must not vote."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.trial.unittest import SynchronousTestCase

from dkv.ballot import Ballot
from dkv.keys import (
    APPLIED_THROUGH,
    CHOSEN_THROUGH,
    DIGEST,
    PROMISE,
    SLOT_BALLOT,
    pack_ballot,
    pack_number,
    record_key,
    slot_promise_key,
)
from dkv.records import NO_DIGEST, Batch, SlotRecord, digest_after, pack_record, value_bytes
from dkv.settings import ENCODING_BYTES
from dkv.sim.memory import MemoryStore
from dkv.storage.data_directory import DirectoryError, DirectoryUnfit
from dkv.storage.log_check import LogFacts, check_frame, check_log

RECORD = pack_record(SlotRecord(Ballot(1, 1), (Batch(1, 2, 3, 4, b"blob"),), True))


class CheckLogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.store = MemoryStore(auto=True)

    def write(self, slots: Iterable[int], chosen_through: int = 0, applied_through: int = 0) -> None:
        """Store records of ``slots`` and both marks; a mark of 0 is not stored."""
        marks = {CHOSEN_THROUGH: chosen_through, APPLIED_THROUGH: applied_through}
        writes: dict[bytes, bytes | None] = {key: pack_number(mark) for key, mark in marks.items() if mark}
        self.store.commit(writes | {record_key(slot): RECORD for slot in slots}, lambda failure: None)

    def assertRefused(self, *words: str) -> None:
        """The check fails with one line that has all the words and says what to do."""
        error = self.assertRaises(DirectoryError, check_log, self.store)
        self.assertNotIn("\n", str(error))
        for word in (*words, "must not vote", "leave it stopped"):
            self.assertIn(word, str(error))

    def test_sound_logs_pass(self) -> None:
        """A node whose log is whole must start: with nothing, with gaps above the mark, with either mark ahead."""
        for slots, chosen, applied in (
            ((), 0, 0),
            ((1, 2, 3), 3, 3),
            ((1, 2, 3, 5, 9), 3, 2),
            ((4, 7), 0, 0),
            ((1, 2, 3), 1, 3),
        ):
            self.setUp()
            self.write(slots, chosen, applied)
            check_log(self.store)

    def test_facts(self) -> None:
        """What a node says of its votes rests on this, and which limits it may have."""
        self.assertEqual(check_log(self.store), LogFacts(0, 0))
        self.write((1, 2, 5), 2)
        large = (Batch(1, 2, 3, 4, b"x" * 100),)
        self.store.commit({record_key(3): pack_record(SlotRecord(Ballot(1, 1), large, True))}, lambda failure: None)
        self.assertEqual(check_log(self.store), LogFacts(3, value_bytes(large)))

    def test_frames_that_are_too_small(self) -> None:
        """A record that fits no frame keeps whoever lacks it in catch-up for ever; the line says what would do."""
        facts = LogFacts(7, 5_000)
        check_frame(facts, 5_000 + ENCODING_BYTES)
        check_frame(LogFacts(0, 0), 1)
        error = self.assertRaises(DirectoryUnfit, check_frame, facts, 5_000 + ENCODING_BYTES - 1)
        for words in ("limits.frame_bytes_max = 267143", "slot 7", "5000 bytes", f"at least {5_000 + ENCODING_BYTES}"):
            self.assertIn(words, str(error))

    def test_a_slot_that_is_full(self) -> None:
        """Frames that the limits allow must do for whatever slots the same limits let a leader fill."""
        full = (Batch(1, 2, 3, 4, b"x" * 1_000), Batch(1, 2, 3, 5, b"y" * 500))
        self.store.commit({record_key(1): pack_record(SlotRecord(Ballot(1, 1), full))}, lambda failure: None)
        slot_bytes_max = value_bytes(full)
        check_frame(check_log(self.store), slot_bytes_max + ENCODING_BYTES)

    def test_a_lost_slot_is_refused(self) -> None:
        """A chosen value that this acceptor no longer has could be chosen otherwise with its vote."""
        for slots, lost in (((2, 3), 1), ((1, 3), 2), ((1, 2), 3), ((), 1), ((1, 2, 4, 5), 3)):
            self.setUp()
            self.write(slots, chosen_through=3)
            self.assertRefused(f"lost slot {lost}", "slot 3")

    def test_a_log_that_is_not_the_one_that_was_applied(self) -> None:
        """Sound records with other values than those that were applied: catch-up would hand them to others."""
        values = [(Batch(1, 2, 3, seq, b"blob"),) for seq in (1, 2, 3)]
        digest = digest_after(digest_after(NO_DIGEST, values[0]), values[1])
        records = {record_key(slot): pack_record(SlotRecord(Ballot(1, 1), each)) for slot, each in enumerate(values, 1)}
        self.store.commit(
            {**records, CHOSEN_THROUGH: pack_number(3), APPLIED_THROUGH: pack_number(2), DIGEST: digest},
            lambda failure: None,
        )
        check_log(self.store)
        other = pack_record(SlotRecord(Ballot(1, 1), values[2]))
        self.store.commit({record_key(3): pack_record(SlotRecord(Ballot(1, 1), values[0]))}, lambda failure: None)
        check_log(self.store)  # what is not applied yet is not known by its digest
        self.store.commit({record_key(1): other}, lambda failure: None)
        self.assertRefused("not the one that was applied", "up to 2")

    def test_applied_counts_as_chosen(self) -> None:
        """The mark of what is chosen is written later than what was applied: both claim the records."""
        self.write((1, 2), chosen_through=2, applied_through=3)
        self.assertRefused("lost slot 3")

    def test_damage_is_refused_wherever_it_is(self) -> None:
        """Also above the mark: an accepted value that is gone is a broken promise."""
        promises = {key: pack_ballot(1, 1) for key in (PROMISE, SLOT_BALLOT, slot_promise_key(7))}
        for key in (record_key(2), record_key(7), CHOSEN_THROUGH, APPLIED_THROUGH, *promises):
            self.setUp()
            self.write((1, 2, 3, 7), 3, 2)
            self.store.commit(promises, lambda failure: None)
            check_log(self.store)
            self.store.durable[key] = self.store.durable[key][:-1]
            self.assertRefused("is damaged")

    def test_what_is_no_record_is_refused(self) -> None:
        """A good checksum over something else is a mistake of a program; voting on it would spread it."""
        self.write((1, 2), chosen_through=2)
        self.store.commit({record_key(2): b"not a record"}, lambda failure: None)
        self.assertRefused("slot 2 is damaged: not a slot record")
