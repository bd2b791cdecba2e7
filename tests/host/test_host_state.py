"""What the actors of a host read, its timers, and how it stops reading when the disk lags."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv import noted
from dkv.actor import ACCEPTOR, CATCHUP, ELECTOR, GATEWAY, LEARNER, PROPOSER, PUBSUB, RECEIVER, Turn
from dkv.events import PeerDown, PeerHeard, PeerUp, TimerFired
from dkv.host import host as host_module
from dkv.host.host import LEARNER_SECONDS, TURNS_PER_DRAIN
from dkv.settings import Limits
from tests.host.one_host import OUTSIDE, PEER, OneHost, Store, both, here, persist, send, stage


class ReadingTests(SynchronousTestCase):
    """What an actor reads is what it last wrote."""

    def setUp(self) -> None:
        self.node = OneHost()
        self.seen: list[Any] = []

    def look(self, turn: Turn) -> None:
        """Note the values of two keys, and a scan of both."""
        self.seen.append((turn.load(b"R1"), turn.load(b"R2"), [key for key, _ in turn.scan(b"R")]))

    def test_newest_layer_first(self) -> None:
        """In the same turn, while it waits, while it is being written, and afterwards."""
        self.node.do(ACCEPTOR, both(persist("R1", b"1"), stage("R2", b"1"), self.look))
        self.node.do(ACCEPTOR, both(persist("R1", b"2"), self.look))
        self.node.do(ACCEPTOR, both(lambda turn: turn.persist_erase(b"R2"), self.look))
        self.node.complete()
        self.node.complete()
        self.node.do(ACCEPTOR, self.look)
        self.node.do(ACCEPTOR, both(lambda turn: turn.stage_erase(b"R1"), self.look))
        two, one = [b"R1", b"R2"], [b"R1"]
        self.assertEqual(
            self.seen, [(b"1", b"1", two), (b"2", b"1", two), (b"2", None, one), (b"2", None, one), (None, None, [])]
        )

    def test_crash_and_restart(self) -> None:
        """After a crash an actor finds what was committed, and nothing of what was not: it never said so either."""
        self.node.do(ACCEPTOR, persist("R1", b"1"))
        self.node.complete()
        self.node.do(ACCEPTOR, persist("R1", b"2"))
        self.node.do(ACCEPTOR, persist("R2", b"2"))
        self.node.host.stop()
        self.node.store.crash()
        OneHost(self.node.store, starts={ACCEPTOR: self.look})
        self.assertEqual(self.seen, [(b"1", None, [b"R1"])])

    def test_committed_but_not_heard_of(self) -> None:
        """A commit that reached the disk before the crash is found, though nobody was told."""
        self.node.do(ACCEPTOR, both(persist("R1", b"1"), send("accepted")))
        self.node.host.stop()
        self.node.store.complete()
        self.assertEqual(self.node.take(), [])
        OneHost(self.node.store, starts={ACCEPTOR: self.look})
        self.assertEqual(self.seen, [(b"1", None, [b"R1"])])


class TimerTests(SynchronousTestCase):
    """Timers of one actor."""

    def setUp(self) -> None:
        self.node = OneHost()

    def fired(self) -> list[str]:
        """The names of the timers that fired since the last call."""
        return [message.name for message in self.node.take()]

    def test_fires_once(self) -> None:
        """It arrives as a message to the actor itself, at its time, once."""
        self.node.do(GATEWAY, lambda turn: turn.set_timer("deadline", 0.5))
        self.node.wait(0.499)
        self.assertEqual(self.node.deliveries, [])
        self.node.wait(0.002)
        self.assertEqual(self.node.deliveries, [(here(GATEWAY), here(GATEWAY), TimerFired("deadline"))])
        self.node.wait(5.0)
        self.assertEqual(self.fired(), ["deadline"])

    def test_replaces(self) -> None:
        """The same name again moves the timer; another name, or another actor's, does not."""
        self.node.do(GATEWAY, lambda turn: turn.set_timer("a", 0.5), lambda turn: turn.set_timer("b", 0.6))
        self.node.wait(0.4)
        self.node.do(ELECTOR, lambda turn: turn.set_timer("b", 9.0))
        self.node.do(GATEWAY, lambda turn: turn.set_timer("a", 0.5))
        self.node.wait(0.3)
        self.assertEqual(self.fired(), ["b"])
        self.node.wait(0.3)
        self.assertEqual(self.fired(), ["a"])

    def test_cancels(self) -> None:
        """A timer that was cancelled does not fire; one that is not there is no mistake."""
        self.node.do(GATEWAY, lambda turn: turn.set_timer("a", 0.5), lambda turn: turn.cancel_timer("a"))
        self.node.do(GATEWAY, lambda turn: turn.cancel_timer("a"), lambda turn: turn.cancel_timer("b"))
        self.node.wait(5.0)
        self.assertEqual(self.fired(), [])
        self.assertEqual(self.node.failures, [])

    def test_replaced_when_already_due(self) -> None:
        """A busy node: the timer falls due behind a message that replaces it, or cancels it. It must not fire at the
        old time: an election would begin though the leader has just been heard."""

        def count(turn: Turn) -> None:
            turn.set_timer("election", 0.5)

        for again in (count, lambda turn: turn.cancel_timer("election")):
            self.node.clock.callLater(0.5, self.node.host.deliver, ELECTOR, OUTSIDE, again)
            self.node.do(ELECTOR, count)
            self.node.wait(0.5)
            self.assertEqual(self.fired(), [])
            self.node.wait(0.6)
            self.assertEqual(self.fired(), ["election"] if again is count else [])

    def test_due_twice_before_it_is_handled(self) -> None:
        """Replaced while it waited in the mailbox, and due again by the time it is handled: it fires once."""
        self.patch(host_module, "TURNS_PER_DRAIN", 1)
        for again in (lambda turn: turn.set_timer("a", 0.0), lambda turn: None, lambda turn: None):
            self.node.clock.callLater(0.5, self.node.host.deliver, GATEWAY, OUTSIDE, again)
        self.node.do(GATEWAY, lambda turn: turn.set_timer("a", 0.5))
        self.node.wait(0.6)
        self.assertEqual(self.fired(), ["a"])

    def test_time_stands_still_while_the_mailbox_is_drained(self) -> None:
        """``now`` is the clock's time when the host began, read once: a look costs what half a turn does."""
        times: list[float] = []

        def look(turn: Turn) -> None:
            times.append(turn.now)
            self.node.clock.rightNow += 0.25
            times.append(turn.now)

        self.node.do(GATEWAY, look, look)
        self.node.do(GATEWAY, look)
        self.assertEqual(times, [1000.0] * 4 + [1000.5, 1000.5])

    def test_the_time_of_day_is_read_as_often(self) -> None:
        """Each turn of a drain sees the same. ``OneHost`` has a clock that counts how often it is read."""
        read: list[int] = []

        def look(turn: Turn) -> None:
            read.append(turn.wall_ms)

        self.node.do(GATEWAY, look, look)
        self.node.do(GATEWAY, look)
        first, second, third = read
        self.assertEqual((second - first, third > second), (0, True))


