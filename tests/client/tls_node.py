"""A node that speaks TLS, without I/O: the bytes of a client go in, and its answers come out."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from dkv.client.answers import AnswerParser, Incomplete
from dkv.client.blocking import Connection
from dkv.client.endpoint import Endpoint
from tests.certificates import Pair
from tests.client.fakes import Near

Words = list[bytes]


class TlsNode:
    """It answers each request by ``answer``; with ``wants`` it wants certificates of that CA. ``requests`` has what it
    was asked. ``plain`` is the end of one that speaks no TLS: this is its answer to all bytes. What it says ``unasked``
    comes together with the end of the handshake, as it may with TLS 1.2."""

    def __init__(
        self,
        own: Pair,
        answer: Callable[[Words], bytes],
        wants: Path | None = None,
        plain: bytes = b"",
        unasked: bytes = b"",
    ) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if unasked:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(own.certificate, own.key)
        if wants is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(wants)
        self.requests: list[Words] = []
        self._answer = answer
        self._plain, self._unasked = plain, unasked
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._end = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._is_open = False
        self._parser = AnswerParser()

    def take(self, data: bytes) -> bytes:
        """The client has sent this: the bytes that go back."""
        if self._plain:
            return self._plain
        self._incoming.write(data)
        try:
            if not self._is_open:
                self._end.do_handshake()
                self._is_open = True
                self._end.write(self._unasked)
            while data := self._end.read(1 << 20):
                self._parser.feed(data)
                self._serve()
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass
        except ssl.SSLError:
            pass  # the client is told by an alert
        return self._outgoing.read()

    def say(self, data: bytes) -> bytes:
        """The bytes that bring this to the client."""
        self._end.write(data)
        return self._outgoing.read()

    def _serve(self) -> None:
        while not isinstance(request := self._parser.take(), Incomplete):
            assert isinstance(request, list)
            words = [word for word in request if isinstance(word, bytes)]
            self.requests.append(words)
            self._end.write(self._answer(words))


class TlsFarEnd:
    """Such a node at the far end of a socket pair. It answers whenever it is sent something."""

    def __init__(self, node: TlsNode, endpoint: Endpoint) -> None:
        near, self._far = socket.socketpair()
        stream = Near(fileno=near.detach())
        stream.asked = self.answer
        self.node = node
        self.connection = Connection(endpoint, stream, 5.0)

    def answer(self) -> None:
        """Take what has come."""
        try:
            while data := self._far.recv(1 << 20, socket.MSG_DONTWAIT):
                if back := self.node.take(data):
                    self._far.sendall(back)
        except BlockingIOError:
            pass

    def say(self, data: bytes) -> None:
        """Send what nobody asked for."""
        self._far.sendall(self.node.say(data))

    def close(self) -> None:
        """Close both ends."""
        self.connection.close()
        self._far.close()
