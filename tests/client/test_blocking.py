"""The blocking client: what it sends, what it makes of answers, and what it says when there is none."""

from __future__ import annotations

import socket
import time

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.client import blocking
from dkv.client.blocking import Connection, Endpoint, NoAnswer, NotSent, Reply, ServerError, connect
from tests.client.fakes import FarEnd


def encoded(reply: Reply) -> bytes:
    """The bytes of an answer, by an encoder of the test's own."""
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, int):
        return f":{reply}\r\n".encode()
    if isinstance(reply, str):
        return f"+{reply}\r\n".encode()
    if isinstance(reply, bytes):
        return b"$" + str(len(reply)).encode() + b"\r\n" + reply + b"\r\n"
    return b"*" + str(len(reply)).encode() + b"\r\n" + b"".join(map(encoded, reply))


STATUS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20)
SIMPLE = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), STATUS, st.binary(max_size=50))
REPLIES = st.recursive(SIMPLE, lambda inner: st.lists(inner, max_size=3), max_leaves=6)


class Endpoints(SynchronousTestCase):
    """``Endpoint``."""

    def test_parses(self) -> None:
        """Names and addresses of both kinds can be typed, and are shown as they were typed."""
        for text, host, port in (("a.example:5001", "a.example", 5001), ("[::1]:65535", "::1", 65535)):
            endpoint = Endpoint.parse(text)
            self.assertEqual((endpoint.host, endpoint.port), (host, port))
            self.assertEqual(str(endpoint), text)

    def test_refuses(self) -> None:
        """A slip is an error at once, not an attempt to reach some other place."""
        for text in ("", "host", "host:", ":5001", "::1:5001", "host:0", "host:65536", "host:x", "a b:1", "host:1 "):
            with self.assertRaises(ValueError, msg=text):
                Endpoint.parse(text)


class Connecting(SynchronousTestCase):
    """``connect``, to ports of this machine that the kernel chose."""

    def port(self, listen: bool) -> Endpoint:
        stream = socket.socket()
        self.addCleanup(stream.close)
        stream.bind(("127.0.0.1", 0))
        if listen:
            stream.listen()
        return Endpoint("127.0.0.1", stream.getsockname()[1])

    def test_nobody_listens(self) -> None:
        """Then nothing was sent, and another node may be asked."""
        endpoint = self.port(listen=False)
        with self.assertRaises(NotSent) as caught:
            connect(endpoint, 5.0, 5.0)
        self.assertEqual(str(caught.exception), f"cannot connect to {endpoint}: Connection refused")

    def test_connected_to_itself(self) -> None:
        """While a node is down, the kernel may hand its port to the very client that asks for it; nobody is there."""

        def connect_to_itself(address: tuple[str, int], _: float) -> socket.socket:
            stream = socket.socket()
            stream.bind(address)
            stream.connect(stream.getsockname())
            return stream

        self.patch(socket, "create_connection", connect_to_itself)
        with self.assertRaises(NotSent):
            connect(Endpoint("127.0.0.1", 0), 5.0, 5.0)

    def test_no_such_name(self) -> None:
        """A name that cannot be one is a node that cannot be reached, not a traceback."""
        with self.assertRaises(NotSent):
            connect(Endpoint("x" * 100, 5001), 5.0, 5.0)

    def test_silent_node(self) -> None:
        """A frozen node, whose kernel still accepts, costs the time that the user allowed, and the outcome is open."""
        with connect(self.port(listen=True), 5.0, 0.05) as connection, self.assertRaises(NoAnswer) as caught:
            connection.call(b"PUT", b"k", b"v")
        self.assertIn("within 0.05 s", str(caught.exception))


