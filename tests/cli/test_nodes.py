"""The processes of dkv cluster: started together, watched, and never left behind. They are fake nodes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dkv.cli import nodes
from dkv.cli.nodes import NodeProcess, Signals, run, script
from dkv.cli.output import Failure, Status
from dkv.client.blocking import Endpoint
from tests.cli.run_nodes import FAKE_NODE

WAIT_SECONDS = 20.0


def free_port() -> int:
    """A port that nothing listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def keep_signals(test: SynchronousTestCase) -> None:
    """Put the handlers of this process back after a test: ``Signals`` is made for one that is about to end."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1):
        test.addCleanup(signal.signal, number, signal.getsignal(number))
    descriptor = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(descriptor)
    test.addCleanup(signal.set_wakeup_fd, descriptor)


def nothing() -> None:
    """The next step of a test when the cluster is ready."""


class NodesTestCase(SynchronousTestCase):
    """``self.said`` has all that the user reads; ``on(words, action)`` acts as the user when a line with them comes."""

    def setUp(self) -> None:
        keep_signals(self)
        self.patch(nodes, "TWISTD", FAKE_NODE)
        self.patch(nodes, "say", self.hear)
        self.patch(nodes, "complain", self.hear)
        self.place = Path(self.mktemp()).absolute()
        self.place.mkdir()
        self.said: list[str] = []
        self.actions: dict[str, Callable[[], None]] = {}
        self.nodes: list[NodeProcess] = []

    def hear(self, line: str) -> None:
        self.said.append(line)
        for words in [words for words in self.actions if words in line]:
            self.actions.pop(words)()

    def on(self, words: str, action: Callable[[], None]) -> None:
        self.actions[words] = action

    def node(self, *kinds: str) -> NodeProcess:
        """One more node, with the next number."""
        number, port = len(self.nodes) + 1, free_port()
        self.nodes.append(
            NodeProcess(number, [str(port), *kinds], self.place / f"node{number}.log", Endpoint("127.0.0.1", port))
        )
        return self.nodes[-1]

    def run_all(self, welcome: Callable[[], None] = nothing) -> Status:
        """Run them all; afterwards none is left."""
        try:
            with Signals() as signals:
                return run(self.nodes, signals, welcome)
        finally:
            for node in self.nodes:
                if hasattr(node, "process"):
                    self.assertIsNotNone(node.process.returncode, "a node was left behind")

    def log(self, node: NodeProcess) -> list[str]:
        return node.log_path.read_text().splitlines()

    def assert_said(self, words: str) -> None:
        self.assertTrue([line for line in self.said if words in line], f"{words!r} is not in {self.said}")


def terminate_us() -> None:
    """As a supervisor stops ``dkv cluster``."""
    os.kill(os.getpid(), signal.SIGTERM)


class Stopping(NodesTestCase):
    """Ctrl-C and SIGTERM."""

    def check_stop(self, number: int) -> None:
        both = self.node(), self.node()
        self.assertEqual(self.run_all(lambda: os.kill(os.getpid(), number)), Status.DONE)
        for node in both:
            self.assertEqual(self.log(node), ["serving", "terminated"])
            self.assertEqual(node.process.returncode, 0)
        self.assertEqual(self.said[-2:], ["stopping node 1, node 2", "stopped"])

    def test_sigterm(self) -> None:
        """A supervisor's signal stops every node cleanly, once, and is no error."""
        self.check_stop(signal.SIGTERM)

    def test_sigint(self) -> None:
        """So does Ctrl-C."""
        self.check_stop(signal.SIGINT)

    def test_sighup(self) -> None:
        """So does closing the terminal, unless the command was started with ``nohup``, as these tests may be too."""
        self.addCleanup(signal.signal, signal.SIGHUP, signal.signal(signal.SIGHUP, signal.SIG_DFL))
        self.check_stop(signal.SIGHUP)

    def test_ctrl_c_reaches_us_alone(self) -> None:
        """A Ctrl-C goes to all processes of the terminal's session; a node that got it too would be stopped twice."""
        node = self.node()
        sessions = []

        def look() -> None:
            sessions.append(os.getsid(node.process.pid))
            terminate_us()

        self.run_all(look)
        self.assertEqual(sessions, [node.process.pid])

    def test_impatient(self) -> None:
        """A second Ctrl-C does not wait any more, and does not leave half of the nodes behind."""
        node = self.node("deaf")
        self.on("stopping", terminate_us)
        self.assertEqual(self.run_all(terminate_us), Status.DONE)
        self.assertEqual(node.process.returncode, -signal.SIGKILL)
        self.assertEqual(self.said[-2:], ["node 1 was not waited for and was killed", "stopped"])

    def test_a_signal_for_logs(self) -> None:
        """The signal that makes other programs reopen their logs must not end a cluster."""

        def signal_us() -> None:
            os.kill(os.getpid(), signal.SIGUSR1)
            terminate_us()

        node = self.node()
        self.assertEqual(self.run_all(signal_us), Status.DONE)
        self.assertEqual((node.process.returncode, self.said[-1]), (0, "stopped"))

    def test_before_the_start(self) -> None:
        """A signal that comes while directories are prepared starts nothing."""
        node = self.node()
        with Signals() as signals:
            terminate_us()
            self.assertEqual(run(self.nodes, signals, self.fail), Status.DONE)
        self.assertFalse(hasattr(node, "process"))

    def test_before_ready(self) -> None:
        """A user need not wait for a cluster that does not become ready."""
        self.patch(nodes, "PROBE_SECONDS", 0.05)
        self.node("dumb")
        self.on("node 1  pid", terminate_us)
        self.assertEqual(self.run_all(lambda: self.fail("it was not ready")), Status.DONE)

    def test_deaf_node(self) -> None:
        """A node that does not end in time is killed, and the user reads so."""
        self.patch(nodes, "STOP_SECONDS", 0.2)
        node = self.node("deaf")
        self.assertEqual(self.run_all(terminate_us), Status.DONE)
        self.assertEqual(node.process.returncode, -signal.SIGKILL)
        self.assert_said("node 1 did not end within 0.2 s and was killed")

    def test_nobody_reads(self) -> None:
        """The nodes end cleanly and with the command, whatever becomes of its output."""
        node = self.node()

        def broken_pipe() -> None:
            raise Failure(Status.OUTPUT, "OUTPUT", "cannot write the output: Broken pipe")

        self.on("stopping", broken_pipe)
        with self.assertRaises(Failure):
            self.run_all(broken_pipe)
        self.assertEqual((node.process.returncode, self.log(node)[-1]), (0, "terminated"))

    def test_stops_badly(self) -> None:
        """A node that fails while it stops is not passed over in silence."""
        self.node("sore")
        self.assertEqual(self.run_all(terminate_us), Status.DONE)
        self.assert_said("node 1 ended: exit status 4: terminated")

    def test_frozen_node(self) -> None:
        """A node that the user froze to see what happens is stopped cleanly like the others."""
        node = self.node()

        def freeze() -> None:
            node.process.send_signal(signal.SIGSTOP)
            terminate_us()

        self.assertEqual(self.run_all(freeze), Status.DONE)
        self.assertEqual((node.process.returncode, self.log(node)[-1]), (0, "terminated"))

    def test_last_moment(self) -> None:
        """A second Ctrl-C while the process ends does not turn its success into a failure."""
        self.node()
        self.run_all(terminate_us)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(os.getpid(), number)

    def test_nohup(self) -> None:
        """``nohup dkv cluster`` outlives its terminal."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with Signals() as signals:
            os.kill(os.getpid(), signal.SIGHUP)
            self.assertFalse(signals.stop)


class Starting(NodesTestCase):
    """Until the cluster is ready."""

    def test_ready(self) -> None:
        """ "Ready" is said when all nodes serve, not before, and the user knows each one's process and log."""
        self.node(), self.node()
        served: list[bool] = []

        def welcome() -> None:
            served.extend(node.serves() for node in self.nodes)
            terminate_us()

        self.run_all(welcome)
        self.assertEqual(served, [True, True])
        for node, line in zip(self.nodes, self.said, strict=False):
            self.assertIn(f"node {node.number}  pid {node.process.pid}  clients {node.endpoint}", line)
            self.assertIn(str(node.log_path), line)

    def test_node_that_fails(self) -> None:
        """A node that cannot start: the user reads its reason, and the others do not run on without it."""
        other, _ = self.node(), self.node("failing")
        with self.assertRaises(Failure) as caught:
            self.run_all(lambda: self.fail("it was not ready"))
        self.assertEqual(caught.exception.status, Status.FAILED)
        self.assertIn("node 2 ended at its start, exit status 3: the data directory is", caught.exception.message)
        self.assertIn(str(self.nodes[1].log_path), caught.exception.message)
        self.assertIsNotNone(other.process.returncode)

    def test_log_cannot_be_written(self) -> None:
        """Then nothing is left running, and there is one clear line."""
        self.node()
        self.node().log_path.mkdir()
        with self.assertRaises(Failure) as caught:
            self.run_all()
        self.assertIn("node2.log: Is a directory", caught.exception.message)

    def test_not_ready(self) -> None:
        """A user who waits reads who is waited for, and where to look."""
        self.patch(nodes, "READY_SECONDS", 0.1)
        self.patch(nodes, "PROBE_SECONDS", 0.05)
        self.node(), self.node("dumb")
        self.on("waiting on", terminate_us)
        self.assertEqual(self.run_all(lambda: self.fail("it was not ready")), Status.DONE)
        self.assert_said(f"no answer yet from node 2 ({self.nodes[1].log_path}); waiting on")


