"""Writing the log: nothing that happens to it may stop or delay a node, and what it costs is told."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from dkv.node import log_writer
from dkv.node.log_writer import LogFile, LogWriter

SECONDS = 10.0


def line(level: str, event: str, **fields: object) -> str:
    """A line of the writer's own."""
    return " ".join([level, event, *(f"{name}={value}" for name, value in fields.items())])


class Disk:
    """A file whose every write fails while ``error`` is set."""

    terminal = False

    def __init__(self, error: int) -> None:
        self.error = error
        self.lines: list[bytes] = []

    def write(self, data: bytes) -> None:
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        self.lines.append(data)

    def reopen(self) -> bool:
        return False


class WriterTests(SynchronousTestCase):
    def writer(self, file: LogFile | Disk) -> LogWriter:
        writer = LogWriter(file, line)  # type: ignore[arg-type]  # a Disk does what of a LogFile is used
        writer.start()
        return writer

    def test_a_stalled_reader(self) -> None:
        """A pipe that nobody reads takes 64 KiB; the node goes on, and who reads on learns what is missing."""
        path = self.mktemp()
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        writer = self.writer(LogFile(path))
        for number in range(3_000):
            writer.write(f"{number:04} " + "x" * 1_000)
        self.assertGreater(writer.dropped, 0)
        writer.flush(0.0)  # waits no longer than it is told
        dropped = writer.dropped
        os.set_blocking(reader, True)
        with os.fdopen(os.dup(reader), "rb") as file:
            lines = [file.readline().decode().split(" ")[0] for _ in range(3_000 - dropped)]
            told = file.readline().decode()
        self.assertEqual(lines[0], "0000")
        self.assertEqual(lines, sorted(set(lines)), "in order, each once")
        self.assertTrue(told.startswith(f"warning lines_dropped actor=log count={dropped}"), told)
        self.assertIn(f"{dropped} lines were dropped", told)
        writer.write("on it goes")
        writer.flush(SECONDS)
        self.assertEqual(os.read(reader, 100), b"on it goes\n")

    def test_a_disk_that_refuses(self) -> None:
        """Full, or broken: the lines are counted, and said to be missing in front of the next one that is written."""
        for error in (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EPIPE):
            disk = Disk(error)
            writer = self.writer(disk)
            writer.write("one")
            writer.write("two")
            writer.flush(SECONDS)
            self.assertEqual((writer.dropped, disk.lines), (2, []))
            disk.error = 0
            writer.write("three")
            writer.write("four")
            writer.flush(SECONDS)
            self.assertEqual(disk.lines[1:], [b"three\n", b"four\n"])
            self.assertIn(b"count=2 reason=2 lines were dropped", disk.lines[0])
            self.assertEqual(writer.dropped, 2)

    def test_a_closed_pipe(self) -> None:
        """``| head -1`` has seen enough; the node has not."""
        path = self.mktemp()
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        writer = self.writer(LogFile(path))
        writer.write("one")
        writer.flush(SECONDS)
        os.close(reader)
        writer.write("two")
        writer.flush(SECONDS)
        self.assertEqual(writer.dropped, 1)

    def test_what_is_no_text(self) -> None:
        """A file name with bytes that are no UTF-8 must not cost the line, or the thread."""
        disk = Disk(0)
        writer = self.writer(disk)
        writer.write("\udcff")
        writer.flush(SECONDS)
        self.assertEqual(disk.lines, [b"\\udcff\n"])

    def test_reopened_where_it_was_moved_away(self) -> None:
        """logrotate moves the file and sends a signal: what was before it is in the old file, the rest in a new one."""
        path = Path(self.mktemp())
        writer = self.writer(LogFile(str(path)))
        writer.write("before")
        path.rename(f"{path}.1")
        writer.write("between")
        writer.reopen()
        writer.write("after")
        writer.flush(SECONDS)
        self.assertEqual(Path(f"{path}.1").read_text(), "before\nbetween\n")
        self.assertEqual(path.read_text(), "info log_reopened actor=log\nafter\n")

    def test_what_cannot_be_reopened(self) -> None:
        """A rotation that went wrong leaves the log where it was, and says so."""
        directory = Path(self.mktemp())
        directory.mkdir()
        path = directory / "log"
        writer = self.writer(LogFile(str(path)))
        moved = directory.rename(f"{directory}.1")
        writer.reopen()
        writer.write("after")
        writer.flush(SECONDS)
        said, after = (moved / "log").read_text().splitlines()
        self.assertEqual(after, "after")
        self.assertIn("error log_not_reopened actor=log error=[Errno 2] No such file or directory", said)

    def test_without_a_file_there_is_nothing_to_reopen(self) -> None:
        """The signal does no harm where the log is stdout."""
        disk = Disk(0)
        writer = self.writer(disk)
        writer.reopen()
        writer.write("after")
        writer.flush(SECONDS)
        self.assertEqual(disk.lines, [b"after\n"])

    def test_not_started(self) -> None:
        """What ends before its threads exist does not wait for them."""
        writer = LogWriter(Disk(0), line)  # type: ignore[arg-type]  # as above
        writer.write("one")
        writer.flush(SECONDS)


class FileTests(SynchronousTestCase):
    def test_appends(self) -> None:
        """What is in the file already stays."""
        path = Path(self.mktemp())
        path.write_text("before\n")
        LogFile(str(path)).write(b"after\n")
        self.assertEqual(path.read_text(), "before\nafter\n")

    def test_a_line_that_was_cut_short(self) -> None:
        """The disk was full in the middle of a line: the next one must not become a part of it."""
        path = Path(self.mktemp())
        file = LogFile(str(path))
        really, room = os.write, [3, 0]

        def write(descriptor: int, data: bytes) -> int:
            if not room:
                return really(descriptor, data)
            taken = room.pop(0)
            if not taken:
                raise OSError(errno.ENOSPC, "full")
            return really(descriptor, data[:taken])

        with patch("os.write", write):
            self.assertRaises(OSError, file.write, b"one two\n")
            file.write(b"three\n")
            file.write(b"four\n")
        self.assertEqual(path.read_text(), "one\nthree\nfour\n")

    def test_somebody_made_it_non_blocking(self) -> None:
        """stdout is shared: a line waits for its reader all the same, and is not cut."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        os.set_blocking(writer, False)
        self.patch(log_writer, "_STDOUT", writer)
        log = LogWriter(LogFile(), line)
        log.start()
        log.write("x" * 200_000)
        with os.fdopen(os.dup(reader), "rb") as file:
            self.assertEqual(len(file.readline()), 200_001)

    def test_a_fifo_that_nobody_reads(self) -> None:
        """A start must fail, rather than wait for ever."""
        path = self.mktemp()
        os.mkfifo(path)
        self.assertRaises(OSError, LogFile, path)
