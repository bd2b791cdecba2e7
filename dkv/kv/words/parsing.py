"""What the words of many commands have in common: keys, values and their limits."""

from __future__ import annotations

from dkv.kv.registry import BadRequest, Context


def key_of(word: bytes, context: Context) -> bytes:
    """The word as a key."""
    if len(word) > context.limits.key_bytes_max:
        raise key_too_long(word, context)
    return word


def keys_of(words: list[bytes], context: Context) -> list[bytes]:
    """The words as keys."""
    bytes_max = context.limits.key_bytes_max
    for word in words:
        if len(word) > bytes_max:
            raise key_too_long(word, context)
    return words


def value_of(word: bytes, context: Context) -> bytes:
    """The word as a value, or as a part of one."""
    if len(word) > context.limits.value_bytes_max:
        raise value_too_long(word, context)
    return word


def key_too_long(key: bytes, context: Context) -> BadRequest:
    """The refusal of a key."""
    return BadRequest(f"ERR the key has {len(key)} bytes, limits.key_bytes_max is {context.limits.key_bytes_max}")


def value_too_long(value: bytes, context: Context) -> BadRequest:
    """The refusal of a value."""
    bytes_max = context.limits.value_bytes_max
    return BadRequest(f"ERR the value has {len(value)} bytes, limits.value_bytes_max is {bytes_max}")
