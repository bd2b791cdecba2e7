"""The state checker: which slot it agrees on, what it sums, and whom it believes (B38)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import CHECKER, LEARNER, Address, Fenced
from dkv.client_events import ShortOfSpace
from dkv.configurations import Configuration, Configurations, first_configurations
from dkv.events import (
    AppliedThrough,
    Captured,
    CaptureMissed,
    CaptureState,
    Installed,
    MembersAre,
    ReportApplied,
    TimerFired,
)
from dkv.keys import APPLIED_THROUGH, pack_number
from dkv.paxos import state_checker
from dkv.paxos.state_checker import BEGIN, COMPARE, LEAD, READ, StateChecker
from dkv.records import ShortDisk
from dkv.settings import Limits, Timings
from dkv.state_messages import StateCheck, StateDigest
from dkv.state_sum import StateSum
from tests.turns import FakeTurn, FakeView, inject

HERE = Address(1, LEARNER)
STATE = {b"B1": b"mark", b"S\0a": b"1", b"S\0b": b"22", b"T": b"token"}


def view_at(slot: int, state: dict[bytes, bytes] = STATE) -> FakeView:
    """A view of the state after a slot."""
    return FakeView({APPLIED_THROUGH: pack_number(slot), **state})


def digest(slot: int, state: dict[bytes, bytes] = STATE) -> StateDigest:
    """What a node with this state says of it."""
    total = StateSum()
    total.add(state.items())
    return StateDigest(slot, total.digest, total.count)


SHORT = ShortOfSpace((ShortDisk(2, 200, 320),))
OTHER = digest(7, {**STATE, b"S\0a": b"other"})
ANOTHER = digest(7, {b"S\0a": b"1"})


class Checker:
    """The checker of node 1 of so many."""

    def __init__(self, size: int = 3, **timings: float) -> None:
        self.turn = FakeTurn()
        self.members: Sequence[int] = range(1, size + 1)
        self.checker = StateChecker(1, first_configurations(self.members), Limits(), Timings(**timings))
        self.checker.start(self.turn)

    def give(self, message: Any, sender: Address = HERE) -> list[tuple[Address, Any]]:
        """Inject a message of this node; what is sent."""
        return inject(self.checker, self.turn, sender, message)

    def hear(self, node: int, message: Any) -> list[tuple[Address, Any]]:
        """Inject a message of a peer; what is sent."""
        return self.give(message, Address(node, CHECKER))

    def to_peers(self, message: Any) -> list[tuple[Address, Any]]:
        """What it looks like when all peers are told."""
        return [(Address(node, CHECKER), message) for node in self.members if node != 1]

    def summed(self, slot: int = 7, state: dict[bytes, bytes] = STATE) -> None:
        """It has summed its state after a slot."""
        self.hear(2, StateCheck(slot))
        self.give(Captured(view_at(slot, state)))
        self.give(TimerFired(READ))
        self.give(TimerFired(COMPARE))


class SlotTests(SynchronousTestCase):
    """Which slot a check is for."""

    def setUp(self) -> None:
        self.node = Checker()

    def test_a_little_ahead(self) -> None:
        """At the rate of the last second all nodes can still stop there; a slot that is past is no check."""
        node = self.node
        self.assertEqual(node.give(TimerFired(BEGIN)), [(HERE, ReportApplied())])
        self.assertEqual(node.give(AppliedThrough(100)), [])
        self.assertEqual(node.turn.timers[LEAD], node.turn.now + state_checker.LEAD_SECONDS)
        self.assertEqual(node.give(TimerFired(LEAD)), [(HERE, ReportApplied())])
        sent = node.give(AppliedThrough(130))
        self.assertEqual(sent, [(HERE, CaptureState(160)), *node.to_peers(StateCheck(160))])

    def test_idle(self) -> None:
        """Without writes it is the last slot: waiting for another one would be waiting for a client."""
        for message in (TimerFired(BEGIN), AppliedThrough(7), TimerFired(LEAD)):
            self.node.give(message)
        sent = self.node.give(AppliedThrough(7))
        self.assertEqual(sent, [(HERE, CaptureState(7)), *self.node.to_peers(StateCheck(7))])

    def test_nothing_applied(self) -> None:
        """A new cluster has nothing to compare."""
        for message in (TimerFired(BEGIN), AppliedThrough(0), TimerFired(LEAD)):
            self.node.give(message)
        self.assertEqual(self.node.give(AppliedThrough(0)), [])

    def test_a_peer_begins(self) -> None:
        """It takes part, puts off its own check, and does not tell anybody: the peer has."""
        del self.node.turn.timers[BEGIN]
        self.assertEqual(self.node.hear(2, StateCheck(9)), [(HERE, CaptureState(9))])
        wait = self.node.turn.timers[BEGIN] - self.node.turn.now
        self.assertTrue(450 <= wait <= 750, wait)

    def test_a_peer_begins_while_it_measures(self) -> None:
        """The answers to its own questions come too late."""
        self.node.give(TimerFired(BEGIN))
        self.node.hear(2, StateCheck(9))
        self.assertEqual(self.node.give(AppliedThrough(100)), [])

    def test_two_begin(self) -> None:
        """All go for the later slot, whatever order they hear of both in."""
        self.node.hear(2, StateCheck(9))
        self.assertEqual(self.node.hear(3, StateCheck(12)), [(HERE, CaptureState(12))])
        self.assertEqual(self.node.hear(2, StateCheck(9)), [])

    def test_strangers(self) -> None:
        """Who is no member begins nothing, and its digest counts for nothing."""
        self.assertEqual(self.node.hear(9, StateCheck(9)), [])
        self.node.summed()
        self.node.hear(9, OTHER)
        self.assertEqual(self.node.turn.noted(), [])

    def test_missed(self) -> None:
        """It was past the slot: it takes no part, and joins the next one, whose slot may be a lower one."""
        self.node.hear(2, StateCheck(9))
        self.node.give(CaptureMissed(8))
        self.assertEqual(self.node.turn.noted(), [])
        self.node.give(CaptureMissed(9))
        self.assertEqual(self.node.turn.noted(), ["state_check_missed"])
        self.assertEqual(self.node.hear(3, StateCheck(5)), [(HERE, CaptureState(5))])

    def test_never_reached(self) -> None:
        """Clients went silent: the check is given up when the next one is due, and a view that comes yet is closed."""
        self.node.hear(2, StateCheck(9))
        self.assertEqual(self.node.give(TimerFired(BEGIN)), [(HERE, ReportApplied())])
        late = view_at(9)
        self.assertEqual(self.node.give(Captured(late)), [])
        self.assertTrue(late.closed)

    def test_off(self) -> None:
        """Zero seconds is never; a node alone has nobody to compare with. It takes part in a check of others."""
        self.assertEqual(Checker(1).turn.timers, {})
        node = Checker(state_check_seconds=0)
        self.assertEqual(node.turn.timers, {})
        self.assertEqual(node.hear(2, StateCheck(9)), [(HERE, CaptureState(9))])
        self.assertEqual(node.turn.timers, {})


class SumTests(SynchronousTestCase):
    """How the state is read."""

    def setUp(self) -> None:
        self.node = Checker()
        self.node.hear(2, StateCheck(7))

    def test_in_pieces(self) -> None:
        """A large state is read under the byte rate; all of it counts once, and the view is closed at its end."""
        self.patch(state_checker, "PIECE_BYTES", 6)
        view = view_at(7)
        sent = self.node.give(Captured(view))
        while not sent:
            wait = self.node.turn.timers.pop(READ) - self.node.turn.now
            self.assertTrue(0 < wait <= 9 / Limits().state_check_bytes_per_second + 1e-9, wait)
            sent = self.node.give(TimerFired(READ))
        self.assertEqual(sent, self.node.to_peers(digest(7)))
        self.assertTrue(view.closed)

    def test_one_at_a_time(self) -> None:
        """While it reads, other checks pass it by: each view keeps overwritten data on the disk."""
        view = view_at(7)
        self.node.give(Captured(view))
        self.assertEqual(self.node.hear(3, StateCheck(9)), [])
        self.assertEqual(self.node.give(TimerFired(BEGIN)), [])
        other = view_at(9)
        self.node.give(Captured(other))
        self.assertEqual((other.closed, view.closed), (True, False))

    def test_of_another_slot(self) -> None:
        """The view of a check that was given up is not taken for that of the next one."""
        view = view_at(6)
        self.assertEqual(self.node.give(Captured(view)), [])
        self.assertTrue(view.closed)
        self.assertEqual(self.node.give(Captured(view_at(7))), [])
        self.assertEqual(self.node.give(TimerFired(READ)), self.node.to_peers(digest(7)))

    def test_a_snapshot_meanwhile(self) -> None:
        """The state is not in force any more, and its directory can be erased once no view of it is open."""
        view = view_at(7)
        self.node.give(Captured(view))
        self.node.give(Installed(20))
        self.assertTrue(view.closed)
        self.assertNotIn(READ, self.node.turn.timers)
        self.assertEqual(self.node.hear(3, StateCheck(30)), [(HERE, CaptureState(30))])


class ShortageTests(SynchronousTestCase):
    """While a view is open, deleting keys makes no room."""

    def setUp(self) -> None:
        self.node = Checker()

    def test_while_it_reads(self) -> None:
        """The view goes at once; when there is room again, there are checks again."""
        view = view_at(7)
        self.node.hear(2, StateCheck(7))
        self.node.give(Captured(view))
        self.node.give(SHORT)
        self.assertTrue(view.closed)
        self.assertNotIn(READ, self.node.turn.timers)
        self.assertEqual(self.node.hear(2, StateCheck(9)), [])
        self.assertEqual(self.node.give(TimerFired(BEGIN)), [])
        self.assertIn(BEGIN, self.node.turn.timers)
        self.node.give(ShortOfSpace(()))
        self.assertEqual(self.node.hear(2, StateCheck(11)), [(HERE, CaptureState(11))])

    def test_while_it_waits(self) -> None:
        """A view that comes now is closed unread."""
        view = view_at(7)
        self.node.hear(2, StateCheck(7))
        self.node.give(SHORT)
        self.node.give(Captured(view))
        self.assertTrue(view.closed)

    def test_while_it_measures(self) -> None:
        """It names no slot to anybody."""
        self.node.give(TimerFired(BEGIN))
        self.node.give(AppliedThrough(100))
        self.node.give(SHORT)
        self.node.give(TimerFired(LEAD))
        self.assertEqual(self.node.give(AppliedThrough(100)), [])


class ComparisonTests(SynchronousTestCase):
    """Whom it believes."""

    def test_all_agree(self) -> None:
        """Whoever finishes first, before or after this node; nothing is said of it in the log."""
        node = Checker()
        node.hear(2, digest(7))
        node.summed()
        node.hear(3, digest(7))
        self.assertEqual(node.turn.noted(), [])
        told = [(fields["peer"], fields["same"], fields["slot"], fields["pairs"]) for _, fields in node.turn.measures]
        self.assertEqual(told, [(2, True, 7, 4), (3, True, 7, 4)])

    def test_a_majority_differs(self) -> None:
        """This node cannot be right: its answers may be wrong from now on."""
        node = Checker()
        node.summed()
        node.hear(2, OTHER)
        error = self.assertRaises(Fenced, node.hear, 3, OTHER)
        self.assertEqual(str(error), "the state here after slot 7 is not that of nodes 2, 3")

    def test_heard_before_it_has_summed(self) -> None:
        """A node with a slow disk is the last to know; it tells the others before it goes."""
        node = Checker()
        node.hear(2, OTHER)
        node.hear(3, OTHER)
        node.hear(2, StateCheck(7))
        node.give(Captured(view_at(7)))
        self.assertEqual(node.give(TimerFired(READ)), node.to_peers(digest(7)))
        self.assertIn(COMPARE, node.turn.timers)
        self.assertRaises(Fenced, node.give, TimerFired(COMPARE))

    def test_b38_one_differs(self) -> None:
        """The other one may be wrong: this node says so, once, and goes on."""
        node = Checker()
        node.summed()
        node.hear(2, OTHER)
        node.hear(3, digest(7))
        self.assertEqual(node.turn.notes, [("state_differs", {"peer": 2, "slot": 7, "differing": [2]})])

    def test_b38_none_agree(self) -> None:
        """Three states are three opinions: if each node left, one right one would be gone too."""
        node = Checker()
        node.summed()
        node.hear(2, OTHER)
        node.hear(3, ANOTHER)
        self.assertEqual(node.turn.noted(), ["state_differs", "state_differs"])
        self.assertEqual(node.turn.notes[-1][1]["differing"], [2, 3])

    def test_b38_two_of_five(self) -> None:
        """Two bad replicas are no majority."""
        node = Checker(5)
        node.summed()
        for peer, claim in ((2, OTHER), (3, OTHER), (4, digest(7)), (5, digest(7))):
            node.hear(peer, claim)
        self.assertEqual(node.turn.noted(), ["state_differs", "state_differs"])

    def test_three_of_five(self) -> None:
        """Three of five are one."""
        node = Checker(5)
        node.summed()
        node.hear(2, OTHER)
        node.hear(3, OTHER)
        node.hear(4, ANOTHER)
        self.assertRaises(Fenced, node.hear, 5, OTHER)

    def test_other_slots(self) -> None:
        """States after different slots may differ."""
        node = Checker()
        node.summed()
        node.hear(2, digest(8, {}))
        node.hear(3, digest(6, {}))
        self.assertEqual((node.turn.noted(), node.turn.measures), ([], []))

    def test_agrees_again(self) -> None:
        """The peer was replaced: what was said of it is taken back."""
        node = Checker()
        node.summed()
        node.hear(2, OTHER)
        node.summed(9)
        node.hear(2, digest(9))
        self.assertEqual(node.turn.notes[-1], ("state_agrees", {"peer": 2, "slot": 9, "differing": []}))

    def test_few_are_remembered(self) -> None:
        """A peer that says one digest after another takes no memory, and the newest count."""
        node = Checker()
        for slot in range(1, 100):
            node.hear(2, digest(slot, {}))
        node.summed(99)
        self.assertEqual(node.turn.noted(), ["state_differs"])
        node.summed(50)
        self.assertEqual(len(node.turn.measures), 1)


class MembersTests(SynchronousTestCase):
    """Whom it tells and believes while members change."""

    def members_are(self, node: Checker, voters: tuple[int, ...], standbys: tuple[int, ...] = ()) -> None:
        """A set is in force."""
        newest = Configuration(10, 74, frozenset(voters), frozenset(standbys))
        node.members = sorted(newest.members)
        self.assertEqual(node.give(MembersAre(Configurations((newest,), (), 9), 100)), [])

    def test_all_members_are_told(self) -> None:
        """The state of a standby is compared before it votes, not when it is relied on."""
        node = Checker()
        self.members_are(node, (1, 2, 4), (5,))
        node.hear(2, StateCheck(7))
        node.give(Captured(view_at(7)))
        self.assertEqual(node.give(TimerFired(READ)), node.to_peers(digest(7)))
        self.assertEqual(node.members, [1, 2, 4, 5])

    def test_strangers_are_not_heard(self) -> None:
        """A node that was removed begins no check, and what it said of its state is forgotten."""
        node = Checker()
        node.summed()
        node.hear(3, OTHER)
        node.hear(3, digest(9, {}))
        self.members_are(node, (1, 2, 4))
        self.assertEqual(node.hear(3, StateCheck(9)), [])
        node.summed(9)
        node.hear(3, OTHER)
        node.hear(2, OTHER)
        self.assertEqual(node.turn.notes[-1], ("state_differs", {"peer": 2, "slot": 7, "differing": [2]}))

    def test_b38_voters_alone_decide(self) -> None:
        """Standbys that differ are no reason to fence a voter, however many they are."""
        node = Checker(5)
        self.members_are(node, (1, 2, 3), (4, 5))
        node.summed()
        for peer in (2, 4, 5):
            node.hear(peer, OTHER)
        self.assertRaises(Fenced, node.hear, 3, OTHER)

    def test_b38_one_voter_is_not_enough(self) -> None:
        """The only voter is the bad replica: the good standbys must not give their directories up for it."""
        node = Checker()
        self.members_are(node, (2,), (1, 3))
        node.summed()
        node.hear(2, OTHER)
        node.hear(3, OTHER)
        self.assertEqual(node.turn.noted(), ["state_differs", "state_differs"])

    def test_begins_when_there_are_others(self) -> None:
        """A cluster of one has nothing to compare with; it begins when it grows, and plans no second time."""
        node = Checker(1)
        self.assertEqual(node.turn.timers, {})
        self.members_are(node, (1,), (2,))
        planned = dict(node.turn.timers)
        self.assertEqual(list(planned), [BEGIN])
        self.members_are(node, (1, 2))
        self.assertEqual(node.turn.timers, planned)
