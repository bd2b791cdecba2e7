"""The commands on deadlines, and the options that set one."""

from __future__ import annotations

from collections.abc import Iterator

from dkv.kv.codes import (
    ABSOLUTE,
    EXPIRE,
    NO_LIFE,
    ONLY_ANOTHER,
    ONLY_EARLIER,
    ONLY_FIRST,
    ONLY_LATER,
    PERSIST,
    RELATIVE,
    TTL,
)
from dkv.kv.numerals import INTEGER_MAX, INTEGER_MIN
from dkv.kv.registry import BadRequest, Context, KeySpec, LogCommand
from dkv.kv.words.parsing import SYNTAX, integer, key_of, name_of, operand, uniform
from dkv.records import Entry

LATEST_NOW_MS = 10**13
"""No replicated time is later, in milliseconds since 1970: it is in the year 2286.

Redis refuses a relative deadline that, added to its clock, has more than 63 bits. A node must refuse it without a
clock, so it takes this for the time.
"""

LIFETIMES = {b"ex": (RELATIVE, 1000), b"px": (RELATIVE, 1), b"exat": (ABSOLUTE, 1000), b"pxat": (ABSOLUTE, 1)}
"""The options that set a deadline: the kind of their number, and how many milliseconds one of it is."""

_CONDITIONS = {b"nx": ONLY_FIRST, b"xx": ONLY_ANOTHER, b"gt": ONLY_LATER, b"lt": ONLY_EARLIER}
_TTL, _PTTL, _EXPIRETIME, _PEXPIRETIME = range(4)
_TTL_KINDS = {b"ttl": _TTL, b"pttl": _PTTL, b"expiretime": _EXPIRETIME, b"pexpiretime": _PEXPIRETIME}
_EXPIRE_KINDS = {
    b"expire": LIFETIMES[b"ex"],
    b"pexpire": LIFETIMES[b"px"],
    b"expireat": LIFETIMES[b"exat"],
    b"pexpireat": LIFETIMES[b"pxat"],
}


class LifeOptions:
    """The options of a request that say what becomes of a deadline: it may have one of them.

    ``fixed`` is the one without a number that its command has, and the life that it stands for.
    """

    def __init__(self, words: list[bytes], fixed: tuple[bytes, int]) -> None:
        self._words = words
        self._fixed, self._fixed_life = fixed
        self._name = self._number = b""

    def take(self, name: bytes, rest: Iterator[bytes]) -> None:
        """The request has this option, in lower case; its number is next in ``rest``, if it needs one."""
        if self._name not in (b"", name):
            raise BadRequest(SYNTAX)
        if name in LIFETIMES:
            self._number = operand(rest)
        elif name != self._fixed:
            raise BadRequest(SYNTAX)
        self._name = name

    def chosen(self) -> tuple[int, int]:
        """Life and milliseconds."""
        if self._name in LIFETIMES:
            return lifetime(self._words, self._name, self._number)
        return (self._fixed_life if self._name else NO_LIFE), 0


def lifetime(words: list[bytes], option: bytes, number: bytes) -> tuple[int, int]:
    """Life and milliseconds that an option of ``LIFETIMES`` sets with this number, which must be above 0."""
    life, unit = LIFETIMES[option]
    return life, _milliseconds(words, number, life, unit, least=1)


def _milliseconds(words: list[bytes], word: bytes, life: int, unit: int, least: int) -> int:
    number = integer(word)
    most = INTEGER_MAX - LATEST_NOW_MS if life == RELATIVE else INTEGER_MAX
    if number < least or not INTEGER_MIN <= number * unit <= most:
        raise BadRequest(f"ERR invalid expire time in '{name_of(words)}' command")
    return number * unit


def _expire(words: list[bytes], context: Context) -> Entry:
    name, key, number, *options = words
    conditions = 0
    for option in options:
        condition = _CONDITIONS.get(option.lower())
        if condition is None:
            raise BadRequest(f"ERR Unsupported option {option[:128].decode('utf-8', 'backslashreplace')}")
        conditions |= condition
    if conditions & ONLY_FIRST and conditions != ONLY_FIRST:
        raise BadRequest("ERR NX and XX, GT or LT options at the same time are not compatible")
    if conditions & ONLY_LATER and conditions & ONLY_EARLIER:
        raise BadRequest("ERR GT and LT options at the same time are not compatible")
    life, unit = _EXPIRE_KINDS[name.lower()]
    milliseconds = _milliseconds(words, number, life, unit, least=INTEGER_MIN)
    return uniform(EXPIRE, context, key_of(key, context), life, milliseconds, conditions)


def _persist(words: list[bytes], context: Context) -> Entry:
    return uniform(PERSIST, context, key_of(words[1], context))


def _ttl(words: list[bytes], context: Context) -> Entry:
    return uniform(TTL, context, key_of(words[1], context), _TTL_KINDS[words[0].lower()])


def _setter(name: str, since: str, number: str, summary: str) -> LogCommand:
    return LogCommand(
        name=name,
        arity=-3,
        keys=KeySpec(1, 1),
        category="write",
        flags=("write", "fast"),
        group="generic",
        since=since,
        arguments=f"key {number} [NX|XX|GT|LT]",
        summary=summary,
        codes=(EXPIRE,),
        build=_expire,
    )


def _getter(name: str, since: str, summary: str) -> LogCommand:
    return LogCommand(
        name=name,
        arity=2,
        keys=KeySpec(1, 1),
        category="read",
        flags=("readonly", "fast"),
        group="generic",
        since=since,
        arguments="key",
        summary=summary,
        codes=(TTL,),
        build=_ttl,
    )


COMMANDS = (
    _setter("expire", "1.0.0", "seconds", "Let a key expire after some seconds; 1, or 0 if nothing was set."),
    _setter("pexpire", "2.6.0", "milliseconds", "As EXPIRE, in milliseconds."),
    _setter("expireat", "1.2.0", "unix-time-seconds", "Let a key expire at a time, in seconds since 1970; 1 or 0."),
    _setter("pexpireat", "2.6.0", "unix-time-milliseconds", "As EXPIREAT, in milliseconds."),
    LogCommand(
        name="persist",
        arity=2,
        keys=KeySpec(1, 1),
        category="write",
        flags=("write", "fast"),
        group="generic",
        since="2.2.0",
        arguments="key",
        summary="Remove the deadline of a key; 1, or 0 if it had none.",
        codes=(PERSIST,),
        build=_persist,
    ),
    _getter("ttl", "1.0.0", "The seconds until a key expires; -1 if it never does, -2 if it does not exist."),
    _getter("pttl", "2.6.0", "As TTL, in milliseconds."),
    _getter("expiretime", "7.0.0", "When a key expires, in seconds since 1970; -1 and -2 as in TTL."),
    _getter("pexpiretime", "7.0.0", "As EXPIRETIME, in milliseconds."),
)
