"""What all words have in common."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.codes import PUT
from dkv.kv.commands import COMMANDS, interpret
from dkv.kv.registry import BadRequest, Context
from dkv.kv.words.parsing import integer, key_of, keys_of, lacks, operand, value_of
from dkv.replies import Error, LogRequest
from dkv.settings import Limits

CONTEXT = Context(Limits(key_bytes_max=3, value_bytes_max=4))
OPTIONS = [
    b"nx", b"XX", b"IFEQ", b"ifne", b"IFDEQ", b"GET", b"EX", b"px", b"EXAT", b"PXAT", b"KEEPTTL", b"PERSIST", b"GT",
    b"LT", b"MATCH", b"COUNT", b"TYPE", b"string", b"DB", b"REPLACE", b"ENCODING", b"USAGE", b"SAMPLES", b"ASYNC",
    b"new", b"0", b"1", b"-1", b"15", b"16", b"10.5", b"9223372036854775807", b"-9223372036854775808", b"9" * 14,
]  # fmt: skip
WORD = st.one_of(st.sampled_from(OPTIONS), st.binary(max_size=5), st.sampled_from(sorted(COMMANDS)))


class ParsingTests(SynchronousTestCase):
    """Words of clients."""

    def test_lengths(self) -> None:
        """The longest key and value that a setting allows are allowed."""
        self.assertEqual(key_of(b"kkk", CONTEXT), b"kkk")
        self.assertEqual(keys_of([b"", b"kkk"], CONTEXT), [b"", b"kkk"])
        self.assertEqual(value_of(b"vvvv", CONTEXT), b"vvvv")
        for made in (lambda: key_of(b"kkkk", CONTEXT), lambda: keys_of([b"", b"kkkk"], CONTEXT)):
            with self.assertRaises(BadRequest) as raised:
                made()
            self.assertEqual(str(raised.exception), "ERR the key has 4 bytes, limits.key_bytes_max is 3")
        with self.assertRaises(BadRequest) as raised:
            value_of(b"vvvvv", CONTEXT)
        self.assertEqual(str(raised.exception), "ERR the value has 5 bytes, limits.value_bytes_max is 4")

    def test_small_things(self) -> None:
        """An option that needs a word has one; numbers are whole; a refused option is cut, and readable."""
        self.assertEqual(operand(iter([b"a"])), b"a")
        self.assertEqual(integer(b"-7"), -7)
        for refused in (lambda: operand(iter([])), lambda: integer(b"7.0")):
            self.assertRaises(BadRequest, refused)
        self.assertEqual(str(lacks([b"set"], b"\xff" * 100)), "ERR SET has no option " + "\\xff" * 64 + " in dkv")

    @given(st.sampled_from(sorted(COMMANDS)), st.lists(WORD, max_size=8), st.integers(0, 15))
    @example(b"expire", [b"k", b"1", b"\xff"], 0)
    def test_any_words(self, name: bytes, arguments: list[bytes], db: int) -> None:
        """Whatever a client sends, it gets an entry of the right shape, or an error: nothing raises.

        An entry has the connection's database, and no key or value beyond a limit.
        """
        made = interpret([name, *arguments], Context(CONTEXT.limits, db))
        if isinstance(made, Error):
            self.assertRegex(made.text, r"\A(ERR|NOSCRIPT) ")
            return
        assert made is not None
        made = made.entry if isinstance(made, LogRequest) else made
        codes = COMMANDS[name].codes
        self.assertIn(made[0], codes)
        if name != b"idmp" and made[0] >= 10:  # type: ignore[operator]  # the code is an int
            self.assertEqual(made[1:3], [db, 4])
        for word in made:
            self.assertLessEqual(len(word) if isinstance(word, bytes) else 0, 9)  # a subcommand is a word, too
        if made[0] == PUT:
            self.assertEqual(db, 0)
