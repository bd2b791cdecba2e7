"""Where the lines of the log go. A thread of its own writes them, so that no log can stop or delay a node.

A pipe that nobody reads blocks its writer, and so does a stopped terminal. A regular file cannot be opened so that it
never blocks. Only this thread waits for them. Lines beyond ``WAITING_BYTES_MAX`` are dropped and counted, and so are
lines that a full disk or a closed pipe refuses. As soon as the log can be written again, it says how many were dropped.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from queue import SimpleQueue
from threading import Event, Thread

WAITING_BYTES_MAX = 1 << 20
FLUSH_SECONDS = 0.5
"""How long the end of a process may wait for its last lines to be written."""

_STDOUT = 1


class LogFile:
    """A file to append to, which can be opened again after it was moved away. Without ``path`` it is stdout."""

    def __init__(self, path: str | None = None) -> None:
        self._path = path
        self._descriptor = _STDOUT if path is None else _open(path)
        self._torn = False
        self.terminal = os.isatty(self._descriptor)

    def write(self, data: bytes) -> None:
        """Write all of it, however long that takes; or ``OSError``. The next write ends a line that was cut short."""
        rest = b"\n" + data if self._torn else data
        while rest:
            try:
                written = os.write(self._descriptor, rest)
            except BlockingIOError:  # the process that started this one shares it, and made it non-blocking
                poll = select.poll()
                poll.register(self._descriptor, select.POLLOUT)
                poll.poll()
                continue
            rest = rest[written:]
            self._torn = bool(rest)

    def reopen(self) -> bool:
        """Open the path again; False if there is none. After an ``OSError`` the old file stays in use."""
        if self._path is None:
            return False
        descriptor = _open(self._path)
        os.close(self._descriptor)
        self._descriptor, self._torn = descriptor, False
        return True


def _open(path: str) -> int:
    """Open for appending; a FIFO that nobody reads is an ``OSError`` rather than a wait for a reader."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOCTTY | os.O_NONBLOCK
    descriptor = os.open(path, flags, 0o666)
    os.set_blocking(descriptor, True)
    return descriptor


class LogWriter:
    """Writes lines to ``file``. ``line(level, event, **fields)`` makes the lines that the writer itself adds.

    Lines come from one thread, the reactor's, which a signal may interrupt at any point.
    """

    def __init__(self, file: LogFile, line: Callable[..., str]) -> None:
        self.terminal = file.terminal
        self._file = file
        self._line = line
        self._jobs: SimpleQueue[bytes | Event | None] = SimpleQueue()  # lines, an event to set, or None to reopen
        self._taken_bytes = self._done_bytes = 0  # each counted by one thread alone
        self._refused = self._failed = 0  # so are these
        self._told = 0
        self._failing = False
        self._thread: Thread | None = None

    @property
    def dropped(self) -> int:
        """How many lines were dropped so far."""
        return self._refused + self._failed

    def start(self) -> None:
        """Begin to write, in this process: call it after every fork, which takes no threads along."""
        self._thread = Thread(target=self._work, name="dkv-log", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Take a line, or drop it; never wait."""
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        if self._taken_bytes - self._done_bytes + len(data) > WAITING_BYTES_MAX:
            self._refused += 1
            return
        self._taken_bytes += len(data)
        self._jobs.put(data)

    def reopen(self) -> None:
        """Open the file again behind the lines that wait."""
        self._jobs.put(None)

    def flush(self, seconds: float = FLUSH_SECONDS) -> None:
        """Wait until the lines so far are written, but no longer than that."""
        if self._thread is not None:
            reached = Event()
            self._jobs.put(reached)
            reached.wait(seconds)

    # --- the thread ---

    def _work(self) -> None:
        while True:
            self._do(self._jobs.get())
            if self._jobs.empty():
                self._tell_dropped()

    def _do(self, job: bytes | Event | None) -> None:
        if isinstance(job, bytes):
            self._write(job)
            self._done_bytes += len(job)
        elif job is None:
            self._reopen()
        else:
            self._tell_dropped()
            job.set()

    def _write(self, data: bytes) -> None:
        if self._failing:
            self._tell_dropped()  # if that works, so may this
        if self._failing or not self._attempt(data):
            self._failed += 1

    def _attempt(self, data: bytes) -> bool:
        try:
            self._file.write(data)
        except OSError:
            self._failing = True
        else:
            self._failing = False
        return not self._failing

    def _tell_dropped(self) -> None:
        count = self.dropped - self._told
        if count:
            words = "1 line was dropped" if count == 1 else f"{count} lines were dropped"
            self._say("warning", "lines_dropped", count=count, reason=f"{words}: the log could not be written")
            self._told += 0 if self._failing else count

    def _reopen(self) -> None:
        try:
            if self._file.reopen():
                self._failing = False
                self._say("info", "log_reopened")
        except OSError as error:
            self._say("error", "log_not_reopened", error=str(error))

    def _say(self, level: str, event: str, **fields: object) -> None:
        self._attempt(self._line(level, event, actor="log", **fields).encode() + b"\n")
