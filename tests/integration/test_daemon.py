"""A node as a daemon, and the signals that any node obeys: what supervisors and logrotate rely on."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dkv.storage.data_directory import initialise, open_directory
from dkv.storage.fence import fence_writes
from tests.integration.processes import HOST, TWISTD, RealCluster, child_environment, wait_until

SECONDS = 15.0
KILLED_AT_ITS_START = """
import os
from twisted.scripts.twistd import run
from dkv.node.service import NodeService
NodeService.startService = lambda _: os.kill(os.getpid(), 9)
run()
"""


def alive(pid: int) -> bool:
    """Whether there is such a process, a zombie not counted."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


class DaemonTestCase(SynchronousTestCase):
    """A cluster of one; its directory is the current one of all that is run."""

    def setUp(self) -> None:
        self.cluster = RealCluster(1)
        self.addCleanup(self.cluster.close)
        self.node = self.cluster.nodes[0]
        self.directory = self.cluster.directory
        self.log = self.directory / "own.log"

    def run_twistd(
        self, *twistd: str, node: tuple[str, ...] = (), program: list[str] = TWISTD
    ) -> subprocess.CompletedProcess[str]:
        """``twistd ... dkvnode`` with relative paths, until the process that was started ends."""
        arguments = node or ("--config", "cluster.toml", "--node", "1", "--data-dir", "node1")
        command = [*program, *twistd, "dkvnode", *arguments]
        return subprocess.run(
            command,
            cwd=self.directory,
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def start(self, *twistd: str) -> int:
        """Start a daemon, which must serve when the command returns; its process id."""
        ended = self.run_twistd("--pidfile", "own.pid", *twistd)
        self.assertEqual((ended.returncode, ended.stdout, ended.stderr), (0, "", ""))
        pid = int((self.directory / "own.pid").read_text())
        self.addCleanup(lambda: os.kill(pid, signal.SIGKILL) if alive(pid) else None)
        wait_until(self.node.serves, SECONDS, "the daemon serves")
        return pid

    def end(self, pid: int, number: int = signal.SIGTERM) -> None:
        """Send a signal, and wait until the process is gone."""
        os.kill(pid, number)
        wait_until(lambda: not alive(pid), SECONDS, "the daemon has ended")

    def events(self, path: Path) -> list[str]:
        """The events of a log; a line that is not JSON fails the test."""
        return [json.loads(line)["event"] for line in path.read_text().splitlines()]


class DaemonTest(DaemonTestCase):
    def test_from_start_to_stop(self) -> None:
        """It serves when the command returns, from the paths that were meant, and leaves nothing behind."""
        elsewhere = self.directory / "elsewhere"
        elsewhere.mkdir()
        pid = self.start("--logfile", "own.log", "--rundir", str(elsewhere))
        self.assertEqual(os.readlink(f"/proc/{pid}/cwd"), str(elsewhere))
        self.assertEqual({os.readlink(f"/proc/{pid}/fd/{number}") for number in range(3)}, {"/dev/null"})
        self.assertEqual(self.node.call("PUT", "k", "v"), "OK")
        self.end(pid)
        events = self.events(self.log)
        self.assertIn("started", events)
        self.assertIn("stopped", events)
        self.assertEqual(os.listdir(elsewhere), [])
        self.assertFalse((self.directory / "own.pid").exists())
        self.assertFalse((self.directory / "twistd.pid").exists())

    def test_rotation(self) -> None:
        """logrotate moves the file and sends SIGHUP, or SIGUSR1 as twistd has it; the node goes on in a new file."""
        pid = self.start("--logfile", "own.log")
        for life, number in enumerate((signal.SIGHUP, signal.SIGUSR1)):
            self.log.rename(f"{self.log}.{life}")
            os.kill(pid, number)
            wait_until(self.log.exists, SECONDS, "the file is there again")
            self.assertEqual(self.node.call("GET", "k"), None)
        self.end(pid)
        self.assertIn("started", self.events(Path(f"{self.log}.0")))
        self.assertEqual(self.events(Path(f"{self.log}.1"))[:1], ["log_reopened"])
        events = self.events(self.log)
        self.assertEqual((events[0], "stopped" in events), ("log_reopened", True))

    def test_two_of_one_directory(self) -> None:
        """twistd's default of a pidfile would let only one node be started from there."""
        cluster = RealCluster(1)
        self.addCleanup(cluster.close)
        for each, pidfile in ((self.cluster, "one.pid"), (cluster, "two.pid")):
            arguments = ("--config", str(each.config_path), "--node", "1", "--data-dir", str(each.nodes[0].directory))
            ended = self.run_twistd("--logfile", f"{pidfile}.log", node=arguments)
            self.assertEqual((ended.returncode, ended.stderr), (0, ""))
            (pid,) = [
                int(path.name)
                for path in Path("/proc").glob("[0-9]*")
                if alive(int(path.name)) and str(each.config_path).encode() in (path / "cmdline").read_bytes()
            ]
            self.addCleanup(self.end, pid)
            wait_until(each.nodes[0].serves, SECONDS, "it serves")
        self.assertEqual(list(self.directory.glob("*.pid")), [])


class FailedStartTest(DaemonTestCase):
    """Whoever starts a node must learn that it did not start, and why: in the foreground and as a daemon alike."""

    def assertFails(self, status: int, *words: str, node: tuple[str, ...] = (), twistd: tuple[str, ...] = ()) -> None:
        """It returns with the status, and the reason in one line on stderr."""
        for mode in (("-n",), ("--logfile", "own.log")):
            ended = self.run_twistd(*mode, "--pidfile", "own.pid", *twistd, node=node)
            self.assertEqual((ended.returncode, ended.stderr.count("\n")), (status, 1), ended.stderr)
            self.assertTrue(ended.stderr.startswith("dkvnode: "), ended.stderr)
            for word in words:
                self.assertIn(word, ended.stderr)
            self.assertFalse((self.directory / "own.pid").exists())
            for line in ended.stdout.splitlines():
                json.loads(line)

    def test_a_port_is_taken(self) -> None:
        """Each of the three."""
        for port in (self.node.port, self.node.peer_port, self.node.admin_port):
            with socket.socket() as listener:
                listener.bind((HOST, port))
                listener.listen()
                self.assertFails(1, f"{HOST}:{port}", "in use")

    def test_the_directory(self) -> None:
        """Another node's, or not there."""
        other = ("--config", "cluster.toml", "--node", "1", "--data-dir")
        initialise(str(self.directory / "node2"), "test", 2)
        self.assertFails(1, "belongs to node 2, not to node 1", node=(*other, "node2"))
        self.assertFails(1, "does not exist", str(self.directory / "absent"), node=(*other, "absent"))

    def test_the_directory_is_fenced(self) -> None:
        """A status of its own tells a supervisor that no further start will do."""
        store, states, _ = open_directory(str(self.node.directory), "test", 1, print)
        store.commit_now(fence_writes("its log differs"))
        states.close()
        store.close()
        self.assertFails(3, "is fenced: its log differs")

    def test_the_directory_is_in_use(self) -> None:
        """By a node that listens elsewhere, so that no port tells."""
        self.cluster.start()
        other = RealCluster(1)
        self.addCleanup(other.close)
        arguments = ("--config", str(other.config_path), "--node", "1", "--data-dir", "node1")
        self.assertFails(1, "locked", node=arguments)

    def test_the_config(self) -> None:
        """A mistake in it is status 2, before anything is opened."""
        self.assertFails(2, "node 9 is not a member", node=("--config", "cluster.toml", "--node", "9"))
        with self.cluster.config_path.open("a") as file:
            file.write("[timings]\nrequest_second = 3.0\n")
        self.assertFails(2, "did you mean 'request_seconds'")
        self.assertFails(2, str(self.directory / "absent.toml"), node=("--config", "absent.toml", "--node", "1"))

    def test_what_twistd_cannot_do(self) -> None:
        """Its own failures come as tracebacks, and in the background nobody would see them."""
        self.assertFails(1, "No such file or directory: '/absent'", twistd=("--rundir", "/absent"))
        self.assertFails(1, "/absent/own.pid", twistd=("--pidfile", "/absent/own.pid"))

    def test_killed_at_its_start(self) -> None:
        """Out of memory, say. twistd would wait for ever."""
        ended = self.run_twistd("--logfile", "own.log", program=[sys.executable, "-c", KILLED_AT_ITS_START])
        self.assertEqual(ended.returncode, 1)
        self.assertEqual(ended.stderr, f"dkvnode: it ended before it had started; {self.log} may say why\n")


class SignalTest(SynchronousTestCase):
    """In the foreground, where the log is stdout. A node that cannot decide answers a write only after its timeout."""

    def setUp(self) -> None:
        settings = "[timings]\nrequest_seconds = 30.0\ndrain_seconds = 30.0\n"
        self.cluster = RealCluster(3, settings)
        self.addCleanup(self.cluster.close)
        self.node = self.cluster.nodes[0]
        self.node.start()
        wait_until(self.answers, SECONDS, "the reactor runs: before that a signal ends the process")

    def answers(self) -> bool:
        try:
            return b"dkv_role" in self.node.call("INFO")
        except OSError:
            return False

    def signal(self, number: int) -> None:
        assert self.node.process is not None
        self.node.process.send_signal(number)

    def status(self) -> int:
        assert self.node.process is not None
        status = self.node.process.wait(SECONDS)
        self.node.process = None
        self.assertEqual(len(self.node.log_lines()), len(self.node.log_path.read_text().splitlines()))
        return status

    def test_those_that_reopen_the_log_do_no_harm(self) -> None:
        """Without a file there is nothing to reopen; by default they would end the process."""
        for number in (signal.SIGHUP, signal.SIGUSR1):
            self.signal(number)
        self.assertIn(b"dkv_role", self.node.call("INFO"))
        self.node.stop()

    def test_an_interrupt_is_a_clean_stop(self) -> None:
        """As a SIGTERM is, which ``stop`` sends all over these tests."""
        self.signal(signal.SIGINT)
        self.assertEqual(self.status(), 0)
        self.assertEqual(self.node.logged("stopping")[0]["signal"], "SIGINT")
        self.assertEqual(len(self.node.logged("stopped")), 1)

    def test_a_second_one_ends_it_at_once(self) -> None:
        """An operator who does not want to wait for clients any more need not look for kill -9."""
        connection = self.node.connect()
        self.addCleanup(connection.close)
        connection.send("PUT", "k", "v")
        nothing = b'dkv_queue_depth{queue="client_inflight_bytes"} 0.0'
        wait_until(lambda: nothing not in self.node.call("DKV.METRICS"), SECONDS, "the write is under way")
        self.signal(signal.SIGTERM)
        wait_until(lambda: self.node.logged("stopping"), SECONDS, "it has begun to stop")
        self.assertIsNone(self.node.process and self.node.process.poll())
        self.signal(signal.SIGTERM)
        self.assertEqual(self.status(), -signal.SIGTERM)
        self.assertEqual(self.node.logged("stopped"), [])
