"""The answers in a node's bytes: each kind, and where it ends."""

from __future__ import annotations

import math
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.client import answers
from dkv.client.answers import Answers, NotUnderstood, Reply
from dkv.replies import Error


class Ended(Exception):
    """The stream has no more bytes."""


def reading(*chunks: bytes) -> Answers:
    """Answers from a stream that brings ``chunks``."""
    left = list(chunks)

    def receive() -> bytes:
        if not left:
            raise Ended
        return left.pop(0)

    return Answers(receive)


def encoded(reply: Reply) -> bytes:
    """The bytes of an answer, by an encoder of the test's own."""
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, Error):
        return f"-{reply.text}\r\n".encode()
    if isinstance(reply, bool):
        return b"#t\r\n" if reply else b"#f\r\n"
    if isinstance(reply, int):
        return f":{reply}\r\n".encode()
    if isinstance(reply, float):
        return f",{reply!r}\r\n".encode()
    if isinstance(reply, str):
        return f"+{reply}\r\n".encode()
    if isinstance(reply, bytes):
        return b"$" + str(len(reply)).encode() + b"\r\n" + reply + b"\r\n"
    return b"*" + str(len(reply)).encode() + b"\r\n" + b"".join(map(encoded, reply))


LINES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20)
NUMBERS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.booleans())
SIMPLE: st.SearchStrategy[Reply] = st.one_of(st.none(), NUMBERS, LINES, st.binary(max_size=50), st.builds(Error, LINES))
REPLIES: st.SearchStrategy[Reply] = st.recursive(SIMPLE, lambda inner: st.lists(inner, max_size=3), max_leaves=6)


class AnswerTests(SynchronousTestCase):
    @given(st.lists(REPLIES, min_size=1, max_size=4), st.integers(1, 9))
    def test_one_behind_another(self, replies: list[Reply], size: int) -> None:
        """However the network cuts them up, and whatever is in them, errors included, each answer is its request's."""
        stream = b"".join(map(encoded, replies))
        read = reading(*(stream[at : at + size] for at in range(0, len(stream), size)))
        self.assertEqual([read.read() for _ in replies], replies)
        self.assertFalse(read.pending)

    @given(REPLIES, st.integers(1, 1000))
    def test_cut_short(self, reply: Reply, missing: int) -> None:
        """An answer whose end is missing is no answer."""
        self.assertRaises(Ended, reading(encoded(reply)[:-missing] or b"+").read)

    def test_an_error_in_an_array(self) -> None:
        """The items behind it still belong to this answer, at any depth and in any kind of array."""
        for kind, inner in ((b"*3", b""), (b"~3", b""), (b"%2", b"+k\r\n"), (b"*1\r\n*3", b"")):
            stream = kind + b"\r\n" + inner + b":1\r\n-ERR no\r\n$1\r\nx\r\n" + encoded("next")
            read = reading(stream)
            self.assertIn(b"x", _flat(read.read()))
            self.assertEqual(read.read(), "next")

    def test_other_types(self) -> None:
        """Those of RESP 3, as their nearest relatives of RESP 2."""
        cases: dict[bytes, Reply] = {
            b"_\r\n": None,
            b"*-1\r\n": None,
            b"(12345678901234567890123\r\n": 12345678901234567890123,
            b":+5\r\n": 5,
            b",1.5e3\r\n": 1500.0,
            b",-inf\r\n": -math.inf,
            b"#t\r\n": True,
            b"=7\r\ntxt:a\r\n\r\n": b"a\r\n",
            b"!6\r\nERR no\r\n": Error("ERR no"),
            b"%1\r\n+a\r\n*1\r\n%0\r\n": ["a", [[]]],
            b"~2\r\n_\r\n#f\r\n": [None, False],
            b"|1\r\n+ttl\r\n:5\r\n$1\r\nx\r\n": b"x",
            b"*1\r\n|1\r\n+ttl\r\n:5\r\n:2\r\n": [2],
            b">2\r\n+invalidate\r\n*1\r\n+k\r\n>0\r\n+OK\r\n": "OK",
        }
        for stream, reply in cases.items():
            self.assertEqual(reading(stream).read(), reply, stream)

    def test_not_understood(self) -> None:
        """Bytes that cannot be an answer are refused, with their beginning in the message."""
        odd = (b"HTTP/1.1 400\r\n", b":1x\r\n", b"$3\r\nabcde", b"\r\n", b"*-2\r\n", b"$-2\r\n", b"$+1\r\n", b"$?\r\n")
        odder = (
            b"*1\r\n" * 100,
            b"|0\r\n" * 100,
            b"#x\r\n",
            b",x\r\n",
            b"%-1\r\n",
            b"*1\r\n>0\r\n",
            b"_x\r\n",
            b": 1\r\n",
        )
        for stream in (*odd, *odder):
            with self.assertRaises(NotUnderstood, msg=repr(stream)) as caught:
                reading(stream).read()
            self.assertIn("does not answer as a node of dkv would", str(caught.exception))

    @given(st.binary(max_size=60))
    def test_any_bytes(self, stream: bytes) -> None:
        """The bytes of another program end in one of the ways that the client handles."""
        try:
            reading(stream or b"+").read()
        except (NotUnderstood, Ended):
            pass

    def test_bounded(self) -> None:
        """A node gone mad cannot fill the client's memory."""
        self.patch(answers, "REPLY_BYTES_MAX", 1_000)
        self.patch(answers, "LINE_BYTES_MAX", 100)
        endless = b":1\r\n" * 16
        for stream in (
            [b"$1001\r\n"],
            [b"+" + b"x" * 500],
            [b"*1000\r\n", *[endless] * 30],
            [b">1\r\n:1\r\n" * 8] * 30,
        ):
            self.assertRaises(NotUnderstood, reading(*stream).read)
        self.assertEqual(reading(b"$900\r\n" + b"x" * 900 + b"\r\n").read(), b"x" * 900)


def _flat(reply: Reply) -> Iterator[Reply]:
    if isinstance(reply, list):
        for each in reply:
            yield from _flat(each)
    else:
        yield reply
