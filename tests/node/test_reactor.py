"""The reactor's loop, done here: as Twisted does it, but that what is to be done soon is done behind the events."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from io import FileIO
from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.interfaces import IHalfCloseableDescriptor, IReadWriteDescriptor
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from dkv.node.reactor import FastLoop, install

LONG_SECONDS = 60.0


@implementer(IReadWriteDescriptor)
class Selectable:
    """Remembers what the reactor told it; ``on_read`` is what it does when there is something to read."""

    def __init__(self, end: socket.socket | FileIO, on_read: Callable[[], Any] = lambda: None) -> None:
        self.end = end
        self.on_read = on_read
        self.told: list[str] = []

    def fileno(self) -> int:
        return self.end.fileno()

    def logPrefix(self) -> str:
        return ""

    def doRead(self) -> Any:
        self.told.append("read")
        return self.on_read()

    def doWrite(self) -> None:
        self.told.append("write")

    def connectionLost(self, reason: Failure) -> None:
        self.told.append(f"lost: {type(reason.value).__name__}")


@implementer(IHalfCloseableDescriptor)
class HalfCloseable(Selectable):
    """As TCP connections are: that the peer sends nothing more does not end them."""

    def readConnectionLost(self, reason: Failure) -> None:
        self.told.append(f"read lost: {type(reason.value).__name__}")

    def writeConnectionLost(self, reason: Failure) -> None:
        self.told.append(f"write lost: {type(reason.value).__name__}")


class Epoll:
    """Shows how long it was asked to wait and what it told, and never waits."""

    def __init__(self, epoll: Any) -> None:
        self._epoll = epoll
        self.waits: list[float] = []
        self.events: list[list[tuple[int, int]]] = []

    def poll(self, timeout: float, events_max: int) -> list[tuple[int, int]]:
        self.waits.append(timeout)
        self.events.append(self._epoll.poll(0, events_max))
        return self.events[-1]


class PollingTestCase(SynchronousTestCase):
    """Has a reactor of its own, which is not installed, and sockets with another end."""

    def setUp(self) -> None:
        self.reactor = self.make_reactor(EPollReactor)
        self.loop = FastLoop(self.reactor)

    def make_reactor(self, kind: type[EPollReactor]) -> Any:
        reactor: Any = kind()
        self.addCleanup(reactor._poller.close)
        self.addCleanup(reactor.waker.connectionLost, None)
        return reactor

    def pair(self) -> tuple[socket.socket, socket.socket]:
        pair = socket.socketpair()
        for end in pair:
            end.setblocking(False)
            self.addCleanup(end.close)
        return pair

    def readable(self, on_read: Callable[[], Any] = lambda: None, kind: type[Selectable] = Selectable) -> Selectable:
        """A reader with something to read, which it leaves there."""
        near, far = self.pair()
        far.send(b"x")
        selectable = kind(near, on_read)
        self.reactor.addReader(selectable)
        return selectable

    def watch(self) -> Epoll:
        """From here on nothing is waited for, only noted."""
        self.reactor._poller = epoll = Epoll(self.reactor._poller)
        return epoll

    def assertGone(self, *selectables: Selectable) -> None:
        """The reactor looks at them no more."""
        for each in selectables:
            self.assertNotIn(each, self.reactor.getReaders())
            self.assertNotIn(each, self.reactor.getWriters())


class ReadTests(PollingTestCase):
    """Something to read, and what comes of it."""

    def test_readable(self) -> None:
        """What a client sends is read, once and when it is there."""
        near, far = self.pair()
        received: list[bytes] = []
        selectable = Selectable(near, lambda: received.append(near.recv(100)))
        self.reactor.addReader(selectable)
        for data in (b"one", b"two"):
            self.loop.iterate(0)
            far.send(data)
            self.loop.iterate(0)
            self.loop.iterate(0)
        self.assertEqual(received, [b"one", b"two"])
        self.assertEqual(selectable.told, ["read"] * 2)

    def test_end_of_what_is_sent(self) -> None:
        """A client that has sent all it has to say is still answered; what cannot be half open is ended."""
        half = self.readable(lambda: CONNECTION_DONE, HalfCloseable)
        whole = self.readable(lambda: CONNECTION_DONE)
        self.loop.iterate(0)
        self.loop.iterate(0)
        self.assertEqual(half.told, ["read", "read lost: ConnectionDone"])
        self.assertEqual(whole.told, ["read", "lost: ConnectionDone"])
        self.assertGone(half, whole)

    def test_end_of_a_connection(self) -> None:
        """A connection that is reset is let go: else its descriptor spins for ever, and the client is counted."""
        lost = self.readable(lambda: CONNECTION_LOST, HalfCloseable)
        self.loop.iterate(0)
        self.loop.iterate(0)
        self.assertEqual(lost.told, ["read", "lost: ConnectionLost"])
        self.assertGone(lost)

    def test_failure(self) -> None:
        """A bug that one client's bytes bring out costs that connection, is logged, and costs nobody else anything."""

        def fail() -> None:
            raise ZeroDivisionError

        made: list[str] = []
        self.loop.callLater(0, made.append, "soon")
        kinds = (fail, lambda: None, fail, lambda: None, fail)  # whichever of them is first, others are behind it
        selectables = [self.readable(on_read) for on_read in kinds]
        self.loop.iterate(0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 3)
        for each in selectables[::2]:
            self.assertEqual(each.told, ["read", "lost: ZeroDivisionError"])
        for each in selectables[1::2]:
            self.assertEqual(each.told, ["read"])
        self.assertGone(*selectables[::2])
        self.assertEqual(made, ["soon"])

    def test_failure_of_what_was_to_be_done_soon(self) -> None:
        """The host's drain is one of these calls: if it were lost, the node would be silent for ever."""
        made: list[str] = []
        self.loop.callLater(0, int, "no number")
        self.loop.callLater(0, made.append, "soon")
        self.loop.iterate(0)
        self.assertEqual((made, len(self.flushLoggedErrors(ValueError))), (["soon"], 1))

    def test_removed_by_an_event_before(self) -> None:
        """A connection that another one's request has closed, as a shutdown does, is not read: its socket is gone."""
        selectables: list[Selectable] = []

        def end_others() -> None:
            for other in selectables:
                if not other.told:
                    self.reactor.removeReader(other)
                    other.end.close()

        selectables.extend([self.readable(end_others) for _ in range(3)])
        self.loop.iterate(0)
        self.assertEqual(sorted(each.told for each in selectables), [[], [], ["read"]])


