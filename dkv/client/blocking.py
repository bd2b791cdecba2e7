"""A small blocking client: one connection, one request at a time, RESP2. It needs only the standard library.

After a failure a caller must know whether the request may have been executed, so there are three kinds of failure:
``NotSent`` (it cannot have been), ``NoAnswer`` (it may have been) and ``ServerError`` (the first word tells).
``dkv/client/outcome.py`` says what follows from several of them.
"""

from __future__ import annotations

import re
import select
import socket
import time
from collections.abc import Sequence
from typing import Self

from dkv.client.admission import NO_USER, NOBODYS_GREETING
from dkv.client.answers import Answers, NotUnderstood, Reply, SpeaksTls
from dkv.client.endpoint import Endpoint
from dkv.client.tcp import opened_stream, reason_of
from dkv.client.tls_layer import NO_HANDSHAKE, SLOW_HANDSHAKE, TlsLayer
from dkv.replies import Error

__all__ = ["Connection", "Endpoint", "NoAnswer", "NotSent", "Reply", "ServerError", "connect"]

RECEIVE_BYTES = 256 * 1024
_ERROR_WORD = re.compile(r"[A-Z][A-Z0-9_]*")


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


def connect(endpoint: Endpoint, connect_seconds: float, answer_seconds: float) -> Connection:
    """Connect to a node, and get in by the endpoint's ``access``.

    ``NotSent`` if that fails, or ``ServerError`` if the node refuses it. Looking up its name takes ``connect_seconds``
    at most, and so does each of its addresses, and the handshake of TLS.
    """
    try:
        stream = opened_stream(endpoint, connect_seconds)
    except (OSError, UnicodeError) as error:  # UnicodeError: a host that cannot be a name at all
        raise NotSent(f"cannot connect to {endpoint}: {reason_of(error)}") from None
    # While nobody listens on a port that the kernel also hands out, a connection may find itself at the other end.
    if stream.getsockname() == stream.getpeername():
        stream.close()
        raise NotSent(f"cannot connect to {endpoint}: nobody listens there")
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection = Connection(endpoint, stream, answer_seconds)
    try:
        connection.enter(connect_seconds)
    except BaseException:
        connection.close()
        raise
    return connection


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
        self._layer: TlsLayer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def enter(self, seconds: float) -> None:
        """Get in by the endpoint's ``access``, with the handshake of TLS within ``seconds``.

        ``NotSent`` if that fails, or ``ServerError`` if the node refuses it.
        """
        access = self.endpoint.access
        try:
            if access.tls is not None:
                self._shake_hands(TlsLayer(access.tls, self.endpoint.host), time.monotonic() + seconds)
            if access.greeting:
                self._greet(access.greeting)
        except OSError as error:
            raise NotSent(f"cannot connect to {self.endpoint}: {reason_of(error)}") from None

    def _shake_hands(self, layer: TlsLayer, deadline: float) -> None:
        self._deadline, data = deadline, b""
        try:
            while not layer.is_open:
                try:
                    layer.shake(data)
                finally:
                    self._send(layer.outgoing)  # such as the reason for which it fails
                if not layer.is_open:
                    self._set_timeout()
                    data = self._stream.recv(RECEIVE_BYTES)
                    if not data:
                        raise ConnectionError(NO_HANDSHAKE)
        except TimeoutError:
            raise ConnectionError(SLOW_HANDSHAKE) from None
        self._layer = layer

    def _greet(self, greeting: tuple[bytes, ...]) -> None:
        try:
            self.call(*greeting)
        except NoAnswer as error:
            raise NotSent(str(error)) from None
        except ServerError as error:
            if greeting != NOBODYS_GREETING or error.word != NO_USER:
                raise

    def close(self) -> None:
        """Close at once; nothing is under way between calls."""
        if self._layer is not None:
            try:
                self._stream.setblocking(False)
                self._stream.send(self._layer.farewell())
            except OSError:
                pass  # the other end finds out all the same
            self._layer = None
        self._stream.close()

    def detach(self) -> tuple[socket.socket, TlsLayer | None]:
        """The socket, and the TLS on it; the connection itself is of no more use. Nothing is under way."""
        self._in_step = False
        return self._stream, self._layer

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
            failure = self._layer and self._layer.failure
            why = failure or "it hung up, or spoke unasked"
            raise self._last_words() or NotSent(f"cannot send to {self.endpoint}: {why}")
        try:
            self._send(self._sealed(encode(arguments)))
        except OSError as error:
            raise self._last_words() or NotSent(f"cannot send to {self.endpoint}: {reason_of(error)}") from None
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
            self._send(self._sealed(b"".join(map(encode, requests))))
        except OSError as error:
            raise NoAnswer(f"cannot send all to {self.endpoint}: {reason_of(error)}") from None
        replies = [self._read() for _ in requests]
        self._in_step = True
        return replies

    def post(self, requests: bytes) -> None:
        """Send requests, the answers to which ``answer`` reads one by one. Sending goes on while it waits.

        ``NoAnswer`` if the connection is of no more use: what was posted before may have been executed.
        """
        try:
            self._unsent = memoryview(bytes(self._unsent) + self._sealed(requests))
        except OSError as error:
            raise NoAnswer(f"cannot send to {self.endpoint}: {reason_of(error)}") from None

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
            if self._layer is None:
                self._stream.recv(1, socket.MSG_PEEK)
                return True
            data = self._stream.recv(RECEIVE_BYTES)
            self._answers.early(self._layer.opened(data))
        except BlockingIOError:
            return False
        except OSError:
            return True  # such as a reset by the other end
        return not data or self._answers.pending  # TLS has bytes of its own, which are no answer

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

    def _sealed(self, requests: bytes) -> bytes:
        """The bytes that carry ``requests``."""
        return requests if self._layer is None else self._layer.seal(requests)

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
        except SpeaksTls as error:  # so nothing was executed that came without TLS
            raise NotSent(f"{self.endpoint}: {error}") from None
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
            return self._some()
        except TimeoutError:
            raise NoAnswer(f"no answer from {self.endpoint} within {self._answer_seconds:g} s") from None
        except OSError as error:
            raise NoAnswer(f"no answer from {self.endpoint}: {reason_of(error)}") from None

    def _some(self) -> bytes:
        """The next bytes that the node has said; ``OSError`` if it says nothing more."""
        layer = self._layer
        opened = b"" if layer is None else layer.opened(b"")  # it may have come together with what was read before
        while not opened:
            self._set_timeout()
            data = self._stream.recv(RECEIVE_BYTES)
            if not data:
                raise ConnectionError("it closed the connection")
            opened = data if layer is None else layer.opened(data)
        return opened


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
