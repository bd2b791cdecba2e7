"""A log that cannot be written, and what others write into it: with real pipes, files and processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import IO

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.processes import RealCluster, child_environment, wait_until

SECONDS = 15.0
MANY = 8_000
"""Fault orders, each of which is a line of the log: more than a pipe and what waits for it hold."""

SOME = 300

NOISE = """
import gc, logging, sys, threading, warnings
from twisted.internet.defer import fail
from twisted.python import log
from twisted.scripts.twistd import run
from dkv.node.service import NodeService

class Broken:
    def __del__(self):
        raise ValueError("from __del__")

def make_noise(self):
    print("from print")
    print("from stderr", file=sys.stderr)
    warnings.warn("from warnings", UserWarning)
    logging.getLogger("library").error("from logging")
    log.msg("from log.msg")
    log.err(ValueError("from log.err"), "with words")
    fail(ValueError("from a Deferred"))
    gc.collect()
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    Broken()
    self._owner.reactor.callLater(0, lambda: {}["from the reactor"])
    start(self)

start, NodeService.startService = NodeService.startService, make_noise
run()
"""


class LogTestCase(SynchronousTestCase):
    """One node of three: it cannot serve, but answers."""

    def setUp(self) -> None:
        self.cluster = RealCluster(3, top="allow_faults = true")
        self.addCleanup(self.cluster.close)
        self.node = self.cluster.nodes[0]

    def start(self, stdout: int | IO[bytes], *twistd: str) -> subprocess.Popen[bytes]:
        """Start the node with this stdout, and twistd's options; ``stderr`` is a pipe."""
        command = self.node.command()
        command[command.index("dkvnode") : command.index("dkvnode")] = twistd
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, env=child_environment()
        )
        self.node.process = process
        assert process.stderr is not None
        self.addCleanup(process.stderr.close)
        wait_until(self.answers, SECONDS, "it answers")
        return process

    def answers(self) -> bool:
        try:
            return b"dkv_role" in self.node.call("INFO")
        except OSError:
            return False

    def fill_the_log(self, lines: int) -> None:
        """Let the node log so many lines; it must go on."""
        connection = self.node.connect(SECONDS)
        self.addCleanup(connection.close)
        for _ in range(lines // 100):
            for _ in range(100):
                connection.send("DKV.FAULT", "DELAY", 2, 1)
            for _ in range(100):
                self.assertEqual(connection.read(), "OK")

    def dropped(self) -> int:
        """What the metric says."""
        lines = self.node.call("DKV.METRICS").decode().splitlines()
        (value,) = [line.split()[1] for line in lines if line.startswith("dkv_log_lines_dropped_total ")]
        return int(float(value))

    def end(self, process: subprocess.Popen[bytes], status: int = 0) -> str:
        """SIGTERM; it ends at once, with the status. What it said on stderr."""
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(SECONDS), status)
        self.node.process = None
        assert process.stderr is not None
        return process.stderr.read().decode()


