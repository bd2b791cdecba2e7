"""``dkv put``, ``get``, ``append`` and ``delete``: one request to the cluster, and a status that says how it went."""

from __future__ import annotations

import os
import sys
from typing import BinaryIO

import click

from dkv.cli.access import STATUSES, Access, Given, access, integer, tokened, unexpected
from dkv.cli.output import Status, answer, bytes_field, complain, emit
from dkv.cli.types import Seconds

VALUE_BYTES_MAX = 512 * 1024 * 1024
"""The most bytes read from a file or stdin. Nodes refuse smaller values, but a config may allow more."""

KEYS = """Keys and values may be any bytes. Put -- before what begins with a dash."""

VALUES = f"""{KEYS} A VALUE of - is read from stdin and @FILE from a file, both to their last byte, a newline
included; @@x stands for a literal @x."""


# --- the command line ---


def word_bytes(_: click.Context, __: click.Parameter, word: str) -> bytes:
    """The bytes of a word, of which Python has made a text."""
    return os.fsencode(word)


def words_bytes(_: click.Context, __: click.Parameter, words: tuple[str, ...]) -> tuple[bytes, ...]:
    """The bytes of several words."""
    return tuple(map(os.fsencode, words))


def value_bytes(_: click.Context, __: click.Parameter, word: str) -> bytes:
    """The value that a word stands for: itself, stdin for ``-``, a file for ``@FILE``; ``@@`` stands for an at sign."""
    try:
        if word == "-":
            if sys.stdin is None:
                raise ValueError("it is closed")
            return _read_all(sys.stdin.buffer)
        if word.startswith("@") and not word.startswith("@@"):
            with open(word[1:], "rb") as file:
                return _read_all(file)
    except (OSError, ValueError) as error:  # ValueError: also for a file's name with a zero byte in it
        reason = error.strerror if isinstance(error, OSError) else error
        raise click.BadParameter(f"cannot read {'stdin' if word == '-' else word[1:]}: {reason}") from None
    return os.fsencode(word[1:] if word.startswith("@@") else word)


def _read_all(file: BinaryIO) -> bytes:
    data = file.read(VALUE_BYTES_MAX + 1)
    if len(data) > VALUE_BYTES_MAX:
        raise ValueError(f"it has more than {VALUE_BYTES_MAX} bytes")
    return data


LIFETIME_SECONDS_MAX = 1_000_000_000.0
"""About thirty years."""

lifetime = click.option(
    "--ttl", type=Seconds(LIFETIME_SECONDS_MAX), metavar="SECONDS", help="Let KEY expire after this time."
)


def milliseconds(seconds: float) -> bytes:
    """A time as requests have it."""
    return b"%d" % round(seconds * 1000)


# --- the commands ---


@click.command(short_help="Set a key.", help=f"Set KEY to VALUE.\n\n{VALUES}", epilog=STATUSES)
@click.argument("key", callback=word_bytes)
@click.argument("value", callback=value_bytes)
@lifetime
@access
@tokened
def put(to: Access, token: Given | None, key: bytes, value: bytes, ttl: float | None) -> int:
    """Set a key."""
    words = (b"PUT", key, value) if ttl is None else (b"SET", key, value, b"PX", milliseconds(ttl))
    reply = to.write(token, *words)
    if reply != "OK":
        raise unexpected(reply)
    answer(b"OK", bytes_field("key", key) | {"result": "OK"}, to.as_json)
    return Status.DONE


@click.command(
    short_help="Print the value of a key.",
    help=f"""Print the value of KEY and a newline; with --raw its bytes alone.

    With --output json it is {{"key": ..., "value": ...}}, with null for an absent key; what is not UTF-8 comes in
    base64, as "key_base64" and "value_base64". {KEYS}""",
    epilog=STATUSES,
)
@click.argument("key", callback=word_bytes)
@click.option("--raw", is_flag=True, help="Print the value byte for byte, and no newline after it.")
@access
def get(to: Access, raw: bool, key: bytes) -> int:
    """Print the value of a key."""
    if raw and to.as_json:
        raise click.UsageError("--raw and --output json contradict each other: name one")
    value = to.ask(b"GET", key)
    if value is not None and not isinstance(value, bytes):
        raise unexpected(value)
    if raw and value is not None:
        emit(value, newline=False)
    elif value is not None or to.as_json:
        answer(value or b"", bytes_field("key", key) | bytes_field("value", value), to.as_json)
    if value is None:
        complain("there is no such key")
        return Status.ABSENT
    return Status.DONE


@click.command(
    short_help="Append to the value of a key.",
    help=f"Append VALUE to the value of KEY, which is empty if absent, and print its new length in bytes.\n\n{VALUES}",
    epilog=STATUSES,
)
@click.argument("key", callback=word_bytes)
@click.argument("value", callback=value_bytes)
@access
@tokened
def append(to: Access, token: Given | None, key: bytes, value: bytes) -> int:
    """Append to the value of a key."""
    length = integer(to.write(token, b"APPEND", key, value))
    answer(b"%d" % length, bytes_field("key", key) | {"length": length}, to.as_json)
    return Status.DONE


@click.command(
    short_help="Delete keys.", help=f"Delete every KEY, and print how many there were.\n\n{KEYS}", epilog=STATUSES
)
@click.argument("keys", metavar="KEY...", nargs=-1, required=True, callback=words_bytes)
@access
@tokened
def delete(to: Access, token: Given | None, keys: tuple[bytes, ...]) -> int:
    """Delete keys."""
    deleted = integer(to.write(token, b"DELETE", *keys))
    answer(b"%d" % deleted, {"deleted": deleted}, to.as_json)
    return Status.DONE if deleted else Status.ABSENT
