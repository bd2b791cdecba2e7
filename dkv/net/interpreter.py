"""What a client's connection needs of the session behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from typing import Protocol

from dkv.replies import Meaning


class Interpreter(Protocol):
    """Knows what the requests of one connection mean."""

    @property
    def reads(self) -> Set[int]:
        """The first fields of entries that only read."""

    @property
    def interpret(self) -> Callable[[list[bytes]], Meaning]:
        """An entry for the log, or the reply to a request that needs none.

        It may be another function after each answer that is no plain entry.
        """

    @property
    def listens(self) -> bool:
        """Whether the client has subscribed to anything."""

    @property
    def is_unnamed(self) -> bool:
        """Whether the client has to say who it is before it may do anything."""

    @property
    def containers(self) -> Set[bytes]:
        """The commands whose second word is a subcommand, in lower case."""

    def proved(self, names: Sequence[str]) -> None:
        """The client has shown a certificate with these names."""

    def gone(self) -> None:
        """The connection has ended: there will be no more requests."""
