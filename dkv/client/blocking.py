"""A small blocking client: one connection, one request at a time, RESP2. It needs only the standard library.

What a caller must know after a failure is whether the request can have been executed, so the failures are three:
``NotSent`` (it cannot), ``NoAnswer`` (it may have been) and ``ServerError`` (the first word tells).
"""

from __future__ import annotations

import re
import socket
import time
from dataclasses import dataclass
from typing import Self

Reply = bytes | int | str | None | list["Reply"]
"""A bulk string, an integer, a status such as ``OK``, nil, or an array of replies."""

REPLY_BYTES_MAX = 512 * 1024 * 1024
"""The longest answer taken, in bytes: Redis's own limit of a string."""

LINE_BYTES_MAX = 64 * 1024
DEPTH_MAX = 8
RECEIVE_BYTES = 256 * 1024
_NUMBER = re.compile(rb"-?[0-9]{1,20}")
_ENDPOINT = re.compile(r"(?P<host>\[[^\[\]]+\]|[^\s:\[\]]+):(?P<port>[0-9]{1,5})")


class NotSent(Exception):
    """The request did not leave in full, so nobody executed it. The text names the endpoint and the reason."""


class NoAnswer(Exception):
    """The request left and no answer came that could be understood: whether it was executed is not known."""


class ServerError(Exception):
    """The node answered with an error. ``word`` is its first word, ``text`` all of it, the word included."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text
        self.word = text.split(" ", 1)[0]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a node listens for clients. ``host`` is a name or an address, IPv6 without brackets."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """From ``host:port`` or ``[IPv6 address]:port``; ``ValueError`` for anything else."""
        found = _ENDPOINT.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is not host:port")
        port = int(found["port"])
        if not 1 <= port <= 65_535:
            raise ValueError(f"{text!r}: the port must be from 1 to 65535")
        return cls(found["host"].strip("[]"), port)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def connect(endpoint: Endpoint, connect_seconds: float, answer_seconds: float) -> Connection:
    """Connect to a node; ``NotSent`` if that fails or takes longer than ``connect_seconds`` for an address."""
    try:
        stream = socket.create_connection((endpoint.host, endpoint.port), connect_seconds)
    except (OSError, UnicodeError) as error:  # UnicodeError: a host that cannot be a name at all
        raise NotSent(f"cannot connect to {endpoint}: {_reason(error)}") from None
    # While nobody listens on a port that the kernel also hands out, a connection may find itself at the other end.
    if stream.getsockname() == stream.getpeername():
        stream.close()
        raise NotSent(f"cannot connect to {endpoint}: nobody listens there")
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Connection(endpoint, stream, answer_seconds)


class Connection:
    """One connection to a node. After ``NotSent`` or ``NoAnswer`` it is of no more use."""

    def __init__(self, endpoint: Endpoint, stream: socket.socket, answer_seconds: float) -> None:
        self.endpoint = endpoint
        self._stream = stream
        self._answer_seconds = answer_seconds
        self._deadline = 0.0
        self._buffer = bytearray()
        self._received = 0  # bytes of the answer being read

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close at once; nothing is under way between calls."""
        self._stream.close()

    def lost(self) -> bool:
        """Whether the other end is known to have gone, or has sent what nobody asked for: nothing may follow that."""
        if self._buffer:
            return True
        self._stream.setblocking(False)  # with a timeout Python would wait for that long, whatever the flags say
        try:
            self._stream.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            pass  # such as a reset by the other end
        return True

    def call(self, *arguments: bytes) -> Reply:
        """Send one request and return its answer, all within ``answer_seconds``.

        Raises ``NotSent``, ``NoAnswer``, or ``ServerError`` for an answer that is an error.
        """
        self._deadline = time.monotonic() + self._answer_seconds
        self._received = 0
        try:
            self._send(_encode(arguments))
        except OSError as error:
            # A node that refuses a request in the middle says why before it closes.
            try:
                return self._read()
            except NoAnswer:
                raise NotSent(f"cannot send to {self.endpoint}: {_reason(error)}") from None
        return self._read()

    def _send(self, request: bytes) -> None:
        """Hand all of ``request`` to the kernel. When this fails its end was not sent, and no node executes a part."""
        rest = memoryview(request)
        while rest:
            self._set_timeout()
            rest = rest[self._stream.send(rest) :]

    def _set_timeout(self) -> None:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        self._stream.settimeout(remaining)

    # --- answers ---

    def _read(self, depth: int = 0) -> Reply:
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest.decode("utf-8", "replace")
        if kind == b"-":
            raise ServerError(rest.decode("utf-8", "replace"))
        if kind not in b":$*" or not _NUMBER.fullmatch(rest):
            raise self._not_understood(line)
        number = int(rest)
        if kind == b":":
            return number
        if number < 0:
            return None
        if kind == b"$":
            return self._bulk(number)
        if depth == DEPTH_MAX:
            raise self._not_understood(line)
        return [self._read(depth + 1) for _ in range(number)]

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            if len(self._buffer) > LINE_BYTES_MAX:
                raise self._not_understood(bytes(self._buffer))
            self._receive()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _bulk(self, size: int) -> bytes:
        if size > REPLY_BYTES_MAX:
            raise self._too_long()
        while len(self._buffer) < size + 2:
            self._receive()
        data = bytes(self._buffer[:size])
        if self._buffer[size : size + 2] != b"\r\n":
            raise self._not_understood(b"a string without an end")
        del self._buffer[: size + 2]
        return data

    def _receive(self) -> None:
        if self._received > REPLY_BYTES_MAX:
            raise self._too_long()
        try:
            self._set_timeout()
            data = self._stream.recv(RECEIVE_BYTES)
        except TimeoutError:
            raise NoAnswer(f"no answer from {self.endpoint} within {self._answer_seconds:g} s") from None
        except OSError as error:
            raise NoAnswer(f"no answer from {self.endpoint}: {_reason(error)}") from None
        if not data:
            raise NoAnswer(f"no answer from {self.endpoint}: it closed the connection")
        self._received += len(data)
        self._buffer += data

    def _too_long(self) -> NoAnswer:
        return NoAnswer(f"the answer from {self.endpoint} is longer than {REPLY_BYTES_MAX} bytes")

    def _not_understood(self, data: bytes) -> NoAnswer:
        return NoAnswer(f"{self.endpoint} does not answer as a node of dkv would: {data[:40]!r}")


def _encode(arguments: tuple[bytes, ...]) -> bytes:
    parts = [b"*%d\r\n" % len(arguments)]
    parts += [b"$%d\r\n%b\r\n" % (len(argument), argument) for argument in arguments]
    return b"".join(parts)


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, TimeoutError):
        return "it takes too long"
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