class OtherEventTests(PollingTestCase):
    """What is not just something to read goes the reactor's own way."""

    def test_writable(self) -> None:
        """A reply that the socket did not take at once is sent when it does; nothing is read for it."""
        selectable = Selectable(self.pair()[0])
        self.reactor.addWriter(selectable)
        self.loop.iterate(0)
        self.assertEqual(selectable.told, ["write"])
        self.reactor.removeWriter(selectable)
        self.loop.iterate(0)
        self.assertEqual(selectable.told, ["write"])

    def test_readable_and_writable(self) -> None:
        """A client that sends all the time gets its replies nevertheless."""
        selectable = self.readable()
        self.reactor.addWriter(selectable)
        self.loop.iterate(0)
        self.assertEqual(selectable.told, ["read", "write"])

    def test_hung_up(self) -> None:
        """A peer's last bytes are read before its connection ends."""
        near, far = self.pair()
        selectable = Selectable(near, lambda: None if near.recv(3) else CONNECTION_DONE)
        self.reactor.addReader(selectable)
        far.send(b"bytes")
        far.close()
        for _ in range(4):
            self.loop.iterate(0)
        self.assertEqual(selectable.told, ["read", "read", "read", "lost: ConnectionDone"])
        self.assertGone(selectable)

    def test_hung_up_with_nothing_to_read(self) -> None:
        """What waits for the output of something that has died is told so, and does not wait for ever."""
        read_end, write_end = (FileIO(descriptor, mode) for descriptor, mode in zip(os.pipe(), "rw", strict=True))
        self.addCleanup(read_end.close)
        selectable = HalfCloseable(read_end)
        self.reactor.addReader(selectable)
        write_end.close()
        self.loop.iterate(0)
        self.assertEqual(selectable.told, ["read lost: ConnectionDone"])
        self.assertGone(selectable)

    def test_hung_up_while_not_read(self) -> None:
        """A client that goes while the node has stopped reading it does not keep its connection."""
        near, far = self.pair()
        selectable = HalfCloseable(near)
        self.reactor.addWriter(selectable)
        far.close()
        self.loop.iterate(0)
        self.assertEqual(selectable.told, ["lost: ConnectionLost"])
        self.assertGone(selectable)

    def test_woken(self) -> None:
        """A thread that has written to disk wakes the loop, once: else replies wait, or a core is kept busy."""
        epoll = self.watch()
        self.reactor.wakeUp()
        self.loop.iterate(LONG_SECONDS)
        self.loop.iterate(LONG_SECONDS)
        self.assertEqual([len(events) for events in epoll.events], [1, 0])


