"""HTTP on the client port is told from commands before anything of it is done."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.settings import Limits
from dkv.wire.http import is_http
from dkv.wire.resp import RequestParser
from tests.wire.test_resp import bytewise, encoded, parsed

METHODS = (b"GET", b"PUT", b"DELETE", b"POST", b"HEAD", b"OPTIONS", b"PATCH", b"TRACE", b"CONNECT", b"PROPFIND", b"DEL")
TARGETS = (
    b"/",
    b"/x",
    b"*",
    b"http://node:5001/x",
    b"node:443",
    b"k",
    b"/a%20b?c=d",
    b"/a b",
    b"x /a",
    b"a b http://n",
    b"http://n/a b c",
    b"/it's",
)
VERSIONS = (b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/2", b"HTTP/0.9")
HEADERS = (
    b"Host: node:5001",
    b"Host:x",
    b"User-Agent: curl/8",
    b"Content-Length:5",
    b"X-A_b.c: PUT x 1",
    b"sec-websocket-key: x",
)


class HttpTests(SynchronousTestCase):
    """Lines."""

    def test_requests(self) -> None:
        """Every method, those that are commands here too, in any case and spacing, with any line end."""
        for method in METHODS:
            for target in TARGETS:
                for version in VERSIONS:
                    line = b"%b %b %b" % (method, target, version)
                    for each in (line, line.lower(), line + b"\r", b" " + line.replace(b" ", b" \t") + b" "):
                        self.assertTrue(is_http(each), each)

    def test_headers(self) -> None:
        """A request whose first line was not known for one ends at its next line."""
        for line in HEADERS:
            for each in (line, line.lower(), line.upper(), line + b"\r", b" " + line):
                self.assertTrue(is_http(each), each)

    def test_others(self) -> None:
        """Responses, the preface of HTTP/2, and methods that are no commands, without a version too."""
        for line in (b"HTTP/1.1 200 OK", b"PRI * HTTP/2.0", b"POST", b"post /x", b"HEAD /", b"OPTIONS *", b"patch x"):
            self.assertTrue(is_http(line), line)

    def test_commands(self) -> None:
        """A line that can be told from HTTP is a command: by quotes, or by words that no HTTP client sends."""
        for line in (
            b"", b"  ", b"PING", b"PUT k v", b"GET /x", b"DELETE /x http://x/", b'PUT k "HTTP/1.1"',
            b"PUT k 'HTTP/1.1'",
            b'PUT k "hello HTTP/1.1"', b'PUT "a b" HTTP/1.1', b"ECHO HTTP/1.1", b"GET HTTP/1.1", b"PUT k xHTTP/1.1",
            b"PUT k HTTP/1.1x", b"PUT k HTTP/x", b"PUT HTTP/1.1 v", b"DEL a b HTTP/1.1", b"IDMP a 1 PUT k HTTP/1.1",
            b"PUT Host: x", b"PUT host:port v", b"GET :x", b"poster x", b"PUT k POST", b'"Host:" x', b"HTTPS x",
        ):  # fmt: skip
            self.assertFalse(is_http(line), line)

    @given(st.lists(st.sampled_from([b"/", b" ", b"HTTP/1.1", b"HTTP/", b"x", b":", b"\t"]), max_size=9).map(b"".join))
    def test_long_lines_are_no_work(self, pattern: bytes) -> None:
        """No line keeps the node from its other clients: the time does not grow with the square of its length."""
        is_http((pattern * 65_536)[:65_536])
        is_http(b"GET /" + (pattern * 65_536)[:65_536] + b"!")


class StreamTests(SynchronousTestCase):
    """Requests as curl and browsers send them, with commands in every place where text can be put."""

    def refused(self, before: bytes, stream: bytes) -> None:
        """``stream`` ends the connection behind ``before``, one PING, and nothing of it is understood."""
        for pieces in ([before + stream], bytewise(before + stream), [before, stream]):
            parser = RequestParser(Limits())
            self.assertEqual([arguments for arguments, _ in parsed(parser, pieces)], [[b"PING"]] if before else [])
            self.assertEqual(parser.error, "ERR this is not an HTTP server")
            self.assertEqual(parser.held, 0)

    def test_whole_requests(self) -> None:
        """Neither the request line nor a header nor the body does anything."""
        body = b"PUT x 1\r\n" + encoded(b"SET", b"x", b"1")
        headers = b"Host: n:5001\r\nUser-Agent: curl/8\r\nX: PUT x 1\r\nContent-Length: %d\r\n\r\n" % len(body)
        upgrade = b"Host: n\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\r\n"
        for before in (b"", b"PING\r\n", encoded(b"PING"), b"\r\n\r\n" + encoded(b"PING")):
            for method in METHODS:
                for request in (b"%b /x HTTP/1.1\r\n" % method + headers + body, headers + body):
                    self.refused(before, request)
                    self.refused(before, request.replace(b"\r\n", b"\n"))
            self.refused(before, b"GET /chat HTTP/1.1\r\n" + upgrade + b"\x81\x87PUT x 1")
            self.refused(before, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0\0\0\0")
            self.refused(before, b"\xff\xfb\x01PUT /x HTTP/1.1\r\0")

    def test_values_may_be_anything(self) -> None:
        """A web cache stores HTTP in its values: in RESP nothing is taken for what it is not."""
        for line in (b"HTTP/1.1", b"PUT /x HTTP/1.1\r\nHost: x\r\n\r\n", *HEADERS):
            for words in ([b"PUT", b"k", line], [b"SET", line, line], [line], [b"POST", b"/", line]):
                for pieces in ([encoded(*words)], bytewise(encoded(*words))):
                    parser = RequestParser(Limits())
                    self.assertEqual([arguments for arguments, _ in parsed(parser, pieces)], [words])
                    self.assertIsNone(parser.error)
