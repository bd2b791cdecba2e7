"""The chain of a database's commits: whether some are lost while later ones are there.

LevelDB reads its own files leniently at the ends. A flipped bit in the length of the last record of a log or manifest,
or a page of zeros, looks to it like a write that a crash cut short. The writes behind it are dropped in silence, and
with a manifest a whole table in the *middle* of the history may go with them. So every commit writes a link with the
next number, and erases the link before. A database that is whole has one link. If commits are lost, the one behind
them did not find the link that it erases, and the one before them has left its own: then there are two.

Commits that are lost at the *end* leave an older database that is whole. Then the log does not have all that the state
amounts to, or the peers know of votes that the log has forgotten (``log_check``, ``dkv.net.acquaintances``).

A chain has a random name, so that a file of another node's database is noticed, too.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from dkv.keys import LINK, pack_number, unpack_number

_NAME_BYTES = 8


class ChainBroken(Exception):
    """Commits are lost while later ones are there, or some are those of another database; the text says which."""


class Chain:
    """The links of one database; ``keys`` are those that it holds."""

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        links = [key[len(LINK) :] for key in keys] or [os.urandom(_NAME_BYTES) + pack_number(0)]
        names = {link[:_NAME_BYTES] for link in links}
        first, last = (unpack_number(link[_NAME_BYTES:]) for link in (links[0], links[-1]))
        if len(names) > 1:
            raise ChainBroken("one of its files is that of another database")
        if len(links) > 1:
            raise ChainBroken(f"its commits after number {first} are lost, and later ones up to {last} are not")
        (name,) = names
        self._prefix = LINK + name
        self._newest = last

    def next(self) -> tuple[bytes, bytes]:
        """The key that the next commit writes, and the one that it erases."""
        before, self._newest = self._newest, self._newest + 1
        return self._prefix + pack_number(self._newest), self._prefix + pack_number(before)
