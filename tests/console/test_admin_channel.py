"""HTTP on the admin port, byte by byte: whatever comes, one answer at most, an end in time, and no exception."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from dkv.console.admin_channel import (
    BODY_BYTES_MAX,
    CONNECTION_SECONDS,
    CONNECTIONS_MAX,
    HEADER_BYTES_MAX,
    HEADERS_MAX,
    LINE_BYTES_MAX,
    AdminSite,
    QuietSite,
)
from dkv.settings import KIB
from tests.siege.noise import endless, most_held

REQUEST = b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n"
PIECES = (
    *(
        REQUEST,
        b"GET /",
        b"POST /",
        b" HTTP/1.1",
        b"\r\n",
        b"\r\n\r\n",
        b": ",
        b"\t",
        b"\0\xff",
        b"%zz",
        b"a" * 999,
        b"5",
    ),
    *(b"Host", b"Content-Length: ", b"Transfer-Encoding: ", b"chunked", b"Cookie: =;", b"Expect: 100-continue"),
)
"""What a random visitor puts together."""


class _Hello(Resource):
    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[bytes] = []

    def render(self, request: Any) -> bytes:
        self.asked.append(request.uri)
        return b"hello"


class AdminChannelTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.hello = _Hello()
        self.site = AdminSite(QuietSite(self.hello, self.clock), self.clock)

    def visit(self, *pieces: bytes) -> StringTransport:
        """What a visitor who sends these pieces gets."""
        self.protocol: Any = self.site.buildProtocol(None)
        transport = StringTransport()
        self.protocol.makeConnection(transport)
        for piece in pieces:
            self.protocol.dataReceived(piece)
        return transport

    def closed(self, transport: StringTransport) -> bytes:
        """The answer, behind which the connection ends."""
        self.assertTrue(transport.disconnecting)
        return bytes(transport.value())


class RequestTests(AdminChannelTestCase):
    def test_one_answer(self) -> None:
        """A request has its answer, and the connection ends, whatever the visitor would like."""
        for request in (
            REQUEST,
            b"GET / HTTP/1.1\r\nConnection: keep-alive\r\n\r\n",
            b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        ):
            answer = self.closed(self.visit(request))
            self.assertIn(b" 200 OK\r\n", answer)
            self.assertIn(b"\r\nConnection: close\r\n", answer)
            self.assertTrue(answer.endswith(b"hello"))

    def test_no_second_request(self) -> None:
        """What is behind the first request is not read: neither in the same piece, nor later."""
        second = b"GET /second HTTP/1.1\r\nHost: x\r\n\r\n"
        for pieces in ((REQUEST + second,), (REQUEST, second), (REQUEST + second[:9], second[9:])):
            answer = self.closed(self.visit(*pieces))
            self.assertEqual(answer.count(b"HTTP/1.1 "), 1)
        self.assertEqual(self.hello.asked, [b"/status"] * 3)

    def test_errors_end_the_connection(self) -> None:
        """What is no request, and what is too large, has one short answer that says so, and nothing behind it is
        read."""
        bad, large = b"400 Bad Request", b"413 Request Entity Too Large"
        many = b"".join(b"X%d: y\r\n" % number for number in range(HEADERS_MAX + 1))
        for request, status in (
            (b"nonsense\r\n\r\n", bad),
            (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", bad),
            (b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", bad),
            (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", bad),
            (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", large),
            (b"GET / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (BODY_BYTES_MAX + 1), large),
            (b"GET / HTTP/1.1\r\nContent-Length: %b\r\n\r\n" % (b"9" * 4_000), large),
            (b"GET / HTTP/1.1\r\nContent-Length: %b\r\n\r\n" % (b"9" * 5_000), bad),
            (b"GET /%b HTTP/1.1\r\n\r\n" % (b"x" * LINE_BYTES_MAX), bad),
            (b"GET /%b" % (b"x" * LINE_BYTES_MAX * 4), bad),
            (b"GET / HTTP/1.1\r\n" + many + b"\r\n", bad),
            (b"GET / HTTP/1.1\r\n" + b"X: %b\r\n" % (b"y" * 999) * (HEADER_BYTES_MAX // 999 + 1) + b"\r\n", bad),
        ):
            answer = self.closed(self.visit(request + REQUEST, REQUEST))
            expected = b"HTTP/1.1 %b\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % status
            self.assertEqual(answer, expected, request[:60])
        self.assertEqual(self.hello.asked, [])

    def test_body(self) -> None:
        """A small body is no reason to refuse."""
        head = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % BODY_BYTES_MAX
        self.assertIn(b" 200 OK\r\n", self.closed(self.visit(head, b"x" * BODY_BYTES_MAX)))

    @given(st.lists(st.sampled_from(PIECES)))
    def test_anything(self, pieces: list[bytes]) -> None:
        """Nothing that a visitor sends raises an exception, or has more than one answer."""
        answer = self.visit(*pieces).value()
        self.assertLessEqual(answer.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"").count(b"HTTP/1."), 1)
        self.assertEqual(self.flushLoggedErrors(), [])
        self.protocol.connectionLost()

    def test_a_crowd(self) -> None:
        """However many come in one turn of the reactor, only so many stay: descriptors are for clients and LevelDB.

        Their connections are told to end and have not ended yet when the next ones come.
        """
        crowd = [self.visit() for _ in range(3 * CONNECTIONS_MAX)]
        self.assertEqual(
            [each.disconnected for each in crowd], 2 * CONNECTIONS_MAX * [True] + CONNECTIONS_MAX * [False]
        )

    def test_memory(self) -> None:
        """However much a visitor sends, it is not kept."""
        for piece in (*PIECES, b"X: y\r\n", REQUEST.replace(b"/status", b"/" + b"x" * 2_000)):
            for begin in (b"", REQUEST[:-2], b"POST / HTTP/1.1\r\nContent-Length: 4000\r\n\r\n"):

                def feed(begin: bytes = begin, piece: bytes = piece) -> None:
                    transport = self.visit(begin)
                    for each in endless(piece, 300_000):
                        if not transport.disconnecting:
                            self.protocol.dataReceived(each)
                    self.protocol.connectionLost()

                feed()  # once to fill caches
                self.assertLess(most_held(feed), 64 * KIB, (begin, piece[:20]))


class DeadlineTests(AdminChannelTestCase):
    def test_a_slow_sender(self) -> None:
        """Whoever sends a byte now and then has no more time than one who sends nothing."""
        for begin in (b"", b"GET / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\nContent-Length: 4000\r\n\r\n"):
            transport = self.visit(begin)
            for _ in range(CONNECTION_SECONDS - 1):
                self.clock.advance(1)
                self.protocol.dataReceived(b"x")
            self.assertFalse(transport.disconnected)
            self.clock.advance(1)
            self.assertTrue(transport.disconnected)

    def test_a_slow_reader(self) -> None:
        """An answer that nobody takes is not kept for ever."""
        transport = self.visit(REQUEST)
        self.assertFalse(transport.disconnected)
        self.clock.advance(CONNECTION_SECONDS)
        self.assertTrue(transport.disconnected)

    def test_nothing_is_left(self) -> None:
        """A visitor who has gone costs nothing more."""
        self.visit(REQUEST)
        self.protocol.connectionLost()
        self.visit()
        self.protocol.connectionLost()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(len(self.site.protocols), 0)
