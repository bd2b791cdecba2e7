"""The donor: one view a transfer, one bounded answer a request, and nothing is held for a peer that is gone."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import LEARNER, Address
from dkv.configurations import Configuration, Configurations, first_configurations
from dkv.events import HoldLog, MembersAre, TimerFired
from dkv.keys import STATE
from dkv.paxos.snapshots.donor import BUSY, LOOKS, NOT_UNDER_WAY, STRANGER, TIMER, SnapshotDonor
from dkv.settings import KIB, Limits, Timings
from dkv.state_messages import SnapshotChunk, SnapshotRefused, SnapshotRequest, SnapshotTaken, Transfer
from tests.paxos.snapshots.transfer import chunks, donor, receiver, state
from tests.turns import FakeTurn, inject

SILENCE = Timings().snapshot_silence_seconds
LOOK = SILENCE / LOOKS
T = (5, 1)
FIRST = first_configurations(range(1, 6))
HELD = Address(2, LEARNER)


class OneDonor(SynchronousTestCase):
    """The donor of node 2 of three, whose state is that after slot 7."""

    def setUp(self) -> None:
        self.begin(Limits(snapshot_chunk_bytes_max=1))

    def begin(self, limits: Limits) -> None:
        """A life with these limits."""
        self.turn = FakeTurn(stored=state(7, a="1", b="2"))
        self.donor = SnapshotDonor(2, FIRST, limits, Timings())
        self.donor.start(self.turn)

    def give(self, message: Any, node: int = 1) -> list[tuple[Address, Any]]:
        """Inject; what is sent."""
        return inject(self.donor, self.turn, receiver(node), message)

    def ask(self, chunk: int, transfer: Transfer = T, node: int = 1) -> Any:
        """A request; its answer, None if there is none."""
        sent = self.give(SnapshotRequest(transfer, chunk), node)
        answers = [message for to, message in sent if to == receiver(node)]
        self.assertLess(len(answers), 2)
        return answers[0] if answers else None

    def whole(self, transfer: Transfer = T, node: int = 1) -> list[SnapshotChunk]:
        """All chunks of a transfer."""
        got = [self.ask(0, transfer, node)]
        while got[-1].pairs:
            got.append(self.ask(len(got), transfer, node))
        return got

    def silence(self, seconds: float) -> list[tuple[Address, Any]]:
        """Time passes, and the timer fires when it is due; what is sent."""
        end, sent = self.turn.now + seconds, list[tuple[Address, Any]]()
        while self.turn.timers.get(TIMER, end + 1) <= end:
            self.turn.now = self.turn.timers.pop(TIMER)
            sent += inject(self.donor, self.turn, donor(2), TimerFired(TIMER))
        self.turn.now = end
        return sent

    def open_views(self) -> list[bool]:
        """Whether each view that was ever opened is open."""
        return [not view.closed for view in self.turn.states.views]


class SendingTests(OneDonor):
    def test_all_of_it(self) -> None:
        """A key that is left out is lost on the receiver; sessions and marks are part of it (B22)."""
        self.assertEqual(self.whole(), chunks(T, 7, state(7, a="1", b="2"), 1))
        self.assertEqual(self.open_views(), [False], "it has been read to its end")

    def test_of_one_moment(self) -> None:
        """What is written meanwhile belongs to later slots: a state with half of it never was."""
        first = self.ask(0)
        self.turn.stored |= state(9, a="changed", c="new")
        del self.turn.stored[STATE + b"\0b"]
        rest = [self.ask(number) for number in range(1, 7)]
        self.assertEqual([first, *rest], chunks(T, 7, state(7, a="1", b="2"), 1))

    def test_bounded(self) -> None:
        """A state of gigabytes in one message would be none that arrives (B17)."""
        self.begin(Limits(snapshot_chunk_bytes_max=KIB))
        self.turn.stored |= state(7, **{f"k{n:03}": "x" * 50 for n in range(100)})
        sizes = [sum(len(key) + len(value) for key, value in chunk.pairs) for chunk in self.whole()]
        self.assertLessEqual(max(sizes), KIB // 2)
        self.assertGreater(min(sizes[:-2]), KIB // 4)

    def test_lost_on_the_way(self) -> None:
        """A request that comes again gets the same bytes: its answer was lost."""
        for number in range(7):
            self.assertEqual(self.ask(number), self.ask(number))
        self.assertEqual(self.ask(6), chunks(T, 7, state(7, a="1", b="2"), 1)[-1])

    def test_late_requests(self) -> None:
        """The chunk before the last was taken, or there would be no later request; one further on was never there."""
        for number in range(3):
            self.ask(number)
        for number in (0, 1, 4):
            self.assertIsNone(self.ask(number))
        self.assertEqual(self.ask(3).chunk, 3)

    def test_strangers(self) -> None:
        """The state is for members; one that this donor does not know yet is told at once that it may ask others."""
        self.assertEqual(self.ask(0, node=9), SnapshotRefused(T, STRANGER))
        self.assertEqual(self.turn.states.views, [])
        sets = (*FIRST.sets, Configuration(10, 74, frozenset((1, 2)), frozenset((9,))))
        self.give(MembersAre(Configurations(sets, (), 9), 10), node=2)
        self.assertIsInstance(self.ask(0, node=9), SnapshotChunk)
        self.assertIsInstance(self.ask(0, (3, 1), node=3), SnapshotChunk, "its removal is not in force yet")
        self.give(MembersAre(Configurations(sets, (), 9), 73), node=2)
        self.assertEqual(self.ask(1, (3, 1), node=3), SnapshotRefused((3, 1), STRANGER))

    def test_a_removed_node_gives(self) -> None:
        """A member that is behind may find the state before the removal nowhere else: it would never come further."""
        sets = (*FIRST.sets, Configuration(10, 74, frozenset((9,))), Configuration(80, 144, frozenset((11,))))
        self.give(MembersAre(Configurations(sets, (), 11), 150), node=2)
        for node in (3, 9):
            self.assertIsInstance(self.ask(0, (node, 1), node=node), SnapshotChunk)
        self.assertEqual(self.ask(0, node=12), SnapshotRefused(T, STRANGER))


class FewTests(OneDonor):
    def test_busy(self) -> None:
        """Each transfer costs this node time and disk: its clients come first."""
        self.begin(Limits(snapshots_sent_max=2))
        for node in (1, 3):
            self.ask(0, (node, 1), node)
        self.assertEqual(self.ask(0, (4, 1), 4), SnapshotRefused((4, 1), BUSY))
        self.assertEqual(len(self.turn.states.views), 2)
        self.silence(SILENCE)
        self.assertIsInstance(self.ask(0, (4, 1), 4), SnapshotChunk)

    def test_one_of_each_peer(self) -> None:
        """A receiver that begins anew has given up what it had: it must not take a place twice."""
        self.begin(Limits(snapshots_sent_max=1))
        self.ask(0)
        self.assertIsInstance(self.ask(0, (5, 2)), SnapshotChunk)
        self.assertEqual(self.open_views(), [False, True])
        self.assertEqual(self.turn.noted(), ["snapshot_sending", "snapshot_sent", "snapshot_sending"])

    def test_a_peer_that_hears_nothing(self) -> None:
        """It asks again and again, and no answer arrives there: others would never get their turn."""
        self.begin(Limits(snapshot_chunk_bytes_max=1, snapshots_sent_max=1))
        self.ask(0, (5, 1), node=1)
        self.assertEqual(self.ask(0, (9, 1), node=3), SnapshotRefused((9, 1), BUSY), "it may be slow")
        self.ask(0, (5, 2), node=1)
        self.assertEqual(self.whole((9, 2), node=3), chunks((9, 2), 7, state(7, a="1", b="2"), 1))
        self.assertEqual(self.ask(0, (5, 3), node=1), SnapshotRefused((5, 3), BUSY))

    def test_a_peer_that_has_heard_something(self) -> None:
        """A slow transfer that goes on keeps its place, or two slow ones would end each other for ever."""
        self.begin(Limits(snapshot_chunk_bytes_max=1, snapshots_sent_max=1))
        for transfer in ((5, 1), (5, 2)):
            self.ask(0, transfer, node=1)
        self.ask(1, (5, 2), node=1)
        self.assertEqual(self.ask(0, (9, 1), node=3), SnapshotRefused((9, 1), BUSY))

    def test_an_earlier_transfer(self) -> None:
        """A request that was long on its way must not end the transfer that is under way."""
        self.ask(0, (5, 2))
        for transfer in ((5, 1), (4, 9)):
            self.assertIsNone(self.ask(0, transfer))
        self.assertEqual(self.ask(1, (5, 2)).chunk, 1)
        self.assertEqual(self.ask(0, (6, 1)).transfer, (6, 1), "of a later life")

    def test_after_a_restart(self) -> None:
        """Another view is of another moment: the receiver must begin again."""
        self.assertEqual(self.ask(3), SnapshotRefused(T, NOT_UNDER_WAY))
        self.ask(0)
        self.silence(SILENCE)
        for number in (0, 1):
            self.assertEqual(self.ask(number), SnapshotRefused(T, NOT_UNDER_WAY))
        self.assertEqual(self.open_views(), [False])


class HoldTests(OneDonor):
    def test_the_log_behind_it_is_kept(self) -> None:
        """Without the slots that follow the snapshot it is of no use, and the next one will be no better."""
        self.assertIn((HELD, HoldLog(7)), self.give(SnapshotRequest(T, 0)))
        self.whole()
        self.assertEqual(self.give(SnapshotTaken(T, 7)), [])
        self.assertEqual(self.give(SnapshotTaken(T, 30)), [(HELD, HoldLog(30))])
        self.assertEqual(self.give(SnapshotTaken(T, 20)), [], "late")
        self.assertEqual(self.silence(SILENCE - 1), [])
        self.assertEqual(self.silence(1 + LOOK), [(HELD, HoldLog(None))])

    def test_for_all_of_them(self) -> None:
        """The receiver that is furthest behind needs the most."""
        self.ask(0)
        self.turn.stored |= state(12)
        self.assertEqual(self.give(SnapshotRequest((9, 1), 0), 3)[:-1], [])
        self.assertEqual(self.give(SnapshotTaken(T, 20)), [(HELD, HoldLog(12))])

    def test_taken_before_its_end(self) -> None:
        """The last answer may be late; whoever has the snapshot in force needs the view no more."""
        self.ask(0)
        self.give(SnapshotTaken(T, 7))
        self.assertEqual(self.open_views(), [False])
        self.assertIsNone(self.ask(1))

    def test_taken_too_late(self) -> None:
        """Nothing is held for a transfer that was ended."""
        self.assertEqual(self.give(SnapshotTaken(T, 7)), [])


class SilenceTests(OneDonor):
    def test_a_dead_receiver(self) -> None:
        """A view keeps what is overwritten on disk, and a hold keeps the log: neither for a node that is gone."""
        self.ask(0)
        self.silence(LOOK)
        self.ask(0, (9, 1), 3)
        self.assertEqual(self.silence(SILENCE - LOOK), [])
        self.assertEqual(self.open_views(), [False, True])
        self.assertEqual(self.silence(2 * LOOK), [(HELD, HoldLog(None))])
        self.assertEqual((self.open_views(), self.turn.timers), ([False, False], {}))
        self.assertEqual(self.turn.noted(), ["snapshot_sending", "snapshot_sending", "snapshot_sent", "snapshot_sent"])

    def test_a_slow_receiver(self) -> None:
        """A transfer may take long as a whole."""
        for number in range(5):
            self.assertEqual(self.ask(number).chunk, number)
            self.silence(SILENCE - 1)
        self.assertEqual(self.open_views(), [True])
