"""The check at start: a log with a hole or a damaged record must not vote."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import accumulate

from twisted.trial.unittest import SynchronousTestCase

from dkv.ballot import Ballot
from dkv.keys import (
    APPLIED_THROUGH,
    CHOSEN_THROUGH,
    COMPACTED,
    DIGEST,
    PROMISE,
    SLOT_BALLOT,
    pack_ballot,
    pack_compacted,
    pack_number,
    record_key,
    slot_promise_key,
)
from dkv.records import NO_DIGEST, Batch, SlotRecord, Value, digest_after, pack_record, value_bytes
from dkv.settings import ENCODING_BYTES
from dkv.sim.memory import MemoryStore
from dkv.storage.data_directory import DirectoryError, DirectoryUnfit
from dkv.storage.log_check import LogFacts, check_frame, check_log

Writes = Mapping[bytes, bytes | None]
RECORD = pack_record(SlotRecord(Ballot(1, 1), Value((Batch(1, 2, 3, 4, b"blob"),)), True))


class CheckLogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.store = MemoryStore(auto=True)
        self.state = MemoryStore(auto=True)

    def check(self) -> LogFacts:
        """The check of both."""
        return check_log(self.store, self.state)

    def write(self, slots: Iterable[int], chosen_through: int = 0, applied_through: int = 0) -> None:
        """Store records of ``slots`` and both marks; a mark of 0 is not stored."""
        self.put({record_key(slot): RECORD for slot in slots})
        if chosen_through:
            self.put({CHOSEN_THROUGH: pack_number(chosen_through)})
        if applied_through:
            self.put_state({APPLIED_THROUGH: pack_number(applied_through)})

    def put(self, writes: Writes) -> None:
        """Write into the log."""
        self.store.commit(writes, lambda failure: None)

    def put_state(self, writes: Writes) -> None:
        """Write into the state."""
        self.state.commit(writes, lambda failure: None)

    def assertRefused(self, *words: str) -> None:
        """The check fails with one line that has all the words and says what to do."""
        error = self.assertRaises(DirectoryError, self.check)
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
            self.check()

    def test_facts(self) -> None:
        """What a node says of its votes rests on this, and which limits it may have."""
        self.assertEqual(self.check(), LogFacts(0, 0))
        self.write((1, 2, 5), 2)
        large = Value((Batch(1, 2, 3, 4, b"x" * 100),))
        self.store.commit({record_key(3): pack_record(SlotRecord(Ballot(1, 1), large, True))}, lambda failure: None)
        self.assertEqual(self.check(), LogFacts(3, value_bytes(large)))

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
        full = Value((Batch(1, 2, 3, 4, b"x" * 1_000), Batch(1, 2, 3, 5, b"y" * 500)))
        self.store.commit({record_key(1): pack_record(SlotRecord(Ballot(1, 1), full))}, lambda failure: None)
        slot_bytes_max = value_bytes(full)
        check_frame(self.check(), slot_bytes_max + ENCODING_BYTES)

    def test_a_lost_slot_is_refused(self) -> None:
        """A chosen value that this acceptor no longer has could be chosen otherwise with its vote."""
        for slots, lost in (((2, 3), 1), ((1, 3), 2), ((1, 2), 3), ((), 1), ((1, 2, 4, 5), 3)):
            self.setUp()
            self.write(slots, chosen_through=3)
            self.assertRefused(f"lost slot {lost}", "slot 3")

    def test_a_log_that_is_not_the_one_that_was_applied(self) -> None:
        """Sound records with other values than those that were applied: catch-up would hand them to others."""
        values = [Value((Batch(1, 2, 3, seq, b"blob"),)) for seq in (1, 2, 3)]
        digest = digest_after(digest_after(NO_DIGEST, values[0]), values[1])
        records = {record_key(slot): pack_record(SlotRecord(Ballot(1, 1), each)) for slot, each in enumerate(values, 1)}
        self.put({**records, CHOSEN_THROUGH: pack_number(3)})
        self.put_state({APPLIED_THROUGH: pack_number(2), DIGEST: digest})
        self.check()
        other = pack_record(SlotRecord(Ballot(1, 1), values[2]))
        self.store.commit({record_key(3): pack_record(SlotRecord(Ballot(1, 1), values[0]))}, lambda failure: None)
        self.check()  # what is not applied yet is not known by its digest
        self.store.commit({record_key(1): other}, lambda failure: None)
        self.assertRefused("not the one that was applied", "up to 2")

    def test_applied_counts_as_chosen(self) -> None:
        """The mark of what is chosen is written later than what was applied: both claim the records."""
        self.write((1, 2), chosen_through=2, applied_through=3)
        self.assertRefused("lost slot 3")

    def test_a_log_that_was_compacted(self) -> None:
        """The log begins behind ``compacted_through``, with the digest that is stored there; leftovers do not count."""
        values = [Value((Batch(1, 2, 3, seq, b"blob"),)) for seq in range(1, 6)]
        digests = list(accumulate(values, digest_after, initial=NO_DIGEST))
        records = {record_key(slot): pack_record(SlotRecord(Ballot(1, 1), each)) for slot, each in enumerate(values, 1)}
        kept = {key: records[key] for key in (record_key(2), record_key(4), record_key(5))}
        self.put(kept | {CHOSEN_THROUGH: pack_number(5), COMPACTED: pack_compacted(3, digests[3])})
        self.put_state({APPLIED_THROUGH: pack_number(4), DIGEST: digests[4]})
        self.check()
        self.put({COMPACTED: pack_compacted(3, digests[2])})
        self.assertRefused("not the one that was applied", "up to 4")
        self.put({COMPACTED: pack_compacted(2, digests[2])})
        self.assertRefused("lost slot 3")

    def test_a_state_that_is_older_than_the_log(self) -> None:
        """Its directory was put back, or lost: what the log has given up is nowhere on this node."""
        self.put({record_key(5): RECORD, CHOSEN_THROUGH: pack_number(5), COMPACTED: pack_compacted(4, NO_DIGEST)})
        for applied_through in (0, 3):
            self.put_state({APPLIED_THROUGH: pack_number(applied_through)})
            self.assertRefused(f"the state ends at slot {applied_through}", "begins behind slot 4", "is lost")

    def test_damage_is_refused_wherever_it_is(self) -> None:
        """Also above the mark: an accepted value that is gone is a broken promise."""
        promises = {key: pack_ballot(1, 1) for key in (PROMISE, SLOT_BALLOT, slot_promise_key(7))}
        for key in (record_key(2), record_key(7), CHOSEN_THROUGH, APPLIED_THROUGH, *promises):
            self.setUp()
            self.write((1, 2, 3, 7), 3, 2)
            self.store.commit(promises, lambda failure: None)
            self.check()
            store = self.state if key == APPLIED_THROUGH else self.store
            store.durable[key] = store.durable[key][:-1]
            self.assertRefused("is damaged")

    def test_what_is_no_record_is_refused(self) -> None:
        """A good checksum over something else is a mistake of a program; voting on it would spread it."""
        self.write((1, 2), chosen_through=2)
        self.store.commit({record_key(2): b"not a record"}, lambda failure: None)
        self.assertRefused("slot 2 is damaged: not a slot record")
