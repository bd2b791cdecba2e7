"""A pattern finds what it finds in Redis, and no pattern can hold up the node."""

from __future__ import annotations

from random import Random
from time import process_time

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from dkv.kv.glob import PATTERN_BYTES_MAX, Glob
from tests.oracle.reference import Client
from tests.oracle.servers import references

TABLE: tuple[tuple[bytes, list[bytes], list[bytes]], ...] = (
    # pattern, what it matches, what it does not
    (b"*", [b"", b"a", b"\xff\x00"], []),
    (b"", [b""], [b"a"]),
    (b"**", [b"a"], [b""]),
    (b"user:*", [b"user:", b"user:1"], [b"user", b"xuser:1"]),
    (b"*:1", [b":1", b"user:1"], [b"user:12", b"1"]),
    (b"a*b*c", [b"abc", b"aXbYc", b"abcbc", b"abbc"], [b"ac", b"abcd", b"acb"]),
    (b"a*a", [b"aa", b"aba"], [b"a", b"ab"]),
    (b"*ab*ba*", [b"abba", b"xabxbay"], [b"aba", b"ba-ab"]),
    (b"h?llo", [b"hello", b"h\xffllo"], [b"hllo", b"heello"]),
    (b"???", [b"abc"], [b"ab", b"abcd", b""]),
    (b"h[ae]llo", [b"hello", b"hallo"], [b"hillo", b"hllo"]),
    (b"h[^e]llo", [b"hallo", b"h^llo"], [b"hello"]),
    (b"h[a-c]llo", [b"hallo", b"hcllo"], [b"hdllo", b"h-llo"]),
    (b"h[c-a]llo", [b"hallo", b"hbllo"], [b"hdllo"]),
    (b"[\\]x]", [b"]", b"x"], [b"\\"]),
    (b"[a\\-c]", [b"a", b"-", b"c"], [b"b"]),
    (b"[]a", [], [b"a", b"]a"]),
    (b"[^]a", [b"xa", b"]a"], [b"a"]),
    (b"[ab", [b"a", b"b"], [b"[ab", b"ab"]),
    (b"[", [], [b"[", b"a"]),
    (b"[^", [b"a", b"^"], [b"", b"ab"]),
    (b"[a-", [b"a", b"-"], [b"b"]),
    (b"[a-]", [b"]", b"^", b"a"], [b"b", b"-"]),
    (b"[\\", [b"\\"], [b"["]),
    (b"\\*\\?\\[\\\\", [b"*?[\\"], [b"a?[\\"]),
    (b"a\\", [b"a\\"], [b"a"]),
    (b"\\a", [b"a"], [b"\\a"]),
    (b"*[0-9][0-9]", [b"12", b"a123"], [b"1", b"12a"]),
    (b"*[0-9][0-9]*x", [b"12x", b"a123yx"], [b"1x2x", b"1x"]),
    (b"\xff*\x00", [b"\xff\x00", b"\xff\n\x00"], [b"\xff"]),
)

SYMBOLS = "ab-]*?[^\\"
PATTERNS = st.text(SYMBOLS, max_size=8).map(str.encode)
KEYS = st.text("ab-]\\^", max_size=7).map(str.encode)


def matches_slowly(pattern: bytes, key: bytes, begun: bool = False) -> bool:
    """The same by trying everything, one byte of the pattern after the other."""
    if not pattern or not key:
        return not key and not pattern.strip(b"*") and (begun or pattern in (b"", b"*"))
    if pattern[:1] == b"*":
        return any(matches_slowly(pattern[1:], key[start:], True) for start in range(len(key) + 1))
    allowed, length = one_byte(pattern)
    return key[0] in allowed and matches_slowly(pattern[length:], key[1:], True)


