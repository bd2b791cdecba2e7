"""Keys as lines of JSON, as ``dkv export`` writes and ``dkv import`` reads them.

============================== ===============================================================================
line                           fields
============================== ===============================================================================
the first one                  ``dkv_export``: 1, the version of this form; where it comes from, for people
a key                          ``db``; ``key``, or ``key_base64`` if it is no UTF-8; ``value`` or
                               ``value_base64``; if it expires ``deadline_ms``, in milliseconds since 1970
the last one                   ``dkv_export_end``: how many keys came before it
============================== ===============================================================================

A file that somebody made by hand may lack the first line and the last. With the first it must have the last, so a file
that was cut is noticed wherever that happened. A key without ``db`` is for database 0; ``ttl_ms``, in place of
``deadline_ms``, begins when the line is imported.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from dkv.cli.output import bytes_field
from dkv.kv.codes import DATABASES

VERSION = 1
LINE_BYTES_MAX = 256 * 1024 * 1024
TIME_MS_MAX = 2**63 - 1

HEAD, TAIL = "dkv_export", "dkv_export_end"
_NAMES = frozenset(("db", "key", "key_base64", "value", "value_base64", "deadline_ms", "ttl_ms"))


@dataclass(frozen=True, slots=True)
class Row:
    """A key. One of ``deadline_ms`` and ``ttl_ms`` may be set, if it expires; 0 is none."""

    db: int
    key: bytes
    value: bytes
    deadline_ms: int = 0
    ttl_ms: int = 0


class BadLine(ValueError):
    """Line ``number`` is no line of this form, or the file ends too early; the text is a sentence about the line."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(f"line {number} {text}")
        self.number = number


def first_line(**origin: object) -> bytes:
    """The line that begins an export."""
    return _line({HEAD: VERSION} | origin)


def last_line(keys: int) -> bytes:
    """The line that ends it."""
    return _line({TAIL: keys})


def line_of(row: Row) -> bytes:
    """The line of a key."""
    fields = {"db": row.db} | bytes_field("key", row.key) | bytes_field("value", row.value)
    return _line(fields | ({"deadline_ms": row.deadline_ms} if row.deadline_ms else {}))


def rows(stream: BinaryIO) -> Iterator[tuple[int, int, Row]]:
    """Each key with the number of its line, from 1, and the bytes of the line. ``BadLine`` at the first broken one.

    Empty lines are left out. Of the stream no more than one line is held.
    """
    number = keys = 0
    begun = ended = False
    while line := stream.readline(LINE_BYTES_MAX + 1):
        number += 1
        if len(line) > LINE_BYTES_MAX:
            raise BadLine(number, f"has more than {LINE_BYTES_MAX} bytes")
        if not line.endswith(b"\n"):
            raise BadLine(number, "does not end with a newline: the file is cut")
        if not line.strip():
            continue
        if ended:
            raise BadLine(number, f"comes after the line with {TAIL}, which is the last one")
        fields = _fields(number, line)
        if HEAD in fields:
            if number > 1 or fields[HEAD] != VERSION:
                raise BadLine(number, f"has {HEAD}, which only the first line may have, with the value {VERSION}")
            begun = True
        elif TAIL in fields:
            if not begun or fields[TAIL] != keys:
                raise BadLine(number, f"says that {fields[TAIL]!s:.30} keys came before it, and there were {keys}")
            ended = True
        else:
            keys += 1
            yield number, len(line), _row(number, fields)
    if begun and not ended:
        raise BadLine(number + 1, f"is missing: the file is cut, since the last line of an export has {TAIL}")


def _line(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode() + b"\n"


def _fields(number: int, line: bytes) -> dict[str, Any]:
    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        fields = dict(found)
        if len(fields) < len(found):
            raise BadLine(number, "has a field twice")
        return fields

    try:
        fields = json.loads(line, object_pairs_hook=pairs)
    except BadLine:
        raise
    except (ValueError, RecursionError) as error:  # ValueError: also for bytes that are no UTF-8
        raise BadLine(number, f"is not JSON: {error!s:.100}") from None
    if not isinstance(fields, dict):
        raise BadLine(number, 'is not a JSON object, such as {"key": "k", "value": "v"}')
    return fields


def _row(number: int, fields: dict[str, Any]) -> Row:
    unknown = fields.keys() - _NAMES
    if unknown:
        raise BadLine(number, f"has an unknown field: {min(unknown)!r:.60}")
    if "deadline_ms" in fields and "ttl_ms" in fields:
        raise BadLine(number, "has both deadline_ms and ttl_ms: leave one out")
    return Row(
        _number(number, fields, "db", 0, DATABASES - 1),
        _bytes(number, fields, "key"),
        _bytes(number, fields, "value"),
        _number(number, fields, "deadline_ms", 1, TIME_MS_MAX),
        _number(number, fields, "ttl_ms", 1, TIME_MS_MAX),
    )


def _number(number: int, fields: dict[str, Any], name: str, least: int, most: int) -> int:
    """A whole number; 0 if it is not there."""
    found = fields.get(name, 0)
    if name in fields and not (type(found) is int and least <= found <= most):
        raise BadLine(number, f"has {name} {found!r:.40}, which is not a whole number from {least} to {most}")
    return int(found)


def _bytes(number: int, fields: dict[str, Any], name: str) -> bytes:
    """The bytes of ``name``, as text or in base64."""
    given = [each for each in (name, f"{name}_base64") if each in fields]
    if len(given) != 1:
        raise BadLine(number, f"has no {name}" if not given else f"has both {name} and {name}_base64")
    found = fields[given[0]]
    if isinstance(found, str):
        try:
            return found.encode() if given[0] == name else base64.b64decode(found, validate=True)
        except (UnicodeEncodeError, binascii.Error, ValueError):
            pass  # half of a character outside the plane of sixteen bits, or no base64
    raise BadLine(number, f"has a {given[0]} that is not {'text' if given[0] == name else 'base64'}")
