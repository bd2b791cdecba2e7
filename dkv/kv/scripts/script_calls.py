"""What an operation has of the store: the commands that the script behind it calls, with Redis's errors.

Each call is one that a script makes, and does what it does there: an argument that is absent, or no number, ends the
operation with an error. What it has done before stays, as in Redis. The commands have forms of their own here: options
that dkv's commands may get later must not give an entry of the log another meaning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dkv.actor import Turn
from dkv.kv.appliers.expiring import expire
from dkv.kv.appliers.iteration import PATTERN_TOO_LONG, READ_PATTERN, page_of
from dkv.kv.appliers.one_string import set_string
from dkv.kv.appliers.other_keys import rename
from dkv.kv.appliers.sums import add_integer
from dkv.kv.asks import Ask
from dkv.kv.codes import ABSOLUTE, ANY, EXPIRE, IF_ABSENT, IF_PRESENT, INCRBY, KEEP_LIFE, NO_LIFE, RELATIVE, RENAME, SET
from dkv.kv.effort import LOOK
from dkv.kv.glob import PATTERN_BYTES_MAX, Glob
from dkv.kv.keyspace import Keyspace
from dkv.kv.numerals import INTEGER_MAX, INTEGER_MIN, NO_INTEGER, parse_integer
from dkv.kv.scripts.lua_numbers import number_of, text_of
from dkv.kv.stored import ABSENT
from dkv.replies import Error, Result

NO_WORD = Error("ERR the script has too few keys or arguments")
NO_NUMBER = Error("ERR an argument of the script is not a number, or is missing")
SYNTAX = Error("ERR syntax error")
KEYS_AT_ONCE = 1_000
"""A constant of the format, as the effort depends on it: how many stored keys are looked at in one page."""

CALL = 1 * LOOK
"""A constant of the format: the effort of each call that may write, beside that of what it does."""

_LIVES = {b"ex": (RELATIVE, 1000), b"px": (RELATIVE, 1), b"exat": (ABSOLUTE, 1000), b"pxat": (ABSOLUTE, 1)}

Word = bytes | float | None
"""An argument of a call: bytes, or a number, which becomes a text; None is absent."""


class Failed(Exception):
    """A call was refused: the operation ends with this error."""

    def __init__(self, error: Error) -> None:
        super().__init__(error.text)
        self.error = error


def number(word: bytes | None) -> float:
    """The argument as a number that a script reckons with."""
    found = number_of(word)
    if found is None:
        raise Failed(NO_NUMBER)
    return found


class Calls:
    """The keys and the arguments of a script, both counted from 1, and what it may call."""

    def __init__(
        self, keyspace: Keyspace, turn: Turn, ask: Ask, keys: Sequence[bytes], arguments: Sequence[bytes]
    ) -> None:
        self.keys = keys
        self.arguments = arguments
        self._keyspace = keyspace
        self._turn = turn
        self._ask = ask

    def key(self, place: int = 1) -> bytes:
        """The key at a place: nothing can be done without it."""
        if place > len(self.keys):
            raise Failed(NO_WORD)
        return self.keys[place - 1]

    def argument(self, place: int) -> bytes | None:
        """The argument at a place; None if there are fewer."""
        return self.arguments[place - 1] if place <= len(self.arguments) else None

    # --- reading ---

    def get(self, key: bytes) -> bytes | None:
        return self._keyspace.value(self._turn, self._ask.db, key)

    def exists(self, key: bytes) -> bool:
        return self._keyspace.revision(self._turn, self._ask.db, key) != ABSENT

    def pttl(self, key: bytes) -> int:
        held = self._keyspace.load(self._turn, self._ask.db, key)
        if held is None:
            return -2
        return held.deadline - self._keyspace.time if held.deadline else -1

    def matching(self, pattern: bytes) -> list[bytes]:
        """All keys that match. What that takes counts: it may be too much."""
        if len(pattern) > PATTERN_BYTES_MAX:
            raise Failed(PATTERN_TOO_LONG)
        self._keyspace.effort.take(READ_PATTERN * len(pattern))
        glob = Glob(pattern)
        found: list[bytes] = []
        following: bytes | None = b""
        while following is not None:
            some, following = page_of(self._keyspace, self._turn, self._ask.db, glob, following, KEYS_AT_ONCE)
            found += some
        return found

    # --- writing ---

    def delete(self, key: bytes) -> None:
        self._keyspace.erase(self._turn, self._ask.db, key)

    def set(self, key: bytes, value: Word) -> Result:
        return self.set_with(key, value, [])

    def set_px(self, key: bytes, value: Word, milliseconds: Word) -> Result:
        """Set it, to live so long."""
        return self.set_with(key, value, [b"px", milliseconds])

    def set_with(self, key: bytes, value: Word, options: Sequence[Word]) -> Result:
        """SET with the options of Redis 7.0."""
        text = _text(value)
        condition, life, milliseconds, get = self._options([_text(word) for word in options])
        return self._do(set_string, SET, [key, text, condition, b"", life, milliseconds, get])

    def incrby(self, key: bytes, by: Word) -> float:
        """The sum, as a script sees it: a double."""
        total = self._do(add_integer, INCRBY, [key, _integer(_text(by))])
        assert type(total) is int
        return float(total)

    def rename(self, key: bytes, to: bytes) -> None:
        self._do(rename, RENAME, [key, to])

    def expire(self, key: bytes, seconds: Word) -> None:
        self._expire(key, seconds, 1000, "expire")

    def pexpire(self, key: bytes, milliseconds: Word) -> None:
        self._expire(key, milliseconds, 1, "pexpire")

    def _expire(self, key: bytes, word: Word, unit: int, name: str) -> None:
        milliseconds = _integer(_text(word)) * unit
        if not INTEGER_MIN <= milliseconds <= INTEGER_MAX - self._keyspace.time:
            raise Failed(_bad_time(name))
        self._do(expire, EXPIRE, [key, RELATIVE, milliseconds, 0])

    def _options(self, words: list[bytes]) -> tuple[int, int, int, int]:
        """Condition, life, milliseconds, and whether the old value is wanted."""
        condition, life, milliseconds, get = ANY, NO_LIFE, 0, 0
        timed = text = b""
        rest = iter(words)
        for option in map(bytes.lower, rest):
            if option in (b"nx", b"xx") and condition in (ANY, _condition(option)):
                condition = _condition(option)
            elif option == b"get":
                get = 1
            elif option == b"keepttl" and not timed:
                life = KEEP_LIFE
            elif option in _LIVES and life == NO_LIFE and timed in (b"", option):
                timed, text = option, _operand(rest)
            else:
                raise Failed(SYNTAX)
        if timed:
            life, milliseconds = self._lifetime(timed, text)
        return condition, life, milliseconds, get

    def _lifetime(self, option: bytes, text: bytes) -> tuple[int, int]:
        life, unit = _LIVES[option]
        milliseconds = _integer(text) * unit
        most = INTEGER_MAX - (self._keyspace.time if life == RELATIVE else 0)
        if not 0 < milliseconds <= most:
            raise Failed(_bad_time("set"))
        return life, milliseconds

    def _do(self, applier: object, code: int, arguments: list[object]) -> Result:
        assert callable(applier)
        self._keyspace.effort.take(CALL)
        result: Result = applier(self._keyspace, self._turn, Ask(code, self._ask.db, self._ask.bytes_max, arguments))
        if type(result) is Error:
            raise Failed(result)
        return result


def _condition(option: bytes) -> int:
    return IF_ABSENT if option == b"nx" else IF_PRESENT


def _operand(rest: Iterator[bytes]) -> bytes:
    word = next(rest, None)
    if word is None:
        raise Failed(SYNTAX)
    return word


def _text(word: Word) -> bytes:
    if word is None:
        raise Failed(NO_WORD)
    return text_of(word) if isinstance(word, int | float) else word


def _integer(text: bytes) -> int:
    found = parse_integer(text)
    if found is None:
        raise Failed(NO_INTEGER)
    return found


def _bad_time(name: str) -> Error:
    return Error(f"ERR invalid expire time in '{name}' command")
