"""Nodes in a program of somebody else's: they serve, leave its settings alone, stop and fail without a trace."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import sys
import threading
from collections import Counter
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from dkv.actor import Fenced
from dkv.embedding import ConfigError, DirectoryError, NodeFailed, create_directories, make_service
from dkv.storage.leveldb import LevelDBStore
from dkv.storage.store import StoreFailed
from tests.integration.embedded import (
    NUMBERS,
    EmbeddedTestCase,
    call,
    calls_of_nodes,
    config_of,
    descriptors,
    kinds,
    port_of,
    reactor,
    timers,
    until,
)
from tests.integration.processes import HOST, Connection, Refused
from tests.integration.settings_of_process import settings

PIPELINES, PIPELINE = 2_000, 50
CYCLES = 60
"""How often three nodes are started and stopped; about ten seconds."""


class ServingTests(EmbeddedTestCase):
    @inlineCallbacks
    def test_serves(self) -> Any:
        """What is put through one node of the program is read through another."""
        yield self.start_all()
        yield self.put(1, "x", "1")
        value = yield self.call(3, "GET", "x")
        self.assertEqual(value, b"1")

    @inlineCallbacks
    def test_changes_no_setting(self) -> Any:
        """The program of somebody else would log elsewhere, obey no signal, or leave files that its group cannot read:
        and its author would look for the cause for days."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1_500), hard))  # less than a node would like to have
        yield deferLater(reactor, 0)  # else the reactor has not begun, and not installed its own handlers
        before = settings()
        yield self.start_all()
        yield self.put(1, "x", "1")
        while_they_run = settings()
        yield self.stop_all()
        for found in (while_they_run, settings()):
            for name, value in before.items():
                self.assertEqual(found[name], value, name)

    @inlineCallbacks
    def test_a_child_of_others(self) -> Any:
        """Services of Twisted live in a tree: one that is stopped with its parent must be closed when that is."""
        parent = MultiService()
        for number, node in self.nodes.items():
            node.setName(f"node{number}")
            node.setServiceParent(parent)
        parent.startService()
        yield self.start_all()
        yield self.put(2, "x", "1")
        yield parent.stopService()
        self.assertEqual(self.threads(), [])
        late = self.make(1)
        parent.startService()
        late.startService()
        error = yield self.assertFailure(late.whenStarted(), NodeFailed)
        self.assertIn("cannot listen", error.reason, "the node of the tree has the port")
        yield parent.stopService()
        yield late.stopService()

    @inlineCallbacks
    def test_answers_before_it_stops(self) -> Any:
        """A program that stops costs no client the answer to what its node has taken in."""
        yield self.start_all()
        yield self.put(1, "x", "1")
        connection = Connection(port_of(self.config, 1))
        self.addCleanup(connection.close)
        answered: list[Any] = []

        def append_on_and_on() -> None:
            with contextlib.suppress(OSError, EOFError, Refused):
                for _ in range(PIPELINES):
                    for _ in range(PIPELINE):
                        connection.send("APPEND", "list", ",")
                    for _ in range(PIPELINE):
                        answered.append(connection.read())

        appending = deferToThread(append_on_and_on)
        yield until(lambda: len(answered) > 3 * PIPELINE, 30.0, "some are answered")
        yield self.nodes[1].stopService()
        yield appending
        self.assertLess(len(answered), PIPELINES * PIPELINE)
        found = yield self.call(2, "STRLEN", "list")
        self.assertEqual(found, len(answered))


