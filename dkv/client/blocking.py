"""A small blocking client: one connection, one request at a time, RESP2. It needs only the standard library.

After a failure a caller must know whether the request may have been executed, so there are three kinds of failure:
``NotSent`` (it cannot have been), ``NoAnswer`` (it may have been) and ``ServerError`` (the first word tells).
``dkv/client/outcome.py`` says what follows from several of them.
"""

from __future__ import annotations

import re
import select
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from queue import Empty, SimpleQueue
from typing import Self

from dkv.client.answers import Answers, NotUnderstood, Reply
from dkv.replies import Error
from dkv.settings import PORT_MAX

__all__ = ["Connection", "Endpoint", "NoAnswer", "NotSent", "Reply", "ServerError", "connect"]

RECEIVE_BYTES = 256 * 1024
_ERROR_WORD = re.compile(r"[A-Z][A-Z0-9_]*")
_ENDPOINT = re.compile(r"(?P<host>\[[^\[\]]+\]|[^\s:\[\]]+):(?P<port>[0-9]{1,5})")


class NotSent(Exception):
    """The request was not sent in full, so nobody executed it. The text names the endpoint and the reason."""


class NoAnswer(Exception):
    """The request was sent, and no answer told whether it was executed: it may have been, or may still be.

    ``word`` is stable, for programs: UNCERTAIN where a node said so.
    """

    def __init__(self, text: str, word: str = "NO_ANSWER") -> None:
        super().__init__(text)
        self.word = word


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
        if not 1 <= port <= PORT_MAX:
            raise ValueError(f"{text!r}: the port must be from 1 to {PORT_MAX}")
        return cls(found["host"].strip("[]"), port)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def connect(endpoint: Endpoint, connect_seconds: float, answer_seconds: float) -> Connection:
    """Connect to a node; ``NotSent`` if that fails.

    Looking up its name takes ``connect_seconds`` at most, and so does each of its addresses.
    """
    try:
        stream = _open(endpoint, connect_seconds)
    except (OSError, UnicodeError) as error:  # UnicodeError: a host that cannot be a name at all
        raise NotSent(f"cannot connect to {endpoint}: {_reason(error)}") from None
    # While nobody listens on a port that the kernel also hands out, a connection may find itself at the other end.
    if stream.getsockname() == stream.getpeername():
        stream.close()
        raise NotSent(f"cannot connect to {endpoint}: nobody listens there")
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Connection(endpoint, stream, answer_seconds)


def _open(endpoint: Endpoint, seconds: float) -> socket.socket:
    """A connection to the endpoint's first address that takes one; the last address's error if none does."""
    failure = OSError("its name has no address")
    for address in _addresses(endpoint, seconds):
        try:
            return socket.create_connection(address, seconds)
        except OSError as error:
            failure = error
    raise failure


def _addresses(endpoint: Endpoint, seconds: float) -> list[tuple[str, int]]:
    """The addresses of a name; ``OSError`` or ``UnicodeError`` if it has none, or none is found within ``seconds``.

    A name server that hangs keeps ``getaddrinfo`` busy for half a minute, and nothing can interrupt it. So it runs
    on a thread, which is left behind then.
    """
    host, port = endpoint.host, endpoint.port
    try:
        ip_address(host.partition("%")[0])
        return [(host, port)]
    except ValueError:
        pass  # it is a name
    found: SimpleQueue[list[tuple[str, int]] | Exception] = SimpleQueue()

    def look_up() -> None:
        try:
            found.put([(str(each[4][0]), port) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)])
        except Exception as error:  # not lost with its thread: raised below
            found.put(error)

    threading.Thread(target=look_up, daemon=True).start()
    try:
        addresses = found.get(timeout=seconds)
    except Empty:
        raise TimeoutError from None
    if isinstance(addresses, Exception):
        raise addresses
    return addresses


