"""Requests made up at random from the forms of commands in the registry, such as ``key value [NX|XX] [GET]``.

A form has *names* in small letters, which stand for a word of the client's, and *marks* in capitals, which stand for
themselves. Brackets hold what may be left out, ``|`` separates what excludes each other, and ``...`` repeats.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

_PIECES = re.compile(r"[\[\]|]|\.\.\.|[^\s\[\]|]+")

KEYS = [b"a", b"b", b"c", b"d", b"key:1", b"key:2", b"", b"\x00\xff\r\n", b"a b", b"[x]"]
NUMBERS = [b"0", b"1", b"-1", b"2", b"3", b"7", b"10", b"100"]
HOSTILE = [
    b"", b" ", b"x", b"1.5", b"-0", b"+1", b"01", b" 1", b"1 ", b"1e3", b"inf", b"-inf", b"nan", b"0x10", b"1_0",
    b"\xc2\xb2",     b"9223372036854775807", b"9223372036854775808", b"-9223372036854775808", b"-9223372036854775809",
    b"9223372036854775", b"9223372036854776", b"-9223372036854775", b"4294967296", b"536870912", b"-536870912",
    b"1" * 40, b"\x00", b"\xff\r\n", b"NX", b"xx", b"GET", b"*", b"x" * 70,
]  # fmt: skip
VALUES = [
    b"",
    b"v",
    b"hello",
    b"10",
    b"-3",
    b"3.0",
    b"10.5",
    b"1e2",
    b"9223372036854775807",
    b"\xff\r\n\x00",
    b"v" * 60,
]
FLOATS = [
    b"0",
    b"1.5",
    b"-0.1",
    b"1e2",
    b"3.0e3",
    b"5e-3",
    b"10.50",
    b".5",
    b"-.5",
    b"5.",
    b"1e-17",
    b"0.1",
    b"100000000",
]
SMALL_OFFSETS = [b"0", b"1", b"-1", b"3", b"-3", b"5", b"100", b"-100"]
PATTERNS = [
    b"*",
    b"?",
    b"a*",
    b"key:*",
    b"[ab]",
    b"[^a]",
    b"[a-c]",
    b"\\*",
    b"a\\",
    b"[a",
    b"k[e-]*",
    b"",
    b"*:*",
    b"[x]",
    b"\\[x]",
    b"[]",
]
DATABASES = [b"0", b"0", b"1", b"1", b"2", b"15", b"16", b"-1"]


@dataclass(frozen=True)
class Form:
    """Parts one behind the other."""

    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Choice:
    """One of several; nothing is one of them if it is ``optional``, and ``repeated`` says that more may follow."""

    options: tuple[Part, ...]
    optional: bool = False
    repeated: bool = False


Part = str | Form | Choice


def parse(form: str) -> Form:
    """The form of a command's arguments."""
    pieces = _PIECES.findall(form)
    parts, end = _parse(pieces, 0)
    assert end == len(pieces), form
    return parts


def _parse(pieces: list[str], at: int) -> tuple[Form, int]:
    """The parts up to the bracket that closes, or to the end. Outside of brackets ``|`` binds only two words."""
    parts: list[Part] = []
    while at < len(pieces) and pieces[at] != "]":
        piece = pieces[at]
        at += 1
        if piece == "[":
            options: list[Part] = []
            while True:
                option, at = _parse_option(pieces, at)
                options.append(option)
                if pieces[at] == "]":
                    break
                at += 1
            parts.append(Choice(tuple(options), optional=True))
            at += 1
        elif piece == "...":
            last = parts.pop()
            parts.append(Choice(last.options if isinstance(last, Choice) else (last,), isinstance(last, Choice), True))
        elif piece == "|":
            parts.append(Choice((parts.pop(), pieces[at])))
            at += 1
        else:
            parts.append(piece)
    return Form(tuple(parts)), at


