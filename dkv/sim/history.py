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

    The other kinds know deadlines, several keys, and acts that happen together. docs/checking.md has their table.

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

Several keys at one moment are an ``atomic`` operation. Anything else, an unknown field included, is an error: a
misspelt ``returned`` would silently make the check a weaker one.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, get_args

from dkv.sim.fields import (
    ARGUMENTS,
    ERROR,
    INTEGER_DIGITS_MAX,
    NO_RESULT,
    SEVERAL_KEYS,
    BadFieldError,
    act_of,
    arguments_of,
    bytes_of,
    quoted,
    result_of,
    results_of,
    time_of,
)

Kind = Literal[
    "put", "get", "append", "delete", "strlen", "cas", "incr", "add", "set", "getrange", "setrange", "exists",
    "expire", "ttl", "copy", "rename", "flush", "atomic",
]  # fmt: skip
READABLE_CHARACTERS_MAX = 60
FIELDS = frozenset(("client", "kind", "key", "arguments", "called", "returned", "result", "failed"))


class HistoryError(ValueError):
    """A line is not an operation. The message has one line: the number, and the reason."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One request.

    ``arguments`` and ``result`` are as in the module's table, with bytes for byte strings, tuples for lists, and all
    arguments that may be left out; the result of ``put`` and ``flush`` is None, and that of an act that was answered
    with an error ``dkv.sim.fields.ERROR``. ``returned`` is None where the outcome is unknown, and then so is
    ``result``.
    """

    client: int | str
    kind: Kind
    key: bytes
    arguments: tuple[Any, ...]
    called: float
    returned: float | None = None
    result: bytes | int | float | bool | str | tuple[Any, ...] | None = None

    @property
    def acts(self) -> tuple[tuple[Any, ...], ...]:
        """What it does at one moment: each act a kind, a key, and arguments."""
        return self.arguments if self.kind == "atomic" else ((self.kind, self.key, *self.arguments),)

    @property
    def keys(self) -> tuple[bytes, ...]:
        """Its keys, each once. A ``flush`` names none."""
        return tuple(dict.fromkeys(key for act in self.acts for key in keys_of(act)))

    def __str__(self) -> str:
        """The call as a person would write it: ``put x "1"``."""
        return " ".join((self.kind, *map(readable, self.arguments)))


def keys_of(act: tuple[Any, ...]) -> Iterator[bytes]:
    """The keys that an act names."""
    kind, key, *arguments = act
    if kind != "flush":
        yield key
    if kind in SEVERAL_KEYS:
        yield from arguments
    elif kind in ("copy", "rename"):
        yield arguments[0]


def readable(value: object) -> str:
    """A value for a report, on one line: the beginning of a long value, and null for no value."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(readable, value))}]"
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
        "arguments": _plain(operation.arguments),
        "called": operation.called,
        "returned": operation.returned,
    }
    if operation.kind == "atomic":
        del fields["key"]
    if operation.returned is not None:
        fields["result"] = "ok" if operation.kind in NO_RESULT else _plain(operation.result)
        if operation.kind == "atomic" and isinstance(operation.result, tuple):
            fields["result"] = [{ERROR: True} if each == ERROR else _plain(each) for each in operation.result]
    return fields


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


# --- reading ---


def read_history(lines: Iterable[bytes]) -> list[Operation]:
    """The operations in the lines of a file, without the failed ones; ``HistoryError`` for the first bad line."""
    operations = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            operation = _operation(_object(line))
        except BadFieldError as error:
            raise HistoryError(f"line {number}: {error}") from None
        if operation is not None:
            operations.append(operation)
    return operations


def _object(line: bytes) -> dict[str, Any]:
    try:
        document = json.loads(line.decode(), object_pairs_hook=_unique, parse_constant=_constant)
    except UnicodeDecodeError:
        raise BadFieldError("not UTF-8") from None
    except json.JSONDecodeError as error:
        raise BadFieldError(f"not JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise BadFieldError("not an operation: nested too deeply") from None
    except BadFieldError:
        raise
    except ValueError:  # Python's error for an integer with thousands of digits
        raise BadFieldError(f"an integer has more than {INTEGER_DIGITS_MAX} digits") from None
    if not isinstance(document, dict):
        raise BadFieldError("not a JSON object")
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        raise BadFieldError(f"{quoted(next(name for name in names if names.count(name) > 1))} is there twice")
    return fields


def _constant(word: str) -> NoReturn:
    raise BadFieldError(f"not JSON: {word}")


def _operation(fields: dict[str, Any]) -> Operation | None:
    """The operation of a line; None if it failed, whatever else the line says."""
    failed = fields.get("failed", False)
    if type(failed) is not bool:
        raise BadFieldError('"failed" must be true or false')
    if failed:
        return None
    for name in fields:
        if name not in FIELDS:
            raise BadFieldError(f"unknown field {quoted(name)}")
    for name in ("kind", "key", "called"):
        if name not in fields and (name != "key" or fields["kind"] != "atomic"):
            raise BadFieldError(f'"{name}" is missing')
    kind: Kind = fields["kind"]
    client = fields.get("client", 0)
    if kind not in get_args(Kind):
        raise BadFieldError(f'"kind" must be one of {", ".join(get_args(Kind))}, not {quoted(kind)}')
    if type(client) not in (int, str):
        raise BadFieldError('"client" must be an integer or a string')
    called = time_of('"called"', fields["called"])
    returned = None if fields.get("returned") is None else time_of('"returned"', fields["returned"])
    if returned is not None and returned < called:
        raise BadFieldError('"returned" is before "called"')
    key, arguments = _key(fields), _arguments(kind, fields)
    operation = Operation(client, kind, key, arguments, called, returned, _result(kind, arguments, fields))
    told, count = operation.result, len(operation.keys)
    if kind == "delete" and isinstance(told, int) and told > count:
        raise BadFieldError(f'"result" is {told} of {count} key{"s" * (count > 1)}')
    return operation


def _key(fields: dict[str, Any]) -> bytes:
    """The key of an operation. A transaction has those of its acts."""
    if fields["kind"] != "atomic":
        return bytes_of('"key"', fields["key"])
    if "key" in fields:
        raise BadFieldError('"key" of atomic is in each of its acts')
    return b""


def _arguments(kind: Kind, fields: dict[str, Any]) -> tuple[Any, ...]:
    words = fields.get("arguments", [])
    if kind != "atomic":
        return arguments_of(kind, words)
    if not isinstance(words, list):
        raise BadFieldError('"arguments" of atomic must be [[kind, key, argument, ...], ...]')
    return tuple(map(act_of, words))


def _result(kind: Kind, arguments: tuple[Any, ...], fields: dict[str, Any]) -> Any:
    if fields.get("returned") is None:
        if fields.get("result") is not None:
            raise BadFieldError('there is a "result", but "returned" is missing or null')
        return None
    if "result" not in fields and kind not in NO_RESULT:
        raise BadFieldError('"result" is missing')
    told = fields.get("result", "ok")
    return results_of(arguments, told) if kind == "atomic" else result_of(kind, arguments, told)


assert {*ARGUMENTS, "atomic"} == set(get_args(Kind))
