"""Catch-up: gaps are fetched in bounded steps, from whoever helps."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import ACCEPTOR, CATCHUP, LEARNER, PROPOSER, RECEIVER, Address
from dkv.configurations import Configuration, Configurations, first_configurations
from dkv.events import (
    CatchUp,
    CaughtUp,
    FetchSnapshot,
    Learn,
    Learned,
    MembersAre,
    Missing,
    PeerUp,
    SnapshotFetched,
    TimerFired,
)
from dkv.paxos.catchup import Catchup
from dkv.records import NOOP
from dkv.settings import Timings
from dkv.state_messages import ChosenSlots, CompactedThrough, ReadChosen
from tests.turns import FakeTurn, inject

TIMINGS = Timings()


def acceptor(node: int) -> Address:
    """An acceptor."""
    return Address(node, ACCEPTOR)


def fetch_snapshot(first: int, *compacted_at: int) -> FetchSnapshot:
    """What the receiver is asked for."""
    return FetchSnapshot(first, frozenset(compacted_at))


class OneCatchup(SynchronousTestCase):
    """Catch-up of node 1 of three."""

    def setUp(self) -> None:
        self.turn = FakeTurn()
        self.catchup = Catchup(1, first_configurations((1, 2, 3)), TIMINGS)
        self.catchup.start(self.turn)

    def give(self, sender: Address, message: Any) -> list[tuple[Address, Any]]:
        """Inject; what is sent."""
        self.turn.take()
        return inject(self.catchup, self.turn, sender, message)

    def missing(self, first: int, through: int, node: int = 2) -> list[tuple[Address, Any]]:
        """The acceptor reports a gap."""
        return self.give(acceptor(1), Missing(first, through, node))

    def fire(self, name: str) -> list[tuple[Address, Any]]:
        """A timer."""
        self.turn.timers.pop(name)
        return self.give(Address(1, CATCHUP), TimerFired(name))

    def fetch(self, first: int = 1, through: int = 9, node: int = 2) -> None:
        """A gap that does not close by itself."""
        self.missing(first, through, node)
        self.assertEqual(self.fire("grace"), [(acceptor(node), ReadChosen(first))])

    def slots(self, node: int, first: int, count: int, through: int = 9) -> list[tuple[Address, Any]]:
        """A peer answers."""
        return self.give(acceptor(node), ChosenSlots(first, (NOOP,) * count, through))


class CatchupTests(OneCatchup):
    def test_a_moment_first(self) -> None:
        """A slow disk or a late Accept must not cost a fetch for every slot."""
        self.assertEqual(self.missing(5, 6), [])
        self.assertEqual(self.turn.timers, {"grace": self.turn.now + TIMINGS.catchup_grace_seconds})
        self.missing(7, 7)
        self.assertEqual(self.fire("grace"), [], "it moved by itself")
        self.missing(8, 7)
        self.assertEqual(self.fire("grace"), [], "it is closed")
        self.assertEqual((self.turn.timers, self.turn.noted()), ({}, []))

    def test_an_answer_to_an_earlier_life(self) -> None:
        """A node that was restarted gets what its last life had asked for, and has asked for nothing yet."""
        self.assertEqual(self.slots(2, 1, 3), [])
        self.assertEqual((self.turn.timers, self.turn.noted()), ({}, []))

    def test_a_gap_that_closes_meanwhile(self) -> None:
        """What came another way is not fetched, and what was asked for is not stored twice; the next gap is new."""
        self.fetch()
        self.missing(5, 9)
        self.assertNotIn("grace", self.turn.timers, "a fetch is under way")
        self.missing(10, 9)
        self.assertEqual((self.turn.timers, self.turn.noted()[-1]), ({}, "catchup_ended"))
        self.assertEqual(self.slots(2, 1, 9), [])
        self.fetch(10, 12, 3)

    def test_b17_step_by_step(self) -> None:
        """One bounded request at a time, the next when the last is on disk: no message of unbounded size."""
        self.fetch()
        self.assertEqual(self.slots(2, 1, 4), [(acceptor(1), Learn(1, (NOOP,) * 4))])
        self.assertEqual(self.slots(2, 1, 4), [], "a repeat")
        sent = self.give(acceptor(1), Learned(4))
        self.assertEqual(sent, [(Address(1, PROPOSER), CaughtUp(4)), (acceptor(2), ReadChosen(5))])
        self.slots(2, 5, 5)
        self.assertEqual(self.give(acceptor(1), Learned(9)), [(Address(1, PROPOSER), CaughtUp(9))])
        self.assertEqual((self.turn.timers, self.turn.noted()[-1]), ({}, "catchup_ended"))

    def test_b17_another_peer_when_one_does_not_help(self) -> None:
        """The first peer may be dead, behind, or broken."""
        self.fetch()
        self.assertEqual(self.fire("retry"), [(acceptor(3), ReadChosen(1))])
        self.assertEqual(self.slots(3, 1, 0), [], "it has nothing: the next retry turns back")
        self.assertEqual(self.fire("retry"), [(acceptor(2), ReadChosen(1))])

    def test_a_late_answer_is_an_answer(self) -> None:
        """On a slow link every large answer comes after the next peer was asked: dropped, none would ever count."""
        self.fetch()
        self.fire("retry")
        self.assertEqual(self.slots(2, 1, 4), [(acceptor(1), Learn(1, (NOOP,) * 4))])
        sent = self.give(acceptor(1), Learned(4))
        self.assertIn((acceptor(2), ReadChosen(5)), sent, "it goes on with the one that answered")
        self.assertEqual(self.slots(3, 1, 4), [], "that was asked for, and is here by now")

    def test_waits_longer_each_time(self) -> None:
        """Requests that pile up on a slow link make it slower."""
        self.fetch()
        waits = []
        for _ in range(5):
            waits.append(self.turn.timers["retry"] - self.turn.now)
            self.fire("retry")
        self.assertEqual(waits, [1.0, 2.0, 4.0, 8.0, 8.0])
        self.slots(2, 1, 4)
        self.assertEqual(self.turn.timers["retry"] - self.turn.now, 1.0)

    def test_what_does_not_help_is_not_asked_for_at_once(self) -> None:
        """A peer whose values are refused here would be asked without end."""
        self.fetch()
        self.slots(2, 1, 4)
        self.assertEqual(self.give(acceptor(1), Learned(0)), [(Address(1, PROPOSER), CaughtUp(0))])
        self.assertEqual(self.fire("retry"), [(acceptor(3), ReadChosen(1))])

    def test_a_restarted_candidate(self) -> None:
        """It holds slots that peers have compacted: to ask for those would end with a snapshot, or with no leader."""
        self.assertEqual(self.give(Address(1, PROPOSER), CatchUp(25, 27, 2)), [(acceptor(2), ReadChosen(25))])

    def test_for_an_election_at_once(self) -> None:
        """A candidate that waits is an outage: no grace, and the node that knows is asked first."""
        sent = self.give(Address(1, PROPOSER), CatchUp(1, 7, 3))
        self.assertEqual(sent, [(acceptor(3), ReadChosen(1))])

    def test_for_an_election_to_its_end(self) -> None:
        """The candidate waits for all that its quorum counts, also where the peer that is asked holds less by now."""
        self.give(Address(1, PROPOSER), CatchUp(1, 7, 3))
        self.slots(3, 1, 4, through=4)
        self.assertIn((acceptor(3), ReadChosen(5)), self.give(acceptor(1), Learned(4)))

    def test_for_an_election_from_who_knows(self) -> None:
        """A fetch under way may wait for a leader that died: the candidate's question does not wait for it."""
        self.fetch(node=2)
        sent = self.give(Address(1, PROPOSER), CatchUp(1, 9, 3))
        self.assertEqual(sent, [(acceptor(3), ReadChosen(1))])

    def test_b17_never_from_itself(self) -> None:
        """A gap that the own node reports is one that only others can fill: whoever helped last is asked."""
        self.fetch(node=3)
        self.slots(3, 1, 9)
        self.give(acceptor(1), Learned(9))
        self.missing(10, 12, node=1)
        self.assertEqual(self.fire("grace"), [(acceptor(3), ReadChosen(10))])
        self.setUp()
        self.assertEqual(self.give(Address(1, PROPOSER), CatchUp(1, 7, 1)), [(acceptor(2), ReadChosen(1))])

    def test_follows_what_grows_meanwhile(self) -> None:
        """A cluster under load moves on while a node catches up with it."""
        self.fetch(through=4)
        self.slots(2, 1, 4, through=20)
        sent = self.give(acceptor(1), Learned(4))
        self.assertIn((acceptor(2), ReadChosen(5)), sent)


