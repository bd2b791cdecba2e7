"""Replies are what clients of either protocol can read, and never two replies where one was meant."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.replies import ABORTED, OK, EncodedList, Error, Local, Raw, Replying, SetOf, Simple, Verbatim, Watched
from dkv.wire.reply_encoder import ReplyEncoder, encode_items


class ReplyTests(SynchronousTestCase):
    """Every kind of result, in both protocols."""

    def encoded(self, result: Any, protocol: int) -> bytes:
        """``result`` as ``protocol`` has it."""
        encoder = ReplyEncoder()
        encoder.protocol = protocol
        return encoder.encode([result])

    def test_resp2(self) -> None:
        """What telnet users and older clients read."""
        for result, wire in (
            (OK, b"+OK\r\n"),
            (Simple("PONG"), b"+PONG\r\n"),
            (Error("ERR no"), b"-ERR no\r\n"),
            (None, b"$-1\r\n"),
            (-7, b":-7\r\n"),
            (b"", b"$0\r\n\r\n"),
            (b"a\r\nb", b"$4\r\na\r\nb\r\n"),
            ([1, [b"x"], None], b"*3\r\n:1\r\n*1\r\n$1\r\nx\r\n$-1\r\n"),
            ([ABORTED, 1], b"*2\r\n*-1\r\n:1\r\n"),
            (Watched(7, ((1, 2),)), b"+OK\r\n"),
            ({b"a": 1, b"b": []}, b"*4\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n*0\r\n"),
        ):
            self.assertEqual(self.encoded(result, 2), wire)

    def test_resp3(self) -> None:
        """After HELLO 3 nil and maps have types of their own."""
        self.assertEqual(self.encoded(None, 3), b"_\r\n")
        self.assertEqual(self.encoded(ABORTED, 3), b"_\r\n")
        self.assertEqual(self.encoded({b"a": [None]}, 3), b"%1\r\n$1\r\na\r\n*1\r\n_\r\n")

    def test_encoded_in_pieces(self) -> None:
        """A list that is too long to encode at once must not look any different."""
        items = [b"", b"a\r\nb", bytes(300)]
        pieces = tuple(encode_items(items[start : start + 2]) for start in (0, 2))
        for protocol in (2, 3):
            self.assertEqual(self.encoded(EncodedList(3, pieces), protocol), self.encoded([*items], protocol))

    def test_unknown_type(self) -> None:
        """A result that no protocol has is a mistake of ours, found at once."""
        self.assertRaises(AssertionError, self.encoded, "text", 2)

    @given(st.text(), st.sampled_from([Simple, Error]))
    def test_lines_stay_lines(self, text: str, kind: type[Simple] | type[Error]) -> None:
        """A client's own words, quoted in an error, cannot forge a second reply."""
        wire = self.encoded(kind(text), 2)
        self.assertTrue(wire.endswith(b"\r\n"))
        self.assertNotIn(b"\r", wire[:-2])
        self.assertNotIn(b"\n", wire[:-2])

    def test_protocol_switches_in_its_place(self) -> None:
        """A pipeline with HELLO 3 in the middle gets RESP 2 before it and RESP 3 from it on."""
        encoder = ReplyEncoder()
        wire = encoder.encode([None, Local({}, protocol=3), None, Local(None)])
        self.assertEqual(wire, b"$-1\r\n%0\r\n_\r\n_\r\n")
        self.assertEqual(encoder.encode([None]), b"_\r\n")

    def test_kinds_of_resp_3(self) -> None:
        """Texts for people and sets are what Redis has them, in both protocols."""
        for result, second, third in (
            (Verbatim(b"a text"), b"$6\r\na text\r\n", b"=10\r\ntxt:a text\r\n"),
            (SetOf([1, b"x"]), b"*2\r\n:1\r\n$1\r\nx\r\n", b"~2\r\n:1\r\n$1\r\nx\r\n"),
            (ABORTED, b"*-1\r\n", b"_\r\n"),
        ):
            self.assertEqual(self.encoded(result, 2), second)
            self.assertEqual(self.encoded(result, 3), third)

    def test_protocol_switches_within_a_transaction(self) -> None:
        """HELLO 3 between MULTI and EXEC: the replies of EXEC are in RESP 3 from its own on, as in Redis."""
        encoder = ReplyEncoder()
        wire = encoder.encode([Local([None, Local({}, protocol=3), None]), None])
        self.assertEqual(wire, b"*3\r\n$-1\r\n%0\r\n_\r\n_\r\n")

    def silent(self, *replies: Any) -> bytes:
        """What is sent of ``replies``, however they come in parts."""
        whole = ReplyEncoder().encode(replies)
        for place in range(len(replies) + 1):
            encoder = ReplyEncoder()
            self.assertEqual(encoder.encode(replies[:place]) + encoder.encode(replies[place:]), whole)
        return whole

    def test_client_reply(self) -> None:
        """A client that wants no replies gets none, of neither kind, until it says ON; SKIP is for one."""
        none = Raw(b"")
        off, skip = Local(none, replying=Replying.OFF), Local(none, replying=Replying.SKIP)
        on = Local(OK, replying=Replying.ON)
        self.assertEqual(self.silent(1, off, OK, b"x", Local(2), on, 3), b":1\r\n+OK\r\n:3\r\n")
        self.assertEqual(self.silent(1, skip, b"x", 3, OK), b":1\r\n:3\r\n+OK\r\n")
        self.assertEqual(self.silent(skip, skip, OK, 3), b":3\r\n")
        self.assertEqual(self.silent(skip, on, 3), b"+OK\r\n:3\r\n")
        self.assertEqual(self.silent(off, skip, 1, 2, on), b"+OK\r\n")
        self.assertEqual(self.silent(off, Local({}, protocol=3), on, None), b"+OK\r\n_\r\n")

    def test_quit_without_replies(self) -> None:
        """The connection of a client that wants no replies is closed all the same."""
        encoder = ReplyEncoder()
        off = Local(Raw(b""), replying=Replying.OFF)
        self.assertEqual(encoder.encode([off, Local(OK, close=True), 2]), b"")
        self.assertTrue(encoder.closed)

    def test_nothing_after_the_last(self) -> None:
        """QUIT is answered, and nothing behind it."""
        encoder = ReplyEncoder()
        self.assertEqual(encoder.encode([1, Local(OK, close=True), 2]), b":1\r\n+OK\r\n")
        self.assertTrue(encoder.closed)
