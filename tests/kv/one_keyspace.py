"""A keyspace with its turn, slot by slot, for tests of the parts of the state machine."""

from __future__ import annotations

from typing import Any

from dkv.keys import APPLIED_THROUGH, pack_number
from dkv.kv.appliers.by_code import APPLIERS
from dkv.kv.asks import ask_of
from dkv.kv.erasure import Eraser
from dkv.kv.keyspace import Keyspace
from tests.turns import FakeTurn

BYTES_MAX = 1_000


class OneKeyspace:
    """It begins in slot 1, at the time 1,000."""

    def __init__(self) -> None:
        self.turn = FakeTurn()
        self.restart()
        self.begin(1_000)

    def restart(self) -> None:
        """Another keyspace over what is stored."""
        self.keyspace = Keyspace()
        self.keyspace.start(self.turn)
        self.eraser = Eraser(self.keyspace)

    def begin(self, stamp: int) -> None:
        """The next slot."""
        self.keyspace.begin_slot(self.turn, self.keyspace.slot + 1, stamp)
        self.turn.stage(APPLIED_THROUGH, pack_number(self.keyspace.slot))
        self.eraser.erase(self.turn)
        self.keyspace.settle(self.turn)

    def apply(self, *entry: Any) -> Any:
        """What an entry answers."""
        ask = ask_of(list(entry))
        assert ask is not None
        return APPLIERS[ask.code](self.keyspace, self.turn, ask)

    def put(self, key: bytes, deadline: int = 0, db: int = 0, value: bytes = b"v") -> None:
        """Store a value."""
        self.keyspace.store(self.turn, db, key, value, deadline)

    def get(self, key: bytes, db: int = 0) -> bytes | None:
        """The value of a key."""
        return self.keyspace.value(self.turn, db, key)

    def stored(self, prefix: bytes) -> list[bytes]:
        """The stored keys with this prefix."""
        return [key for key, _ in self.turn.scan(prefix)]

    def keys(self, db: int = 0) -> int:
        """How many keys a database has."""
        return self.keyspace.counts(self.turn, db)[0]
