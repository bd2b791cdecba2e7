"""The proposer that leads gives stamps: to slots with batches, and to empty ones when something is due."""

from __future__ import annotations

from sys import maxsize
from typing import Any

from dkv.actor import LEARNER, PROPOSER, Address
from dkv.ballot import Ballot
from dkv.events import ClocksAre, Due, Origins, TimerFired
from dkv.messages import Accept, Promise
from dkv.paxos.lead_time import LEAP_MS, RATE
from dkv.paxos.leadership import SLEPT
from dkv.records import SlotRecord, Value
from tests.paxos.test_proposer import FIRST, OneProposer, acceptor, batch, here, value


def stamps(sent: list[tuple[Address, Any]]) -> list[tuple[int, Value]]:
    """(slot, value) of the Accepts to node 2."""
    return [(message.slot, message.value) for to, message in sent if isinstance(message, Accept) and to.node == 2]


class StampTests(OneProposer):
    """Each promise came when the clocks of its node showed 0, and the monotonic clock shows 100 s then."""

    def pass_seconds(self, seconds: float) -> None:
        self.turn.now += seconds
        self.turn.wall_ms += int(seconds * 1000)

    def test_time_goes_on(self) -> None:
        """By the clock of the leader, and each Accept says what time it is."""
        self.open()
        self.pass_seconds(1.5)
        sent = self.submit(batch(1))
        self.assertEqual(stamps(sent), [(1, Value((batch(1),), 1_500))])
        self.assertEqual({message.clock for _, message in sent if isinstance(message, Accept)}, {1_500})

    def test_a_recovered_slot_keeps_its_stamp(self) -> None:
        """It may be chosen with that one. The new ones are above it, as the time never falls."""
        record = SlotRecord(Ballot(1, 0), Value((batch(7),), 9_000))
        self.assertEqual(stamps(self.lead((1, record))), [(1, record.value)])
        self.accepted(1, 1)
        self.accepted(2, 1)
        self.give(here(LEARNER), Origins(FIRST, 1, ((2, 0xB2, 1, 7),)))
        self.assertEqual(stamps(self.submit(batch(8))), [(2, Value((batch(8),), 9_000))])

    def test_never_below_the_state(self) -> None:
        """A snapshot or a restored backup may know a later time than any record."""
        self.lead()
        self.give(here(LEARNER), Origins(FIRST, 0, (), 20_000))
        self.assertEqual(stamps(self.submit(batch(1))), [(1, Value((batch(1),), 20_000))])

    def test_sent_again(self) -> None:
        """The stamp stays, and the Accept says what time it is now: an acceptor goes by that."""
        self.open()
        self.submit(batch(1))
        self.pass_seconds(1.0)
        (again,) = [
            message
            for to, message in self.give(here(PROPOSER), TimerFired("retransmit"))
            if isinstance(message, Accept) and to == acceptor(2)
        ]
        self.assertEqual((again.value.time, again.clock), (0, 1_000))

    def test_follows_the_clocks(self) -> None:
        """A quorum of them, and slowly."""
        self.open()
        self.give(here(PROPOSER), ClocksAre(((1, 900_000.0), (2, 900_000.0), (3, -1e9))))
        self.pass_seconds(10.0)
        self.assertEqual(stamps(self.submit(batch(1))), [(1, Value((batch(1),), int(10_000 * (1 + RATE))))])

    def test_a_late_promise(self) -> None:
        """All three clocks are better than two, as long as no stamp was given."""
        self.open()
        self.give(acceptor(3), Promise(FIRST, 0, 0, 1, 0, 1, (), 0, 70_000))
        self.give(acceptor(2), Promise(FIRST, 0, 0, 1, 0, 1, (), 0, 80_000))
        self.assertEqual(stamps(self.submit(batch(1))), [(1, Value((batch(1),), 70_000))])

    def test_asleep(self) -> None:
        """A machine that slept has missed time on its monotonic clock: it gives no stamp, and no lock is late."""
        self.open()
        self.turn.wall_ms += LEAP_MS + 1
        self.assertEqual(stamps(self.submit(batch(1))), [])
        self.give(here(PROPOSER), TimerFired("retransmit"))
        self.assertEqual(self.turn.notes[-1][1]["reason"], SLEPT)


class DueTests(OneProposer):
    """What is due comes though nobody writes."""

    def wish(self, at: int, through: int = 0) -> list[tuple[int, Value]]:
        return stamps(self.give(here(LEARNER), Due(at, through, 0)))

    def test_a_deadline(self) -> None:
        """An empty slot passes it, not before its time."""
        self.open()
        self.assertEqual(self.wish(2_000), [])
        self.assertEqual(self.turn.timers["due"], 102.0)
        self.turn.now = 102.0
        self.assertEqual(stamps(self.give(here(PROPOSER), TimerFired("due"))), [(1, Value((), 2_000))])
        self.assertEqual(self.wish(maxsize, 1), [])

    def test_told_before_it_leads(self) -> None:
        """The learner says it once; the lead may begin later."""
        self.wish(0)
        self.lead()
        self.assertEqual(stamps(self.give(here(LEARNER), Origins(FIRST, 0, ()))), [(1, Value((), 0))])

    def test_one_after_the_other(self) -> None:
        """While more is to be erased the next one follows as soon as one is applied."""
        self.open()
        self.assertEqual(self.wish(0), [(1, Value((), 0))])
        self.accepted(1, 1)
        self.assertEqual(stamps(self.accepted(2, 1)), [])
        self.assertEqual(self.wish(0, 1), [(2, Value((), 0))])

    def test_writes_do_it_as_well(self) -> None:
        """They have stamps; an empty slot beside them would be a commit for nothing."""
        self.open()
        self.submit(batch(1))
        self.assertEqual(self.wish(maxsize, 1), [])
        self.assertNotIn("due", self.turn.timers)

    def test_a_quiet_cluster(self) -> None:
        """Leading costs no slots."""
        self.open()
        self.turn.now += 1_000.0
        self.assertEqual(stamps(self.give(here(PROPOSER), TimerFired("retransmit"))), [])
        self.assertEqual(value().batches, ())
