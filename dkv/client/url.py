"""Where the nodes are, as a user writes it: ``HOST:PORT``, or a URL as other clients have, ``redis://HOST:PORT/1``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from dkv.client.blocking import Endpoint

DATABASE_MAX = 15
_DESTINATION = re.compile(r"(?:redis://)?(?P<endpoint>[^/]+)(?:/(?P<database>[0-9]{0,4}))?")


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
