"""The learner and the log's tail: when it lets the acceptor erase records."""

from __future__ import annotations

from dkv.actor import ACCEPTOR, HOST, Address
from dkv.ballot import Ballot
from dkv.events import Applied, Compacted, HoldLog, WrittenBack
from dkv.keys import APPLIED_THROUGH, COMPACTED, DIGEST, pack_compacted, pack_number, record_key
from dkv.paxos.tail import BLOCKS
from dkv.records import NO_DIGEST, SlotRecord, digest_after, pack_record
from dkv.settings import Limits
from dkv.state_messages import ChosenSlots, ReadChosen
from tests.paxos.test_learner import OneLearner, value


class CompactionTests(OneLearner):
    limits = Limits(poll_lag_slots_max=1, log_tail_slots_max=BLOCKS)

    def apply(self, first: int, last: int) -> None:
        """Apply these slots, which are on disk."""
        values = [value(f"v{slot}") for slot in range(first, last + 1)]
        for slot, held in enumerate(values, first):
            self.turn.persist(record_key(slot), pack_record(SlotRecord(Ballot(1, 1), held)))
        self.give(ChosenSlots(first, tuple(values), last))

    def digest(self, through: int) -> bytes:
        """The digest of the log up to a slot."""
        digest = NO_DIGEST
        for slot in range(1, through + 1):
            digest = digest_after(digest, value(f"v{slot}"))
        return digest

    def test_only_what_is_written_back(self) -> None:
        """Records are all that is left of a slot until the state on disk holds it: a crash would lose it (B11)."""
        self.apply(1, BLOCKS + 5)
        self.assertEqual(self.turn.persisted, {})
        self.assertEqual(self.give(WrittenBack(3), HOST), [(ACCEPTOR, Compacted(3))])
        self.assertEqual(self.give(WrittenBack(BLOCKS + 5), HOST), [(ACCEPTOR, Compacted(5))])

    def test_the_mark_is_on_disk_before_records_go(self) -> None:
        """Records that are missing above the mark look like damage at the next start: the node would be refused."""
        self.apply(1, BLOCKS + 2)
        self.give(WrittenBack(BLOCKS + 2), HOST)
        self.assertEqual(self.turn.persisted, {COMPACTED: pack_compacted(2, self.digest(2))})
        self.assertEqual(self.turn.sent, [(Address(1, ACCEPTOR), Compacted(2))], "it waits for the disk")
        self.assertEqual((self.turn.early, self.turn.staged), ([], {}))

    def test_a_tail_stays(self) -> None:
        """Peers that missed a few slots fetch them, and need no snapshot."""
        self.apply(1, BLOCKS)
        self.assertEqual(self.give(WrittenBack(BLOCKS), HOST), [])

    def test_held_while_the_state_is_being_sent(self) -> None:
        """The receiver goes on behind the state that it got: without those slots it would begin again."""
        self.apply(1, BLOCKS + 5)
        self.give(HoldLog(2), "donor")
        self.assertEqual(self.give(WrittenBack(BLOCKS + 5), HOST), [(ACCEPTOR, Compacted(2))])
        self.give(HoldLog(None), "donor")
        self.assertEqual(self.give(WrittenBack(BLOCKS + 5), HOST), [(ACCEPTOR, Compacted(5))])

    def test_a_restart_goes_on_behind_the_mark(self) -> None:
        """The log begins behind the mark, and its digest goes on from there."""
        self.apply(1, BLOCKS + 4)
        self.give(WrittenBack(BLOCKS + 4), HOST)
        stored = {key: held for key, held in self.turn.stored.items() if key not in map(record_key, (1, 2, 3, 4))}
        sent = self.begin(stored)
        through = BLOCKS + 4
        self.assertEqual(
            sent, [(Address(1, ACCEPTOR), Applied(through)), (Address(1, ACCEPTOR), ReadChosen(through + 1))]
        )
        self.apply(through + 1, through + 2)
        self.assertEqual(self.turn.stored[DIGEST], self.digest(through + 2))
        self.assertEqual(self.give(WrittenBack(through + 2), HOST), [(ACCEPTOR, Compacted(6))])
        self.assertEqual(self.turn.persisted, {COMPACTED: pack_compacted(6, self.digest(6))})

    def test_a_start_without_a_tail(self) -> None:
        """All that is applied may be compacted, as when the state came from a peer."""
        stored = {APPLIED_THROUGH: pack_number(9), DIGEST: b"d" * 16, COMPACTED: pack_compacted(9, b"d" * 16)}
        self.begin(stored)
        self.assertEqual(self.give(WrittenBack(9), HOST), [])
        self.apply(10, 10 + BLOCKS)
        self.assertEqual(self.give(WrittenBack(10 + BLOCKS), HOST), [(ACCEPTOR, Compacted(10))])
        self.assertEqual(self.turn.persisted, {COMPACTED: pack_compacted(10, digest_after(b"d" * 16, value("v10")))})