class UnwritableTest(LogTestCase):
    """The node serves on, and the log tells what it lacks as soon as it can."""

    def test_nobody_reads(self) -> None:
        """A pipe takes 64 KiB. Then the reactor would stand still, and a stop would never come to its end."""
        reader, writer = os.pipe()
        process = self.start(writer)
        os.close(writer)
        with os.fdopen(reader, "rb") as log:
            self.fill_the_log(MANY)
            dropped = self.dropped()
            self.assertGreater(dropped, 0)
            told = None
            while told is None:  # the rest of what waited is there, line by line, and then this
                line = json.loads(log.readline())
                told = line["count"] if line["event"] == "lines_dropped" else None
            self.assertEqual((told, line["level"]), (dropped, "warning"))
            self.assertIn(f"{dropped} lines were dropped", line["reason"])
            self.fill_the_log(MANY)
            self.assertEqual(self.end(process), "")

    def test_nobody_reads_and_it_fails(self) -> None:
        """Even its last words must not keep a node that failed from ending."""
        self.node.start()
        wait_until(self.answers, SECONDS, "it answers")
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        os.set_blocking(writer, False)
        try:
            while True:
                os.write(writer, b"x" * 1024)
        except BlockingIOError:
            os.set_blocking(writer, True)
        second = subprocess.Popen(self.node.command(), stdout=writer, stderr=writer, env=child_environment())
        os.close(writer)
        self.assertEqual(second.wait(SECONDS), 1)

    def test_the_reader_has_enough(self) -> None:
        """``| head -1``, and ``>&-``: no traceback, and the node serves on."""
        process = self.start(subprocess.PIPE)
        assert process.stdout is not None
        self.assertTrue(process.stdout.readline())
        process.stdout.close()
        self.fill_the_log(SOME)
        wait_until(lambda: self.dropped() >= SOME, SECONDS, "all lines are counted")
        self.assertEqual(self.end(process), "")
        closed = ["sh", "-c", 'exec "$@" >&- 2>&- <&-', "sh", *self.node.command()]
        self.node.process = subprocess.Popen(closed, env=child_environment())
        wait_until(self.answers, SECONDS, "it answers")
        opened = {os.readlink(f"/proc/{self.node.process.pid}/fd/{number}") for number in range(3)}
        self.assertEqual(opened, {"/dev/null"})
        self.node.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.node.process.wait(SECONDS), 0)

    def test_a_full_disk(self) -> None:
        """Every write to this file fails as on a full disk."""
        process = self.start(subprocess.DEVNULL, "--logfile", "/dev/full")
        self.fill_the_log(SOME)
        wait_until(lambda: self.dropped() >= SOME, SECONDS, "all lines are counted")
        self.assertEqual(self.end(process), "")

    def test_a_usage_that_nobody_reads(self) -> None:
        """``--print-config | head -1`` is silent, a full disk one line; what is cut short is no success."""
        reader, pipe = os.pipe()
        os.close(reader)
        full = "dkvnode: cannot write the output: No space left on device\n"
        for stdout, ending in ((pipe, (141, "")), (os.open("/dev/full", os.O_WRONLY), (74, full))):
            for option in ("--print-config", "--help"):
                command = [*self.node.command(), option]
                process = subprocess.Popen(
                    command, stdout=stdout, stderr=subprocess.PIPE, env=child_environment(), text=True
                )
                _, said = process.communicate(timeout=SECONDS)
                self.assertEqual((process.returncode, said), ending, option)
            os.close(stdout)


class ForeignTest(LogTestCase):
    def test_every_line_is_ours(self) -> None:
        """Whatever a library prints, warns of, logs or fails with: another format breaks whoever parses the log."""
        command = self.node.command()
        noisy = [sys.executable, "-W", "always", "-c", NOISE, *command[command.index("-n") :]]
        with self.node.log_path.open("wb") as log:
            process = subprocess.Popen(noisy, stdout=log, stderr=subprocess.PIPE, env=child_environment())
        self.node.process = process
        assert process.stderr is not None
        self.addCleanup(process.stderr.close)
        wait_until(lambda: "from the reactor" in self.node.log_path.read_text(), SECONDS, "the last noise is logged")
        self.assertEqual(self.end(process), "")
        lines = [json.loads(line) for line in self.node.log_path.read_text().splitlines()]
        for line in lines:
            self.assertEqual(list(line)[:5], ["timestamp", "level", "node", "actor", "event"])
            self.assertNotIn("Traceback", line["event"])
        said = [f"{line['actor']} {line['event']} {line.get('exception', '')}" for line in lines]
        for noise in (
            "twisted from print",
            "twisted from stderr",
            "UserWarning: from warnings",
            "python from logging",
            "twisted from log.msg",
            "ValueError: from log.err",
            "ValueError: from a Deferred",
            "ZeroDivisionError",
            "ValueError: from __del__",
            "KeyError: 'from the reactor'",
        ):
            self.assertEqual([noise in each for each in said].count(True), 1, noise)
