"""The users of a cluster, as the file of users has them: names, hashes of passwords, certificates, and rights.

Any mistake in the file is a ``UsersError`` of one line that says where it is. It never quotes a password or a hash.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from dkv.kv.codes import DATABASES
from dkv.kv.glob import PATTERN_BYTES_MAX
from dkv.security.passwords import (
    MEMORY_BYTES_MAX,
    PARALLELISM_MAX,
    Cost,
    PasswordHash,
    costs_too_much,
    nobodys,
    parse_hash,
)
from dkv.security.rights import ALL, CATEGORIES, NONE, Rights

DEFAULT = "default"
"""The user that every client is before it has said who it is."""

USERS_MAX = 10_000
HASHES_MAX = 4
"""How many passwords a user may have at a time."""

NAMES_MAX = 16
PATTERNS_MAX = 1000

EVERYTHING = "all"

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}")
_FIELDS = ("password", "certificate", "may", "keys", "channels", "database")


class UsersError(ValueError):
    """The file of users is wrong. The text is one line for the person who wrote it."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may use the cluster. ``certificates`` are names in client certificates that prove who it is."""

    name: str
    hashes: tuple[PasswordHash, ...] = field(repr=False)
    certificates: frozenset[str]
    rights: Rights

    @property
    def has_proof(self) -> bool:
        """Whether there is anything by which a client can prove to be this user."""
        return bool(self.hashes or self.certificates)


EVERYBODY = User(DEFAULT, (), frozenset(), ALL)
"""The user of all clients where there is no file of users: everything is allowed."""

NOBODY = User(DEFAULT, (), frozenset(), NONE)
"""The user of a client that has to say who it is before it may do anything."""


def anonymous(users: Users | None) -> User:
    """Who a client is that has not said who it is, where there are these ``users``, or no file of users at all."""
    return EVERYBODY if users is None else users.default or NOBODY


class Users:
    """All users of a cluster; ``TypeError`` if two have the same name."""

    def __init__(self, users: Iterable[User]) -> None:
        self._users: dict[str, User] = {}
        for user in users:
            if user.name in self._users:
                raise TypeError(f"two users are named {user.name}")
            self._users[user.name] = user
        self._by_certificate = {name: user for user in self._users.values() for name in user.certificates}
        self._work: Counter[Cost] = Counter()  # how many hashes of each cost a user has at most
        for user in self._users.values():
            self._work |= Counter(each.cost for each in user.hashes)
        self._work = self._work or Counter([Cost()])

    @property
    def names(self) -> Sequence[str]:
        """The names of all users, in the order of the file."""
        return [*self._users]

    @property
    def default(self) -> User | None:
        """Whom a client is that has not said who it is; None if it has to say so before it may do anything."""
        user = self._users.get(DEFAULT)
        return None if user is None or user.has_proof or user.rights.are_none else user

    @property
    def are_shut_out(self) -> bool:
        """Whether nobody can get in: no user can prove anything, and nobody may do anything without."""
        return self.default is None and not any(user.has_proof for user in self._users.values())

    def find(self, name: str) -> User | None:
        """The user of this name."""
        return self._users.get(name)

    def by_certificate(self, names: Iterable[str]) -> User | None:
        """The user that a certificate with these names proves, the first of them that is a user's."""
        return next((self._by_certificate[name] for name in names if name in self._by_certificate), None)

    def hashes_to_try(self, name: str) -> tuple[PasswordHash, ...]:
        """The hashes to try a password of ``name`` against.

        They cost the same for every name. For a user with fewer hashes than others, and for a name that no user has,
        there are hashes among them that no password matches: so the time of a refusal does not tell who is a user.
        """
        user = self._users.get(name)
        own = () if user is None else user.hashes
        missing = self._work - Counter(each.cost for each in own)
        return own + tuple(nobodys(cost) for cost in sorted(missing.elements()))


