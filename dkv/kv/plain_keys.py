"""Keys that are known to exist and to have no deadline: a bounded set, so that the next PUT need not look for them.

Such a PUT changes neither a count nor the index of deadlines. It is the most frequent write by far, and to read the old
value would cost more than the rest of it. The set is only a memory of what is stored: nothing that anybody sees depends
on what is in it.
"""

from __future__ import annotations

PLAIN_BYTES_MAX = 12 << 20
"""How much memory the set takes, roughly."""

KEY_OVERHEAD_BYTES = 90  # what a key costs in a set beside its bytes, roughly


class PlainKeys:
    """The stored keys, in ``known``. Whoever erases a key, or gives it a deadline, must ``discard`` it."""

    def __init__(self) -> None:
        self.known: set[bytes] = set()
        self._size = 0

    def add(self, key: bytes) -> None:
        """The key exists and has no deadline. Others may have to go."""
        known = self.known
        if key not in known:
            known.add(key)
            self._size += KEY_OVERHEAD_BYTES + len(key)
            while self._size > PLAIN_BYTES_MAX:
                self._size -= KEY_OVERHEAD_BYTES + len(known.pop())

    def discard(self, key: bytes) -> None:
        """The key may not exist any more, or have a deadline."""
        if key in self.known:
            self.known.remove(key)
            self._size -= KEY_OVERHEAD_BYTES + len(key)

    def clear(self) -> None:
        """Nothing is known any more."""
        self.known.clear()
        self._size = 0