class SnapshotTests(OneCatchup):
    """The slots are in no log any more: only the state of a peer helps."""

    def compacted(self, node: int, through: int = 5) -> list[tuple[Address, Any]]:
        """A peer answers that it has given up the slots."""
        return self.give(acceptor(node), CompactedThrough(through))

    def receive(self) -> None:
        """A snapshot is asked for."""
        self.fetch()
        self.compacted(2)
        self.assertEqual(self.compacted(3), [(Address(1, RECEIVER), fetch_snapshot(1, 2, 3))])

    def received(self, through: int, donor: int = 3) -> list[tuple[Address, Any]]:
        """It is in force."""
        return self.give(Address(1, RECEIVER), SnapshotFetched(through, donor))

    def test_another_log_may_have_them(self) -> None:
        """A snapshot is the whole state: the next peer's log may do with a few slots."""
        self.fetch()
        self.assertEqual(self.compacted(2), [(acceptor(3), ReadChosen(1))])
        self.assertEqual(self.slots(3, 1, 4), [(acceptor(1), Learn(1, (NOOP,) * 4))])
        self.give(acceptor(1), Learned(4))
        self.assertEqual(self.compacted(3), [(acceptor(2), ReadChosen(5))], "that was another slot")

    def test_no_log_has_them(self) -> None:
        """Each peer has said so: nobody is asked for them again."""
        self.receive()
        self.assertEqual(self.turn.timers, {})
        self.assertEqual(self.missing(1, 12, 2) + self.give(Address(1, PROPOSER), CatchUp(1, 12, 2)), [])
        self.assertEqual((self.slots(2, 1, 4), self.turn.timers), ([], {}))

    def test_the_others_do_not_answer(self) -> None:
        """A node that is down for good must not keep this one from its snapshot."""
        self.fetch()
        self.compacted(2)
        self.assertEqual(self.fire("retry"), [(Address(1, RECEIVER), fetch_snapshot(1, 2))])

    def test_nobody_answers(self) -> None:
        """Silence says nothing about logs."""
        self.fetch()
        for _ in range(4):
            self.assertEqual(type(self.fire("retry")[0][1]), ReadChosen)

    def test_late_answers(self) -> None:
        """What a peer said of earlier slots is not true of these; one that was given up says something still."""
        self.fetch(6)
        self.assertEqual(self.compacted(2, 5), [])
        self.fire("retry")
        self.assertEqual(self.compacted(2, 6), [], "the next one was asked meanwhile")
        self.assertEqual(self.compacted(3, 6), [(Address(1, RECEIVER), fetch_snapshot(6, 2, 3))])
        self.assertEqual(self.compacted(3, 6), [])

    def test_a_slow_disk(self) -> None:
        """Its answer comes when the snapshot is on its way: there would be two requests at once (simulator)."""
        self.fetch()
        self.slots(2, 1, 4)
        self.fire("retry")
        self.assertEqual(self.compacted(3), [(Address(1, RECEIVER), fetch_snapshot(1, 3))])
        self.assertEqual(self.give(acceptor(1), Learned(4)), [(Address(1, PROPOSER), CaughtUp(4))])
        self.assertEqual(self.received(6), [(acceptor(3), ReadChosen(7))])

    def test_goes_on_behind_it(self) -> None:
        """The donor keeps the slots that follow, and hears how far they have been fetched."""
        self.receive()
        self.assertEqual(self.received(6), [(acceptor(3), ReadChosen(7))])
        self.slots(3, 7, 2)
        caught_up = [(Address(1, role), CaughtUp(8)) for role in (PROPOSER, RECEIVER)]
        self.assertEqual(self.give(acceptor(1), Learned(8)), [*caught_up, (acceptor(3), ReadChosen(9))])
        self.slots(3, 9, 1)
        self.assertEqual(self.give(acceptor(1), Learned(9))[-1], (Address(1, RECEIVER), CaughtUp(9)))
        self.assertEqual(self.turn.noted(), ["catchup_started", "catchup_ended"])
        self.fetch(10, 10, 3)
        self.slots(3, 10, 1)
        self.assertEqual(self.give(acceptor(1), Learned(10)), [(Address(1, PROPOSER), CaughtUp(10))])

    def test_nothing_is_behind_it(self) -> None:
        """The snapshot had all that was missing."""
        self.receive()
        self.assertEqual(self.received(9), [])
        self.assertEqual((self.turn.timers, self.turn.noted()[-1]), ({}, "catchup_ended"))

    def test_compacted_behind_it(self) -> None:
        """The donor is gone, and the others have given up what follows: another snapshot."""
        self.receive()
        self.received(6)
        self.assertEqual(self.compacted(3, 8), [(acceptor(2), ReadChosen(7))])
        self.assertEqual(self.compacted(2, 8), [(Address(1, RECEIVER), fetch_snapshot(7, 2, 3))])

    def test_the_gap_closes_meanwhile(self) -> None:
        """The snapshot is waited for all the same: only one may be under way."""
        self.receive()
        self.assertEqual(self.missing(10, 9), [])
        self.assertEqual(self.missing(10, 12) + self.received(6), [(acceptor(3), ReadChosen(10))])


