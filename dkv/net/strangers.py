"""Connections whose other end has not said yet who it is: few, and those who come get a chance all the same."""

from __future__ import annotations

from typing import Protocol


class Newcomer(Protocol):
    """A connection, as far as it is a stranger's."""

    @property
    def host(self) -> str:
        """The other end's address."""

    def crowded_out(self) -> None:
        """End: there are too many."""


class Strangers:
    """At most ``most`` connections of strangers. One more ends the oldest of the address that has most of them.

    So a crowd that connects and says nothing keeps nobody out: a node says at once who it is, and is a stranger no
    more. Nor is it counted with the crowd, unless that comes from its own address.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._of: dict[str, dict[Newcomer, None]] = {}  # by address, in the order in which they came
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, connection: Newcomer) -> None:
        """One has come; another may have to go."""
        self._of.setdefault(connection.host, {})[connection] = None
        self._count += 1
        if self._count > self._most:
            crowd = max(self._of.values(), key=len)
            oldest = next(iter(crowd))
            self.remove(oldest)
            oldest.crowded_out()

    def remove(self, connection: Newcomer) -> None:
        """It has said who it is, or has ended; nothing happens if it was no stranger."""
        of_address = self._of.get(connection.host, {})
        if connection in of_address:
            del of_address[connection]
            self._count -= 1
            if not of_address:
                del self._of[connection.host]