class SoonTests(PollingTestCase):
    """What is to be done soon."""

    def setUp(self) -> None:
        super().setUp()
        self.done: list[str] = []

    def soon(self, name: str) -> Any:
        return self.loop.callLater(0, self.done.append, name)

    def test_behind_the_events(self) -> None:
        """Requests of all clients that came together share a turn, and so a batch: that is what makes them fast."""

        def read() -> None:
            self.done.append("read")
            self.soon("of a read")

        self.soon("before")
        for _ in range(2):
            self.readable(read)
        self.loop.iterate(0)
        self.assertEqual(self.done, ["read", "read", "before", "of a read", "of a read"])

    def test_not_now(self) -> None:
        """What is called runs by itself, not in the middle of what asked for it."""
        self.soon("soon")
        self.assertEqual(self.done, [])

    def test_what_it_brings_is_for_the_next_iteration(self) -> None:
        """A host with work without end still hears its peers: sockets are looked at in between."""
        near, far = self.pair()
        self.reactor.addReader(Selectable(near, lambda: self.done.append(near.recv(9).decode())))

        def first() -> None:
            self.done.append("first")
            far.send(b"heard")
            self.soon("second")

        self.loop.callLater(0, first)
        self.loop.iterate(0)
        self.assertEqual(self.done, ["first"])
        self.loop.iterate(0)
        self.assertEqual(self.done, ["first", "heard", "second"])
        self.loop.iterate(0)
        self.assertEqual(self.done, ["first", "heard", "second"])

    def test_waits_for_events_unless_something_is_due(self) -> None:
        """An idle node sleeps until its next timer or event; one with work left does not sleep on it."""
        epoll = self.watch()
        self.loop.callLater(0, self.soon, "of another")
        self.loop.iterate(LONG_SECONDS)
        self.loop.iterate(LONG_SECONDS)
        self.loop.iterate(LONG_SECONDS)
        self.assertEqual(epoll.waits, [0, 0, LONG_SECONDS])
        self.soon("the last")
        self.loop.iterate(None)
        self.loop.iterate(None)
        self.assertEqual(epoll.waits[3:], [0, -1])
        self.assertEqual(self.done, ["of another", "the last"])

    def test_cancelled(self) -> None:
        """A host that was stopped takes no turn afterwards."""
        call = self.soon("cancelled")
        self.soon("made")
        call.cancel()
        self.assertFalse(call.active())
        self.loop.iterate(0)
        self.assertEqual(self.done, ["made"])

    def test_cancelled_by_the_call_before(self) -> None:
        """Nor does it if what stopped it was done soon as well."""
        calls: list[Any] = []
        self.loop.callLater(0, lambda: calls[0].cancel())
        calls.append(self.soon("cancelled"))
        self.loop.iterate(0)
        self.assertEqual(self.done, [])

    def test_active(self) -> None:
        """Who asks whether there is something to cancel is told so, until it is made; then cancelling is harmless."""
        states: list[bool] = []
        calls: list[Any] = []
        calls.append(self.loop.callLater(0, lambda: states.append(calls[0].active())))
        self.assertTrue(calls[0].active())
        self.loop.iterate(0)
        self.assertEqual(states, [False])
        calls[0].cancel()


class Other(EPollReactor):
    """A reactor that does things its own way, for all that is known of it."""


class ClockTests(PollingTestCase):
    """The host's clock."""

    def test_later(self) -> None:
        """Timers, which are all that finds a dead leader, are the reactor's, by the reactor's time."""
        clock = Clock()
        self.reactor.seconds = clock.seconds
        loop, done = FastLoop(self.reactor), list[int]()
        call = loop.callLater(2.5, done.append, 1)
        loop.callLater(1.0, done.append, 2).cancel()
        self.assertEqual(self.reactor.getDelayedCalls(), [call])
        for seconds, expected in ((2.4, []), (0.2, [1])):
            clock.advance(seconds)
            self.reactor.iterate(0)
            self.assertEqual(done, expected)
        self.assertFalse(call.active())

    def test_seconds(self) -> None:
        """Timeouts are reckoned by the clock that wakes the timers."""
        self.reactor.seconds = lambda: 7.0
        self.assertEqual(FastLoop(self.reactor).seconds(), 7.0)

    def test_takes_the_place(self) -> None:
        """Without it in the reactor's loop nothing done soon would ever be done: the node would answer nobody."""
        clock, _ = install(self.reactor)
        self.assertIsInstance(clock, FastLoop)
        self.assertEqual(self.reactor.doIteration, clock.iterate)
        done: list[int] = []
        clock.callLater(0, done.append, 1)
        self.reactor.iterate(0)
        self.assertEqual(done, [1])

    def test_in_a_loop_that_runs(self) -> None:
        """The node is made when the reactor runs already: its loop must see what replaced a part of it."""
        reactor = self.make_reactor(EPollReactor)
        done: list[int] = []

        def start() -> None:
            clock, _ = install(reactor)
            clock.callLater(0, done.append, 1)
            clock.callLater(0, reactor.stop)

        reactor.callWhenRunning(start)
        too_late = reactor.callLater(LONG_SECONDS, reactor.stop)
        reactor.run(installSignalHandlers=False)
        self.assertEqual(done, [1])
        self.assertTrue(too_late.active())

    def test_of_anything_else(self) -> None:
        """Another reactor, or a test's clock, is left as it is: the node runs there too."""
        other = self.make_reactor(Other)
        for clock in (Clock(), MemoryReactorClock(), other):
            self.assertIs(install(clock)[0], clock)
        self.assertEqual(other.doIteration, other.doPoll)
