"""The receiver: chunk after chunk onto the disk, from one donor into one generation, and in force only as a whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import CATCHUP, ELECTOR, LEARNER, Address
from dkv.ballot import Ballot
from dkv.client_events import LeaderIs
from dkv.configurations import Configuration, Configurations, first_configurations
from dkv.events import (
    CaughtUp,
    FetchSnapshot,
    Install,
    Installed,
    MembersAre,
    Outdated,
    PeerUp,
    SnapshotFetched,
    StateWritten,
    TimerFired,
)
from dkv.paxos.snapshots.donor import STRANGER
from dkv.paxos.snapshots.receiver import TIMER, SnapshotReceiver
from dkv.settings import Limits, Timings
from dkv.state_messages import SnapshotChunk, SnapshotRefused, SnapshotRequest, SnapshotTaken
from tests.paxos.snapshots.transfer import ME, chunks, donor, receiver, state
from tests.turns import FakeTurn, inject

RETRY, SILENCE = Timings().catchup_retry_seconds, Timings().snapshot_silence_seconds
MOMENT = 0.01
STATE = state(7, a="1", b="2")
ITSELF = receiver(1)
Sent = list[tuple[Address, Any]]


class OneReceiver(SynchronousTestCase):
    """The receiver of node 1 of three, in its third boot; it lacks slot 4."""

    def setUp(self) -> None:
        self.begin(Limits(snapshot_bytes_per_second=1 << 40))

    def begin(self, limits: Limits, members: tuple[int, ...] = (1, 2, 3)) -> None:
        """A life with these limits."""
        self.turn = FakeTurn()
        self.receiver = SnapshotReceiver(ME, first_configurations(members), limits, Timings())
        self.receiver.start(self.turn)

    def give(self, message: Any, sender: Address = ITSELF) -> Sent:
        """Inject; what is sent."""
        return inject(self.receiver, self.turn, sender, message)

    def fetch(self, *compacted_at: int) -> Sent:
        """Catch-up finds no log that helps; these peers have answered it."""
        return self.give(FetchSnapshot(4, frozenset(compacted_at)), Address(1, CATCHUP))

    def chunk(self, chunk: SnapshotChunk, node: int = 2) -> Sent:
        """A donor answers."""
        return self.give(chunk, donor(node))

    def written(self, generation: int = 2) -> Sent:
        """The chunk is on disk, a moment later."""
        self.turn.now += MOMENT
        return self.give(StateWritten(generation))

    def fire(self) -> Sent:
        """Time passes until the timer is due."""
        self.turn.now = self.turn.timers.pop(TIMER)
        return self.give(TimerFired(TIMER))

    def take(self, node: int = 2, number: int = 1, generation: int = 2, **values: str) -> Sent:
        """A whole transfer; what is sent at its end."""
        sent: Sent = []
        for chunk in chunks((3, number), 7, state(7, **values)):
            sent = self.chunk(chunk, node)
            if chunk.pairs:
                sent = self.written(generation)
                self.assertEqual(sent, [(donor(node), SnapshotRequest((3, number), chunk.chunk + 1))])
        return sent


class TransferTests(OneReceiver):
    def test_all_of_it(self) -> None:
        """One request, one answer; the next request when that is on disk; in force when all of it is."""
        self.assertEqual(self.fetch(), [(donor(2), SnapshotRequest((3, 1), 0))])
        for chunk in chunks((3, 1), 7, STATE)[:-1]:
            self.assertEqual(self.chunk(chunk), [], "the disk comes first")
            self.assertEqual(self.turn.timers, {})
            self.assertEqual(self.written(), [(donor(2), SnapshotRequest((3, 1), chunk.chunk + 1))])
        end = self.chunk(chunks((3, 1), 7, STATE)[-1])
        self.assertEqual(end, [(Address(1, LEARNER), Install(2, 7))])
        self.assertEqual((self.turn.states.written, self.turn.timers), ({2: STATE}, {}))

    def test_not_before_the_last_chunk(self) -> None:
        """A state without its last keys is no state; nor is one whose last keys are on no disk."""
        self.fetch()
        made = chunks((3, 1), 7, STATE, 100)
        self.chunk(made[0])
        self.assertEqual(self.chunk(made[1]), [], "nobody has asked for it yet")
        self.assertEqual(self.written(), [(donor(2), SnapshotRequest((3, 1), 1))])
        self.assertEqual(self.chunk(made[1]), [(Address(1, LEARNER), Install(2, 7))])

    def test_in_force(self) -> None:
        """Catch-up goes on with the donor, which keeps what follows, and is told how far that has been fetched."""
        self.fetch()
        self.take()
        sent = self.give(Installed(7), Address(1, LEARNER))
        fetched = (Address(1, CATCHUP), SnapshotFetched(7, 2))
        self.assertEqual(sent, [(donor(2), SnapshotTaken((3, 1), 7)), fetched])
        self.assertEqual(self.give(CaughtUp(11), Address(1, CATCHUP)), [(donor(2), SnapshotTaken((3, 1), 11))])
        self.assertEqual(self.turn.noted(), ["snapshot_receiving", "snapshot_received"])

    def test_outdated(self) -> None:
        """The slots came another way: catch-up goes on, and the donor need keep nothing."""
        self.fetch()
        self.take()
        self.assertEqual(self.give(Outdated(), Address(1, LEARNER)), [(Address(1, CATCHUP), SnapshotFetched(7, 2))])

    def test_again_later(self) -> None:
        """The next snapshot is a transfer, and a generation, of its own."""
        self.fetch()
        self.take()
        self.give(Installed(7), Address(1, LEARNER))
        del self.turn.states.written[2]
        self.assertEqual(self.give(FetchSnapshot(9, frozenset())), [(donor(2), SnapshotRequest((3, 2), 0))])
        made = chunks((3, 2), 9, state(9))
        self.chunk(made[0])
        self.assertEqual(list(self.turn.states.written), [3])


class LostTests(OneReceiver):
    def test_a_lost_message(self) -> None:
        """The request is sent again, the same one."""
        self.fetch()
        self.chunk(chunks((3, 1), 7, STATE)[0])
        self.written()
        for _ in range(3):
            self.assertEqual(self.fire(), [(donor(2), SnapshotRequest((3, 1), 1))])
        self.chunk(chunks((3, 1), 7, STATE)[1])
        self.assertEqual(self.written(), [(donor(2), SnapshotRequest((3, 1), 2))])

    def test_repeats(self) -> None:
        """What was taken is not taken twice: the checksum would be wrong, and the transfer in vain."""
        self.fetch()
        made = chunks((3, 1), 7, STATE)
        for chunk in made[:-1]:
            self.chunk(chunk)
            self.assertEqual(self.chunk(chunk), [])
            self.written()
            self.assertEqual(self.written(), [], "of an earlier write")
            self.assertEqual(self.chunk(chunk), [])
        self.assertEqual(self.chunk(made[-1]), [(Address(1, LEARNER), Install(2, 7))])
        self.assertEqual(self.chunk(made[-1]), [])

    def test_an_answer_of_an_earlier_transfer(self) -> None:
        """Chunks of two moments in one generation are a state that never was."""
        self.fetch()
        self.fire()
        self.assertEqual(self.chunk(chunks((3, 1), 7, STATE)[0]), [])
        self.assertEqual(self.give(SnapshotRefused((3, 1), "busy"), donor(2)), [])
        self.assertEqual(self.turn.states.written, {})
        self.chunk(chunks((3, 2), 7, STATE)[0], 3)
        self.assertEqual(list(self.turn.states.written), [2])

    def test_an_answer_to_an_earlier_life(self) -> None:
        """Nothing was asked for yet."""
        self.assertEqual(self.chunk(chunks((3, 1), 7, STATE)[0]), [])
        self.assertEqual(self.chunk(SnapshotChunk((0, 0), 0, 0, (), 0)), [])
        self.assertEqual(self.give(SnapshotRefused((0, 0), "busy"), donor(2)), [])


class DonorTests(OneReceiver):
    def test_the_leader_last(self) -> None:
        """It has most to do: a follower's disk and processor are idle half of the time."""
        self.begin(Limits(), (1, 2, 3, 4))
        self.give(LeaderIs(2, Ballot(4, 2)), Address(1, ELECTOR))
        asked = [self.fetch()[0][0].node, self.fire()[0][0].node, self.fire()[0][0].node]
        self.assertEqual(asked, [3, 4, 2])

    def test_those_that_have_answered_first(self) -> None:
        """The old voters may all be switched off by now: each of them costs a while."""
        self.begin(Limits(), (1, 2, 3, 4))
        self.give(LeaderIs(4, Ballot(1, 4)), Address(1, ELECTOR))
        sent = [self.fetch(4), *(self.fire() for _ in range(2))]
        self.assertEqual([to.node for each in sent for to, _ in each], [4, 2, 3])

    def test_one_that_comes_back_is_next(self) -> None:
        """After a cut a node would go through all dead ones first, and its clients wait."""
        self.begin(Limits(), (1, 2, 3, 4))
        back = PeerUp(4, 77, 2)
        self.assertEqual(self.give(back), [], "nothing is missing")
        self.fetch()
        self.assertEqual(self.give(back), [], "the first one has its time to answer")
        asked = [self.fire()[0][0].node for _ in range(2)]
        self.assertEqual((asked, self.fire()), ([4, 3], []), "all were asked")
        self.assertEqual(self.give(PeerUp(9, 77, 2)), [], "it is no member")
        self.assertEqual([to.node for to, _ in self.give(back)], [4])

    def test_standbys_behind_the_voters(self) -> None:
        """A standby may be far behind; who was removed may be switched off."""
        self.begin(Limits(), (1, 2, 3, 4))
        self.give(LeaderIs(3, Ballot(4, 3)), Address(1, ELECTOR))
        made = Configuration(10, 74, frozenset((1, 3, 5)), frozenset((2, 6)))
        self.give(MembersAre(Configurations((made,), (), 6), 73), Address(1, LEARNER))
        asked = [self.fetch()[0][0].node, *(self.fire()[0][0].node for _ in range(3))]
        self.assertEqual(asked, [5, 3, 2, 6])

    def test_a_node_that_joins(self) -> None:
        """The members that its log begins with may all be gone: it asks those in its config file."""
        self.receiver = SnapshotReceiver(ME, first_configurations((2, 3)), Limits(), Timings(), hints=(1, 8))
        self.assertEqual([to for to, _ in self.fetch()], [donor(8)])

    def test_a_donor_that_does_not_know_it(self) -> None:
        """That donor is behind the slot which adds this node: the next one is asked at once."""
        self.fetch()
        refused = SnapshotRefused((3, 1), STRANGER)
        self.assertEqual(self.give(refused, donor(2)), [(donor(3), SnapshotRequest((3, 2), 0))])

    def test_a_dead_donor(self) -> None:
        """Another one's snapshot is of another moment: it begins anew, in a new generation, and the old one goes."""
        self.fetch()
        self.chunk(chunks((3, 1), 7, STATE)[0])
        self.written()
        began = self.turn.now
        sent: Sent = [(donor(2), None)]
        while sent[0][0] == donor(2):
            sent = self.fire()
        self.assertAlmostEqual(self.turn.now - began, SILENCE)
        self.assertEqual(sent, [(donor(3), SnapshotRequest((3, 2), 0))])
        self.assertEqual((self.turn.states.abandoned, self.turn.states.written), ([2], {}))
        self.assertEqual(self.take(3, 2, 3, a="1", b="2"), [(Address(1, LEARNER), Install(3, 7))])
        self.assertEqual(self.turn.states.written, {3: STATE})

    def test_one_that_never_answers(self) -> None:
        """It may be down for good: the next one is asked at once."""
        self.assertEqual(self.fetch()[0][0], donor(2))
        self.assertEqual(self.fire(), [(donor(3), SnapshotRequest((3, 2), 0))])
        self.assertEqual(self.turn.now, 100 + RETRY)

    def test_refused(self) -> None:
        """One that is busy, or knows nothing of the transfer any more, says so: nobody waits for it."""
        self.fetch()
        sent = self.give(SnapshotRefused((3, 1), "busy"), donor(2))
        self.assertEqual(sent, [(donor(3), SnapshotRequest((3, 2), 0))])
        self.chunk(chunks((3, 2), 7, STATE)[0], 3)
        self.written()
        self.assertEqual(self.give(SnapshotRefused((3, 2), "restarted"), donor(3)), [])
        self.assertEqual(self.turn.states.abandoned, [2])
        self.assertEqual(self.fire(), [(donor(2), SnapshotRequest((3, 3), 0))], "later, from the first one on")

    def test_refused_meanwhile(self) -> None:
        """A write is under way in that generation; the next request will be refused too."""
        self.fetch()
        self.chunk(chunks((3, 1), 7, STATE)[0])
        self.assertEqual(self.give(SnapshotRefused((3, 1), "restarted"), donor(2)), [])
        self.assertEqual(self.turn.states.abandoned, [])

    def test_of_no_help(self) -> None:
        """A state that ends below what is missing here helps as little as that node's log."""
        self.fetch()
        sent = self.chunk(chunks((3, 1), 3, state(3))[0])
        self.assertEqual(sent, [(donor(3), SnapshotRequest((3, 2), 0))])
        self.assertEqual(self.turn.states.written, {})
        self.chunk(chunks((3, 2), 4, state(4))[0], 3)
        self.assertEqual(list(self.turn.states.written), [2])

    def test_a_wrong_chunk(self) -> None:
        """Damage ends the transfer: what came before it is given up too."""
        self.fetch()
        made = chunks((3, 1), 7, STATE)
        self.chunk(made[0])
        self.written()
        sent = self.chunk(replace(made[1], checksum=1))
        self.assertEqual(sent, [(donor(3), SnapshotRequest((3, 2), 0))])
        self.assertEqual(self.turn.states.abandoned, [2])
        self.assertIn("checksum", self.turn.notes[-1][1]["reason"])


