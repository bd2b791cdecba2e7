"""What telnet says between the characters that somebody types is answered or passed over, and never stored."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.settings import Limits
from dkv.wire.resp import RequestParser
from dkv.wire.telnet import TIMING_MARK
from tests.wire.test_resp import SMALL, bytewise, cut, encoded, parsed

CTRL_C = b"\xff\xf4\xff\xfd\x06"
NEGOTIATED = [
    b"\xff\xfb\x1f",  # WILL NAWS
    b"\xff\xfd\n",  # DO option 10, a line feed
    b"\xff\xfe\r",  # DONT option 13
    b"\xff\xfc\xff",  # WONT option 255
    b"\xff\xfa\x1f\x00\x50\x00\n\xff\xf0",  # a window of ten rows
    b"\xff\xfa\x18\x00*1\r\n\xff\xff\xf0PUT x 1\r\n\xff\xf0",  # data with a 255 in it, and what looks like an end
    b"\xff\xf1",
    b"\xff\xf9",
    b"\xff\xf0",
]
"""Commands that ask for nothing that is here, each with what a naive reader would trip over."""

TYPED = st.lists(
    st.one_of(
        st.sampled_from([b"PING", b" ", b"x", b"*1\r\n$4\r\nPING\r\n", b"\r\n", b"\r\0", b"\n", b"\r", b"\0", b'"']),
        st.sampled_from(
            [*NEGOTIATED, CTRL_C, b"\xff\xfd\x06", b"\xff\xf8", b"\xff\xff", b"\xff", b"\xff\xfa", b"\xfa"]
        ),
        st.sampled_from([b"\xff\xfa\xff\xf0", b"y" * 290, encoded(b"ECHO", b"\xff\xf4\xff\xff\r\0")]),
        st.binary(max_size=4),
    ),
    max_size=30,
).map(b"".join)


def requests_of(stream: bytes, limits: Limits | None = None) -> list[list[bytes]]:
    """The requests in ``stream``, the same in one piece and one byte at a time."""
    found = []
    for pieces in ([stream], bytewise(stream)):
        parser = RequestParser(limits or Limits())
        found.append([arguments for arguments, _ in parsed(parser, pieces)])
        assert parser.error is None, parser.error
    assert found[0] == found[1], found
    return found[0]


class TelnetTests(SynchronousTestCase):
    """A person in telnet."""

    def test_interrupted(self) -> None:
        """Ctrl-C drops the line typed so far and is answered in its place; without the answer telnet shows no more."""
        stream = b"GET a\r\nDELETE x" + CTRL_C + b"PING\r\n"
        requests = requests_of(stream)
        self.assertEqual(requests, [[b"GET", b"a"], TIMING_MARK, [b"PING"]])
        self.assertIs(requests[1], TIMING_MARK)
        self.assertEqual(requests_of(b"DELETE x" + CTRL_C), [TIMING_MARK], "answered before the line's end")
        self.assertEqual(requests_of(CTRL_C * 300), [TIMING_MARK] * 300)

    def test_dropped(self) -> None:
        """What erases or interrupts leaves nothing of the line, but that of other lines."""
        for command in (b"\xff\xee", b"\xff\xf3", b"\xff\xf4", b"\xff\xf7", b"\xff\xf8"):
            self.assertEqual(requests_of(b"ECHO 1\nDEL x " + command + b"ECHO 2\n"), [[b"ECHO", b"1"], [b"ECHO", b"2"]])

    def test_a_mark_alone(self) -> None:
        """A mark within a line is answered, and the line goes on."""
        self.assertEqual(requests_of(b"PUT x \xff\xfd\x061\r\n"), [TIMING_MARK, [b"PUT", b"x", b"1"]])

    def test_never_data(self) -> None:
        """Negotiation may come at any place of a line, its bytes may be line ends, and none of it is stored."""
        for command in NEGOTIATED:
            line = b"PUT key value\r\n"
            for place in range(len(line)):
                stream = line[:place] + command + line[place:]
                self.assertEqual(requests_of(stream * 2), [[b"PUT", b"key", b"value"]] * 2, stream)

    def test_byte_255(self) -> None:
        """A 255 is doubled by telnet, and is itself for those who do not speak it, as netcat."""
        self.assertEqual(requests_of(b"PUT k \xff\xff\n"), [[b"PUT", b"k", b"\xff\xff"]])
        self.assertEqual(requests_of(b"PUT k a\xffb\n"), [[b"PUT", b"k", b"a\xffb"]])
        self.assertEqual(requests_of(b"PUT k \xff\n"), [[b"PUT", b"k", b"\xff"]])
        for shown in (b"\xff\xf1PUT k ", b"PUT k \xff\xfb\x01", b"PING\n\xff\xfd\x06PUT k "):
            self.assertEqual(requests_of(shown + b"\xff\xff\xff\xff\xf4\n")[-1], [b"PUT", b"k", b"\xff\xff\xf4"])
        self.assertEqual(requests_of(b"PUT k \xff\xff\xff\xf1\n"), [[b"PUT", b"k", b"\xff"]], "shown before its end")

    def test_line_ends(self) -> None:
        """Enter is CR NUL for some clients, and what comes with it is no part of the next line."""
        self.assertEqual(requests_of(b"PUT x 1\r\0GET x\r\0\r\0PING\r\nPING\n"), [
            [b"PUT", b"x", b"1"], [b"GET", b"x"], [b"PING"], [b"PING"]
        ])  # fmt: skip
        self.assertEqual(requests_of(b"GET x\r\xff\xfb\x1f\0PING\n"), [[b"GET", b"x"], [b"PING"]], "a command between")
        self.assertEqual(requests_of(b"ECHO a\0b\n"), [[b"ECHO", b"a\0b"]], "a NUL by itself is data")

    def test_arrays_are_binary(self) -> None:
        """Values sent in RESP keep every byte, also when the connection has shown telnet."""
        request = [b"SET", b"k", CTRL_C + b"\xff\xff" + b"\r\0" + b"".join(NEGOTIATED)]
        self.assertEqual(requests_of(encoded(*request) * 2), [request] * 2)
        self.assertEqual(requests_of(b"\xff\xfb\x01" + encoded(*request) + CTRL_C + encoded(b"PING")), [
            request, TIMING_MARK, [b"PING"]
        ])  # fmt: skip
        self.assertEqual(requests_of(b"DEL x" + CTRL_C + encoded(*request)), [TIMING_MARK, request])

    def test_limits(self) -> None:
        """A line, and a command without an end, have the limit of a line; dropped lines do not add up."""
        for stream in (b"x" * 150 + b"\xff\xf1" + b"x" * 150, b"\xff\xfa" + b"\n" * 298, b"\xff\xff" * 150):
            for pieces in ([stream], bytewise(stream)):
                parser = RequestParser(SMALL)
                self.assertEqual(parsed(parser, pieces), [])
                self.assertIn("limits.inline_bytes_max is 300", parser.error or "")
                self.assertEqual(parser.held, 0)
        self.assertEqual(requests_of((b"x" * 290 + CTRL_C) * 50 + b"PING\n", SMALL), [TIMING_MARK] * 50 + [[b"PING"]])

    @settings(max_examples=500)
    @given(TYPED, st.lists(st.integers(min_value=0, max_value=5_000), max_size=20), st.integers(1, 5))
    def test_pieces_do_not_matter(self, stream: bytes, places: list[int], count_max: int) -> None:
        """What was typed means the same however the network cut it, and a turn takes no more than it asked for."""
        whole, pieces, slow = RequestParser(SMALL), RequestParser(SMALL), RequestParser(SMALL)
        requests = [arguments for arguments, _ in parsed(whole, [stream])]
        for parser, parts in ((pieces, cut(stream, places)), (slow, bytewise(stream))):
            self.assertEqual([arguments for arguments, _ in parsed(parser, parts, count_max)], requests)
            self.assertEqual((parser.error, parser.held), (whole.error, whole.held))
