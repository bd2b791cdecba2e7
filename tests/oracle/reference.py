"""The server that dkv is compared with: a process of its own, on a socket in a directory of its own."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from socket import AF_UNIX, socket
from tempfile import TemporaryDirectory
from typing import Protocol

from dkv.kv.codes import DATABASES
from tests.net.client_port import encoded
from tests.oracle.moved_clock import BEGAN_MS, MovedClock, moved_clock
from tests.oracle.reply_tree import Reply, read_reply

START_SECONDS = 20.0
ANSWER_SECONDS = 20.0
SWEPT_KEYS = b"10000"


class Silent(Exception):
    """The server has not answered in time."""


class Client(Protocol):
    """A connection to the reference."""

    def ask(self, words: Sequence[bytes]) -> Reply:
        """The reply to one request."""

    def close(self) -> None:
        """End the connection."""


class Reference(Protocol):
    """What dkv is compared with. ``exact`` says whether its replies are those of a real server, to the byte."""

    @property
    def name(self) -> str:
        """Which server it is: redis, valkey or fake."""

    @property
    def exact(self) -> bool: ...

    @property
    def steady(self) -> bool:
        """Whether its time stands still until it is told to go on."""

    def connect(self) -> Client:
        """A new connection."""

    def stop(self) -> None:
        """End it."""

    def time_ms(self) -> int:
        """The time that it sees, in milliseconds since 1970."""

    def go_on(self, until_ms: int) -> None:
        """Let time pass until then."""

    def knows(self, name: bytes) -> bool:
        """Whether it has the command."""

    def sweep(self) -> None:
        """Erase what has expired and was not looked at since: a real server counts it until then."""

    def clear(self) -> None:
        """Forget all keys, and begin at the same time again if that can be."""


class RealReference:
    """A running server. It keeps nothing on disk.

    Its time is moved by hand where there is a C compiler, which makes a library for that (``moved_clock.c``). Elsewhere
    it is that of the machine.
    """

    exact = True

    def __init__(self, name: str, binary: str) -> None:
        self.name = name
        self._directory = TemporaryDirectory(prefix="oracle-")
        self._path = str(Path(self._directory.name) / "socket")
        self._clock = moved_clock(Path(self._directory.name))
        self._process = subprocess.Popen(
            [binary, "--port", "0", "--unixsocket", self._path, "--save", "", "--dir", self._directory.name],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            env=None if self._clock is None else {**os.environ, **self._clock.environment},
        )
        self._control = self._first_connection()

    def _first_connection(self) -> RealClient:
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                return self.connect()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > until:
                    self._kill()
                    raise
                time.sleep(0.01)  # between two looks: nobody tells when it listens

    @property
    def steady(self) -> bool:
        """Whether its time is moved by hand."""
        return self._clock is not None

    def connect(self) -> RealClient:
        """A new connection."""
        return RealClient(self._path)

    def stop(self) -> None:
        """End the process."""
        self._control.close()
        self._kill()

    def _kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._directory.cleanup()

    def time_ms(self) -> int:
        """The time that the server sees."""
        return self._told_ms() if self._clock is None else self._clock.time_ms

    def _told_ms(self) -> int:
        seconds, microseconds = self._control.ask([b"TIME"]).items
        return seconds.number * 1000 + microseconds.number // 1000

    def go_on(self, until_ms: int) -> None:
        """Let time pass until then."""
        if self._clock is not None:
            self._move(self._clock, until_ms)
        while self.time_ms() < until_ms:
            pass

    def _move(self, clock: MovedClock, time_ms: int) -> None:
        """Valkey looks at the time of day once in a millisecond, and measures itself what passes in between."""
        clock.time_ms = time_ms
        while self._told_ms() != time_ms:
            pass

    def knows(self, name: bytes) -> bool:
        """Whether the server has the command."""
        return bool(self._control.ask([b"COMMAND", b"INFO", name]).items[0].items)

    def sweep(self) -> None:
        """Erase what has expired: an iteration looks at every key."""
        requests = [(b"SELECT", b"%d" % database) for database in range(DATABASES)]
        self._control.ask_all([each for one in requests for each in (one, (b"SCAN", b"0", b"COUNT", SWEPT_KEYS))])

    def clear(self) -> None:
        """Forget all keys, and begin at the same time again if that can be."""
        self._control.ask([b"FLUSHALL"])
        if self._clock is not None:
            self._move(self._clock, BEGAN_MS)


class RealClient:
    """A connection to the server at the socket ``path``."""

    def __init__(self, path: str) -> None:
        self._socket = socket(AF_UNIX)
        try:
            self._socket.connect(path)
        except OSError:
            self._socket.close()
            raise
        self._socket.settimeout(ANSWER_SECONDS)
        self._data = b""

    def ask(self, words: Sequence[bytes]) -> Reply:
        """The reply to one request; ``Silent`` if there is none."""
        return self.ask_all([words])[0]

    def ask_all(self, requests: Sequence[Sequence[bytes]]) -> list[Reply]:
        """The replies to requests that are sent at once."""
        self._socket.sendall(b"".join(encoded(*words) for words in requests))
        return [self._read(words) for words in requests]

    def read(self) -> Reply:
        """The next message to a subscriber."""
        return self._read([b"a message"])

    def _read(self, words: Sequence[bytes]) -> Reply:
        while (found := read_reply(self._data)) is None:
            try:
                piece = self._socket.recv(1 << 16)
            except TimeoutError:
                piece = b""
            if not piece:
                raise Silent(words)
            self._data += piece
        reply, end = found
        self._data = self._data[end:]
        return reply

    def close(self) -> None:
        """End the connection."""
        self._socket.close()
