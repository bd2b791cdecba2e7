"""The producers of simulated clients: the names and op ids of writes with a token."""

from __future__ import annotations

from random import Random

OPS_AT_ONCE = 4
"""So many op ids are drawn together and used in any order."""


class Producer:
    """One producer of a client. ``name`` is None until IDMP NEW has issued it, where that is to issue it."""

    def __init__(self, name: bytes | None) -> None:
        self.name = name
        self._issued = name is None
        self._ops: list[int] = []
        self._used = 0

    def issue(self, name: bytes) -> None:
        """IDMP NEW answered ``name``."""
        self.name, self._ops, self._used = name, [], 0

    def forgotten(self, name: bytes) -> None:
        """The nodes know no more of producer ``name``: an issued one is used no more, another one goes on."""
        if self._issued and self.name == name:
            self.name = None

    def used_op(self, random: Random) -> int:
        """One of its latest op ids, which it has probably used for another write."""
        return random.randint(max(1, self._used - 2 * OPS_AT_ONCE), max(1, self._used))

    def next_op(self, random: Random) -> int:
        """An op id that it has not used."""
        if not self._ops:
            self._ops = list(range(self._used + 1, self._used + OPS_AT_ONCE + 1))
            self._used += OPS_AT_ONCE
            random.shuffle(self._ops)
        return self._ops.pop()
