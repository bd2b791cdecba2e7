"""What people type in telnet is cut into words as Redis cuts it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.wire.inline import split_line


class SplitLineTests(SynchronousTestCase):
    """A value with spaces, quotes or binary bytes can be typed."""

    def test_words(self) -> None:
        """What a user learnt in redis-cli works here."""
        for line, words in {
            b"": [],
            b"  \t ": [],
            b"PUT key value\r": [b"PUT", b"key", b"value"],
            b'PUT k "hello world"': [b"PUT", b"k", b"hello world"],
            b'PUT k ""': [b"PUT", b"k", b""],
            b"PUT k ''": [b"PUT", b"k", b""],
            rb'"\x00\xff\xZZ\n\r\t\b\a\"\\\q"': [b'\x00\xffxZZ\n\r\t\b\a"\\q'],
            rb"'it\'s \n'": [rb"it's \n"],
            b'pre"fixed"  \r': [b"prefixed"],
            b"pre'fixed' x": [b"prefixed", b"x"],
        }.items():
            self.assertEqual(split_line(line), words, line)

    def test_unbalanced(self) -> None:
        """A forgotten quote is an error, not half a value."""
        for line in (b'"', b"'", b'PUT k "v', b"PUT k 'v", b'"a"b', b"'a'b", b'"a""b"', b'"a\\"', b"'a\\'", b'a"b\\'):
            self.assertIsNone(split_line(line), line)

    @given(st.lists(st.binary(max_size=20), max_size=5))
    def test_every_byte_can_be_quoted(self, words: list[bytes]) -> None:
        """Any key and value can be typed, with \\xHH where need be."""
        line = b" ".join(b'"' + b"".join(b"\\x%02x" % byte for byte in word) + b'"' for word in words)
        self.assertEqual(split_line(line), words)

    @given(st.binary(max_size=200))
    def test_total(self, line: bytes) -> None:
        """No line raises an exception in the node."""
        words = split_line(line)
        self.assertTrue(words is None or sum(map(len, words)) <= len(line))
