"""Requests are understood however they are cut, and nothing a client sends is more than refused."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.settings import MIB, Limits
from dkv.wire.resp import RequestParser

SMALL = Limits(
    key_bytes_max=100, value_bytes_max=200, inline_bytes_max=300, request_bytes_max=1_000, request_arguments_max=20
)
"""Limits that hypothesis reaches."""

ALPHABET = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"", b"\r\n", b"*3\r\n$3\r\n", b"$", b"GET", b"x" * 3_000, b"a\r\nb", b"\n", b"\xff\xfb"]),
)
VECTORS = st.lists(st.lists(ALPHABET, min_size=1, max_size=20), max_size=12)
GARBAGE = st.lists(
    st.one_of(
        st.binary(max_size=20),
        st.sampled_from([b"*", b"$", b"\r\n", b"\n", b"*2\r\n", b"$3\r\n", b"*-1\r\n", b"GET ", b'"', b"'", b"9" * 10]),
        st.sampled_from([b"*2147483647\r\n", b"$99999999999\r\n", b"x" * 500, b"$1000\r\n", b"*1\r\n$3\r\nGET\r\n"]),
    ),
    max_size=40,
).map(b"".join)


def encoded(*arguments: bytes) -> bytes:
    """A request as clients send it."""
    return b"*%d\r\n" % len(arguments) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in arguments)


def parsed(parser: RequestParser, pieces: list[bytes], count_max: int = 128) -> list[tuple[list[bytes], int]]:
    """All that comes out of ``parser`` when it is fed ``pieces``."""
    requests = []
    for piece in pieces:
        parser.feed(piece)
        while taken := parser.take(count_max):
            assert len(taken) <= count_max
            requests += taken
    return requests


def bytewise(data: bytes) -> list[bytes]:
    """One byte at a time."""
    return [data[index : index + 1] for index in range(len(data))]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """``data`` cut in the ``places`` given, modulo its length."""
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:stop] for start, stop in pairwise(edges)]


class RequestsTests(SynchronousTestCase):
    """What clients send is what the node acts on."""

    @given(VECTORS, st.lists(st.integers(min_value=0, max_value=10_000), max_size=20), st.integers(1, 5))
    def test_any_requests_cut_anywhere(self, vectors: list[list[bytes]], places: list[int], count_max: int) -> None:
        """A user's bytes arrive as sent, binary, empty or full of line ends, whatever TCP makes of the stream."""
        wires = [encoded(*vector) for vector in vectors]
        parser = RequestParser(Limits())
        requests = parsed(parser, cut(b"".join(wires), places), count_max)
        self.assertEqual(requests, [(vector, len(wire)) for vector, wire in zip(vectors, wires, strict=True)])
        self.assertIsNone(parser.error)
        self.assertEqual(parser.held, 0)

    @given(VECTORS)
    def test_one_byte_at_a_time(self, vectors: list[list[bytes]]) -> None:
        """A slow link is no reason for a wrong command."""
        stream = b"".join(encoded(*vector) for vector in vectors)
        requests = parsed(RequestParser(Limits()), bytewise(stream))
        self.assertEqual([arguments for arguments, _ in requests], vectors)

    @given(GARBAGE, st.lists(st.integers(min_value=0, max_value=5_000), max_size=20))
    def test_garbage_is_refused_at_most(self, garbage: bytes, places: list[int]) -> None:
        """No client can raise an exception in the node, hold memory beyond the limits, or get an empty request in."""
        parser = RequestParser(SMALL)
        for piece in cut(garbage, places):
            parser.feed(piece)
            while taken := parser.take(3):
                for arguments, size in taken:
                    self.assertTrue(0 < len(arguments) <= SMALL.request_arguments_max)
                    self.assertLessEqual(size, SMALL.request_bytes_max)
            self.assertLessEqual(parser.held, SMALL.request_bytes_max)
        if parser.error is not None:
            self.assertTrue(parser.error.startswith(("ERR Protocol error: ", "ERR this is not an HTTP server")))
            self.assertEqual(parser.held, 0)

    @settings(max_examples=500)
    @given(GARBAGE, st.lists(st.integers(min_value=0, max_value=5_000), max_size=20))
    def test_pieces_do_not_matter(self, garbage: bytes, places: list[int]) -> None:
        """What is understood, and refused, does not depend on how the network cut it."""
        whole, pieces = RequestParser(SMALL), RequestParser(SMALL)
        self.assertEqual(parsed(whole, [garbage]), parsed(pieces, cut(garbage, places)))
        self.assertEqual(whole.error, pieces.error)

    @settings(max_examples=500)
    @given(
        st.lists(
            st.sampled_from([b"a", b" ", b"\r", b"\n", b"\0", b"\xff", b"\xf1", b"\xf4", b"\xfd\x06"]), max_size=12
        ),
        st.lists(st.integers(min_value=0, max_value=40), max_size=5),
    )
    def test_lines_of_telnet(self, typed: list[bytes], places: list[int]) -> None:
        """The same of what a person types, with commands of telnet, their beginnings and bytes that look like them."""
        whole, pieces = RequestParser(SMALL), RequestParser(SMALL)
        stream = b"".join(typed) + b"\r\n"
        self.assertEqual(parsed(whole, [stream]), parsed(pieces, cut(stream, places)))
        self.assertEqual((whole.error, whole.held), (pieces.error, pieces.held))

    @settings(max_examples=300)
    @given(
        st.lists(st.binary(max_size=12), min_size=1, max_size=3),
        st.integers(0, 60),
        st.one_of(st.none(), st.tuples(st.integers(0, 5_000), st.sampled_from(b"*$\r\n019-x"))),
        st.integers(1, 70),
    )
    def test_pipelines_of_like_requests(
        self, words: list[bytes], count: int, damage: tuple[int, int] | None, count_max: int
    ) -> None:
        """What is compared all at once is understood as it is one by one, and refused where that is wrong."""
        stream = bytearray(b"".join(encoded(*words, b"%d" % 9**number) for number in range(count)))
        if damage is not None and stream:
            stream[damage[0] % len(stream)] = damage[1]
        whole, slow = RequestParser(SMALL), RequestParser(SMALL)
        self.assertEqual(parsed(whole, [bytes(stream)], count_max), parsed(slow, bytewise(bytes(stream))))
        self.assertEqual((whole.error, whole.held), (slow.error, slow.held))

    def test_arrays_and_lines_mixed(self) -> None:
        """redis-benchmark says an inline PING on the connection that will speak RESP."""
        stream = encoded(b"GET", b"a") + b"PING\r\n" + encoded(b"GET", b"b") + b"put x 1\n" + encoded(b"GET", b"c")
        words = [[b"GET", b"a"], [b"PING"], [b"GET", b"b"], [b"put", b"x", b"1"], [b"GET", b"c"]]
        for pieces in ([stream], bytewise(stream)):
            requests = parsed(RequestParser(Limits()), pieces)
            self.assertEqual([arguments for arguments, _ in requests], words)
            self.assertEqual(sum(size for _, size in requests), len(stream))

    def test_a_line_behind_an_array(self) -> None:
        """A line ended by LF alone is answered now, not when the next request comes."""
        requests = parsed(RequestParser(Limits()), [encoded(b"GET", b"a") + b"PING\n"])
        self.assertEqual([arguments for arguments, _ in requests], [[b"GET", b"a"], [b"PING"]])

    def test_nothing_asked(self) -> None:
        """Enter in telnet, and the empty arrays that some clients send, get no answer, as in Redis."""
        parser = RequestParser(Limits())
        self.assertEqual(parsed(parser, [b"\r\n\n  \r\n*0\r\n*-1\r\n", b"PING\r\n"]), [([b"PING"], 6)])
        self.assertIsNone(parser.error)

    def test_taken_lazily(self) -> None:
        """A connection that must wait for its replies leaves the rest where it costs only its bytes."""
        parser = RequestParser(Limits())
        parser.feed(encoded(b"GET", b"k") * 10)
        self.assertEqual(len(parser.take(4)), 4)
        self.assertEqual(parser.held, 6 * len(encoded(b"GET", b"k")))
        parser.feed(b"*1\r\n$x\r\n")
        self.assertEqual(len(parser.take(100)), 6)
        self.assertEqual(parser.error, "ERR Protocol error: invalid bulk length")

    def test_many_small_pieces_are_cheap(self) -> None:
        """One byte at a time, a value of 1 MiB takes a second of a node at the very most, not an hour."""
        stream = encoded(b"SET", b"key", b"v" * MIB)
        parser = RequestParser(Limits())
        looked = 0
        for piece in bytewise(stream):
            parser.feed(piece)
            buffer = parser._buffer
            if parser.take(1) or parser._buffer is not buffer:
                looked += 1
        self.assertIsNone(parser.error)
        self.assertEqual(parser.held, 0)
        self.assertLess(looked, 100, "a value under way is looked at again and again")