class MemberTests(OneCatchup):
    """Whom it asks while members change."""

    def members(self, voters: set[int], standbys: set[int], slot: int = 10) -> None:
        """The log has led to these, and they are in force."""
        made = Configuration(slot, slot + 64, frozenset(voters), frozenset(standbys))
        known = Configurations((made,), (), max(voters | standbys))
        self.give(Address(1, LEARNER), MembersAre(known, slot + 63))

    def asked(self, times: int) -> list[int]:
        """Whom it asks one after the other for what is missing, while nobody answers."""
        first = self.give(Address(1, PROPOSER), CatchUp(1, 9, 0))
        sent = [*first, *(message for _ in range(times - 1) for message in self.fire("retry"))]
        return [to.node for to, message in sent if message == ReadChosen(1)]

    def test_voters_first(self) -> None:
        """A standby may be far behind: it is asked when the voters do not help."""
        self.members({1, 3, 5}, {2, 4})
        self.assertEqual(self.asked(6), [3, 5, 2, 4, 3, 5])

    def test_a_peer_that_comes_back_is_asked_at_once(self) -> None:
        """After a cut a node would wait for long: with each dead peer that it asked it waits twice the time."""
        back = PeerUp(3, 77, 2)
        self.assertEqual(self.give(acceptor(3), back), [], "nothing is missing")
        self.fetch(node=2)
        self.assertEqual(self.give(acceptor(3), back), [], "the one that is asked has its time to answer")
        for _ in range(5):
            self.fire("retry")
        self.assertEqual(self.give(acceptor(3), back), [(acceptor(3), ReadChosen(1))])
        self.assertEqual(self.turn.timers, {"retry": self.turn.now + TIMINGS.catchup_retry_seconds})
        self.fire("retry")
        self.assertEqual(self.give(acceptor(9), PeerUp(9, 77, 2)), [], "it is no member")

    def test_peers_that_come_back_do_not_keep_it_from_a_snapshot(self) -> None:
        """Those that were asked before still count: of two that have compacted the slot none is asked for ever."""
        self.fetch(node=2)
        self.give(acceptor(2), CompactedThrough(5))
        self.fire("retry")
        self.assertEqual(self.give(acceptor(3), PeerUp(3, 77, 2)), [])

    def test_one_that_was_removed(self) -> None:
        """It may be switched off: a node must not wait for it."""
        self.fetch(node=2)
        self.members({1, 3}, set())
        self.assertEqual(self.fire("retry"), [(acceptor(3), ReadChosen(1))])

    def test_nobody_to_ask(self) -> None:
        """The only member of all was told of a chosen slot by one that left: it must not die of that (IndexError)."""
        self.members({1}, set())
        self.assertEqual(self.asked(3), [])
        self.members({1}, {2})
        self.assertEqual(self.fire("retry"), [(acceptor(2), ReadChosen(1))])

    def test_a_node_that_joins(self) -> None:
        """The first members may all be gone: it asks those in its config file until its own log names it."""
        self.catchup = Catchup(1, first_configurations((2, 3)), TIMINGS, hints=(1, 7, 8))
        self.assertEqual(self.asked(3), [7, 8, 7])
        self.members({2, 3}, {9})
        self.assertEqual([to.node for to, _ in self.fire("retry")], [8], "a snapshot from before it was added")
        self.members({2, 3}, {1, 9})
        self.assertEqual([to.node for to, _ in self.fire("retry")], [9])
        self.assertEqual([to.node for to, _ in self.fire("retry")], [2])

    def test_a_node_that_was_down(self) -> None:
        """All others that it knows were replaced meanwhile: it asks those that its config file has instead."""
        self.catchup = Catchup(1, first_configurations((1, 2, 3)), TIMINGS, hints=(1, 2, 7, 8))
        self.assertEqual(self.asked(5), [2, 3, 7, 8, 2])
        self.members({1, 2, 7}, set())
        self.assertEqual([to.node for to, _ in self.fire("retry")], [7])
        self.assertEqual([to.node for to, _ in self.fire("retry")], [8])

    def test_a_node_that_joins_takes_a_snapshot_at_once(self) -> None:
        """One peer has compacted what it lacks. To wait for each dead node in its config file would take minutes."""
        self.catchup = Catchup(1, first_configurations((2, 3)), TIMINGS, hints=(7, 8, 9))
        self.asked(2)
        sent = self.give(acceptor(8), CompactedThrough(5))
        self.assertEqual(sent, [(Address(1, RECEIVER), fetch_snapshot(1, 8))])
