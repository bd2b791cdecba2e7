"""The keys that simulated clients use: a few at a time, replaced one by one.

A key is retired after too many writes whose outcome is not known: each of them makes the search for a linearization
longer.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

OPEN_WRITES_MAX = 10
KEY_REQUESTS_MAX = 150

EDGE_BYTES_MAX = 1024
"""Keys and values get as long as their limits allow, and longer, if the limits are at most this."""


class Keyring:
    """``count`` keys whose names begin with ``prefix`` and have ``bytes_max`` bytes at most.

    ``own`` says that one client alone uses them.
    """

    def __init__(self, prefix: bytes, count: int, bytes_max: int, own: bool = False) -> None:
        self.own = own
        self._prefix = prefix
        self._bytes_max = bytes_max
        self._made = 0
        self._names: list[bytes] = []
        self._used: list[int] = []
        self._open_writes: dict[bytes, int] = {}
        for index in range(count):
            self._renew(index)

    def __len__(self) -> int:
        return len(self._names)

    def choose(self, random: Random) -> bytes:
        """A key for a request."""
        index = random.randrange(len(self._names))
        if self._used[index] >= KEY_REQUESTS_MAX or not self.takes_writes(self._names[index : index + 1]):
            self._renew(index)
        self._used[index] += 1
        return self._names[index]

    def takes_writes(self, names: Iterable[bytes]) -> bool:
        """Whether each of the keys can take one more write whose outcome may stay unknown."""
        return all(self._open_writes.get(name, 0) < OPEN_WRITES_MAX for name in names)

    def opened(self, names: Iterable[bytes]) -> None:
        """A write is sent to these keys."""
        for name in names:
            self._open_writes[name] = self._open_writes.get(name, 0) + 1

    def settled(self, names: Iterable[bytes]) -> None:
        """The outcome of such a write is known now, or it was not sent."""
        for name in names:
            self._open_writes[name] -= 1

    def _renew(self, index: int) -> None:
        """Put a new key in place of an old one."""
        self._made += 1
        name = b"%s%d" % (self._prefix, self._made)
        if self._made % 4 == 0 and self._bytes_max <= EDGE_BYTES_MAX:
            name = name.ljust(self._bytes_max, b"_")
        self._names[index : index + 1] = [name]
        self._used[index : index + 1] = [0]
