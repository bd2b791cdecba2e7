"""Passwords are kept as hashes: scrypt with a salt, in the text form that other programs use as well.

``$scrypt$ln=14,r=8,p=1$SALT$HASH``: the logarithm of the cost, the size of a block, the parallelism, and two numbers in
Base64. Whoever has the file with the hashes still needs much time and memory for each guess.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import scrypt
from hmac import compare_digest

PASSWORD_BYTES_MAX = 1024
"""No password is longer, so nobody can make a node hash much."""

SALT_BYTES = 16
DIGEST_BYTES = 32

MEMORY_BYTES_MAX = 64 << 20
"""No hash may need more memory while it is computed."""

PARALLELISM_MAX = 4

_HASH = re.compile(
    r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d)\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})", re.ASCII
)


@dataclass(frozen=True, slots=True, order=True)
class Cost:
    """What one guess costs: ``128 * block * 2**log_n`` bytes of memory, and the time to fill them."""

    log_n: int = 14
    block: int = 8
    parallelism: int = 1

    @property
    def memory_bytes(self) -> int:
        """What is needed to compute one hash."""
        return 128 * self.block * ((1 << self.log_n) + self.parallelism + 2)

    @property
    def is_bearable(self) -> bool:
        """Whether a node can do it beside its work, and scrypt can do it at all."""
        fits = self.log_n >= 1 and self.block >= 1 and self.memory_bytes <= MEMORY_BYTES_MAX
        return fits and 1 <= self.parallelism <= PARALLELISM_MAX


@dataclass(frozen=True, slots=True, repr=False)
class PasswordHash:
    """The hash of a password. It is not shown where values are printed."""

    cost: Cost
    salt: bytes
    digest: bytes

    def matches(self, password: bytes) -> bool:
        """Whether it is the hash of this password: computed as slowly as is meant, compared in constant time."""
        return compare_digest(_digest(self.cost, self.salt, password, len(self.digest)), self.digest)

    @property
    def text(self) -> str:
        """As it stands in the file of users."""
        cost = self.cost
        return (
            f"$scrypt$ln={cost.log_n},r={cost.block},p={cost.parallelism}"
            f"${_unpadded(self.salt)}${_unpadded(self.digest)}"
        )


def hash_of(password: bytes, salt: bytes, cost: Cost | None = None) -> PasswordHash:
    """The hash of a password, with a ``salt`` of ``SALT_BYTES`` random bytes."""
    cost = cost or Cost()
    return PasswordHash(cost, salt, _digest(cost, salt, password, DIGEST_BYTES))


def nobodys(cost: Cost) -> PasswordHash:
    """A hash that no password has. To try it takes as long as to try another one of this cost."""
    return PasswordHash(cost, bytes(SALT_BYTES), bytes(DIGEST_BYTES))


def parse_hash(text: str) -> PasswordHash | None:
    """The hash that ``text`` is; None if it is none, or one that costs too much."""
    found = _HASH.fullmatch(text)
    if found is None:
        return None
    cost = Cost(*map(int, found.groups()[:3]))
    salt, digest = map(_padded, found.groups()[3:])
    return PasswordHash(cost, salt, digest) if cost.is_bearable and salt and digest else None


def costs_too_much(text: str) -> bool:
    """Whether ``text`` has the form of a hash, but a cost that no node pays."""
    found = _HASH.fullmatch(text)
    return found is not None and not Cost(*map(int, found.groups()[:3])).is_bearable


def _digest(cost: Cost, salt: bytes, password: bytes, size: int) -> bytes:
    return scrypt(
        password,
        salt=salt,
        n=1 << cost.log_n,
        r=cost.block,
        p=cost.parallelism,
        maxmem=cost.memory_bytes + (1 << 20),
        dklen=size,
    )


def _unpadded(data: bytes) -> str:
    return b64encode(data).decode().rstrip("=")


def _padded(text: str) -> bytes:
    """The bytes that ``text`` stands for; empty if its length is that of no text."""
    return b64decode(text + "=" * (-len(text) % 4)) if len(text) % 4 != 1 else b""
