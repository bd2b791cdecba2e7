"""All keys of a database, page by page. A cursor is known to one node, and keys come in the order of their bytes: so a
client that has to go to another node begins anew there, and leaves out what it has had. It does no I/O."""

from __future__ import annotations

from dkv.client.answers import Reply
from dkv.client.failures import DkvError
from dkv.client.instruction import unreadable

FIRST = b"0"
"""The cursor that begins, and the one that says that nothing is left."""

BEGINNINGS_MAX = 100
"""How often it begins anew without having found a key meanwhile."""


class Pages:
    """A look through the keys that match a pattern: ``request`` asks for the next page, until it is ``done``."""

    def __init__(self, match: bytes, count: int) -> None:
        self.done = False
        self._options = (b"MATCH", match, b"COUNT", b"%d" % count)
        self._cursor = FIRST
        self._last: bytes | None = None
        self._beginnings = 0

    @property
    def request(self) -> tuple[bytes, ...]:
        """What to send."""
        return (b"SCAN", self._cursor, *self._options)

    def take(self, outcome: Reply | DkvError) -> list[bytes]:
        """The new keys of the page; raises the failure if it makes no sense to go on."""
        if isinstance(outcome, DkvError):
            self._beginnings += 1
            if self._cursor == FIRST or self._beginnings > BEGINNINGS_MAX:
                raise outcome
            self._cursor = FIRST
            return []
        match outcome:
            case [bytes() as cursor, [*found]]:
                keys = [key for key in found if isinstance(key, bytes) and (self._last is None or key > self._last)]
            case _:
                raise unreadable(outcome)
        if keys:
            self._last, self._beginnings = keys[-1], 0
        self._cursor, self.done = cursor, cursor == FIRST
        return keys