class RestartTests(EmbeddedTestCase):
    @inlineCallbacks
    def test_again_and_again(self) -> Any:
        """A program that starts and stops nodes all day, as a suite of tests does, must not run out of anything."""
        yield self.start_all()
        yield self.put(1, "x", "1")
        yield self.stop_all()
        yield call(port_of(self.config, 1), "PING")  # its pool of threads is there from now on
        open_before, readers = descriptors(), set(map(str, reactor.getReaders()))
        before: Counter[str] = Counter()
        for number in range(CYCLES):
            self.nodes = {number: self.make(number) for number in NUMBERS} if number % 2 else self.nodes
            for node in self.nodes.values():
                node.startService()
            if number % 4 == 1:
                yield self.put(1 + number % 3, "x", str(number))
            yield self.stop_all()
            self.assertEqual((self.threads(), calls_of_nodes()), ([], []))
            before = before or kinds()
        self.assertEqual(descriptors(), open_before)
        self.assertEqual(set(map(str, reactor.getReaders())), readers)
        grown = {name: count for name, count in (kinds() - before).items() if count > CYCLES // 2}
        grown.pop("dkv.identity.Start", None)  # a Hello names the latest starts, up to 32
        self.assertEqual(grown, {})
        yield self.start_all()
        value = yield self.call(2, "GET", "x")
        self.assertEqual(value, str(CYCLES - 3).encode())

    @inlineCallbacks
    def test_stopped_at_once(self) -> Any:
        """A program that is stopped while it starts leaves nothing half open, and whoever waits for its start hears."""
        node = self.nodes[1]
        started = node.whenStarted()
        node.startService()
        yield node.stopService()
        yield started  # it served already: nothing here takes its time to listen
        again = node.startService()
        yield DeferredList([again, node.stopService(), node.stopService()])
        self.assertEqual(self.threads(), [])
        stopping = node.stopService()
        yield node.startService()
        yield stopping
        yield node.whenStarted()
        running = node._node
        yield node.startService()
        self.assertIs(node._node, running, "it runs already")
        yield DeferredList([node.stopService(), node.startService(), node.stopService()])
        self.assertEqual((self.threads(), calls_of_nodes(), timers()), ([], [], []))


class FailedStartTests(EmbeddedTestCase):
    @inlineCallbacks
    def failed(self, number: int = 1) -> Any:
        """Starts a node that cannot; its failure, which both questions have for an answer, and nothing is left."""
        node = self.nodes[number]
        yield node.startService()
        error = yield node.whenFailed()
        same = yield self.assertFailure(node.whenStarted(), NodeFailed)
        self.assertIs(error, same)
        self.assertEqual((self.threads(), calls_of_nodes()), ([], []))
        yield node.stopService()
        return error

    @inlineCallbacks
    def test_a_port_that_is_taken(self) -> Any:
        """The program hears of it, and goes on; the node starts when the port is free."""
        taken = socket.socket()
        self.addCleanup(taken.close)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((HOST, port_of(self.config, 1)))
        taken.listen()
        error = yield self.failed()
        self.assertEqual(error.status, 1)
        self.assertIn("cannot listen", error.reason)
        self.flushLoggedErrors()
        taken.close()
        yield self.start_all()

    @inlineCallbacks
    def test_no_directory(self) -> Any:
        """One line says what to do."""
        self.nodes[1] = make_service(self.config, 1, self.directory / "nothing")
        error = yield self.failed()
        self.assertEqual(error.status, 1)
        self.assertIn("does not exist; initialise it once with", str(error))

    @inlineCallbacks
    def test_a_directory_in_use(self) -> Any:
        """Two nodes of one program on one directory would destroy it."""
        yield self.start_all()
        other = config_of()
        self.nodes[4] = make_service(other, 1, self.paths[1])
        yield self.nodes[4].startService()
        error = yield self.nodes[4].whenFailed()
        self.assertIn("is locked", error.reason)
        yield self.put(1, "x", "1")

    @inlineCallbacks
    def test_anothers_directory(self) -> Any:
        """A mistake in a path must not give a node another one's votes."""
        self.nodes[1] = make_service(self.config, 1, self.paths[2])
        error = yield self.failed()
        self.assertIn("belongs to node 2", error.reason)

    def test_a_wrong_config(self) -> None:
        """It is told where the service is made, before anything runs."""
        self.assertRaises(ConfigError, make_service, self.config, 7, self.paths[1])
        self.assertRaises(ConfigError, make_service, self.directory / "none.toml", 1, self.paths[1])

    def test_directories_are_made_once(self) -> None:
        """A node that comes back with an empty directory votes on what it has forgotten, and acknowledged writes go."""
        self.assertFalse(create_directories(self.config, self.paths))
        os.rename(self.paths[2], self.directory / "elsewhere")
        error = self.assertRaises(DirectoryError, create_directories, self.config, self.paths)
        self.assertIn("of node 2 is gone", str(error))
        self.assertFalse(self.paths[2].exists())
        error = self.assertRaises(DirectoryError, create_directories, self.config, {1: self.directory / "one"})
        self.assertIn("are [1, 2, 3]", str(error))


class FailureTests(EmbeddedTestCase):
    """Node 2 fails; the program and the other two go on."""

    def break_disk(self, number: int) -> list[bytes]:
        """From now on each write of the node's log fails, as on a full disk; the values of what is tried."""
        directory, tried = str(self.paths[number]), []
        batch_of = LevelDBStore._batch

        class Broken:
            def __init__(self, batch: Any) -> None:
                self.approximate_size = batch.approximate_size

            def write(self) -> None:
                tried.append(b"")
                raise OSError(28, "No space left on device")

        def broken(store: LevelDBStore, writes: Any) -> Any:
            batch = batch_of(store, writes)
            return Broken(batch) if store.directory == directory else batch

        self.patch(LevelDBStore, "_batch", broken)
        return tried

    @inlineCallbacks
    def goes_on(self) -> Any:
        """The other two serve, and nothing of node 2 is left."""
        yield self.put(1, "after", "1")
        value = yield self.call(3, "GET", "after")
        self.assertEqual(value, b"1")
        reply = yield self.call(2, "PING")
        self.assertIsInstance(reply, ConnectionRefusedError)

    @inlineCallbacks
    def test_a_disk_that_fails(self) -> Any:
        """After a failed write nothing may be answered or written: what was acknowledged might be lost. So the node is
        gone in that moment, and may start again when the disk works. What it has acknowledged is on a majority's disks,
        be its own among them or not."""
        yield self.start_all()
        yield self.put(2, "x", "1")
        before = settings()
        tried = self.break_disk(2)
        reply = yield self.call(2, "PUT", "y", "2")
        error = yield self.nodes[2].whenFailed()
        self.assertEqual((error.status, error.fenced), (1, False))
        self.assertIn("No space left on device", error.reason)
        self.assertEqual(len(tried), 1, "nothing is written behind what failed")
        self.flushLoggedErrors()
        yield self.goes_on()
        if reply == "OK":  # the other two had it on their disks before this one failed
            stored = yield self.call(1, "GET", "y")
            self.assertEqual(stored, b"2")
        else:
            self.assertIsInstance(reply, (OSError, EOFError), "no answer")
        self.assertEqual({name: value for name, value in settings().items() if value != before[name]}, {})
        self.patch(LevelDBStore, "_batch", LevelDBStore._batch)
        yield self.nodes[2].stopService()
        self.assertEqual(len(tried), 1)

    @inlineCallbacks
    def test_starts_again_after_a_failure(self) -> Any:
        """The directory is released, and holds what was acknowledged: the same service starts on it."""
        yield self.start_all()
        yield self.put(2, "x", "1")
        node: Any = self.nodes[2]
        built = node._node._built
        yield until(lambda: len(built.mesh._links) == 4, 10.0, "both peers are connected both ways")
        built.host.store_failed(StoreFailed("broken"))
        self.assertTrue(all(link.is_closing for link in built.mesh._links), "in that very moment")
        self.assertNoResult(node.whenFailed())
        yield node.whenFailed()
        yield node.stopService()
        yield self.goes_on()
        yield node.startService()
        yield node.whenStarted()
        yield self.put(2, "y", "2")
        value = yield self.call(2, "GET", "x")
        self.assertEqual(value, b"1")

    @inlineCallbacks
    def test_a_mistake_in_a_handler(self) -> Any:
        """A bug of dkv ends its node and not the program, which finds the traceback in its log."""
        yield self.start_all()
        yield self.put(2, "x", "1")
        node: Any = self.nodes[2]
        self.patch(node._node._built.host._actors["gateway"][0], "receive", lambda *_: 1 / 0)
        reply = yield self.call(2, "PUT", "y", "2")
        self.assertIsInstance(reply, (OSError, EOFError))
        error = yield node.whenFailed()
        self.assertIn("the gateway failed on", error.reason)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        yield self.goes_on()

    @inlineCallbacks
    def test_fenced(self) -> Any:
        """A directory that must not vote again is marked so before the program hears of it, and refused later."""
        yield self.start_all()
        yield self.put(2, "x", "1")
        node: Any = self.nodes[2]
        node._node._built.host.fence("its log differs")
        error = yield node.whenFailed()
        self.assertEqual((error.status, error.fenced), (3, True))
        self.assertRegex(error.reason, "^fenced: its log differs. This directory must not take part any more")
        yield node.stopService()
        yield self.goes_on()
        yield node.startService()
        error = yield node.whenFailed()
        self.assertEqual(error.status, 3)
        self.assertIn("is fenced: its log differs", error.reason)

    @inlineCallbacks
    def test_while_it_stops(self) -> Any:
        """A node whose disk fails while it answers its last clients still stops, and nobody is told what is not so."""
        yield self.start_all()
        yield self.put(2, "x", "1")
        node: Any = self.nodes[2]
        idle: list[Any] = [self.call(2, "PING")]
        yield idle[0]
        tried = self.break_disk(2)
        pending = self.call(2, "PUT", "y", "2")
        stopped = node.stopService()
        node._node._built.host._end("a test ends it", Fenced("while it stops"))
        yield stopped
        reply = yield pending
        self.assertNotEqual(reply, "OK")
        error = yield node.whenFailed()
        self.assertIn("while it stops", error.reason)
        self.assertLessEqual(len(tried), 2)
        self.flushLoggedErrors()
        yield self.goes_on()


class HungDiskTests(EmbeddedTestCase):
    @inlineCallbacks
    def test_the_program_hears_of_it(self) -> Any:
        """A disk that takes no write and gives no error keeps the directory from closing, but not the program from
        hearing that its node is over, nor its reactor from running."""
        self.patch(sys.modules["dkv.node.running"], "CLOSING_SECONDS", 0.2)
        yield self.start_all()
        yield self.put(2, "x", "1")
        let_go = threading.Event()
        self.addCleanup(let_go.set)
        node: Any = self.nodes[2]
        close = node._node._store.close

        def hang() -> None:
            let_go.wait(60)
            close()

        self.patch(node._node._store, "close", hang)
        node._node._built.host.store_failed(StoreFailed("broken"))
        yield node.whenFailed()
        yield self.put(1, "after", "1")
        stopped: Deferred[None] = node.stopService()
        self.assertFalse(stopped.called)
        let_go.set()
        yield stopped
        self.assertEqual([name for name in self.threads() if name == "dkv-close"], [])
