"""Inline commands: a line of words that a person types in telnet, cut as Redis cuts it."""

from __future__ import annotations

import re

_SPACE = re.compile(rb"\s*")
# There are no possessive quantifiers, because Python 3.11.2 of Debian 12 gets them wrong. There is only one way through
# each part in quotes, so nothing is tried twice.
_WORD = re.compile(
    rb"([^\s\"']*)"  # plain, perhaps empty
    rb"(?:\"((?:\\.|[^\"\\])*)\"|'((?:\\'|[^'\\]|\\(?!'))*)')?"  # one part in quotes may follow
    rb"(?=\s|\Z)",  # and ends the word
    re.DOTALL,
)
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}


def split_line(line: bytes) -> list[bytes] | None:
    """The words of ``line``; None if its quotes are not balanced.

    ``"..."`` knows the escapes ``\\xHH``, ``\\n``, ``\\r``, ``\\t``, ``\\b``, ``\\a`` and a backslash before any other
    byte; ``'...'`` only ``\\'``. A closing quote ends the word.
    """
    if b'"' not in line and b"'" not in line:
        return line.split()
    words = []
    position = _skip_space(line, 0)
    while position < len(line):
        word = _WORD.match(line, position)
        if word is None:
            return None
        plain, double, single = word.groups(default=b"")
        words.append(plain + _ESCAPE.sub(_unescape, double) + single.replace(b"\\'", b"'"))
        position = _skip_space(line, word.end())
    return words


def _skip_space(line: bytes, position: int) -> int:
    space = _SPACE.match(line, position)
    return space.end() if space else position


def _unescape(escape: re.Match[bytes]) -> bytes:
    what = escape[1]
    if len(what) == 3:
        return bytes.fromhex(what[1:].decode())
    return _ESCAPED.get(what, what)
