"""The rule of permissions once more, as plainly as it can be said. It shares no line with the gate.

It does not look at words, but at what became of them without any gate: the entry for the log, by its number. So it
finds what the declarations of the commands forget. Requests that become no entry are judged by their names, in lists
that somebody has to write: a command that is in none of them fails the test.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from dkv.kv import codes as c
from dkv.kv.scripts import operations as op

DATABASES = range(16)

OPEN = frozenset(
    (
        "ping", "echo", "select", "hello", "reset", "quit", "unwatch", "multi", "exec", "discard",
        "client|getname", "client|id", "client|info", "client|no-evict", "client|no-touch", "client|reply",
        "client|setinfo", "client|setname", "client|help", "script|exists", "script|flush", "script|load",
        "script|help", "pubsub|help", "info", "config|help", "latency|help", "role", "wait", "waitaof",
        "sentinel|ckquorum", "sentinel|get-master-addr-by-name", "sentinel|master", "sentinel|masters",
        "sentinel|myid", "sentinel|replicas", "sentinel|sentinels", "sentinel|slaves", "sentinel|help",
        "help", "command", "command|count", "command|docs", "command|getkeys", "command|info", "command|list",
        "command|help", "acl|cat", "acl|whoami", "acl|help",
    )
)  # fmt: skip
"""What every client may ask that has said who it is."""

ADMIN = frozenset(
    (
        "client|kill", "client|list", "config|get", "config|set", "latency|doctor", "latency|history",
        "latency|latest", "latency|reset", "dkv.status", "dkv.metrics", "dkv.leader", "dkv.member",
        "acl|dryrun", "acl|getuser", "acl|list", "acl|users",
    )
)  # fmt: skip
SEES_ALL = frozenset(("dkv.log", "dkv.backup", "dkv.compare"))
"""What shows any key of any database, to those who are allowed ``admin``."""

FAULT = frozenset(("dkv.fault",))
LEAVES = frozenset(
    ("unsubscribe", "punsubscribe", "sunsubscribe", "pubsub|channels", "pubsub|numpat", "pubsub|shardchannels")
)
ONE_CHANNEL = frozenset(("publish", "spublish"))
CHANNELS = frozenset(("subscribe", "ssubscribe"))
SECOND_CHANNELS = frozenset(("pubsub|numsub", "pubsub|shardnumsub"))
CHANNEL_PATTERNS = frozenset(("psubscribe",))

READ_KEY = frozenset((c.READ, c.STRLEN, c.GETRANGE, c.TYPE, c.TTL, c.OBJECT, c.MEMORY))
READ_KEYS = frozenset((c.MGET, c.EXISTS, c.WATCH))
WRITE_KEY = frozenset(
    (c.SET, c.SETNX, c.EXTEND, c.GETDEL, c.GETEX, c.INCRBY, c.INCRBYFLOAT, c.SETRANGE, c.EXPIRE, c.PERSIST)
)
READING_OPERATIONS = frozenset((op.TTL_IF_EQUAL, op.VALUE_AND_TTL))


@dataclass(frozen=True)
class Rule:
    """What somebody may do. ``of_database`` has patterns in place of ``keys``."""

    may: tuple[str, ...]
    keys: tuple[bytes, ...] = ()
    of_database: dict[int, tuple[bytes, ...]] = field(default_factory=dict)
    channels: tuple[bytes, ...] = ()

    def patterns(self, db: int) -> tuple[bytes, ...]:
        """The patterns of keys in a database."""
        return self.of_database.get(db, self.keys)

    def has_key(self, db: int, key: bytes) -> bool:
        """Whether it may use a key."""
        return any(is_like(pattern, key) for pattern in self.patterns(db))

    def has_all(self, db: int) -> bool:
        """Whether it may use all keys."""
        return b"*" in self.patterns(db)

    def has_all_like(self, db: int, wanted: bytes) -> bool:
        """Whether it may use all keys that are like a pattern."""
        return any(
            own in (b"*", wanted) or (own.endswith(b"*") and is_plain(own[:-1]) and wanted.startswith(own[:-1]))
            for own in self.patterns(db)
        )

    def has_channel(self, channel: bytes) -> bool:
        """Whether it may use a channel."""
        return any(is_like(pattern, channel) for pattern in self.channels)

    # --- entries ---

    def allows_entry(self, entry: Any) -> bool:
        """Whether it may have this entry made, and have its answer."""
        code, *rest = entry
        if code == c.IDMP:
            return "write" in self.may and self.allows_entry(rest[2])
        if code == c.IDMP_NEW:
            return "write" in self.may
        if code == c.EXEC:
            return all(map(self.allows_entry, rest[3]))
        if code in (c.PUT, c.APPEND):
            return self._has("write", 0, rest[:1])
        if code == c.DELETE:
            return self._has("write", 0, rest)
        if code == c.GET:
            return self._has("read", 0, rest)
        return self._allows_later(code, rest[0], rest[2:])

    def _allows_later(self, code: int, db: int, rest: Any) -> bool:
        if code in READ_KEY:
            return self._has("read", db, rest[:1])
        if code in READ_KEYS:
            return self._has("read", db, rest)
        if code in WRITE_KEY:
            return self._has("write", db, rest[:1])
        if code == c.ERASE:
            return self._has("write", db, rest)
        if code in (c.MSET, c.MSETNX):
            return self._has("write", db, rest[::2])
        if code in (c.RENAME, c.RENAMENX):
            return self._has("write", db, rest[:2])
        if code == c.COPY:
            return self._has("write", db, rest[:1]) and self._has("write", rest[2], rest[1:2])
        if code in (c.KEYS, c.SCAN):  # what they list is looked at elsewhere
            return "read" in self.may
        if code in (c.RANDOMKEY, c.DBSIZE):
            return "read" in self.may and self.has_all(db)
        if code == c.FLUSHDB:
            return "write" in self.may and self.has_all(db)
        if code == c.FLUSHALL:
            return "write" in self.may and all(map(self.has_all, DATABASES))
        if code == c.TIME:
            return True
        if code == c.NOTIFY:
            return "admin" in self.may
        if code == c.SCRIPT:
            return self._allows_script(db, *rest)
        raise AssertionError(f"nobody has said who may have an entry with the number {code}")

    def _allows_script(self, db: int, operation: int, keys: list[bytes], arguments: list[bytes]) -> bool:
        if not self._has("read" if operation in READING_OPERATIONS else "write", db, keys):
            return False
        found_by = keys if operation == op.DELETE_MATCHING else arguments
        if operation in (op.DELETE_MATCHING, op.DELETE_MATCHING_QUIETLY):
            return all(self.has_all_like(db, pattern) for pattern in found_by[:1])
        return True

    def _has(self, category: str, db: int, keys: Any) -> bool:
        return category in self.may and all(self.has_key(db, key) for key in keys)

    # --- what becomes no entry ---

    def allows_answer(self, name: str, words: list[bytes]) -> bool:
        """Whether it may have the answer of a connection or of its node. ``name`` is that of the command."""
        if name == "dkv.member" and words[1].lower() == b"list":
            return True
        if name in SEES_ALL:
            return "admin" in self.may and all(map(self.has_all, DATABASES))
        for category, names in (("admin", ADMIN), ("fault", FAULT), ("pubsub", LEAVES)):
            if name in names:
                return category in self.may
        if name in OPEN:
            return True
        return "pubsub" in self.may and all(self._channels(name, words))

    def _channels(self, name: str, words: list[bytes]) -> Iterator[bool]:
        if name in ONE_CHANNEL:
            yield self.has_channel(words[1])
        elif name in CHANNELS:
            yield from map(self.has_channel, words[1:])
        elif name in SECOND_CHANNELS:
            yield from map(self.has_channel, words[2:])
        elif name in CHANNEL_PATTERNS:
            yield from (word in self.channels or b"*" in self.channels for word in words[1:])
        else:
            raise AssertionError(f"nobody has said who may use {name}")


def is_plain(pattern: bytes) -> bool:
    """Whether it means itself."""
    return not set(pattern) & set(b"*?[\\")


def is_like(pattern: bytes, name: bytes) -> bool:
    """Whether a name matches a pattern with ``*`` and ``?``, by trying everything."""
    if not name:
        return pattern in (b"", b"*")
    return _is_like(pattern, name)


def _is_like(pattern: bytes, name: bytes) -> bool:
    if not pattern:
        return not name
    if pattern[:1] == b"*":
        return any(_is_like(pattern[1:], name[at:]) for at in range(len(name) + 1))
    return bool(name) and (pattern[:1] in (b"?", name[:1])) and _is_like(pattern[1:], name[1:])