def one_byte(pattern: bytes) -> tuple[set[int], int]:
    """What the next byte of a key may be, and how much of the pattern says so."""
    if pattern[:1] == b"?":
        return set(range(256)), 1
    if pattern[:1] == b"\\" and len(pattern) > 1:
        return {pattern[1]}, 2
    if pattern[:1] != b"[":
        return {pattern[0]}, 1
    negated = pattern[1:2] == b"^"
    rest = pattern[1 + negated :]
    allowed: set[int] = set()
    while rest and rest[:1] != b"]":
        if rest[:1] == b"\\" and len(rest) > 1:
            allowed.add(rest[1])
            rest = rest[2:]
        elif rest[1:2] == b"-" and len(rest) > 2:
            allowed |= {byte for byte in range(256) if min(rest[0], rest[2]) <= byte <= max(rest[0], rest[2])}
            rest = rest[3:]
        else:
            allowed.add(rest[0])
            rest = rest[1:]
    return (set(range(256)) - allowed if negated else allowed), len(pattern) - len(rest[1:])


class GlobTests(SynchronousTestCase):
    """Patterns, one by one."""

    def test_table(self) -> None:
        """What KEYS and SCAN find by each kind of pattern, and by patterns that are not well formed."""
        for pattern, found, passed in TABLE:
            glob = Glob(pattern)
            for key in found + passed:
                self.assertEqual(glob.matches(key), key in found, (pattern, key))
                self.assertTrue(key not in found or key.startswith(glob.prefix), (pattern, key))

    @given(PATTERNS, KEYS)
    def test_against_tries(self, pattern: bytes, key: bytes) -> None:
        """A match that the quick way misses is a key that SCAN never shows."""
        self.assertEqual(Glob(pattern).matches(key), matches_slowly(pattern, key))

    def test_prefix(self) -> None:
        """SCAN and KEYS look only at the keys that begin as the pattern does: else each looks at all of them."""
        for pattern, prefix in (
            (b"user:*", b"user:"),
            (b"a\\*b?c", b"a*b"),
            (b"[x]y[ab]z", b"xy"),
            (b"*", b""),
            (b"plain", b"plain"),
        ):
            self.assertEqual(Glob(pattern).prefix, prefix)

    def test_no_pattern_takes_long(self) -> None:
        """A pattern of some bytes must not keep a node busy: time grows with the key, whatever stands in either."""
        key = b"a" * (64 << 10)
        for pattern in (
            b"*a" * 500 + b"b",
            b"*" + b"a" * 1000 + b"b*",
            b"*" + b"[ab]" * 250 + b"b*",
            b"*" + b"?" * 1000 + b"b*",
            b"*[ab]" * 200 + b"*b",
            b"[^b]" * 256,
            b"*" * PATTERN_BYTES_MAX,
        ):
            began = process_time()
            Glob(pattern).matches(key)
            self.assertLess(process_time() - began, 0.5, pattern[:10])  # seconds; tries would take hours


class ServerTests(SynchronousTestCase):
    """Random patterns, against a server that runs here."""

    def compare(self, name: str) -> None:
        start = references().get(name)
        if start is None:
            raise SkipTest(f"{name}-server is not installed: the table and the tries stand for it")
        reference = start()
        self.addCleanup(reference.stop)
        client = reference.connect()
        self.addCleanup(client.close)
        random = Random(3)
        keys = sorted({bytes(random.choices(b"ab-]\\^", k=random.randint(1, 6))) for _ in range(300)})
        client.ask([b"MSET", *(word for key in keys for word in (key, b"v"))])
        for _ in range(1_500):
            pattern = bytes(random.choices(SYMBOLS.encode(), k=random.randint(1, 8)))
            self.assertEqual([key for key in keys if Glob(pattern).matches(key)], self.found(client, pattern), pattern)

    def found(self, client: Client, pattern: bytes) -> list[bytes]:
        return sorted(item.bulk for item in client.ask([b"KEYS", pattern]).items)

    def test_as_redis(self) -> None:
        """A pattern that a program has used for years must find the same keys here."""
        self.compare("redis")

    def test_as_valkey(self) -> None:
        """The same, with the newer server."""
        self.compare("valkey")