class LoadTests(SynchronousTestCase):
    """What happens when more comes in than can be done."""

    def test_stops_reading_when_the_disk_lags(self) -> None:
        """Beyond ``undurable_bytes_max`` neither peers nor clients are read; at half of it both are, once each."""
        node = OneHost(limits=Limits(undurable_bytes_max=1_000, window_bytes_max=1_000))
        node.do(ACCEPTOR, persist("R1", bytes(600)))
        self.assertEqual(node.network.paused, [])
        for key in ("R2", "R3", "R4"):
            node.do(ACCEPTOR, persist(key, bytes(300)))
        self.assertEqual((node.network.paused, node.clients.paused), ([True], [True]))
        node.complete()
        node.do(ACCEPTOR, persist("R5", bytes(400)))
        self.assertEqual(node.network.paused, [True])
        node.complete()
        self.assertTrue(node.store.committing)
        self.assertEqual((node.network.paused, node.clients.paused), ([True, False], [True, False]))

    def test_staged_state_does_not_stop_reading(self) -> None:
        """Applied state has a bound of its own."""
        node = OneHost(limits=Limits(undurable_bytes_max=1_000, window_bytes_max=1_000))
        node.do(LEARNER, stage("S", bytes(5_000)))
        self.assertEqual(node.network.paused, [])

    def test_lets_the_reactor_go_on(self) -> None:
        """Actors with endless work do not keep the node from its sockets and timers (B21)."""
        node, left = OneHost(), 3 * TURNS_PER_DRAIN

        def work(turn: Turn) -> None:
            nonlocal left
            left -= 1
            if left:
                turn.send(here(PROPOSER), work)

        seen: list[int] = []
        node.host.deliver(PROPOSER, OUTSIDE, work)
        node.clock.callLater(0, lambda: seen.append(left))
        node.settle()
        self.assertEqual((seen, left), ([2 * TURNS_PER_DRAIN], 0))

    def test_a_long_log_lets_the_reactor_go_on(self) -> None:
        """A node that replays or catches up applies slots for minutes: it must hear its clients and peers meanwhile."""
        node, left = OneHost(), 10

        def apply(turn: Turn) -> None:
            nonlocal left
            left -= 1
            node.clock.rightNow += LEARNER_SECONDS / 2
            if left:
                turn.send(here(LEARNER), apply)

        seen: list[int] = []
        node.host.deliver(LEARNER, OUTSIDE, apply)
        node.clock.callLater(0, lambda: seen.append(left))
        node.settle()
        self.assertEqual((seen, left), ([8], 0))

    def test_commits_in_the_middle_of_work(self) -> None:
        """What was persisted is on its way after so many turns, however full the mailbox."""
        node = OneHost()
        node.host.deliver(ACCEPTOR, OUTSIDE, persist("R1"))
        for _ in range(TURNS_PER_DRAIN):
            node.host.deliver(PROPOSER, OUTSIDE, "busy")
        node.host.deliver(ACCEPTOR, OUTSIDE, persist("R2"))
        node.settle()
        self.assertEqual(node.store.commits, [{b"R1": b"v"}])
        node.complete()
        self.assertEqual(node.store.commits[1:], [{b"R2": b"v"}])

    def test_what_a_turn_lets_in_is_collected(self) -> None:
        """A client that had to wait is read on by a turn: its next requests must not wait for an unrelated event."""
        node, gathered = OneHost(), ["first"]

        def collect() -> None:
            while gathered:
                node.host.deliver(LEARNER, OUTSIDE, gathered.pop())

        def let_in(_: Turn) -> None:
            gathered.append("second")
            node.host.wake()

        node.clients.collect = collect  # type: ignore[method-assign]  # the port of this test
        node.do(GATEWAY, let_in)
        self.assertEqual(node.take(), ["first", "second"])

    def test_a_failure_between_turns_ends_the_node(self) -> None:
        """A node that lives on and never takes a turn again looks alive to its peers and answers nobody."""
        for broken in ("collect", "flush", "commit"):
            node = OneHost()

            def fail(*_: Any) -> None:
                raise MemoryError

            owner = {"collect": node.clients, "flush": node.network, "commit": node.store}[broken]
            setattr(owner, broken, fail)
            node.do(GATEWAY, persist("x"))
            self.assertEqual([type(error) for _, error in node.failures], [MemoryError], broken)
            self.assertTrue(node.host.failed)


