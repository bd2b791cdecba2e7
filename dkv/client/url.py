"""Where the nodes are, and how to get in, as a user writes it: ``HOST:PORT``, or a URL: ``dkv://HOST:PORT/1``, or with
TLS ``dkvs://USER:PASSWORD@HOST:PORT``, or ``redis://`` and ``rediss://`` as other clients have them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Self
from urllib.parse import unquote_to_bytes

from dkv.client.admission import Admission, Tls
from dkv.client.endpoint import Endpoint

DATABASE_MAX = 15
_DESTINATION = re.compile(
    r"(?:(?P<scheme>rediss?|dkvs?)://)?"
    r"(?:(?P<user>[^:@/]*)(?::(?P<password>[^@/]*))?@)?"
    r"(?P<endpoint>[^/@]+)(?:/(?P<database>[0-9]{0,4}))?"
)
_CREDENTIALS = re.compile(r"(?P<scheme>(?:rediss?|dkvs?)://)[^@]*@")
_WITH_TLS = ("rediss", "dkvs")


@dataclass(frozen=True, slots=True)
class Destination:
    """Nodes of one cluster, and the ``database`` that is meant there; None if none is named.

    ``with_tls`` is None if the text does not say it; ``user`` and ``password`` are those that it has.
    """

    endpoints: tuple[Endpoint, ...]
    database: int | None = None
    with_tls: bool | None = None
    user: bytes | None = None
    password: bytes | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """From a list separated by commas. ``ValueError`` if an item is wrong, or if two name different databases,
        users or passwords, or one is with TLS and another without. An item that says nothing of these is like the
        others."""
        items = [_Item.parse(each.strip(), secret="@" in text) for each in text.split(",")]
        databases = {each.database for each in items} - {None}
        schemes = {each.with_tls for each in items} - {None}
        people = {(each.user, each.password) for each in items} - {(None, None)}
        if len(databases) > 1:
            names = " and ".join(str(each) for each in databases)
            raise ValueError(f"one command uses one database, and the list names {names}")
        if len(schemes) > 1:
            raise ValueError("one list is with TLS (dkvs://, rediss://) or without it (dkv://, redis://), and not both")
        if len(people) > 1:
            raise ValueError("one list has one user and one password, and this one has several")
        database = databases.pop() if databases else None
        if database is not None and database > DATABASE_MAX:
            raise ValueError(f"databases are numbered from 0 to {DATABASE_MAX}, and the list names {database}")
        user, password = people.pop() if people else (None, None)
        with_tls = schemes.pop() if schemes else None
        found = cls(tuple(each.endpoint for each in items), database, with_tls, user, password)
        return found.admitting(None, None, None)

    @classmethod
    def of(
        cls,
        addresses: str | Iterable[str],
        database: int | None,
        tls: Tls | None = None,
        user: str | None = None,
        password: str | None = None,
    ) -> Self:
        """From a text as above or several of them. What is not None is what is meant, and the text may not say
        otherwise. Nobody is there to be asked for a password."""
        found = cls.parse(addresses if isinstance(addresses, str) else ",".join(addresses))
        found = found.admitting(tls, _bytes(user), _bytes(password))
        if found.user is not None and found.password is None:
            raise ValueError("a user needs a password; one that is known by its certificate need not be named")
        if database is None:
            return found
        if found.database not in (None, database) or not 0 <= database <= DATABASE_MAX:
            raise ValueError(f"database {database} is not the one that the addresses name, from 0 to {DATABASE_MAX}")
        return replace(found, database=database)

    def admitting(self, tls: Tls | None, user: bytes | None, password: bytes | None) -> Self:
        """The same, with these in its endpoints' ``access`` where they are not None; ``ValueError`` if the text says
        otherwise."""
        if tls is not None and self.with_tls is False:
            raise ValueError("dkv:// and redis:// are without TLS; write dkvs:// or rediss://, or only HOST:PORT")
        if None not in (user, self.user) and user != self.user:
            raise ValueError("the addresses name another user")
        if None not in (password, self.password) and password != self.password:
            raise ValueError("the addresses have another password")
        tls = tls or self.endpoints[0].access.tls or (Tls() if self.with_tls else None)
        user = self.user if user is None else user
        password = self.password if password is None else password
        access = Admission(tls, user, password)
        return replace(
            self,
            endpoints=tuple(each.admitting(access) for each in self.endpoints),
            with_tls=self.with_tls if tls is None else True,
            user=user,
            password=password,
        )


@dataclass(frozen=True, slots=True)
class _Item:
    """One item of a list."""

    endpoint: Endpoint
    database: int | None
    with_tls: bool | None
    user: bytes | None
    password: bytes | None

    @classmethod
    def parse(cls, text: str, *, secret: bool) -> Self:
        """From a URL, or ``HOST:PORT``. If the list has a ``secret`` in it, the text of ``ValueError`` shows nothing
        of it."""
        found = _DESTINATION.fullmatch(text)
        if found is None:
            shown = "an address" if secret else repr(text)
            raise ValueError(f"{shown} is neither host:port nor redis://host:port/database")
        try:
            endpoint = Endpoint.parse(found["endpoint"])
        except ValueError:
            if not (secret or found["scheme"]):
                raise
            raise ValueError(
                "an address is not host:port; '@', ':', '/' and ',' in a password are written %40, %3A, %2F and %2C"
            ) from None
        return cls(
            endpoint,
            int(found["database"]) if found["database"] else None,
            found["scheme"] in _WITH_TLS if found["scheme"] else None,
            unquote_to_bytes(found["user"]) if found["user"] else None,
            unquote_to_bytes(found["password"]) if found["password"] is not None else None,
        )


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-8", "surrogateescape")


def without_secrets(text: str) -> str:
    """A word of a command line, with ``***`` in place of what a URL in it says of user and password."""
    return _CREDENTIALS.sub(r"\g<scheme>***@", text)
