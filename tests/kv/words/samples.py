"""Requests of each command of the log. Their keys, and nothing else, begin with ``k:``."""

from __future__ import annotations

from dkv.kv.commands import interpret
from dkv.kv.registry import Context
from dkv.records import Entry
from dkv.replies import LogRequest
from tests.kv.words.reading import LIMITS, words_of

SAMPLES = [
    words_of(line)
    for line in (
        "put k:1 v",
        "put k:1 v NX",
        "set k:1 v",
        "set k:1 v XX GET PX 10",
        "set k:1 v IFEQ old KEEPTTL",
        "set k:1 v IFNE '' PXAT 10",
        "setnx k:1 v",
        "setex k:1 10 v",
        "psetex k:1 10 v",
        "getset k:1 v",
        "get k:1",
        "getdel k:1",
        "getex k:1",
        "getex k:1 PERSIST",
        "getex k:1 EXAT 7",
        "append k:1 v",
        "strlen k:1",
        "getrange k:1 0 -1",
        "substr k:1 -3 7",
        "setrange k:1 2 v",
        "mget k:1 k:2 k:1",
        "mset k:1 v k:2 w",
        "msetnx k:1 v k:2 w",
        "incr k:1",
        "incrby k:1 5",
        "decr k:1",
        "decrby k:1 5",
        "incrbyfloat k:1 -1.5",
        "delete k:1 k:2",
        "del k:1",
        "unlink k:1 k:2",
        "exists k:1 k:2",
        "touch k:1",
        "rename k:1 k:2",
        "renamenx k:1 k:2",
        "copy k:1 k:2",
        "copy k:1 k:2 DB 2 REPLACE",
        "type k:1",
        "object encoding k:1",
        "object freq k:1",
        "object idletime k:1",
        "object refcount k:1",
        "memory usage k:1 SAMPLES 5",
        "expire k:1 10 NX",
        "pexpire k:1 10 XX GT",
        "expireat k:1 10 LT",
        "pexpireat k:1 10",
        "persist k:1",
        "ttl k:1",
        "pttl k:1",
        "expiretime k:1",
        "pexpiretime k:1",
        "keys a*",
        "scan 0 MATCH a* COUNT 5",
        "randomkey",
        "dbsize",
        "flushdb",
        "flushall ASYNC",
        "time",
        "evalsha c3f8721cbb97f72bc19e972846bd7aaf91901658 1 k:1 token",
        "evalsha release-all 2 k:1 k:2 token",
        "evalsha delete-matching-quietly 0 a*",
        "eval 'return redis.call(\"incrby\", KEYS[1], ARGV[1])' 1 k:1 5",
        'eval_ro \'return {redis.call("get", KEYS[1]), redis.call("pttl", KEYS[1])}\' 1 k:1',
        "evalsha_ro value-and-ttl 1 k:1",
        "idmp new",
        "idmp p 1 del k:1 k:2",
        "idmp p 2 mset k:1 v k:2 w",
        "idmp p 3 incr k:1",
        "idmp p 4 evalsha add 1 k:1 5",
    )
]


def entry_of(words: list[bytes], db: int = 0) -> Entry:
    """The entry of a sample, in a database."""
    made = interpret(words, Context(LIMITS, db))
    entry = made.entry if isinstance(made, LogRequest) else made
    assert isinstance(entry, list), words
    return entry
