"""Requests with scripts of the installed libraries: their texts, with keys and arguments made up at random.

Keys, tokens, numbers and times are few: so a token is often the value, and a window often over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from random import Random

from dkv.kv.scripts.catalogue import by_text, digest_of
from dkv.kv.scripts.lua_numbers import number_of, text_of
from dkv.kv.scripts.operations import DELETE_MATCHING, DELETE_MATCHING_QUIETLY, OPERATIONS
from tests.installed_scripts import NODE, PYTHON, texts_of
from tests.oracle.grammar import Words
from tests.oracle.reference import Reference

HAND_WRITTEN = (
    'return redis.call("incrby", KEYS[1], ARGV[1])',
    'return {redis.call("get", KEYS[1]), redis.call("pttl", KEYS[1])}',
)
KEYS = [b"a", b"a", b"b", b"c"]
TOKENS = [b"v", b"v", b"10", b"1", b""]
NUMBERS = [
    b"1", b"1", b"1", b"2", b"3", b"10", b"-1", b"0", b"1.5", b"0x10", b" 7 ", b"1e2", b"v", b"9223372036854775807",
]  # fmt: skip
MILLISECONDS = [b"1000", b"1000", b"5000", b"2", b"100000", b"0", b"-1", b"1e3", b"2.5", b"v"]
SECONDS = [b"1", b"1", b"5", b"2", b"100", b"0", b"-1", b"0.002", b"v"]
POOLS = {
    "token": TOKENS,
    "value": TOKENS,
    "milliseconds": MILLISECONDS,
    "seconds": SECONDS,
    "number": NUMBERS,
    "limit": [b"1", b"3", b"3", b"5", b"20", b"v", b"inf", b"nan"],
    "reset": [b"0", b"1", b"1", b""],
    "replace": [b"0", b"0", b"1"],
    "option": [b"PX", b"EX", b"px", b"PXAT", b"GET", b"NX"],
}
PATTERNS = [b"*", b"a", b"[ab]", b"?", b"x*"]
LARGE = 1e17
"""From here on Valkey writes the texts of whole numbers otherwise."""


class RandomScripts:
    """The scripts that both know; a ``reference`` is given each of them at the beginning."""

    def __init__(self, reference: Reference) -> None:
        self._plain_numbers = reference.name == "valkey"
        texts = [text.encode() for package in (*PYTHON, *NODE) for text in texts_of(package)]
        self._by_operation: dict[int, list[bytes]] = {}
        for text in dict.fromkeys([*texts, *map(str.encode, HAND_WRITTEN)]):
            found = by_text(text)
            if found is not None and not (b"server." in text and reference.name == "redis"):  # which Redis 7.0 lacks
                self._by_operation.setdefault(found.operation, []).append(text)
        self._drawn = [*self._by_operation]
        if reference.exact:
            client = reference.connect()
            for text in (text for each in self._by_operation.values() for text in each):
                client.ask([b"SCRIPT", b"LOAD", text])
            client.close()

    def draw(self, random: Random) -> None:
        """Make requests with few of the operations from here on."""
        self._drawn = random.sample([*self._by_operation], 3)

    def request(self, name: bytes, words: Words, random: Random) -> tuple[bytes, ...]:
        """A request with this command."""
        reads = name.endswith(b"_ro")
        number = random.choice(self._drawn)
        if reads and not OPERATIONS[number].reads and random.random() < 0.9:
            name = name.removesuffix(b"_ro")  # it would be refused
        text = random.choice(self._by_operation[number])
        operation = OPERATIONS[number]
        if number == DELETE_MATCHING_QUIETLY:
            name = b"eval"  # the pattern is in the text
        count = operation.keys if operation.keys >= 0 else random.randint(0, 3)
        keys = [random.choice(PATTERNS if number == DELETE_MATCHING else KEYS) for _ in range(count)]
        names = re.findall(r"[a-z]+", operation.arguments if number != DELETE_MATCHING_QUIETLY else "")
        if operation.arguments.endswith("]") and random.random() < 0.5:
            names = names[:-2]
        behind = [random.choice(POOLS[name]) for name in names]
        rest = words.broken([b"%d" % count, *keys, *behind])
        script = text if name.startswith(b"eval") and not name.startswith(b"evalsha") else digest_of(text).encode()
        return (name, script, *(self._numbers_of_both(rest) if self._plain_numbers else rest))

    @staticmethod
    def _numbers_of_both(words: Iterable[bytes]) -> list[bytes]:
        """The words, without numbers of which Redis 7.0 and Valkey make different texts."""
        return [b"1" if not _is_plain(number_of(word)) else word for word in words]


def _is_plain(number: float | None) -> bool:
    return number is None or (abs(number) < LARGE and text_of(number) == b"%d" % number)
