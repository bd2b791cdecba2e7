"""The commands that give a value another key, and those that tell something about a key."""

from __future__ import annotations

from dkv.actor import Turn
from dkv.kv.asks import UNKNOWN, Applier, Ask
from dkv.kv.codes import COPY, DATABASES, MEMORY, OBJECT, RENAME, RENAMENX, TYPE
from dkv.kv.key_events import COPIED, RENAMED_FROM, RENAMED_TO
from dkv.kv.keyspace import Keyspace
from dkv.kv.numerals import parse_integer
from dkv.kv.stored import ABSENT, HEADER_BYTES, HEADER_BYTES_WITH_DEADLINE
from dkv.replies import OK, Error, Result, Simple

NO_SUCH_KEY = Error("ERR no such key")
NOT_COUNTED = Error(
    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between"
    " policies at runtime LRU and LFU data will take some time to adjust."
)
"""The words of Redis, which does not count accesses either, unless it is to evict keys by them. dkv evicts none."""

EMBEDDED_BYTES_MAX = 44
"""Redis holds a string of up to so many bytes in one piece of memory with its header."""

_KEY_PREFIX_BYTES = 2
_INDEX_PREFIX_BYTES = 10


def rename(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """Give a value and its deadline another key, whatever that was."""
    match ask.arguments:
        case [bytes() as source, bytes() as to]:
            return OK if _renamed(keyspace, turn, ask.db, source, to) else NO_SUCH_KEY
    return UNKNOWN


def rename_if_absent(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """Give a value and its deadline a key that does not exist; 1, or 0 if that exists."""
    match ask.arguments:
        case [bytes() as source, bytes() as to]:
            if keyspace.revision(turn, ask.db, source) == ABSENT:
                return NO_SUCH_KEY
            if keyspace.revision(turn, ask.db, to) != ABSENT:
                return 0
            _renamed(keyspace, turn, ask.db, source, to)
            return 1
    return UNKNOWN


def _renamed(keyspace: Keyspace, turn: Turn, db: int, source: bytes, to: bytes) -> bool:
    held = keyspace.load(turn, db, source)
    if held is None:
        return False
    if source != to:
        keyspace.erase(turn, db, source, None)
        keyspace.store(turn, db, to, held.value, held.deadline, None)
        keyspace.events.add(RENAMED_FROM, db, source)
        keyspace.events.add(RENAMED_TO, db, to)
    return True


def copy(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """Store a value and its deadline under another key, perhaps in another database; 1, or 0 if nothing was stored."""
    match ask.arguments:
        case [bytes() as source, bytes() as to, int() as to_db, (0 | 1) as replace] if 0 <= to_db < DATABASES:
            held = keyspace.load(turn, ask.db, source)
            if held is None or (not replace and keyspace.revision(turn, to_db, to) != ABSENT):
                return 0
            keyspace.store(turn, to_db, to, held.value, held.deadline, None)
            keyspace.events.add(COPIED, to_db, to)
            return 1
    return UNKNOWN


def tell_type(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """What a value is, as a status word."""
    match ask.arguments:
        case [bytes() as key]:
            return Simple("none" if keyspace.revision(turn, ask.db, key) == ABSENT else "string")
    return UNKNOWN


def tell_object(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """What Redis tells of how it holds a value; nil if there is none."""
    match ask.arguments:
        case [bytes() as key, (b"encoding" | b"freq" | b"idletime" | b"refcount") as subcommand]:
            value = keyspace.value(turn, ask.db, key)
            if value is None:
                return None
            match subcommand:
                case b"encoding":
                    return _encoding(value)
                case b"freq":
                    return NOT_COUNTED
                case b"idletime":
                    return 0
                case b"refcount":
                    return 1
    return UNKNOWN


def _encoding(value: bytes) -> bytes:
    if parse_integer(value) is not None:
        return b"int"
    return b"embstr" if len(value) <= EMBEDDED_BYTES_MAX else b"raw"


def tell_memory(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """How many bytes a key and its value take in the state, its place in the index of deadlines included; or nil."""
    match ask.arguments:
        case [bytes() as key]:
            held = keyspace.load(turn, ask.db, key)
            if held is None:
                return None
            size = _KEY_PREFIX_BYTES + len(key) + len(held.value)
            if not held.deadline:
                return size + HEADER_BYTES
            return size + HEADER_BYTES_WITH_DEADLINE + _INDEX_PREFIX_BYTES + len(key)
    return UNKNOWN


APPLIERS: dict[int, Applier] = {
    RENAME: rename,
    RENAMENX: rename_if_absent,
    COPY: copy,
    TYPE: tell_type,
    OBJECT: tell_object,
    MEMORY: tell_memory,
}
