"""The output of commands, and what happens if it cannot be written."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dkv.cli import access
from dkv.cli.output import Failure, Status, bytes_field, complain, emit, one_line, say_if_taken
from tests.cli.commands import run

ROOT = Path(__file__).resolve().parent.parent.parent


class Output(SynchronousTestCase):
    """The helpers of every command."""

    def test_one_line(self) -> None:
        """The words of a server or a file name cannot move the cursor or forge a second line."""
        self.assertEqual(one_line("no\x1b[2J such\nfile é"), "no?[2J such?file é")

    def test_bytes_field(self) -> None:
        """A program can tell text, bytes, emptiness and absence apart."""
        self.assertEqual(bytes_field("value", "é".encode()), {"value": "é"})
        self.assertEqual(bytes_field("value", b"\xff\x00"), {"value_base64": "/wA="})
        self.assertEqual(bytes_field("value", b""), {"value": ""})
        self.assertEqual(bytes_field("value", None), {"value": None})

    def test_stdout_is_full(self) -> None:
        """A value that did not reach its file is not reported as read; nor does exiting fail a second time."""
        with open("/dev/full", "w") as stdout:
            self.patch(sys, "stdout", stdout)
            with self.assertRaises(Failure) as caught:
                emit(b"value")
        self.assertEqual(caught.exception.status, Status.OUTPUT)
        self.assertEqual(caught.exception.message, "cannot write the output: No space left on device")


class SurpriseTests(SynchronousTestCase):
    """An unexpected error, in any command."""

    def dkv(self, *words: str, stdout: int | None = None, **environment: str) -> tuple[int, str]:
        """Status and stderr of a process of its own."""
        variables = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], **environment}
        command = [sys.executable, "-m", "dkv.cli.main", *words]
        done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, env=variables, text=True, check=False)
        return done.returncode, done.stderr

    def test_one_line(self) -> None:
        """70, and never 1, which says that there is no such key; nor a traceback, unless somebody asks for it."""

        def surprise(*_: object) -> None:
            raise RuntimeError("two\nlines")

        self.patch(access, "ask_where", surprise)
        for words in (["get", "k"], ["put", "k", "v"], ["delete", "k"], ["log"], ["metrics"]):
            result = run(*words)
            self.assertEqual((result.exit_code, result.stdout), (70, ""), words)
            self.assertRegex(result.stderr, r"\Adkv: internal error: RuntimeError: two\?lines; [^\n]+\n\Z")
        self.assertEqual(json.loads(run("get", "k", "--output", "json").stdout)["error"], "INTERNAL")
        self.assertIn("Traceback", run("get", "k", environment={"DKV_TRACEBACK": "1"}).stderr)

    def test_every_kind(self) -> None:
        """Errors that click would make something of included."""
        for error in (
            BrokenPipeError(32, "x"),
            EOFError(),
            MemoryError(),
            RecursionError(),
            OSError(28, "full"),
            KeyError("k"),
        ):

            def surprise(*_: object, error: Exception = error) -> None:
                raise error

            self.patch(access, "ask_where", surprise)
            self.assertEqual(run("get", "k").exit_code, 70, error)

    def test_help_on_a_full_disk(self) -> None:
        """click prints help texts, and its failure is not one of dkv's."""
        with open("/dev/full", "w") as full:
            for words in (["--help"], ["put", "--help"], ["--version"], []):
                status, text = self.dkv(*words, stdout=full.fileno())
                self.assertEqual((status, text), (74, "dkv: cannot write the output: No space left on device\n"), words)

    def test_nobody_reads(self) -> None:
        """A pipe that was closed, as by head, ends a command silently."""
        reader, writer = os.pipe()
        os.close(reader)
        self.addCleanup(os.close, writer)
        for words in (["--help"], ["--version"], ["completion", "bash"], ["sim", "--seed", "1", "--time", "0.1"]):
            self.assertEqual(self.dkv(*words, stdout=writer), (141, ""), words)

    def test_stdout_is_closed(self) -> None:
        """A command whose output was not printed does not report success."""
        self.patch(sys, "stdout", None)
        with self.assertRaises(Failure) as caught:
            emit(b"value")
        self.assertEqual(caught.exception.status, Status.OUTPUT)

    def test_stderr_is_full(self) -> None:
        """The status says what it can all the same."""
        with open("/dev/full", "wb", buffering=0) as full:
            self.patch(sys, "stderr", io.TextIOWrapper(full, write_through=True))
            complain("there is no such key")


class SayIfTaken(SynchronousTestCase):
    """A command that watches nodes must neither wait for whoever reads what it says, nor end for want of one."""

    def pipe(self) -> tuple[int, int]:
        """The ends of a pipe, the second of which is stdout."""
        reader, writer = os.pipe()
        stream = os.fdopen(writer, "w")
        self.addCleanup(stream.close)
        self.patch(sys, "stdout", stream)
        return reader, writer

    def test_a_reader_that_stands_still(self) -> None:
        """A line that does not fit is lost, and the next one that fits is not."""
        reader, _ = self.pipe()
        self.addCleanup(os.close, reader)
        for _ in range(100):
            say_if_taken("x" * 4_000)
        self.assertLess(len(os.read(reader, 1 << 20)), 100 * 4_000)
        say_if_taken("y")
        self.assertEqual(os.read(reader, 10), b"y\n")

    def test_no_reader(self) -> None:
        """Neither is a closed pipe an error, nor a full disk, nor a closed stdout."""
        os.close(self.pipe()[0])
        say_if_taken("x")
        with open("/dev/full", "wb", buffering=0) as full:
            self.patch(sys, "stdout", full)
            say_if_taken("x")
        self.patch(sys, "stdout", None)
        say_if_taken("x")
