"""The server that dkv is compared with: a process of its own, on a socket in a directory of its own."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from socket import AF_UNIX, socket
from tempfile import TemporaryDirectory
from typing import Protocol

from tests.net.client_port import encoded
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
    def exact(self) -> bool: ...

    def connect(self) -> Client:
        """A new connection."""

    def stop(self) -> None:
        """End it."""

    def time_ms(self) -> int:
        """The time that it sees, in milliseconds since 1970."""

    def knows(self, name: bytes) -> bool:
        """Whether it has the command."""

    def sweep(self) -> None:
        """Erase what has expired and was not looked at since: a real server counts it until then."""

    def clear(self) -> None:
        """Forget all keys."""


class RealReference:
    """A running server. It keeps nothing on disk."""

    exact = True

    def __init__(self, binary: str) -> None:
        self._directory = TemporaryDirectory(prefix="oracle-")
        self._path = str(Path(self._directory.name) / "socket")
        self._process = subprocess.Popen(
            [binary, "--port", "0", "--unixsocket", self._path, "--save", "", "--dir", self._directory.name],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
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
        seconds, microseconds = self._control.ask([b"TIME"]).items
        return seconds.number * 1000 + microseconds.number // 1000

    def knows(self, name: bytes) -> bool:
        """Whether the server has the command."""
        return bool(self._control.ask([b"COMMAND", b"INFO", name]).items[0].items)

    def sweep(self) -> None:
        """Erase what has expired: an iteration looks at every key."""
        for database in range(16):
            self._control.ask([b"SELECT", b"%d" % database])
            self._control.ask([b"SCAN", b"0", b"COUNT", SWEPT_KEYS])

    def clear(self) -> None:
        """Forget all keys."""
        self._control.ask([b"FLUSHALL"])


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
        self._socket.sendall(encoded(*words))
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
