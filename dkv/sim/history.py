"""Histories: the requests of clients to a key-value server, with their times and answers, kept as JSON lines.

One JSON object a line, in UTF-8, in any order; empty lines mean nothing. The fields of an operation are:

``client``
    A number or a string that tells clients apart for the reader of a report. It may be left out (0).
``kind``, ``key``, ``arguments``, ``result``
    What was asked of one key, as a list of arguments, and the answer:

    ============ ======================== ==============================================================
    ``"put"``    ``[value]``              ``"ok"``, which may be left out
    ``"get"``    ``[]``                   the value, or null if there is none
    ``"append"`` ``[suffix]``             the length of the new value in bytes; an absent one counts as empty
    ``"delete"`` ``[]``                   1, or 0 if the key was absent; null if that was not told
    ``"delete"`` ``[other key, ...]``     how many of ``key`` and these were there; each key counts once
    ``"strlen"`` ``[]``                   the length of the value in bytes; 0 if there is none
    ``"cas"``    ``[expected, new]``      true, or false if the value was not ``expected``; null expects none
    ``"incr"``   ``[by]``                 the new value, an integer; an absent one counts as 0
    ============ ======================== ==============================================================

    ``arguments`` may be left out where it is ``[]``. Keys, values and suffixes are byte strings: a JSON string stands
    for its UTF-8, and ``{"base64": "..."}`` for anything. Integers have 1,000 digits at most. What ``incr`` leaves is
    a value in decimal; a value that is not an integer in its shortest form cannot be incremented.
``called``, ``returned``
    When the client sent the request, and when it had the answer, on one clock for all clients: numbers, of any unit
    and origin. Equal times count as simultaneous, so rounding never makes an accusation. ``returned`` is null, or left
    out, where the outcome is unknown (no answer came, or one that says so): the operation may have taken effect at
    any time after ``called``, or never. Then there is no ``result``.
``failed``
    True where the operation certainly was not applied, such as a refused one: the line is skipped.

Another request for several keys is one operation for each, if the server does not promise more. Anything else, an
unknown field included, is an error: a misspelt ``returned`` would silently make the check a weaker one.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, get_args

Kind = Literal["put", "get", "append", "delete", "strlen", "cas", "incr"]
INTEGER_DIGITS_MAX = 1_000
READABLE_CHARACTERS_MAX = 60
FIELDS = frozenset(("client", "kind", "key", "arguments", "called", "returned", "result", "failed"))


class HistoryError(ValueError):
    """A line is not an operation. The message has one line: the number, and the reason."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One request. It is for one key, unless it is a ``delete`` with arguments.

    ``arguments`` and ``result`` are as in the module's table, with bytes for byte strings; the result of ``put`` is
    None. ``returned`` is None where the outcome is unknown, and so is ``result`` then.
    """

    client: int | str
    kind: Kind
    key: bytes
    arguments: tuple[Any, ...]
    called: float
    returned: float | None = None
    result: bytes | int | bool | None = None

    @property
    def keys(self) -> tuple[bytes, ...]:
        """Its keys, each once."""
        return tuple(dict.fromkeys((self.key, *self.arguments))) if self.kind == "delete" else (self.key,)

    def __str__(self) -> str:
        """The call as a person would write it: ``put x "1"``."""
        return " ".join((self.kind, *map(readable, self.arguments)))


def readable(value: object) -> str:
    """A value for a report, on one line: the beginning of a long value, and null for no value."""
    if not isinstance(value, bytes):
        return json.dumps(value)
    try:
        text = json.dumps(value.decode(), ensure_ascii=False)
    except UnicodeDecodeError:
        text = f"base64 {base64.b64encode(value).decode()}"
    short = len(text) <= READABLE_CHARACTERS_MAX
    return text if short else f"{text[:READABLE_CHARACTERS_MAX]}... ({len(value)} bytes)"


# --- writing ---


def history_line(operation: Operation) -> str:
    """The line of an operation, without its end."""
    return json.dumps(as_fields(operation))


def as_fields(operation: Operation) -> dict[str, Any]:
    """The JSON object of an operation."""
    fields: dict[str, Any] = {
        "client": operation.client,
        "kind": operation.kind,
        "key": _plain(operation.key),
        "arguments": [_plain(argument) for argument in operation.arguments],
        "called": operation.called,
        "returned": operation.returned,
    }
    if operation.returned is not None:
        fields["result"] = "ok" if operation.kind == "put" else _plain(operation.result)
    return fields


def _plain(value: Any) -> Any:
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


# --- reading ---


class _Wrong(ValueError):
    """A line is wrong; the text says how."""


def read_history(lines: Iterable[bytes]) -> list[Operation]:
    """The operations in the lines of a file, without the failed ones; ``HistoryError`` for the first bad line."""
    operations = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            operation = _operation(_object(line))
        except _Wrong as error:
            raise HistoryError(f"line {number}: {error}") from None
        if operation is not None:
            operations.append(operation)
    return operations


def _object(line: bytes) -> dict[str, Any]:
    try:
        document = json.loads(line.decode(), object_pairs_hook=_unique, parse_constant=_constant)
    except UnicodeDecodeError:
        raise _Wrong("not UTF-8") from None
    except json.JSONDecodeError as error:
        raise _Wrong(f"not JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise _Wrong("not an operation: nested too deeply") from None
    except _Wrong:
        raise
    except ValueError:  # Python's error for an integer with thousands of digits
        raise _Wrong(f"an integer has more than {INTEGER_DIGITS_MAX} digits") from None
    if not isinstance(document, dict):
        raise _Wrong("not a JSON object")
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Wrong(f"{_quoted(next(name for name in names if names.count(name) > 1))} is there twice")
    return fields


def _constant(word: str) -> NoReturn:
    raise _Wrong(f"not JSON: {word}")


def _operation(fields: dict[str, Any]) -> Operation | None:
    """The operation of a line; None if it failed, whatever else the line says."""
    failed = fields.get("failed", False)
    if type(failed) is not bool:
        raise _Wrong('"failed" must be true or false')
    if failed:
        return None
    for name in fields:
        if name not in FIELDS:
            raise _Wrong(f"unknown field {_quoted(name)}")
    for name in ("kind", "key", "called"):
        if name not in fields:
            raise _Wrong(f'"{name}" is missing')
    kind, client = fields["kind"], fields.get("client", 0)
    if not isinstance(kind, str) or kind not in ARGUMENTS:
        raise _Wrong(f'"kind" must be one of {", ".join(ARGUMENTS)}, not {_quoted(kind)}')
    if type(client) not in (int, str):
        raise _Wrong('"client" must be an integer or a string')
    called = _time("called", fields["called"])
    returned = None if fields.get("returned") is None else _time("returned", fields["returned"])
    if returned is not None and returned < called:
        raise _Wrong('"returned" is before "called"')
    operation = Operation(
        client, kind, _bytes('"key"', fields["key"]), _arguments(kind, fields), called, returned, _result(kind, fields)
    )
    told, count = operation.result, len(operation.keys)
    if kind == "delete" and isinstance(told, int) and told > count:
        raise _Wrong(f'"result" is {told} of {count} key{"s" * (count > 1)}')
    return operation


def _arguments(kind: Kind, fields: dict[str, Any]) -> tuple[Any, ...]:
    words, expected = fields.get("arguments", []), ARGUMENTS[kind]
    if kind == "delete" and isinstance(words, list):
        expected = (("other key", _bytes),) * len(words)
    if not isinstance(words, list) or len(words) != len(expected):
        names = ", ".join(name for name, _ in expected)
        raise _Wrong(f'"arguments" of {kind} must be [{names}]')
    pairs = zip(expected, words, strict=True)
    return tuple(parse(f'{name} in "arguments"', word) for (name, parse), word in pairs)


def _result(kind: Kind, fields: dict[str, Any]) -> Any:
    if fields.get("returned") is None:
        if fields.get("result") is not None:
            raise _Wrong('there is a "result", but "returned" is missing or null')
        return None
    if kind == "put":
        if fields.get("result", "ok") != "ok":
            raise _Wrong('"result" of put must be "ok" (of a refused one, give "failed": true)')
        return None
    if "result" not in fields:
        raise _Wrong('"result" is missing')
    return RESULTS[kind]('"result"', fields["result"])


# --- the types of fields ---


def _time(name: str, value: Any) -> float:
    if type(value) not in (int, float):
        raise _Wrong(f'"{name}" must be a number')
    try:
        time = float(value)
    except OverflowError:
        time = math.inf
    if not math.isfinite(time):
        raise _Wrong(f'"{name}" is too large')
    return time


def _bytes(name: str, value: Any) -> bytes:
    try:
        if isinstance(value, str):
            return value.encode()
        if isinstance(value, dict) and value.keys() == {"base64"} and isinstance(value["base64"], str):
            return base64.b64decode(value["base64"].encode("ascii"), validate=True)
    except UnicodeEncodeError:
        raise _Wrong(f'{name} has a character that UTF-8 has not; give {{"base64": ...}}') from None
    except binascii.Error as error:
        raise _Wrong(f"{name} is not base64: {error}") from None
    raise _Wrong(f'{name} must be a string or {{"base64": "..."}}')


def _bytes_or_null(name: str, value: Any) -> bytes | None:
    return None if value is None else _bytes(name, value)


def _integer(name: str, value: Any) -> int:
    if type(value) is not int:
        raise _Wrong(f"{name} must be an integer")
    if abs(value) >= 10**INTEGER_DIGITS_MAX:
        raise _Wrong(f"an integer has more than {INTEGER_DIGITS_MAX} digits")
    return value


def _length(name: str, value: Any) -> int:
    if _integer(name, value) < 0:
        raise _Wrong(f"{name} must not be negative")
    return int(value)


def _count_or_null(name: str, value: Any) -> int | None:
    return None if value is None else _length(name, value)


def _boolean(name: str, value: Any) -> bool:
    if type(value) is not bool:
        raise _Wrong(f"{name} must be true or false")
    return value


def _quoted(value: Any) -> str:
    return f"{json.dumps(value):.60}"


ARGUMENTS: dict[Kind, tuple[tuple[str, Callable[[str, Any], Any]], ...]] = {
    "put": (("value", _bytes),),
    "get": (),
    "append": (("suffix", _bytes),),
    "delete": (),
    "strlen": (),
    "cas": (("expected", _bytes_or_null), ("new", _bytes)),
    "incr": (("by", _integer),),
}
RESULTS: dict[Kind, Callable[[str, Any], Any]] = {
    "get": _bytes_or_null,
    "append": _integer,
    "delete": _count_or_null,
    "strlen": _length,
    "cas": _boolean,
    "incr": _integer,
}
assert ARGUMENTS.keys() == set(get_args(Kind))
