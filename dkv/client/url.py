"""Where the nodes are, as a user writes it: ``HOST:PORT``, or a URL: ``dkv://HOST:PORT/1``, or ``redis://`` as other
clients have it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from dkv.client.blocking import Endpoint

DATABASE_MAX = 15
_DESTINATION = re.compile(r"(?:(?:redis|dkv)://)?(?P<endpoint>[^/]+)(?:/(?P<database>[0-9]{0,4}))?")


@dataclass(frozen=True, slots=True)
class Destination:
    """Nodes of one cluster, and the ``database`` that is meant there; None if none is named."""

    endpoints: tuple[Endpoint, ...]
    database: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """From a list separated by commas. ``ValueError`` if an item is wrong, or if two name different databases."""
        endpoints: list[Endpoint] = []
        databases: set[int] = set()
        for item in text.split(","):
            found = _DESTINATION.fullmatch(item.strip())
            if found is None:
                raise ValueError(f"{item.strip()!r} is neither host:port nor redis://host:port/database")
            endpoints.append(Endpoint.parse(found["endpoint"]))
            if found["database"]:
                databases.add(int(found["database"]))
        if len(databases) > 1:
            raise ValueError(f"one command uses one database, and the list names {' and '.join(map(str, databases))}")
        if databases and max(databases) > DATABASE_MAX:
            raise ValueError(f"databases are numbered from 0 to {DATABASE_MAX}, and the list names {max(databases)}")
        return cls(tuple(endpoints), databases.pop() if databases else None)

    @classmethod
    def of(cls, addresses: str | Iterable[str], database: int | None) -> Self:
        """From a text as above or several of them. ``database`` is the one that is meant if it is not None."""
        found = cls.parse(addresses if isinstance(addresses, str) else ",".join(addresses))
        if database is None:
            return found
        if found.database not in (None, database) or not 0 <= database <= DATABASE_MAX:
            raise ValueError(f"database {database} is not the one that the addresses name, from 0 to {DATABASE_MAX}")
        return cls(found.endpoints, database)