class Calls(SynchronousTestCase):
    """``Connection.call``."""

    def far_end(self, answer: bytes, closes: bool = True) -> FarEnd:
        end = FarEnd(answer, closes)
        self.addCleanup(end.close)
        return end

    def call(self, answer: bytes) -> Reply:
        """What the client makes of ``answer``, after which the node hangs up."""
        return self.far_end(answer).connection.call(b"GET", b"k")

    def test_request(self) -> None:
        """Keys and values with any bytes arrive as they are."""
        end = self.far_end(b"+OK\r\n")
        end.connection.call(b"PUT", b"", b"a\r\n\x00\xff")
        self.assertEqual(end.received(), b"*3\r\n$3\r\nPUT\r\n$0\r\n\r\n$5\r\na\r\n\x00\xff\r\n")

    def test_one_after_another(self) -> None:
        """The answers of one connection stay in step with its requests."""
        connection = self.far_end(b"$1\r\na\r\n:2\r\n").connection
        self.assertEqual([connection.call(b"GET", b"k"), connection.call(b"APPEND", b"k", b"b")], [b"a", 2])

    @given(REPLIES)
    def test_answers(self, reply: Reply) -> None:
        """Every kind of answer is understood."""
        self.assertEqual(self.call(encoded(reply)), reply)

    @given(REPLIES)
    def test_byte_by_byte(self, reply: Reply) -> None:
        """However the network cuts an answer up."""
        self.patch(blocking, "RECEIVE_BYTES", 1)
        self.assertEqual(self.call(encoded(reply)), reply)

    @given(REPLIES, st.integers(1, 1000))
    def test_cut_short(self, reply: Reply, missing: int) -> None:
        """An answer whose end is missing is no answer."""
        with self.assertRaises(NoAnswer):
            self.call(encoded(reply)[:-missing])

    def test_error(self) -> None:
        """The first word of an error tells what to conclude, and the rest is for a person."""
        with self.assertRaises(ServerError) as caught:
            self.call(b"-TRYAGAIN no leader yet\r\n")
        self.assertEqual((caught.exception.word, caught.exception.text), ("TRYAGAIN", "TRYAGAIN no leader yet"))

    @given(st.binary(max_size=60))
    def test_not_a_node(self, answer: bytes) -> None:
        """Whatever some other program answers, the client ends in one of the ways that its users handle."""
        try:
            self.call(answer)
        except (NoAnswer, ServerError):
            pass

    def test_not_understood(self) -> None:
        """An answer that cannot be one of ours leaves the outcome open, and says what it looked like."""
        for answer in (b"HTTP/1.1 400\r\n", b":1x\r\n", b"$3\r\nabcde", b"\r\n", b"*1\r\n" * 20):
            with self.assertRaises(NoAnswer, msg=repr(answer)) as caught:
                self.call(answer)
            self.assertIn("does not answer as a node of dkv would", str(caught.exception))

    def test_bounded(self) -> None:
        """A node gone mad cannot fill the client's memory."""
        self.patch(blocking, "REPLY_BYTES_MAX", 1_000)
        self.patch(blocking, "LINE_BYTES_MAX", 100)
        self.patch(blocking, "RECEIVE_BYTES", 64)
        for answer in (b"$1001\r\n", b"+" + b"x" * 500, b"*1000\r\n" + b":1\r\n" * 500):
            with self.assertRaises(NoAnswer, msg=repr(answer[:20])):
                self.call(answer)
        self.assertEqual(self.call(b"$900\r\n" + b"x" * 900 + b"\r\n"), b"x" * 900)


class Sending(SynchronousTestCase):
    """A request that cannot be sent in full."""

    def hung_up(self, answer: bytes) -> Connection:
        """A connection whose node answered before it was asked and closed."""
        near, far = socket.socketpair()
        far.sendall(answer)
        far.close()
        connection = Connection(Endpoint("fake", 1), near, 5.0)
        self.addCleanup(connection.close)
        return connection

    def test_not_sent(self) -> None:
        """A request that did not leave can be sent to another node."""
        with self.assertRaises(NotSent):
            self.hung_up(b"").call(b"PUT", b"k", b"v")

    def test_refused_meanwhile(self) -> None:
        """A node that says why it takes no more of a request is heard."""
        with self.assertRaises(ServerError) as caught:
            self.hung_up(b"-ERR request too long\r\n").call(b"PUT", b"k", b"v")
        self.assertEqual(caught.exception.text, "ERR request too long")

    def test_node_that_does_not_read(self) -> None:
        """A request stuck on its way costs the time allowed; its end was not sent, so no node executes it."""
        end = FarEnd(b"", closes=False, answer_seconds=0.05)
        self.addCleanup(end.close)
        with self.assertRaises(NotSent):
            end.connection.call(b"PUT", b"k", bytes(8 << 20))


class Losing(SynchronousTestCase):
    """Whether the other end has gone, before anything is sent to it."""

    def test_it_is_there(self) -> None:
        """After an answer the connection is good, and nobody waits to find that out."""
        end = FarEnd(b":1\r\n", closes=False)
        self.addCleanup(end.close)
        self.assertEqual(end.connection.call(b"PING"), 1)
        began = time.monotonic()
        self.assertFalse(end.connection.lost())
        self.assertLess(time.monotonic() - began, 1.0)

    def test_it_has_gone(self) -> None:
        """A connection that was closed, or on which something unasked came, is of no more use."""
        for answer, closes in ((b":1\r\n", True), (b":1\r\n:2\r\n", False)):
            end = FarEnd(answer, closes)
            self.addCleanup(end.close)
            end.connection.call(b"PING")
            self.assertTrue(end.connection.lost())
