"""fakeredis in place of a real server: it knows the values of replies, and not how they are written."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import redis
from fakeredis import FakeRedisConnection, FakeServer

from tests.oracle.reply_tree import Reply, read_reply

OTHERWISE = frozenset(
    (
        b"setex", b"psetex", b"getex", b"expire", b"pexpire", b"expireat", b"pexpireat", b"persist",
        b"ttl", b"pttl", b"expiretime", b"pexpiretime", b"flushdb", b"flushall", b"mset", b"msetnx", b"decrby",
    )
)  # fmt: skip
"""Commands that fakeredis does otherwise than Redis: its deadlines are in whole seconds, FLUSHALL has no SYNC, an
MSET that lacks a value fails before EXEC, and DECRBY takes a number whose opposite has 65 bits."""


class FakeReference:
    """A server within this process. Each value is told as RESP 2 has it, and a status as a bulk string."""

    name = "fake"
    exact = False
    steady = False

    def __init__(self) -> None:
        self._server = FakeServer(server_type="redis", version=(7, 4))
        self._control = self.connect()

    def connect(self) -> FakeReferenceClient:
        """A new connection."""
        return FakeReferenceClient(self._server)

    def stop(self) -> None:
        """End it."""
        self._control.close()

    def time_ms(self) -> int:
        """The time that the server sees."""
        return time.time_ns() // 1_000_000

    def go_on(self, until_ms: int) -> None:
        """Let time pass until then."""
        while self.time_ms() < until_ms:
            pass

    def knows(self, name: bytes) -> bool:
        """Whether the server has the command, as Redis has it."""
        if name in OTHERWISE:
            return False
        answer = self._control.ask([b"COMMAND", b"INFO", name])
        return bool(answer.items) and bool(answer.items[0].items)

    def sweep(self) -> None:
        """Nothing: what has expired is not counted here."""

    def clear(self) -> None:
        """Forget all keys."""
        self._control.ask([b"FLUSHALL"])


class FakeReferenceClient:
    """A connection to ``server``."""

    def __init__(self, server: FakeServer) -> None:
        self._pool = redis.ConnectionPool(connection_class=FakeRedisConnection, server=server, protocol=2)
        self._connection: Any = self._pool.get_connection()

    def ask(self, words: Sequence[bytes]) -> Reply:
        """The reply to one request."""
        try:
            self._connection.send_command(*words)
            value = self._connection.read_response()
        except redis.ResponseError as error:
            value = error
        read = read_reply(_encoded(value))
        assert read is not None
        return read[0]

    def close(self) -> None:
        """End the connection."""
        self._pool.disconnect()


def _encoded(value: object) -> bytes:
    match value:
        case None:
            return b"$-1\r\n"
        case bytes() | str():
            data = value if isinstance(value, bytes) else value.encode()
            return b"$%d\r\n%b\r\n" % (len(data), data)
        case int():
            return b":%d\r\n" % value
        case Exception():
            return b"-ERR\r\n"
        case dict():
            return _encoded([each for pair in value.items() for each in pair])
        case list() | tuple() | set():
            return b"*%d\r\n" % len(value) + b"".join(map(_encoded, value))
    raise TypeError(value)
