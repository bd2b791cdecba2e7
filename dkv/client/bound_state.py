"""What a connection knows of its client, and a new one would not: its database, its transaction, its watched keys."""

from __future__ import annotations

from collections.abc import Sequence

from dkv.client.answers import Reply
from dkv.client.outcome import TOKEN_WORDS_MIN
from dkv.client.url import DATABASE_MAX

ENDS = (b"EXEC", b"DISCARD", b"RESET")


class BoundState:
    """The state that the requests of a client have made. ``database`` is the one that they are for."""

    def __init__(self, database: int = 0) -> None:
        self.database = database
        self.in_transaction = False
        """Whether requests wait for an EXEC."""
        self._watching = False
        self._queued = b""  # what the last SELECT of a transaction names

    def note_request(self, words: Sequence[bytes]) -> bool:
        """A request is to be sent: whether it is of use only on the connection of the requests before it.

        Whatever its answer is, the client goes on as if it were what it should be.
        """
        name, bound = _verb(words), self.in_transaction or self._watching
        if name in ENDS or (name == b"UNWATCH" and not self.in_transaction):
            self.in_transaction = self._watching = False
        elif name == b"MULTI":
            self.in_transaction = True
        elif name == b"WATCH":
            self._watching = True
        return bound

    def note_reply(self, words: Sequence[bytes], reply: Reply) -> None:
        """A request was answered. A SELECT in a transaction takes effect with its EXEC."""
        match _verb(words), reply:
            case b"SELECT", "OK":
                self.database = int(words[1])
            case b"SELECT", "QUEUED":
                self._queued = words[1]
            case b"EXEC", list() if self._queued.isdigit() and int(self._queued) <= DATABASE_MAX:
                self.database, self._queued = int(self._queued), b""
            case b"EXEC" | b"DISCARD", _:
                self._queued = b""
            case b"RESET", _:
                self.database, self._queued = 0, b""


def _verb(words: Sequence[bytes]) -> bytes:
    """The word that says what a request does: the one behind a token, if it has one."""
    name = words[0].upper()
    return words[TOKEN_WORDS_MIN - 1].upper() if name == b"IDMP" and len(words) >= TOKEN_WORDS_MIN else name
