"""The fields of a line of a history: what each kind is asked and answers, and the types of JSON values."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable
from typing import Any

INTEGER_DIGITS_MAX = 1_000
ERROR = "error"
"""The result of an act inside a transaction that was answered with an error."""

Parser = Callable[[str, Any], Any]


class BadFieldError(ValueError):
    """A line is wrong; the text says how."""


def time_of(name: str, value: Any) -> float:
    """A time, or a number of such units."""
    if type(value) not in (int, float):
        raise BadFieldError(f"{name} must be a number")
    try:
        time = float(value)
    except OverflowError:
        time = math.inf
    if not math.isfinite(time):
        raise BadFieldError(f"{name} is too large")
    return time


def bytes_of(name: str, value: Any) -> bytes:
    """A byte string."""
    try:
        if isinstance(value, str):
            return value.encode()
        if isinstance(value, dict) and value.keys() == {"base64"} and isinstance(value["base64"], str):
            return base64.b64decode(value["base64"].encode("ascii"), validate=True)
    except UnicodeEncodeError:
        raise BadFieldError(f'{name} has a character that UTF-8 has not; give {{"base64": ...}}') from None
    except binascii.Error as error:
        raise BadFieldError(f"{name} is not base64: {error}") from None
    raise BadFieldError(f'{name} must be a string or {{"base64": "..."}}')


def quoted(value: Any) -> str:
    """The beginning of a JSON value, for a message."""
    return f"{json.dumps(value):.60}"


def act_of(words: Any) -> tuple[Any, ...]:
    """One act of a transaction: its kind, its key, its arguments."""
    if not isinstance(words, list) or len(words) < 2 or not isinstance(words[0], str):
        raise BadFieldError("an act must be [kind, key, argument, ...]")
    kind, key, *arguments = words
    if kind not in ARGUMENTS | GUARDS:
        raise BadFieldError(f"the kind of an act must be one of {', '.join(ARGUMENTS | GUARDS)}, not {quoted(kind)}")
    return kind, bytes_of("key of an act", key), *arguments_of(kind, arguments)


def arguments_of(kind: str, words: Any) -> tuple[Any, ...]:
    """The arguments of an act, with those that may be left out."""
    expected = (ARGUMENTS | GUARDS)[kind]
    if kind in SEVERAL_KEYS and isinstance(words, list):
        expected = (("other key", bytes_of),) * len(words)
    least = LEAST_ARGUMENTS.get(kind, len(expected))
    if not isinstance(words, list) or not least <= len(words) <= len(expected):
        names = ", ".join(name for name, _ in expected)
        raise BadFieldError(f'"arguments" of {kind} must be [{names}]')
    full = words + [None] * (len(expected) - len(words))
    pairs = zip(expected, full, strict=True)
    return tuple(parse(f'{name} in "arguments"', word) for (name, parse), word in pairs)


def result_of(kind: str, arguments: tuple[Any, ...], value: Any) -> Any:
    """The result of an act."""
    if kind in NO_RESULT:
        if value not in ("ok", None):
            raise BadFieldError(f'"result" of {kind} must be "ok" (of a refused one, give "failed": true)')
        return None
    told = _bytes_or_null if kind == "set" and arguments[3] else RESULTS[kind]
    return told('"result"', value)


def results_of(acts: tuple[Any, ...], value: Any) -> tuple[Any, ...] | None:
    """The results of a transaction: one for each act that is no guard; None if it was given up."""
    if value is None:
        return None
    told = [act for act in acts if act[0] not in GUARDS]
    if not isinstance(value, list) or len(value) != len(told):
        raise BadFieldError(f'"result" of atomic must be a list of {len(told)}, or null')
    return tuple(_act_result(act, each) for act, each in zip(told, value, strict=True))


def _act_result(act: tuple[Any, ...], value: Any) -> Any:
    return ERROR if isinstance(value, dict) and value.keys() == {ERROR} else result_of(act[0], act[2:], value)


def _bytes_or_null(name: str, value: Any) -> bytes | None:
    return None if value is None else bytes_of(name, value)


def _integer(name: str, value: Any) -> int:
    if type(value) is not int:
        raise BadFieldError(f"{name} must be an integer")
    if abs(value) >= 10**INTEGER_DIGITS_MAX:
        raise BadFieldError(f"an integer has more than {INTEGER_DIGITS_MAX} digits")
    return value


def _length(name: str, value: Any) -> int:
    if _integer(name, value) < 0:
        raise BadFieldError(f"{name} must not be negative")
    return int(value)


def _count_or_null(name: str, value: Any) -> int | None:
    return None if value is None else _length(name, value)


def _boolean(name: str, value: Any) -> bool:
    if type(value) is not bool:
        raise BadFieldError(f"{name} must be true or false")
    return value


def _boolean_or_null(name: str, value: Any) -> bool:
    return value is not None and _boolean(name, value)


def _boolean_or_nothing(name: str, value: Any) -> bool | None:
    return None if value is None else _boolean(name, value)


def _condition(name: str, value: Any) -> Any:
    if value in (None, "absent", "present"):
        return value
    if isinstance(value, list) and len(value) == 2 and value[0] in ("equals", "differs"):
        return value[0], bytes_of(name, value[1])
    raise BadFieldError(f'{name} must be null, "absent", "present", ["equals", value] or ["differs", value]')


def _life(name: str, value: Any) -> Any:
    return value if value in (None, "keep") else time_of(name, value)


def _duration_or_null(name: str, value: Any) -> float | None:
    return None if value is None else time_of(name, value)


def _deadline_condition(name: str, value: Any) -> str | None:
    if value not in (None, "none", "some", "later", "earlier"):
        raise BadFieldError(f'{name} must be null, "none", "some", "later" or "earlier"')
    return value  # type: ignore[no-any-return]  # it was compared with the five


def _rest(name: str, value: Any) -> Any:
    """The time that a key has left, None if it has no deadline, False if it is absent."""
    return value if value is None or value is False else time_of(name, value)


ARGUMENTS: dict[str, tuple[tuple[str, Parser], ...]] = {
    "put": (("value", bytes_of),),
    "get": (),
    "append": (("suffix", bytes_of),),
    "delete": (),
    "strlen": (),
    "cas": (("expected", _bytes_or_null), ("new", bytes_of)),
    "incr": (("by", _integer),),
    "add": (("by", bytes_of),),
    "set": (("value", bytes_of), ("condition", _condition), ("life", _life), ("get", _boolean_or_null)),
    "getrange": (("start", _integer), ("end", _integer)),
    "setrange": (("offset", _length), ("value", bytes_of)),
    "exists": (),
    "expire": (("life", _duration_or_null), ("condition", _deadline_condition)),
    "ttl": (),
    "copy": (("to", bytes_of), ("replace", _boolean)),
    "rename": (("to", bytes_of), ("replace", _boolean)),
    "flush": (),
}
GUARDS: dict[str, tuple[tuple[str, Parser], ...]] = {
    "absent": (),
    "present": (),
    "unchanged": (("called", time_of), ("returned", time_of)),
}
"""What must hold in a transaction, or nothing of it is done."""
LEAST_ARGUMENTS = {"set": 1, "expire": 1}
SEVERAL_KEYS = ("delete", "exists")
NO_RESULT = ("put", "flush")
RESULTS: dict[str, Parser] = {
    "get": _bytes_or_null,
    "append": _integer,
    "delete": _count_or_null,
    "strlen": _length,
    "cas": _boolean,
    "incr": _integer,
    "add": bytes_of,
    "set": _boolean,
    "getrange": bytes_of,
    "setrange": _length,
    "exists": _length,
    "expire": _boolean_or_nothing,
    "ttl": _rest,
    "copy": _boolean,
    "rename": _boolean,
}