class Connection:
    """One connection to a node. After ``NotSent``, ``NoAnswer`` or an interruption every call is ``NotSent``."""

    def __init__(self, endpoint: Endpoint, stream: socket.socket, answer_seconds: float) -> None:
        self.endpoint = endpoint
        self._stream = stream
        self._answer_seconds = answer_seconds
        self._deadline = 0.0
        self._unsent = memoryview(b"")  # of what ``post`` was given
        self._answers = Answers(self._receive)
        self._in_step = True  # whether the next answer will belong to the next request

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close at once; nothing is under way between calls."""
        self._stream.close()

    def abandon(self) -> None:
        """From another thread: end the call under way, which raises ``NoAnswer`` or ``NotSent`` soon."""
        try:
            self._stream.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it has ended by itself

    def lost(self) -> bool:
        """Whether this connection is of no more use: the other end has gone, or has sent what nobody asked for."""
        return not self._in_step or self._unasked()

    def call(self, *arguments: bytes) -> Reply:
        """Send one request and return its answer, all within ``answer_seconds``.

        Raises ``NotSent``, ``NoAnswer``, or ``ServerError`` for an answer that is an error.
        """
        if not self._in_step:
            raise NotSent(f"the connection to {self.endpoint} is of no more use")
        self._deadline = time.monotonic() + self._answer_seconds
        self._in_step = False  # until the whole answer has been read, whatever interrupts that
        if self._unasked():
            raise self._last_words() or NotSent(f"cannot send to {self.endpoint}: it hung up, or spoke unasked")
        try:
            self._send(encode(arguments))
        except OSError as error:
            raise self._last_words() or NotSent(f"cannot send to {self.endpoint}: {_reason(error)}") from None
        reply = self._read()
        refusal = self._error(reply) if isinstance(reply, Error) else None
        self._in_step = True
        if refusal is not None:
            raise refusal
        return reply

    def call_all(self, requests: Sequence[tuple[bytes, ...]]) -> list[Reply]:
        """Send several requests at once and return their answers, all within ``answer_seconds``.

        An answer that is an error is one of them. Raises ``NotSent`` if no request was sent, and ``NoAnswer`` if any
        may have been and not all were answered.
        """
        if self.lost():
            raise NotSent(f"the connection to {self.endpoint} is of no more use")
        self._deadline = time.monotonic() + self._answer_seconds
        self._in_step = False  # until the whole answer has been read, whatever interrupts that
        try:
            self._send(b"".join(map(encode, requests)))
        except OSError as error:
            raise NoAnswer(f"cannot send all to {self.endpoint}: {_reason(error)}") from None
        replies = [self._read() for _ in requests]
        self._in_step = True
        return replies

    def post(self, requests: bytes) -> None:
        """Send requests, the answers to which ``answer`` reads one by one. Sending goes on while it waits."""
        self._unsent = memoryview(bytes(self._unsent) + requests)

    def answer(self, seconds: float) -> Reply:
        """The next answer to a request that was posted; an error is one. ``NoAnswer`` if none comes within
        ``seconds``: then any of them may have been executed."""
        self._deadline, self._answer_seconds = time.monotonic() + seconds, seconds
        self._in_step = False
        reply = self._read()
        self._in_step = True
        return reply

    def select(self, database: int) -> None:
        """Choose the database of all requests behind this one. A connection begins in database 0.

        ``ServerError`` if the node refuses it. Else ``NotSent`` if it does not agree: no other request went out.
        """
        try:
            reply = self.call(b"SELECT", b"%d" % database)
        except NoAnswer as error:
            raise NotSent(str(error)) from None
        if reply != "OK":
            self._in_step = False
            raise NotSent(f"{self.endpoint} does not answer SELECT as a node of dkv would: {reply!r:.60}")

    def _unasked(self) -> bool:
        """Whether there is something to read although nothing was asked. The end of the stream counts, too."""
        if self._answers.pending:
            return True
        self._stream.setblocking(False)  # with a timeout Python would wait that long, whatever the flags say
        try:
            self._stream.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            pass  # such as a reset by the other end
        return True

    def _last_words(self) -> ServerError | None:
        """The error with which a node explains, before it hangs up, why it takes no more of a request, or none."""
        try:
            reply = self._read()
            return self._error(reply) if isinstance(reply, Error) else None
        except NoAnswer:
            return None

    def _error(self, reply: Error) -> ServerError:
        """The exception for an answer that is an error; ``NoAnswer`` is raised if no node and no Redis would give
        it."""
        ending = error_of(self.endpoint, reply)
        if isinstance(ending, NoAnswer):
            raise ending
        return ending

    def _send(self, request: bytes) -> None:
        """Hand all of ``request`` to the kernel. If this fails, its end was not sent, and no node executes a part."""
        rest = memoryview(request)
        while rest:
            self._set_timeout()
            rest = rest[self._stream.send(rest) :]

    def _set_timeout(self) -> None:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        self._stream.settimeout(remaining)

    def _read(self) -> Reply:
        try:
            return self._answers.read()
        except NotUnderstood as error:
            raise NoAnswer(f"{self.endpoint}: {error}") from None

    def _sends_some(self) -> bool:
        """Send what the kernel takes of the requests that were posted, unless there is something to read.

        A node that waits for a client to read its answers reads no requests meanwhile.
        """
        wait = select.poll()
        wait.register(self._stream, select.POLLIN | select.POLLOUT)
        found = wait.poll(max(0.0, self._deadline - time.monotonic()) * 1000)
        if not found:
            raise TimeoutError
        if found[0][1] != select.POLLOUT:
            return False
        self._stream.setblocking(False)
        self._unsent = self._unsent[self._stream.send(self._unsent) :]
        return True

    def _receive(self) -> bytes:
        try:
            while self._unsent and self._sends_some():
                pass
            self._set_timeout()
            data = self._stream.recv(RECEIVE_BYTES)
        except TimeoutError:
            raise NoAnswer(f"no answer from {self.endpoint} within {self._answer_seconds:g} s") from None
        except OSError as error:
            raise NoAnswer(f"no answer from {self.endpoint}: {_reason(error)}") from None
        if not data:
            raise NoAnswer(f"no answer from {self.endpoint}: it closed the connection")
        return data


def error_of(endpoint: Endpoint, reply: Error) -> ServerError | NoAnswer:
    """The exception for an answer that is an error; ``NoAnswer`` if no node and no Redis would give it.

    A proxy between client and node has errors of its own. They do not tell whether a node executed the request.
    """
    error = ServerError(reply.text)
    if _ERROR_WORD.fullmatch(error.word):
        return error
    return NoAnswer(f"{endpoint}: no node of dkv has such an error: {reply.text!r:.60}")


def encode(arguments: Sequence[bytes]) -> bytes:
    """The bytes of one request."""
    parts = [b"*%d\r\n" % len(arguments)]
    parts += [b"$%d\r\n%b\r\n" % (len(argument), argument) for argument in arguments]
    return b"".join(parts)


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, TimeoutError):
        return "it takes too long"
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