class Watching(NodesTestCase):
    """Nodes that end while the cluster runs."""

    def test_killed(self) -> None:
        """The tour: a node is killed; the user reads so and how to start it again; the others serve on."""
        victim, other = self.node(), self.node()
        self.patch(nodes, "script", lambda name: name)
        victim.arguments = [*victim.arguments, "a b"]
        served: list[bool] = []

        def look() -> None:
            served.append(other.serves())
            terminate_us()

        self.on("start it again", look)
        self.assertEqual(self.run_all(lambda: victim.process.kill()), Status.DONE)
        self.assertEqual(served, [True])
        self.assert_said(f"node 1 (pid {victim.process.pid}) ended: killed by signal 9")
        self.assert_said(f"start it again with: twistd {victim.endpoint.port} 'a b'")
        self.assertEqual(self.said[-2:], ["stopping node 2", "stopped"])

    def test_all_gone(self) -> None:
        """When no node is left there is nothing to watch: the command ends, and not as if all were well."""
        self.node(), self.node()

        def kill_all() -> None:
            for node in self.nodes:
                node.process.kill()

        with self.assertRaises(Failure) as caught:
            self.run_all(kill_all)
        self.assertEqual(caught.exception.message, "all nodes that this command started have ended")

    def test_killed_parent(self) -> None:
        """``kill -9`` of the command itself: its nodes end cleanly, and the next one finds the ports free."""
        log_path, port = self.place / "node1.log", free_port()
        command = [sys.executable, "-m", "tests.cli.run_nodes", str(port), str(log_path)]
        root = Path(__file__).parents[2]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) as parent:
            assert parent.stdout is not None
            try:
                for line in parent.stdout:
                    if line == b"cluster ready\n":
                        break
            finally:
                parent.kill()
        for _ in self.patiently():
            if log_path.read_text().endswith("terminated\n"):
                break

    def patiently(self) -> Iterator[None]:
        """Rounds of a loop that looks for something, with a deadline."""
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            yield
            time.sleep(0.02)  # between two looks at a condition
        self.fail("it did not happen in time")


