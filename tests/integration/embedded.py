"""Three nodes in the program of the test, on the reactor that trial runs."""

from __future__ import annotations

import gc
import os
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from twisted.internet import reactor as the_reactor
from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from dkv.config.config import Config, parse_config
from dkv.embedding import NodeService, create_directories, make_service
from dkv.node.timer_descriptor import TimerDescriptor
from tests.integration.processes import HOST, Connection, Refused, free_ports

reactor: Any = the_reactor
NUMBERS = (1, 2, 3)
LOOK_SECONDS = 0.02


def config_of(**top: Any) -> Config:
    """A cluster of three nodes on free ports."""
    ports = free_ports(9)
    nodes = [
        {"id": number, **{kind: f"{HOST}:{ports.pop()}" for kind in ("client", "peer", "admin")}} for number in NUMBERS
    ]
    return parse_config({"cluster": "embedded", "node": nodes, **top})


def port_of(config: Config, number: int) -> int:
    """The client port of a node."""
    return int(config.member(number).client.bind.split(":")[1])


def call(port: int, *words: str) -> Deferred[Any]:
    """One request on a connection of its own, made on a thread: the reply, or the error that came instead."""

    def ask() -> Any:
        try:
            connection = Connection(port)
        except OSError as error:
            return error
        try:
            return connection.call(*words)
        except (OSError, EOFError, Refused) as error:
            return error
        finally:
            connection.close()

    return deferToThread(ask)


@inlineCallbacks
def until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Fires with what ``condition()``, or the Deferred that it returns, gives once that is true."""
    deadline = reactor.seconds() + seconds
    while True:
        found = condition()
        if isinstance(found, Deferred):
            found = yield found
        if found:
            return found
        if reactor.seconds() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        yield deferLater(reactor, LOOK_SECONDS)


def calls_of_nodes() -> list[Any]:
    """What the reactor is to call later, but for the end of trial's patience with a test."""
    return [each for each in reactor.getDelayedCalls() if "onTimeout" not in str(each)]


def timers() -> list[Any]:
    """The timers of nodes that the reactor reads."""
    return [each for each in reactor.getReaders() if isinstance(each, TimerDescriptor)]


def descriptors() -> set[str]:
    """What this process has open, but for what its reactor and its pool of threads need."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")
        except FileNotFoundError:
            continue  # of the listing itself
    return found


def kinds() -> Counter[str]:
    """How many objects of each class of dkv there are."""
    gc.collect()
    found = [f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects()]
    return Counter(name for name in found if name.startswith("dkv."))


class EmbeddedTestCase(TestCase):
    """``self.nodes`` are the services of three nodes, which are stopped at the end."""

    timeout = 120
    top: ClassVar[dict[str, Any]] = {}

    def setUp(self) -> None:
        self._threads = set(threading.enumerate())  # other tests leave some
        self.directory = Path(tempfile.mkdtemp(prefix="dkv-embedded-", dir=self.mktemp_parent()))
        self.config = config_of(**self.top)
        self.paths = self.place()
        create_directories(self.config, self.paths)
        self.nodes = {number: self.make(number) for number in NUMBERS}
        self.addCleanup(self.stop_all)

    def mktemp_parent(self) -> str:
        """A directory of trial's for this test."""
        path: str = self.mktemp()
        os.makedirs(path)
        return os.path.abspath(path)

    def threads(self) -> list[str]:
        """The threads that nodes have begun since the test did."""
        names = [each.name for each in set(threading.enumerate()) - self._threads]
        return sorted(name for name in names if name.startswith(("dkv-", "look-up")))

    def place(self) -> dict[int, Path]:
        """Where the directories of the nodes are."""
        return {number: self.directory / f"node{number}" for number in NUMBERS}

    def make(self, number: int) -> NodeService:
        return make_service(self.config, number, self.paths[number])

    def start_all(self) -> Deferred[Any]:
        """Start the nodes that do not run; fires when all of them serve."""
        for node in self.nodes.values():
            if not node.running:
                node.startService()
        return DeferredList([node.whenStarted() for node in self.nodes.values()], fireOnOneErrback=True)

    def stop_all(self) -> Deferred[Any]:
        return DeferredList([node.stopService() for node in self.nodes.values() if node.running])

    def call(self, number: int, *words: str) -> Deferred[Any]:
        return call(port_of(self.config, number), *words)

    @inlineCallbacks
    def put(self, number: int, key: str, value: str) -> Any:
        """Put, again and again until it is acknowledged: there may be no leader yet."""

        @inlineCallbacks
        def acknowledged() -> Any:
            reply = yield self.call(number, "PUT", key, value)
            return reply == "OK"

        yield until(acknowledged, 30.0, f"PUT {key} through node {number}")
