"""The sum of a state: a digest that does not depend on the order in which its pairs are added.

Two states that hold the same pairs have the same sum. What a node's log amounts to is summed: values with their index
of deadlines, databases and time, tokens, the last batch of every origin, and the sets of members. The marks that say
where in the log the state belongs are not.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from dkv.keys import DIGEST_BYTES, STATE, SUMMED

_MODULUS = 1 << (8 * DIGEST_BYTES)


def pair_digest(key: bytes, value: bytes) -> bytes:
    """The digest of one pair. The length of the key is in it, so that no two pairs have the same text."""
    return blake2b(b"%d:%b%b" % (len(key), key, value), digest_size=DIGEST_BYTES).digest()


class StateSum:
    """A sum that grows. ``count`` and ``size`` are those of the pairs in it; keys and values count in bytes.

    ``values`` of the pairs are keys of users, those that are to be erased included.
    """

    def __init__(self) -> None:
        self.count = self.values = self.size = 0
        self._sum = 0

    def add(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        """Add those of the pairs that count, each of which is given once."""
        total = self._sum
        for key, value in pairs:
            first = key[:1]
            if first in SUMMED:
                total += int.from_bytes(pair_digest(key, value), "big")
                self.count += 1
                self.values += first == STATE
                self.size += len(key) + len(value)
        self._sum = total % _MODULUS

    @property
    def digest(self) -> bytes:
        """The sum, as the bytes that nodes compare."""
        return self._sum.to_bytes(DIGEST_BYTES, "big")