def _parse_option(pieces: list[str], at: int) -> tuple[Form, int]:
    """The parts up to the next ``|`` or closing bracket of this depth."""
    end, depth = at, 0
    while depth or pieces[end] not in ("|", "]"):
        depth += (pieces[end] == "[") - (pieces[end] == "]")
        end += 1
    parts, _ = _parse(pieces[at:end], 0)
    return parts, end


class Words:
    """Makes up the words of requests with ``random``; ``time_ms`` tells the server's time, for deadlines.

    ``wrong`` lets some of them be wrong on purpose.
    """

    def __init__(self, random: Random, time_ms: Callable[[], int], wrong: bool = True) -> None:
        self._wrong = wrong
        self._random = random
        self._time_ms = time_ms

    def arguments(self, form: Form) -> list[bytes]:
        """Arguments of the form, and now and then some that break it."""
        return self.broken(self.of(form))

    def broken(self, words: list[bytes]) -> list[bytes]:
        """The words, now and then with some that are wrong."""
        while self._wrong and self._random.random() < 0.12:
            self._break(words)
        return words

    def of(self, part: Part) -> list[bytes]:
        """Words of the form."""
        random = self._random
        match part:
            case Form(parts):
                return [word for each in parts for word in self.of(each)]
            case Choice(options, optional, repeated):
                if optional and random.random() < 0.55:
                    return []
                words = self.of(random.choice(options))
                while repeated and random.random() < 0.4:
                    words += self.of(random.choice(options))
                return words
        if part.isupper():
            return [part.encode() if random.random() < 0.8 else part.lower().encode()]
        return [random.choice(HOSTILE) if self._wrong and random.random() < 0.06 else self._value(part)]

    def _value(self, name: str) -> bytes:
        random, name = self._random, name.strip("-").lower()
        pools = {
            "key": KEYS, "from": KEYS, "to": KEYS, "source": KEYS, "destination": KEYS, "newkey": KEYS,
            "value": VALUES, "suffix": VALUES, "message": VALUES, "operand": VALUES, "text": VALUES,
            "pattern": PATTERNS,
            "database": DATABASES, "db": DATABASES, "index": DATABASES, "destination-db": DATABASES,
            "offset": SMALL_OFFSETS, "start": SMALL_OFFSETS, "end": SMALL_OFFSETS, "stop": SMALL_OFFSETS,
            "count": NUMBERS, "cursor": [b"0"], "type": [b"string", b"STRING", b"list", b"none", b"x"],
        }  # fmt: skip
        if "milli" in name or name in ("ms",):
            return self._milliseconds("time" in name or "unix" in name or "deadline" in name)
        if "seconds" in name or "timestamp" in name:
            return self._seconds("time" in name or "unix" in name or "deadline" in name)
        if "incr" in name or name in ("by", "number", "decrement"):
            return random.choice(FLOATS if random.random() < 0.4 else NUMBERS + HOSTILE[-20:-12])
        return random.choice(pools.get(name, KEYS[:3] + NUMBERS + VALUES[:3]))

    def _milliseconds(self, absolute: bool) -> bytes:
        random = self._random
        if absolute:
            return b"%d" % (self._time_ms() + random.choice([-100_000, 100_000, 10**10]))
        return b"%d" % random.choice([5_000, 7_499, 7_500, 100_000, 0, -1])

    def _seconds(self, absolute: bool) -> bytes:
        random = self._random
        if absolute:
            return b"%d" % (self._time_ms() // 1000 + random.choice([-100, 2, 100, 10**7]))
        return b"%d" % random.choice([5, 7, 100, 10**6, 0, -1])

    def _break(self, words: list[bytes]) -> None:
        random = self._random
        at = random.randrange(len(words) + 1)
        match random.randrange(5):
            case 0:
                words.insert(at, random.choice(HOSTILE))
            case 1 if words:
                del words[at - 1]
            case 2 if words:
                words[at - 1] = random.choice(HOSTILE)
            case 3 if words:
                words.insert(at, random.choice(words))
            case 4 if len(words) > 1:
                random.shuffle(words)
