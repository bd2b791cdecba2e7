"""Changes of a file of users that leave what a person wrote there as it is: comments, order, and other users.

The file is changed line by line, and read again: what it then says must be what was to be said, else it is not a file
that a program may change (``UsersError``).
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from dkv.security.toml_text import NotToml, parsed
from dkv.security.users import UsersError, check_name, parse_users

Fields = Mapping[str, Sequence[str]]
"""The lists of a user, by the names that they have in the file."""

ORDER = ("password", "certificate", "may", "keys", "channels")

_HEADER = re.compile(r"\s*\[[^\]]*\]\s*(#.*)?")


def added(text: str, name: str, fields: Fields) -> str:
    """The file with one user more, at its end. ``UsersError`` if there is one of this name."""
    check_name(name)
    if name in _users(text):
        raise UsersError(f"there is a user {name!r} already")
    lines = [f"[user.{_key(name)}]", *_lines(fields)]
    begin = text if not text or text.endswith("\n") else text + "\n"
    gap = "\n" if begin else ""
    return _checked(text, f"{begin}{gap}" + "\n".join(lines) + "\n", lambda users: users.update({name: _said(fields)}))


def removed(text: str, name: str) -> str:
    """The file without this user."""
    _must_exist(text, name)
    lines = text.splitlines(keepends=True)
    kept = [line for start, _, end, owner in _tables(lines) if owner != name for line in lines[start:end]]
    return _checked(text, "".join(kept), lambda users: users.pop(name))


def changed(text: str, name: str, fields: Fields) -> str:
    """The file with these lists of a user in place of its own; a list that is empty is left out."""
    _must_exist(text, name)
    lines = text.splitlines(keepends=True)
    found = [(header, end) for _, header, end, owner in _tables(lines) if owner == name and _is_main(lines[header])]
    if len(found) != 1:
        raise _not_ours(name)
    header, end = found[0]
    rest = _without(lines[header + 1 : end], fields)
    new = [line + "\n" for line in _lines(fields)]
    first = lines[header] if lines[header].endswith("\n") else lines[header] + "\n"

    def change(users: dict[str, Any]) -> None:
        user = users[name]
        for field in fields:
            user.pop(field, None)
        user.update(_said(fields))

    return _checked(text, "".join([*lines[:header], first, *new, *rest, *lines[end:]]), change)


def passwords_of(text: str, name: str) -> list[str]:
    """The hashes of a user's passwords, as they stand in the file."""
    _must_exist(text, name)
    found = _users(text)[name].get("password", [])
    return [found] if isinstance(found, str) else list(found)


# --- lines ---


def _tables(lines: Sequence[str]) -> list[tuple[int, int, int, str | None]]:
    """(first line, line of the header, line behind the last, user) of each table; what is before them is nobody's.

    Comments right above a header belong to its table.
    """
    headers = [number for number, line in enumerate(lines) if _HEADER.fullmatch(line.rstrip("\n"))]
    starts = [_above(lines, number) for number in headers]
    ends = [*starts[1:], len(lines)][: len(starts)]
    tables = [
        (start, header, end, _owner(lines[header])) for start, header, end in zip(starts, headers, ends, strict=True)
    ]
    return [(0, 0, starts[0] if starts else len(lines), None), *tables]


def _above(lines: Sequence[str], header: int) -> int:
    """Where the comment begins that stands above a header."""
    while header and lines[header - 1].lstrip().startswith("#"):
        header -= 1
    return header


def _path(line: str) -> list[str]:
    """The names in the header of a table."""
    try:
        table: Any = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return []
    path = []
    while isinstance(table, dict) and table:
        ((name, table),) = table.items()
        path.append(name)
    return path


def _owner(line: str) -> str | None:
    path = _path(line)
    return path[1] if len(path) > 1 and path[0] == "user" else None


def _is_main(line: str) -> bool:
    return len(_path(line)) == 2


def _without(lines: Sequence[str], fields: Fields) -> list[str]:
    """The lines of a table without the settings of ``fields``, which may take several lines each."""
    kept: list[str] = []
    place = 0
    while place < len(lines):
        if lines[place].partition("=")[0].strip() in fields:
            place += _length(lines[place:])
        else:
            kept.append(lines[place])
            place += 1
    return kept


def _length(lines: Sequence[str]) -> int:
    """How many lines the setting takes that begins with the first."""
    for length in range(1, len(lines) + 1):
        try:
            tomllib.loads("".join(lines[:length]))
        except tomllib.TOMLDecodeError:
            continue
        return length
    return 1


def _lines(fields: Fields) -> list[str]:
    return [f"{name} = {_value(name, fields[name])}" for name in ORDER if fields.get(name)]


def _value(name: str, texts: Sequence[str]) -> str:
    """A string or a list of strings in TOML, whose escapes are those of JSON."""
    value = _said({name: texts})[name]
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _said(fields: Fields) -> dict[str, Any]:
    """What stands in the file for these lists: a list of one password or certificate is written as that one."""
    short = ("password", "certificate")
    return {
        name: texts[0] if name in short and len(texts) == 1 else list(texts) for name, texts in fields.items() if texts
    }


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)


# --- what a file says ---


def _document(text: str) -> dict[str, Any]:
    try:
        document = parsed(text)
    except NotToml as error:
        raise UsersError(f"the file is not TOML{error}; what is in it stays as it is") from None
    parse_users(document)
    return document


def _users(text: str) -> dict[str, Any]:
    found: dict[str, Any] = _document(text).get("user", {})
    return found


def _must_exist(text: str, name: str) -> None:
    if name not in _users(text):
        raise UsersError(f"there is no user {name!r}")


def _checked(text: str, new: str, change: Callable[[dict[str, Any]], object]) -> str:
    """``new``, if it says what ``text`` said, with this change of its users."""
    expected = deepcopy(_document(text))
    change(expected.setdefault("user", {}))
    if not expected["user"]:
        del expected["user"]
    try:
        says = tomllib.loads(new)
    except tomllib.TOMLDecodeError:
        raise _not_ours("") from None
    if says != expected:
        raise _not_ours("")
    parse_users(says)
    return new


def _not_ours(name: str) -> UsersError:
    what = f"the user {name!r} is" if name else "it is"
    return UsersError(
        f"the file cannot be changed by this command, for {what} not written as a table [user.NAME] with one setting"
        " on each line; change it by hand"
    )