class PeerTests(SynchronousTestCase):
    """What the mesh tells, and who hears of it."""

    def test_up_down_heard(self) -> None:
        """Those who retransmit hear that a peer is back; few hear that one is alive or gone."""
        node = OneHost()
        node.host.peer_up(2, 77, 5)
        node.host.peer_heard(2)
        node.host.peer_down(2)
        node.settle()
        up = [to.role for to, _, message in node.deliveries if message == PeerUp(2, 77, 5)]
        self.assertEqual(sorted(up), sorted([ACCEPTOR, ELECTOR, PROPOSER, GATEWAY, LEARNER, CATCHUP, PUBSUB, RECEIVER]))
        self.assertEqual([to.role for to, _, message in node.deliveries if message == PeerHeard(2)], [ELECTOR])
        self.assertEqual([to.role for to, _, message in node.deliveries if message == PeerDown(2)], [ELECTOR, PUBSUB])

    def test_delivered_soon_not_now(self) -> None:
        """Bytes that come in while a turn runs do not start another inside it."""
        node = OneHost()
        node.host.deliver(LEARNER, PEER, "message")
        self.assertEqual(node.take(), [])
        node.settle()
        self.assertEqual(node.take(), ["message"])

    def test_notes(self) -> None:
        """A note says which actor made it."""
        node = OneHost()
        node.do(ELECTOR, lambda turn: turn.note(noted.paused, seconds=2.0))
        self.assertEqual(node.notes, [(ELECTOR, "paused", {"seconds": 2.0})])

    def test_a_new_store_is_empty(self) -> None:
        """A node that has nothing to write commits nothing: an idle node leaves its disk alone."""
        node = OneHost(Store())
        node.wait(30.0)
        self.assertEqual(node.store.commits, [])