class RateTests(OneReceiver):
    def test_the_byte_rate(self) -> None:
        """Clients of both nodes are served meanwhile: a snapshot takes its share and no more."""
        self.begin(Limits(snapshot_chunk_bytes_max=64, snapshot_bytes_per_second=100))
        self.fetch()
        made = chunks((3, 1), 7, STATE)
        size = sum(len(key) + len(value) for key, value in made[0].pairs)
        self.chunk(made[0])
        self.turn.now += 0.1
        self.assertEqual(self.written(), [], "later")
        self.assertEqual(self.fire(), [(donor(2), SnapshotRequest((3, 1), 1))])
        self.assertAlmostEqual(self.turn.now, 100 + size / 100)
        self.assertEqual(self.turn.measures, [("snapshot_progress", {"bytes": size})])

    def test_a_slow_disk_is_pause_enough(self) -> None:
        """The time that the disk took counts."""
        self.begin(Limits(snapshot_chunk_bytes_max=64, snapshot_bytes_per_second=100))
        self.fetch()
        self.chunk(chunks((3, 1), 7, STATE)[0])
        self.turn.now += 1
        self.assertEqual(self.written(), [(donor(2), SnapshotRequest((3, 1), 1))])

    def test_a_large_value(self) -> None:
        """A pause that is longer than the donor's patience would end every transfer at the same key."""
        self.begin(Limits(snapshot_chunk_bytes_max=64, snapshot_bytes_per_second=100))
        self.fetch()
        self.chunk(chunks((3, 1), 7, state(7, a="x" * 10_000), 100)[0])
        self.written()
        self.fire()
        self.assertAlmostEqual(self.turn.now, 100 + RETRY)
