"""Reading one table of a config file: what may stand there, and what is told of a mistake."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Any


class ConfigError(ValueError):
    """The config is wrong. The text is one line for the person who wrote it."""


def check_keys(table: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """``ConfigError`` if the table has a key that is not ``known``."""
    known = tuple(known)
    for key in table:
        if key not in known:
            raise ConfigError(f"unknown key {key!r} {where}{suggestion(key, known)}")


def suggestion(word: str, known: Iterable[str]) -> str:
    """What was probably meant by ``word``, as the end of a sentence; "" if nobody can tell."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def required(table: Mapping[str, Any], key: str, where: str) -> Any:
    """The value of ``key``; ``ConfigError`` if it is missing."""
    if key not in table:
        raise ConfigError(f"{where}: {key} is missing")
    return table[key]


def text_of(table: Mapping[str, Any], key: str, where: str) -> str:
    """The string under ``key``; ``ConfigError`` if it is missing, empty or something else."""
    value = required(table, key, where)
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{where}: {key} = {value!r} must be a string that is not empty")
    return value


def flag_of(table: Mapping[str, Any], key: str, default: bool) -> bool:
    """The truth value under ``key``."""
    value = table.get(key, default)
    if type(value) is not bool:
        raise ConfigError(f"{key} = {value!r} must be true or false")
    return value


def word_of(table: Mapping[str, Any], key: str, words: tuple[str, ...], default: str, where: str = "") -> str:
    """The string under ``key``, which must be one of ``words``."""
    value = table.get(key, default)
    if not isinstance(value, str) or value not in words:
        hint = suggestion(value, words) if isinstance(value, str) else ""
        choice = f"{', '.join(map(repr, words[:-1]))} or {words[-1]!r}"
        raise ConfigError(f"{where}{': ' if where else ''}{key} = {value!r} must be {choice}{hint}")
    return value


def quoted(text: str) -> str:
    """A basic string of TOML, which escapes as JSON does."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
