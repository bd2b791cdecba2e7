"""A node in a process of its own, where none is needed to try it: what it takes of its reactor, and how a fenced node
ends."""

from __future__ import annotations

import tomllib
from threading import Event
from typing import Any

from structlog.testing import capture_logs
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import Fenced
from dkv.config.config import parse_config
from dkv.keys import FENCE
from dkv.net.sending import by_write
from dkv.node import reactor
from dkv.node.logs import get_logger
from dkv.node.own_process import OwnProcess
from dkv.node.reactor import FastLoop, send_at_once
from dkv.node.running import RunningNode
from dkv.node.tuning import fast_or_plain
from dkv.storage import fence
from dkv.storage.store import StoreFailed


class Launch:
    """Notes how the process was ended."""

    def __init__(self) -> None:
        self.ends: list[tuple[int, str]] = []

    def end(self, status: int, line: str) -> None:
        self.ends.append((status, line))


class Store:
    """Notes what is committed; or refuses it."""

    def __init__(self, failure: StoreFailed | None = None) -> None:
        self.committed: list[dict[bytes, bytes]] = []
        self.failure = failure

    def commit_now(self, writes: dict[bytes, bytes]) -> None:
        if self.failure is not None:
            raise self.failure
        self.committed.append(writes)


class HangingStore(Store):
    """Does not come back from a commit before it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = Event()

    def commit_now(self, writes: dict[bytes, bytes]) -> None:
        self.let_go.wait()


class FastReactorTests(SynchronousTestCase):
    """The clock of the host and the senders of connections: the fast ones, unless somebody or something objects."""

    def ways(self, top: str = "") -> tuple[Any, Any]:
        """What the node gets whose config begins with ``top``; ``self.lines`` is what was logged."""
        self.reactor: Any = EPollReactor()
        self.addCleanup(self.reactor._poller.close)
        self.addCleanup(self.reactor.waker.connectionLost, None)
        member = {"id": 1, "client": "127.0.0.1:5001", "peer": "127.0.0.1:5101"}
        config = parse_config({"cluster": "c", "node": [member]} | tomllib.loads(top))
        with capture_logs() as self.lines:
            return fast_or_plain(self.reactor, config, get_logger(1, "service"))

    def test_fast(self) -> None:
        """What a node can do is measured with both: an eighth less is what most people would get without."""
        clock, sender_of = self.ways()
        self.assertIsInstance(clock, FastLoop)
        self.assertEqual((sender_of, self.lines), (send_at_once, []))

    def test_plain(self) -> None:
        """The operator's word leaves nothing of it: the loop, its clock and the connections are Twisted's own."""
        clock, sender_of = self.ways("fast_reactor = false")
        self.assertEqual((clock, sender_of, self.lines), (self.reactor, by_write, []))
        self.assertEqual(self.reactor.doIteration, self.reactor.doPoll)

    def test_a_twisted_that_lacks_something(self) -> None:
        """After an upgrade of Twisted the node runs, slower, and its log says why."""
        self.patch(reactor, "LOOP_NAMES", ("_of_tomorrow",))
        clock, sender_of = self.ways()
        self.assertEqual((clock, sender_of), (self.reactor, by_write))
        self.assertEqual(self.reactor.doIteration, self.reactor.doPoll)
        (line,) = self.lines
        self.assertEqual((line["event"], line["log_level"]), ("fast_reactor_off", "warning"))
        self.assertIn("EPollReactor._of_tomorrow", line["reason"])


class FenceTests(SynchronousTestCase):
    def end(self, store: Store, error: Exception) -> tuple[list[tuple[int, str]], list[Any]]:
        """The host reports ``error``: how the process ended, and the events that were logged."""
        member = {"id": 1, "client": "127.0.0.1:5001", "peer": "127.0.0.1:5101"}
        config = parse_config({"cluster": "c", "node": [member]})
        launch: Any = Launch()
        clock: Any = MemoryReactorClock()
        node: Any = RunningNode(OwnProcess(clock, clock, by_write, 1, launch), config, config.member(1), "nowhere")
        node._store = store
        node._closing = True  # for the process would have ended
        with capture_logs() as lines:
            node._fail("the learner failed", error)
        return launch.ends, [(line["event"], line["log_level"]) for line in lines]

    def test_fenced(self) -> None:
        """The reason is on disk before the process ends, in the log, and on stderr with what to do."""
        store = Store()
        ((status, line),), logged = self.end(store, Fenced("its log differs"))
        self.assertEqual(store.committed, [{FENCE: b"its log differs"}])
        self.assertEqual(status, 3)
        self.assertRegex(line, r"\Adkvnode: fenced: its log differs\. [^\n]*a new node take its place[^\n]*\Z")
        self.assertEqual(logged, [("fenced", "critical")])

    def test_a_disk_that_takes_no_fence(self) -> None:
        """The process ends all the same, and the operator is told not to start it again."""
        ((status, line),), logged = self.end(Store(StoreFailed("full")), Fenced("its log differs"))
        self.assertEqual(status, 3)
        self.assertIn("fenced", line)
        self.assertEqual(logged, [("fenced", "critical"), ("fence_not_written", "critical")])

    def test_a_disk_that_hangs(self) -> None:
        """The process ends within a bounded time, and its ports close with it: a node that hangs for ever would keep
        its clients, and its operator would not learn why."""
        self.patch(fence, "FENCE_SECONDS", 0.01)
        store = HangingStore()
        self.addCleanup(store.let_go.set)
        ((status, line),), logged = self.end(store, Fenced("its log differs"))
        self.assertEqual(status, 3)
        self.assertIn("fenced", line)
        self.assertEqual(logged, [("fenced", "critical"), ("fence_not_written", "critical")])

    def test_other_failures_fence_nothing(self) -> None:
        """A full disk is mended and the node started again."""
        store = Store()
        ((status, _),), logged = self.end(store, StoreFailed("full"))
        self.assertEqual((status, store.committed, logged), (1, [], [("node_failed", "critical")]))