class RefusalTests(SynchronousTestCase):
    """What is no request is refused with words that help, and costs no memory."""

    def refused(self, stream: bytes, limits: Limits | None = None) -> str:
        """The error for ``stream``, the same in one piece and one byte at a time; the request before it is served."""
        errors = set()
        for pieces in ([b"PING\r\n" + stream], [b"PING\r\n", *bytewise(stream)]):
            parser = RequestParser(limits or SMALL)
            self.assertEqual(parsed(parser, pieces), [([b"PING"], 6)])
            parser.feed(b"PING\r\n")
            self.assertEqual(parser.take(1), [], "nothing is understood behind an error")
            self.assertEqual(parser.held, 0)
            errors.add(parser.error)
        (error,) = errors
        assert error is not None
        self.assertTrue(error.startswith("ERR Protocol error: "), error)
        return error.removeprefix("ERR Protocol error: ")

    def test_redis_words(self) -> None:
        """A user finds these words in the answers of thirty years."""
        for stream, text in {
            b"*x\r\n": "invalid multibulk length",
            b"*\r\n": "invalid multibulk length",
            b"*+1\r\n": "invalid multibulk length",
            b"*01\r\n": "invalid multibulk length",
            b"*--1\r\n": "invalid multibulk length",
            b"*1\r\n$-1\r\n": "invalid bulk length",
            b"*1\r\n$1x\r\n": "invalid bulk length",
            b"*1\r\n:1\r\n": "expected '$', got ':'",
            b"*1\r\n\xffabc": "expected '$', got '\\xff'",
            b"*" + b"1" * 40: "too big multibulk count string",
            b"*1\r\n$" + b"1" * 40: "too big bulk count string",
            b'PUT k "v\r\n': "unbalanced quotes in request",
            b"*1\r\n$4\r\nPINGxx": "expected CRLF after a bulk of 4 bytes",
        }.items():
            self.assertEqual(self.refused(stream), text)

    def test_limits_are_named(self) -> None:
        """Whoever runs into a limit learns which setting it is."""
        self.assertIn("2147483647 arguments, limits.request_arguments_max is 20", self.refused(b"*2147483647\r\n"))
        self.assertIn("limits.request_bytes_max is 1000", self.refused(b"*1\r\n$99999999999\r\n"))
        self.assertIn("limits.inline_bytes_max is 300", self.refused(b"x" * 300))
        self.assertIn("limits.request_arguments_max is 20", self.refused(b"a " * 21 + b"\n"))
        for parts in ([b"x" * 90] * 20, [b"x" * 190] * 6):
            self.assertIn("limits.request_bytes_max is 1000", self.refused(encoded(*parts)))

    def test_the_largest_that_fits(self) -> None:
        """What is just within the limits is served."""
        for stream, limits in (
            (encoded(*[b"a"] * SMALL.request_arguments_max), SMALL),
            (encoded(b"x" * (1_000 - len(b"*1\r\n$986\r\n\r\n"))), SMALL),
            (b"x" * 299 + b"\n", SMALL),
        ):
            for pieces in ([stream], bytewise(stream)):
                parser = RequestParser(limits)
                self.assertEqual([size for _, size in parsed(parser, pieces)], [len(stream)], parser.error)

    def test_few_arguments(self) -> None:
        """A limit below what is usual holds however requests arrive: alone, alike, among others or in pieces."""
        limits = Limits(request_arguments_max=3)
        fits, beyond = encoded(b"SET", b"k", b"v"), encoded(b"DEL", b"a", b"b", b"c")
        text = "ERR Protocol error: invalid multibulk length: 4 arguments, limits.request_arguments_max is 3"
        for before in (0, 1, 20, 60):
            for behind in (b"", beyond * 60, fits):
                for pieces in ([fits * before + beyond + behind], bytewise(fits * before + beyond)):
                    parser = RequestParser(limits)
                    requests = [arguments for arguments, _ in parsed(parser, pieces)]
                    self.assertEqual(requests, [[b"SET", b"k", b"v"]] * before)
                    self.assertEqual(parser.error, text)

    @given(
        st.lists(st.lists(ALPHABET, min_size=1, max_size=20), max_size=12), st.integers(1, 20), st.integers(50, 1_000)
    )
    def test_limits_in_one_piece_and_bytewise(
        self, vectors: list[list[bytes]], arguments_max: int, request_bytes_max: int
    ) -> None:
        """No way through the parser skips a limit: the careful one, byte by byte, is the judge."""
        limits = Limits(
            key_bytes_max=50, value_bytes_max=50, inline_bytes_max=50,
            request_arguments_max=arguments_max, request_bytes_max=request_bytes_max,
        )  # fmt: skip
        stream = b"".join(encoded(*vector) for vector in vectors)
        whole, slow = RequestParser(limits), RequestParser(limits)
        self.assertEqual(parsed(whole, [stream]), parsed(slow, bytewise(stream)))
        self.assertEqual(whole.error, slow.error)

    def test_memory_stays_bounded(self) -> None:
        """A line of 10 MB without an end, or a promise of 2 GiB, costs the node nothing to speak of."""
        for stream in (b"x" * 65_536, b"*2147483647\r\n" * 1_000, b"*10000\r\n$8388000\r\n" + b"$" * 65_536):
            parser = RequestParser(Limits())
            tracemalloc.start()
            try:
                for _ in range(200):
                    parser.feed(stream)
                    parser.take(128)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            self.assertLess(peak, 40 * MIB)
            self.assertIsNotNone(parser.error)
