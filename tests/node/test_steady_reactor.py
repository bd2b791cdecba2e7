"""A node's timers in a program whose reactor tells the time of day: they must not notice when that is set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IReactorPluggableNameResolver, IReactorTCP
from twisted.internet.task import LoopingCall
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from dkv.net.lookups import Lookups
from dkv.node.steady_reactor import CANCELLED_MANY, SOON_SECONDS, SteadyReactor


class World:
    """A monotonic clock with its timers, and beside it a reactor that shows the time of day."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.wall: Any = MemoryReactorClock()
        self.wall.advance(1.8e9)
        self.timers: list[FakeTimer] = []
        self.steady = SteadyReactor(self.wall, self.timer, lambda: self.now)
        self.steady.open()
        self.called: list[Any] = []

    def timer(self, expired: Callable[[], None]) -> FakeTimer:
        self.timers.append(FakeTimer(expired))
        return self.timers[-1]

    def later(self, delay: float, name: Any) -> Any:
        return self.steady.callLater(delay, self.called.append, name)

    def pass_time(self, seconds: float, wall: bool = True) -> None:
        """Let the timers of the kernel expire as time passes; without ``wall`` the reactor notices nothing of it."""
        end = self.now + seconds
        while (timer := self.timers[-1]).due is not None and timer.due <= end:
            self.now, timer.due = max(self.now, timer.due), None
            timer.expired()
        self.now = end
        if wall:
            self.wall.advance(seconds)


class FakeTimer:
    def __init__(self, expired: Callable[[], None]) -> None:
        self.expired = expired
        self.due: float | None = None
        self.closed = False

    def set(self, seconds: float) -> None:
        self.due = seconds

    def close(self) -> None:
        self.closed, self.due = True, None


class TimeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()

    def test_in_order(self) -> None:
        """Timers expire when and in the order in which they are due."""
        world = self.world
        world.later(2.0, "b")
        world.later(1.0, "a")
        world.later(3.0, "c")
        world.pass_time(0.9)
        self.assertEqual(world.called, [])
        world.pass_time(1.2)
        self.assertEqual(world.called, ["a", "b"])
        world.pass_time(1.0)
        self.assertEqual(world.called, ["a", "b", "c"])

    def test_the_wall_clock_is_set_forward(self) -> None:
        """Else all timers of the node expire at once: it would take every peer for dead, and begin an election."""
        world = self.world
        world.later(1.0, "a")
        world.wall.advance(3600.0)
        self.assertEqual(world.called, [])
        world.pass_time(1.0)
        self.assertEqual(world.called, ["a"])

    def test_the_wall_clock_is_set_back(self) -> None:
        """Else no timer of the node expires until that has caught up, which is an hour of a dead node."""
        world = self.world
        world.later(1.0, "a")
        world.wall.rightNow -= 3600.0
        world.pass_time(1.0)
        self.assertEqual(world.called, ["a"])

    def test_at_once(self) -> None:
        """A turn of the host comes in the next turn of the reactor, and in a moment if its clock was set back then."""
        world = self.world
        world.later(0, "a")
        world.later(0, "b")
        self.assertEqual(world.called, [])
        world.wall.advance(0)
        self.assertEqual(world.called, ["a", "b"])
        world.later(0, "c")
        world.wall.rightNow -= 3600.0
        world.pass_time(SOON_SECONDS, wall=False)
        self.assertEqual(world.called, ["a", "b", "c"])
        world.pass_time(3601.0)
        self.assertEqual(world.called, ["a", "b", "c"], "once")

    def test_what_is_called_calls_later(self) -> None:
        """The node's loops go on: heartbeats above all."""
        world = self.world
        loop: Any = LoopingCall(world.called.append, "tick")
        loop.clock = world.steady
        loop.start(1.0, now=False)
        for _ in range(30):
            world.pass_time(0.1)
        self.assertEqual(world.called, ["tick"] * 3)
        loop.stop()
        world.pass_time(10.0)
        self.assertEqual((len(world.called), world.steady.getDelayedCalls()), (3, []))

    def test_cancel_and_reset(self) -> None:
        """What Twisted's protocols do with the timeouts of their connections."""
        world = self.world
        cancelled, put_off, sooner = world.later(1.0, "x"), world.later(1.0, "late"), world.later(50.0, "soon")
        cancelled.cancel()
        put_off.reset(5.0)
        sooner.reset(2.0)
        self.assertEqual([call.active() for call in (cancelled, put_off, sooner)], [False, True, True])
        world.pass_time(2.5)
        self.assertEqual(world.called, ["soon"])
        world.pass_time(2.5)
        self.assertEqual(world.called, ["soon", "late"])

    def test_cancelled_calls_are_let_go(self) -> None:
        """Each connection sets a timeout and cancels it: a node that keeps them all runs out of memory."""
        world = self.world
        kept = world.later(9.0, "kept")
        for _ in range(50 * CANCELLED_MANY):
            world.later(600.0, "x").cancel()
        self.assertLessEqual(len(world.steady._calls), 2 * CANCELLED_MANY)
        self.assertTrue(kept.active())
        world.pass_time(700.0)
        self.assertEqual(world.called, ["kept"])

    def test_a_mistake(self) -> None:
        """One call that fails takes no other one with it, and is logged."""
        world = self.world
        for delay in (0, 1.0):
            world.steady.callLater(delay, lambda: 1 / 0)
            world.later(delay, delay)
        world.pass_time(1.0)
        self.assertEqual(world.called, [0, 1.0])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_close(self) -> None:
        """A node that has stopped leaves nothing in the reactor, and is called no more."""
        world = self.world
        world.steady.callLater(0, world.steady.close)
        world.later(0, "soon")
        world.later(1.0, "later")
        world.wall.advance(0)
        world.later(0, "too late")
        world.later(1.0, "too late")
        world.pass_time(10.0)
        world.steady.close()
        self.assertEqual((world.called, world.wall.getDelayedCalls(), world.wall.readers), ([], [], set()))
        self.assertTrue(world.timers[0].closed)

    def test_open_again(self) -> None:
        """The service of a node may be started again."""
        world = self.world
        world.later(1.0, "of the life before")
        world.steady.close()
        world.steady.open()
        world.later(2.0, "a")
        world.later(0, "b")
        world.pass_time(2.0)
        self.assertEqual(sorted(world.called), ["a", "b"])


class OtherTests(SynchronousTestCase):
    def test_all_else_is_the_reactors(self) -> None:
        """Endpoints of any kind must take it for the reactor that it stands for."""
        world = World()
        self.assertTrue(IReactorTCP.providedBy(world.steady))
        self.assertTrue(IReactorPluggableNameResolver.providedBy(world.steady))
        self.assertFalse(IReactorPluggableNameResolver.providedBy(object()))
        endpoint: Any = clientFromString(world.steady, "tcp:127.0.0.1:5001")
        endpoint.connect(None)
        self.assertEqual(world.wall.tcpClients[0][:2], ("127.0.0.1", 5001))
        self.assertRaises(AttributeError, getattr, world.steady, "noSuchThing")

    def test_names(self) -> None:
        """A name that hangs must not fill the program's pool of threads, nor does the program get another resolver."""
        world = World()
        self.assertIsInstance(world.steady.nameResolver, Lookups)
        self.assertNotIsInstance(getattr(world.wall, "nameResolver", None), Lookups)
