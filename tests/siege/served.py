"""The users of a besieged cluster, one for each node: they write, read, and note how long it takes and what fails."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.integration.processes import Connection, Refused

Connect = Callable[[], Connection]

REQUESTS_PER_CONNECTION = 20
"""Then the user connects anew: whoever has a connection is served more easily than those who come."""
PAUSE_SECONDS = 0.005
GIVEN_UP_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Service:
    """What users met with: how many requests, their latencies in seconds, and what failed."""

    requests: int
    median: float
    p99: float
    longest: float
    longest_to_connect: float
    failures: tuple[str, ...]

    def __str__(self) -> str:
        times = f"median {1e3 * self.median:.1f} ms, p99 {1e3 * self.p99:.1f} ms, longest {1e3 * self.longest:.0f} ms"
        return f"{self.requests} requests, {times}, to connect {1e3 * self.longest_to_connect:.0f} ms at most"


class User:
    """Writes and reads back, through connections that ``connect`` makes, until it is stopped."""

    def __init__(self, name: str, connect: Connect) -> None:
        self.name = name
        self.latencies: list[float] = []
        self.connecting: list[float] = []
        self.failures: list[str] = []
        self._connect = connect
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the request under way."""
        self._stopped.set()
        self._thread.join(2 * GIVEN_UP_SECONDS)
        if self._thread.is_alive():
            self.failures.append(f"{self.name} waits for ever")

    def _run(self) -> None:
        number = 0
        while not self._stopped.is_set():
            try:
                number = self._stay(number)
            except (OSError, EOFError, Refused, ValueError) as error:
                self.failures.append(f"{self.name}: {type(error).__name__}: {error}")
                self._stopped.wait(0.05)

    def _stay(self, number: int) -> int:
        """The requests of one connection; the number of the last."""
        began = time.monotonic()
        connection = self._connect()
        try:
            self.connecting.append(time.monotonic() - began)
            for _ in range(REQUESTS_PER_CONNECTION):
                if self._stopped.is_set():
                    break
                number += 1
                began = time.monotonic()
                written = connection.call("SET", f"siege:{self.name}", number)
                read = connection.call("GET", f"siege:{self.name}")
                self.latencies.append((time.monotonic() - began) / 2)
                if written != "OK" or read != b"%d" % number:
                    raise ValueError(f"wrote {number} ({written!r}), and read {read!r}")
                self._stopped.wait(PAUSE_SECONDS)
        finally:
            connection.close()
        return number


class Users:
    """All users. ``connects`` has a way to connect for each."""

    def __init__(self, connects: Sequence[Connect]) -> None:
        self._users = [User(f"user{number}", connect) for number, connect in enumerate(connects, 1)]

    def stop(self) -> Service:
        """Let them go, and say what they met with."""
        for user in self._users:
            user.stop()
        latencies = sorted(seconds for user in self._users for seconds in user.latencies) or [GIVEN_UP_SECONDS]
        return Service(
            2 * len(latencies),
            latencies[len(latencies) // 2],
            latencies[len(latencies) * 99 // 100],
            latencies[-1],
            max((seconds for user in self._users for seconds in user.connecting), default=GIVEN_UP_SECONDS),
            tuple(failure for user in self._users for failure in user.failures),
        )


class TlsConnection(Connection):
    """The same over TLS, for whoever presents what ``context`` asks for."""

    def __init__(self, port: int, context: ssl.SSLContext, host: str, seconds: float = GIVEN_UP_SECONDS) -> None:
        plain = socket.create_connection((host, port), seconds)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = context.wrap_socket(plain, server_hostname=host)
        self._file = self.socket.makefile("rb")
