"""The commands that look through the keys of a database: SCAN page by page, KEYS at once, as far as that is quick.

Keys are stored in order. So where a page has ended is a key, and the next page begins behind it: what exists all the
time while a client scans is found, exactly once, whatever is written meanwhile.
"""

from __future__ import annotations

from dkv.actor import Turn
from dkv.kv.asks import UNKNOWN, Applier, Ask
from dkv.kv.codes import KEYS, SCAN
from dkv.kv.effort import LOOK
from dkv.kv.glob import PATTERN_BYTES_MAX, Glob
from dkv.kv.keyspace import Keyspace
from dkv.replies import TOO_LONG, Error, Result
from dkv.settings import KIB, MIB

KEYS_AT_ONCE = 2_000
"""A constant of the format: KEYS in a transaction looks at so many stored keys, as it holds up every node."""

SCANNED_AT_ONCE = 1_000
"""SCAN looks at no more stored keys, whatever its COUNT says."""

PAGE_BYTES = 1 * MIB
"""A constant of the format: a page ends when what it has read from the disk has so many bytes, values included."""

KEY_BYTES_AT_ONCE = 64 * KIB
"""A constant of the format: a page ends when its keys have so many bytes, since patterns take their time with each."""

MATCHED = 100
"""A constant of the format: the effort for each byte of a key that a pattern may have to go through."""

READ_PATTERN = 2 * LOOK
"""A constant of the format: the effort for each byte of a pattern that is read."""

BAD_CURSOR = Error("ERR invalid cursor: this node does not know it, or has forgotten it; begin again with 0")
PATTERN_TOO_LONG = Error(f"ERR the pattern has more than {PATTERN_BYTES_MAX} bytes")

_STRING = b"string"
_NEXT = b"\0"
"""No key stands between a key and the same with this behind it."""


def keys(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """The keys that match a pattern; ``TOO_LONG`` if too many have to be looked at."""
    match ask.arguments:
        case [bytes() as pattern]:
            if len(pattern) > PATTERN_BYTES_MAX:
                return PATTERN_TOO_LONG
            keyspace.effort.take(READ_PATTERN * len(pattern))
            found, following = page_of(keyspace, turn, ask.db, Glob(pattern), b"", KEYS_AT_ONCE)
            return [*found] if following is None else TOO_LONG
    return UNKNOWN


def scan(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """The next page: a cursor, which is 0 at the end, and the keys of the page that match."""
    match ask.arguments:
        case [int() as cursor, bytes() as pattern, int() as count, bytes() as kind]:
            if len(pattern) > PATTERN_BYTES_MAX:
                return PATTERN_TOO_LONG
            begin = keyspace.cursors.find(cursor, ask.db)
            if begin is None:
                return BAD_CURSOR
            if kind.lower() not in (b"", _STRING):
                return [b"0", []]  # There are keys of no other type.
            count = max(1, min(count, SCANNED_AT_ONCE))
            found, following = page_of(keyspace, turn, ask.db, Glob(pattern), begin, count)
            number = 0 if following is None else keyspace.cursors.make(turn.random, cursor, ask.db, following)
            return [b"%d" % number, [*found]]
    return UNKNOWN


def page_of(
    keyspace: Keyspace, turn: Turn, db: int, glob: Glob, begin: bytes, count: int
) -> tuple[list[bytes], bytes | None]:
    """The keys that match among ``count`` ones from ``begin`` on, and where the next page begins, None if none follows.

    Keys that do not begin as the pattern does are not looked at. One that is dead is no key, but is looked at.
    """
    stem = keyspace.prefix(db)
    pairs = keyspace.page(turn, stem + glob.prefix, stem + begin[:-1] if begin else b"", count, PAGE_BYTES)
    keyspace.effort.take(MATCHED * sum(len(name) for name, _ in pairs))
    found: list[bytes] = []
    size = read = 0
    for name, stored in pairs:
        key = name[len(stem) :]
        if keyspace.is_alive(stored) and glob.matches(key):
            found.append(key)
        size += len(key)
        read += len(name) + len(stored)
        if size >= KEY_BYTES_AT_ONCE:
            return found, key + _NEXT
    if len(pairs) < count and read < PAGE_BYTES:
        return found, None
    return found, pairs[-1][0][len(stem) :] + _NEXT


APPLIERS: dict[int, Applier] = {KEYS: keys, SCAN: scan}