def parse_users(document: Mapping[str, Any]) -> Users:
    """The users that the parsed TOML ``document`` describes; ``UsersError`` if it makes no sense."""
    _check_fields(document, ("user",), "at the top level")
    tables = document.get("user", {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise UsersError("user must be tables, each under its own [user.NAME]")
    if len(tables) > USERS_MAX:
        raise UsersError(f"{len(tables)} users are too many: there may be {USERS_MAX}")
    users = [_user(name, table) for name, table in tables.items()]
    _check_certificates(users)
    return Users(users)


def check_name(name: str) -> None:
    """``UsersError`` if no user may have this name: it stands in lists, between spaces."""
    if not _NAME.fullmatch(name):
        raise UsersError(
            f"the name {name[:100]!a} of a user: use up to 64 letters, digits, '_', '.', '@' and '-', "
            "and begin with a letter, a digit or '_'"
        )


# --- one user ---


def _user(name: str, table: Mapping[str, Any]) -> User:
    check_name(name)
    where = f"in [user.{name}]"
    _check_fields(table, _FIELDS, where)
    hashes = tuple(_hash(text, where) for text in _texts(table, "password", where, HASHES_MAX, one=True))
    certificates = frozenset(_texts(table, "certificate", where, NAMES_MAX, one=True))
    if name == DEFAULT and certificates:
        raise UsersError(f"{where}: {DEFAULT!r} is whoever has not said who it is, so it has no certificate")
    return User(name, hashes, certificates, _rights(table, where))


def _hash(text: str, where: str) -> PasswordHash:
    found = parse_hash(text)
    if found is None and costs_too_much(text):
        raise UsersError(
            f"{where}: a hash of a password has a cost that no node pays: ln=14,r=8,p=1 takes 16 MiB of memory, "
            f"the most is {MEMORY_BYTES_MAX >> 20} MiB, and p is from 1 to {PARALLELISM_MAX}; "
            "dkv user password makes another one"
        )
    if found is None:
        raise UsersError(
            f"{where}: a password stands here as $scrypt$ln=14,r=8,p=1$SALT$HASH, never as it is; "
            "dkv user add and dkv user password write it so"
        )
    return found


def _rights(table: Mapping[str, Any], where: str) -> Rights:
    may = _texts(table, "may", where, len(CATEGORIES) + 1)
    for category in may:
        if category not in (*CATEGORIES, EVERYTHING):
            known = ", ".join(map(repr, (*CATEGORIES, EVERYTHING)))
            raise UsersError(f"{where}: may: {category[:100]!a} is none of {known}")
    databases = table.get("database", {})
    if not isinstance(databases, dict):
        raise UsersError(f"{where}: database must be tables, each under its own [user.NAME.database.NUMBER]")
    return Rights.of(
        CATEGORIES if EVERYTHING in may else may,
        keys=_patterns(table, "keys", where),
        databases=dict(_database(number, keys, where) for number, keys in databases.items()),
        channels=_patterns(table, "channels", where),
    )


def _database(number: str, table: Any, where: str) -> tuple[int, tuple[bytes, ...]]:
    if number not in map(str, range(DATABASES)):
        raise UsersError(f"{where}: database {number[:100]!a} is no number from 0 to {DATABASES - 1}")
    where = f"{where[:-1]}.database.{number}]"
    if not isinstance(table, dict):
        raise UsersError(f'{where}: write it as a table, with keys = ["*"]')
    _check_fields(table, ("keys",), where)
    if "keys" not in table:
        raise UsersError(f"{where}: keys is missing: the patterns of the keys in this database")
    return int(number), _patterns(table, "keys", where)


def _patterns(table: Mapping[str, Any], name: str, where: str) -> tuple[bytes, ...]:
    patterns = tuple(text.encode() for text in _texts(table, name, where, PATTERNS_MAX))
    for pattern in patterns:
        if len(pattern) > PATTERN_BYTES_MAX:
            raise UsersError(f"{where}: {name}: a pattern has {len(pattern)} bytes, and may have {PATTERN_BYTES_MAX}")
    return patterns


def _texts(table: Mapping[str, Any], name: str, where: str, count_max: int, one: bool = False) -> Sequence[str]:
    """The texts of a list, which may be a text alone if ``one`` says so. What stands there is not quoted."""
    value = table.get(name, [])
    if one and isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(text, str) and text and _is_text(text) for text in value):
        kind = "a string, or a list of strings" if one else "a list of strings"
        raise UsersError(f"{where}: {name} must be {kind}, none of them empty")
    if len(value) > count_max:
        raise UsersError(f"{where}: {name} has {len(value)} of them, and may have {count_max}")
    return value


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which a document that was no file may have
        return False
    return True


def _check_certificates(users: Iterable[User]) -> None:
    owners: dict[str, str] = {}
    for user in users:
        for certificate in sorted(user.certificates):
            owner = owners.setdefault(certificate, user.name)
            if owner != user.name:
                raise UsersError(f"the certificate {certificate[:100]!a} is that of two users, {owner} and {user.name}")


def _check_fields(table: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for name in table:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            raise UsersError(f"unknown key {name[:100]!a} {where}" + (f"; did you mean {close[0]!r}?" if close else ""))
