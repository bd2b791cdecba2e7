"""What the words of many commands have in common: keys, values, whole numbers, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator

from dkv.kv.numerals import NO_INTEGER, parse_integer
from dkv.kv.registry import BadRequest, Context, shown
from dkv.records import Argument, Entry

SYNTAX = "ERR syntax error"


def uniform(code: int, context: Context, *arguments: Argument) -> Entry:
    """An entry of the shape that all later codes have."""
    return [code, context.db, context.limits.value_bytes_max, *arguments]


def key_of(word: bytes, context: Context) -> bytes:
    """The word as a key."""
    if len(word) > context.limits.key_bytes_max:
        raise key_too_long(word, context)
    return word


def keys_of(words: list[bytes], context: Context) -> list[bytes]:
    """The words as keys."""
    for word in words:
        key_of(word, context)
    return words


def value_of(word: bytes, context: Context) -> bytes:
    """The word as a value, or as a part of one."""
    if len(word) > context.limits.value_bytes_max:
        raise value_too_long(word, context)
    return word


def integer(word: bytes) -> int:
    """The word as a whole number."""
    number = parse_integer(word)
    if number is None:
        raise BadRequest(NO_INTEGER.text)
    return number


def small_integer(word: bytes) -> int:
    """The word as a whole number of 32 bits, such as that of a database."""
    number = integer(word)
    if not -(2**31) <= number < 2**31:
        raise BadRequest("ERR value is out of range, value must between -2147483648 and 2147483647")
    return number


def operand(rest: Iterator[bytes]) -> bytes:
    """The word behind an option that needs one."""
    word = next(rest, None)
    if word is None:
        raise BadRequest(SYNTAX)
    return word


def name_of(words: list[bytes]) -> str:
    """The name of the command, as Redis writes it in errors."""
    return words[0].lower().decode()


def lacks(words: list[bytes], option: bytes) -> BadRequest:
    """The refusal of an option that Redis has, and dkv has not."""
    return BadRequest(f"ERR {shown(words[0])} has no option {shown(option)} in dkv")


def key_too_long(key: bytes, context: Context) -> BadRequest:
    """The refusal of a key."""
    return BadRequest(f"ERR the key has {len(key)} bytes, limits.key_bytes_max is {context.limits.key_bytes_max}")


def value_too_long(value: bytes, context: Context) -> BadRequest:
    """The refusal of a value."""
    bytes_max = context.limits.value_bytes_max
    return BadRequest(f"ERR the value has {len(value)} bytes, limits.value_bytes_max is {bytes_max}")
