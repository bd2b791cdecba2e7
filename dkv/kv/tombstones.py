"""When keys were erased: what a WATCH of a key that does not exist goes by.

A key that is gone has no header and no revision. In place of one mark for each, which nobody could ever forget, keys
share 65,536 of them: a mark is the last slot that erased a key of its *bucket*. A key that is absent, and whose bucket
has no later mark than the slot that a WATCH has seen, was absent all the time. The other keys of a bucket can make an
EXEC fail that need not have failed, and never the other way round.
"""

from __future__ import annotations

from hashlib import blake2b

from dkv.actor import Turn
from dkv.keys import TOMBSTONE, pack_number, unpack_number

BUCKET_BYTES = 2


def bucket_key(db: int, key: bytes) -> bytes:
    """The stored key of the mark of a key's bucket."""
    return TOMBSTONE + blake2b(bytes((db,)) + key, digest_size=BUCKET_BYTES).digest()


def mark_erased(turn: Turn, db: int, key: bytes, slot: int) -> None:
    """The key is erased in ``slot``."""
    turn.stage(bucket_key(db, key), pack_number(slot))


def last_erased(turn: Turn, db: int, key: bytes) -> int:
    """The last slot that erased this key, or another one of its bucket; 0 if there was none."""
    return unpack_number(turn.load(bucket_key(db, key)))
