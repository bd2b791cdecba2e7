"""Where a node listens for clients, and what gets a client in there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Self

from dkv.client.admission import OPEN, Admission
from dkv.settings import PORT_MAX

_ENDPOINT = re.compile(r"(?P<host>\[[^\[\]]+\]|[^\s:\[\]]+):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a node listens for clients, and what gets them in. ``host`` is a name or an address, IPv6 without
    brackets."""

    host: str
    port: int
    access: Admission = field(default=OPEN, compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """From ``host:port`` or ``[IPv6 address]:port``; ``ValueError`` for anything else."""
        found = _ENDPOINT.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is not host:port")
        port = int(found["port"])
        if not 1 <= port <= PORT_MAX:
            raise ValueError(f"{text!r}: the port must be from 1 to {PORT_MAX}")
        return cls(found["host"].strip("[]"), port)

    def admitting(self, access: Admission) -> Endpoint:
        """The same, with another ``access``."""
        return replace(self, access=access)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