class LastWords(SynchronousTestCase):
    """``Node.last_words``."""

    def words(self, text: str) -> str:
        path = Path(self.mktemp())
        path.write_text(text)
        return NodeProcess(1, [], path, Endpoint("a", 1)).last_words()

    def test_reason(self) -> None:
        """From a node's log the user gets the reason why it ended, or else the last line."""
        self.assertEqual(self.words("{}\ndkvnode: the disk is full\n{}\n"), "the disk is full")
        self.assertEqual(self.words("Traceback\n  File\nKeyError: 1\n\n"), "KeyError: 1")
        self.assertEqual(self.words(""), "")

    def test_earlier_life(self) -> None:
        """The log lines of an earlier process are not taken for those of this one."""
        self.patch(nodes, "TWISTD", (sys.executable, "-c", "pass"))
        path = Path(self.mktemp())
        path.write_text("dkvnode: the disk is full\n")
        node = NodeProcess(1, [], path, Endpoint("a", 1))
        node.start()
        self.assertEqual((node.ending(), node.last_words()), ("exit status 0", ""))


class Script(SynchronousTestCase):
    """``script``."""

    def test_path(self) -> None:
        """The user is told to type a name if the shell finds the same program, else the whole path."""
        place = Path(self.mktemp()).absolute()
        place.mkdir()
        self.patch(sys, "executable", str(place / "python"))
        self.patch(os, "environ", os.environ | {"PATH": str(place)})
        self.assertEqual(script("dkv"), "dkv")
        (place / "dkv").touch(0o755)
        self.assertEqual(script("dkv"), "dkv")
        os.environ["PATH"] = "/nowhere"
        self.assertEqual(script("dkv"), str(place / "dkv"))
