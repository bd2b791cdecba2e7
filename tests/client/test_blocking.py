"""The blocking client: what it sends, what it makes of answers, and what it says when there is none."""

from __future__ import annotations

import socket
import threading
import time

from twisted.trial.unittest import SynchronousTestCase

from dkv.client import blocking
from dkv.client.blocking import Connection, Endpoint, NoAnswer, NotSent, Reply, ServerError, connect
from dkv.replies import Error
from tests.client.fakes import FarEnd


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

    def test_a_name_server_that_hangs(self) -> None:
        """It costs no more than a node that does not answer."""
        hangs = threading.Event()
        self.addCleanup(hangs.set)
        self.patch(socket, "getaddrinfo", lambda *_, **__: hangs.wait(20) and [])
        with self.assertRaises(NotSent) as caught:
            connect(Endpoint("name.example", 5001), 0.01, 5.0)
        self.assertEqual(str(caught.exception), "cannot connect to name.example:5001: it takes too long")

    def test_several_addresses(self) -> None:
        """A name with an address where nobody listens is reached at the next one."""
        port = self.port(listen=True).port
        hosts = ("127.0.0.2", "127.0.0.1")
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in hosts]
        look_up = socket.getaddrinfo
        self.patch(
            socket, "getaddrinfo", lambda host, *more, **named: found if host == "n" else look_up(host, *more, **named)
        )
        connect(Endpoint("n", port), 5.0, 5.0).close()
        found.pop()
        self.assertRaises(NotSent, connect, Endpoint("n", port), 5.0, 5.0)
        found.pop()
        self.assertRaises(NotSent, connect, Endpoint("n", port), 5.0, 5.0)

    def test_silent_node(self) -> None:
        """A frozen node, whose kernel still accepts, costs the time that the user allowed, and the outcome is open."""
        with connect(self.port(listen=True), 5.0, 0.05) as connection, self.assertRaises(NoAnswer) as caught:
            connection.call(b"PUT", b"k", b"v")
        self.assertIn("within 0.05 s", str(caught.exception))


class Calls(SynchronousTestCase):
    """``Connection.call``."""

    def far_end(self, *answers: bytes, closes: bool = True) -> FarEnd:
        end = FarEnd(*answers, closes=closes)
        self.addCleanup(end.close)
        return end

    def call(self, answer: bytes) -> Reply:
        """The client's result for ``answer``, after which the node hangs up."""
        return self.far_end(answer).connection.call(b"GET", b"k")

    def test_request(self) -> None:
        """Keys and values with any bytes arrive as they are."""
        end = self.far_end(b"+OK\r\n")
        end.connection.call(b"PUT", b"", b"a\r\n\x00\xff")
        self.assertEqual(end.received(), b"*3\r\n$3\r\nPUT\r\n$0\r\n\r\n$5\r\na\r\n\x00\xff\r\n")

    def test_one_after_another(self) -> None:
        """The answers of one connection stay in step with its requests, errors or not, however they are cut up."""
        self.patch(blocking, "RECEIVE_BYTES", 1)
        connection = self.far_end(
            b"$1\r\na\r\n", b"-ERR no\r\n", b"*2\r\n-ERR x\r\n:1\r\n", b":2\r\n", closes=False
        ).connection
        self.assertEqual(connection.call(b"GET", b"k"), b"a")
        self.assertRaises(ServerError, connection.call, b"FROB")
        self.assertEqual(connection.call(b"EXEC"), [Error("ERR x"), 1])
        self.assertEqual(connection.call(b"APPEND", b"k", b"b"), 2)

    def test_error(self) -> None:
        """The first word of an error tells what to conclude, and the rest is for a person."""
        with self.assertRaises(ServerError) as caught:
            self.call(b"-TRYAGAIN no leader yet\r\n")
        self.assertEqual((caught.exception.word, caught.exception.text), ("TRYAGAIN", "TRYAGAIN no leader yet"))

    def test_an_error_of_something_between(self) -> None:
        """A proxy that has lost its server tells nothing about the request: that is no refusal by a node."""
        for answer in (b"-upstream failure\r\n", b"-\r\n", b"- ERR\r\n", b"!9\r\nno server\r\n"):
            self.assertRaises(NoAnswer, self.call, answer)

    def test_not_understood(self) -> None:
        """An answer that cannot be one of ours leaves the outcome open, and says who gave it."""
        with self.assertRaises(NoAnswer) as caught:
            self.call(b"HTTP/1.1 400\r\n")
        self.assertIn("fake:1: it does not answer as a node of dkv would", str(caught.exception))

    def test_of_no_more_use(self) -> None:
        """After anything but a whole answer nothing is sent, and nothing read: it might be an earlier request's."""
        for answer in (b"", b":1", b"$3\r\nab", b"*2\r\n:1\r\n", b"what?\r\n", b"-what?\r\n"):
            end = self.far_end(answer, b"+OK\r\n", closes=False)
            self.patch(end.connection, "_answer_seconds", 0.01)
            self.assertRaises(NoAnswer, end.connection.call, b"PUT", b"k", b"1")
            end.received()
            self.assertTrue(end.connection.lost())
            self.assertRaises(NotSent, end.connection.call, b"PUT", b"k", b"2")
            self.assertEqual(end.received(), b"", answer)

    def test_interrupted(self) -> None:
        """After a Ctrl-C the connection is not used either: the late answer would be taken for the next request's."""
        end = self.far_end(b"+OK\r\n", closes=False)

        def interrupted() -> bytes:
            raise KeyboardInterrupt

        self.patch(end.connection._answers, "_more", interrupted)
        self.assertRaises(KeyboardInterrupt, end.connection.call, b"GET", b"k")
        self.assertRaises(NotSent, end.connection.call, b"GET", b"k")

    def test_unasked(self) -> None:
        """Bytes that came before the request do not answer it, neither at first nor behind another answer."""
        end = self.far_end(b"+OK\r\n", closes=False)
        end.say(b"+OK\r\n")
        self.assertRaises(NotSent, end.connection.call, b"PUT", b"k", b"1")
        end = self.far_end(b":1\r\n:2\r\n", closes=False)
        end.connection.call(b"APPEND", b"k", b"1")
        self.assertRaises(NotSent, end.connection.call, b"APPEND", b"k", b"2")

    def test_refused_before_it_asks(self) -> None:
        """A node that has no room says so and hangs up: the user reads why, and nothing was sent."""
        end = self.far_end(b"+OK\r\n")
        end.say(b"-ERR max number of clients reached\r\n")
        with self.assertRaises(ServerError) as caught:
            end.connection.call(b"PUT", b"k", b"1")
        self.assertEqual(caught.exception.text, "ERR max number of clients reached")
        self.assertEqual(end.received(), b"")

    def test_abandoned(self) -> None:
        """Another thread ends a call at once, however long its answer would have been waited for."""
        end = self.far_end(b"", closes=False)
        end.on_sent = end.connection.abandon
        self.assertRaises(NoAnswer, end.connection.call, b"GET", b"k")


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
            end = FarEnd(answer, closes=closes)
            self.addCleanup(end.close)
            end.connection.call(b"PING")
            self.assertTrue(end.connection.lost())
