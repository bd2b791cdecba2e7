"""What the commands on deadlines become."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.codes import EXPIRE, PERSIST, TTL
from dkv.kv.registry import BadRequest
from dkv.kv.words.lifetimes import LifeOptions
from tests.kv.words.reading import NO_INTEGER, SYNTAX, ReadingCase

INVALID = "ERR invalid expire time in '{}' command"


class ExpireTests(ReadingCase):
    """EXPIRE and the like."""

    def test_entries(self) -> None:
        """A deadline is relative or absolute, in milliseconds; a negative one is allowed and deletes the key."""
        self.check_entries(
            EXPIRE,
            ("EXPIRE k 10", [b"k", 2, 10_000, 0]),
            ("pexpire k 10 nx", [b"k", 2, 10, 1]),
            ("EXPIREAT k 10 XX", [b"k", 3, 10_000, 2]),
            ("PEXPIREAT k 10 GT", [b"k", 3, 10, 4]),
            ("EXPIRE k 10 lt xx LT", [b"k", 2, 10_000, 10]),
            ("EXPIRE k 0", [b"k", 2, 0, 0]),
            ("EXPIRE k -5", [b"k", 2, -5_000, 0]),
            ("PEXPIRE k -9223372036854775808", [b"k", 2, -(2**63), 0]),
            ("PEXPIREAT k 9223372036854775807", [b"k", 3, 2**63 - 1, 0]),
        )
        self.check_entries(PERSIST, ("PERSIST k", [b"k"]))
        self.check_entries(
            TTL, ("TTL k", [b"k", 0]), ("PTTL k", [b"k", 1]), ("expiretime k", [b"k", 2]), ("PEXPIRETIME k", [b"k", 3])
        )

    def test_errors(self) -> None:
        """In Redis's words, which name the option, or the command whose deadline has too many bits."""
        together = "ERR NX and XX, GT or LT options at the same time are not compatible"
        self.check_errors(
            ("EXPIRE k abc", NO_INTEGER),
            ("EXPIRE k 10 Foo", "ERR Unsupported option Foo"),
            ("EXPIRE k abc FOO", "ERR Unsupported option FOO"),
            *((f"EXPIRE k 10 {options}", together) for options in ("NX XX", "NX GT", "LT NX", "NX GT LT")),
            ("EXPIRE k 10 GT LT", "ERR GT and LT options at the same time are not compatible"),
            ("EXPIRE k 9223372036854775807", INVALID.format("expire")),
            ("EXPIRE k -9223372036854775808", INVALID.format("expire")),
            ("PEXPIRE k 9223372036854775807", INVALID.format("pexpire")),
            ("EXPIREAT k 9223372036854775807", INVALID.format("expireat")),
        )


class OptionTests(SynchronousTestCase):
    """The deadline of SET and GETEX."""

    def chosen(self, *words: bytes) -> tuple[int, int] | str:
        """What the options come to, or the error."""
        options = LifeOptions([b"set"], (b"keepttl", 1))
        rest = iter(words)
        try:
            for word in rest:
                options.take(word, rest)
            return options.chosen()
        except BadRequest as refused:
            return str(refused)

    def test_options(self) -> None:
        """One kind at most; without any, a deadline is cleared. A number is looked at when all else is right."""
        self.assertEqual(self.chosen(), (0, 0))
        self.assertEqual(self.chosen(b"keepttl"), (1, 0))
        self.assertEqual(self.chosen(b"ex", b"3"), (2, 3_000))
        self.assertEqual(self.chosen(b"px", b"x", b"px", b"4"), (2, 4))
        self.assertEqual(self.chosen(b"exat", b"3"), (3, 3_000))
        self.assertEqual(self.chosen(b"px", b"x", b"keepttl"), SYNTAX)
        self.assertEqual(self.chosen(b"persist"), SYNTAX)
        self.assertEqual(self.chosen(b"px"), SYNTAX)
        self.assertEqual(self.chosen(b"px", b"x"), NO_INTEGER)
