"""What each command of the log becomes in a history."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.kv import codes
from dkv.kv.commands import COMMANDS, interpret
from dkv.kv.registry import Context
from dkv.replies import OK, Error, LogRequest, Simple
from dkv.settings import Limits
from dkv.sim.fields import ARGUMENTS, GUARDS
from dkv.sim.wordy_acts import UNTOLD, acts_of

CASES: list[tuple[str, Any, Any, Any]] = [
    ("SET k v", OK, [("put", b"0/k", b"v")], [None]),
    ("PUT k v", OK, [("put", b"0/k", b"v")], [None]),
    ("SET k v NX PX 300", None, [("set", b"0/k", b"v", "absent", 0.3, False)], [False]),
    ("SET k v IFEQ w KEEPTTL", OK, [("set", b"0/k", b"v", ("equals", b"w"), "keep", False)], [True]),
    ("SET k v IFNE w", None, [("set", b"0/k", b"v", ("differs", b"w"), None, False)], [False]),
    ("SET k v XX GET", b"w", [("set", b"0/k", b"v", "present", None, True)], [b"w"]),
    ("SETEX k 2 v", OK, [("set", b"0/k", b"v", None, 2.0, False)], [True]),
    ("PSETEX k 20 v", OK, [("set", b"0/k", b"v", None, 0.02, False)], [True]),
    ("GETSET k v", None, [("set", b"0/k", b"v", None, None, True)], [None]),
    ("SETNX k v", 0, [("set", b"0/k", b"v", "absent", None, False)], [False]),
    ("GET k", None, [("get", b"0/k")], [None]),
    ("APPEND k v", 3, [("append", b"0/k", b"v")], [3]),
    ("GETDEL k", b"v", [("get", b"0/k"), ("delete", b"0/k")], [b"v", 1]),
    ("GETDEL k", None, [("get", b"0/k"), ("delete", b"0/k")], [None, 0]),
    ("GETEX k PX 500", b"v", [("get", b"0/k"), ("expire", b"0/k", 0.5, None)], [b"v", None]),
    ("GETEX k PERSIST", b"v", [("get", b"0/k"), ("expire", b"0/k", None, None)], [b"v", None]),
    ("MGET a b", [b"1", None], [("get", b"0/a"), ("get", b"0/b")], [b"1", None]),
    ("MSET a 1 b 2 a 3", OK, [("put", b"0/a", b"3"), ("put", b"0/b", b"2")], [None, None]),
    ("MSETNX a 1", 1, [("absent", b"0/a"), ("put", b"0/a", b"1")], [None]),
    ("MSETNX a 1", 0, [("absent", b"0/a"), ("put", b"0/a", b"1")], None),
    ("INCR k", 5, [("incr", b"0/k", 1)], [5]),
    ("DECR k", 5, [("incr", b"0/k", -1)], [5]),
    ("INCRBY k 2", 5, [("incr", b"0/k", 2)], [5]),
    ("DECRBY k 2", 5, [("incr", b"0/k", -2)], [5]),
    ("INCRBYFLOAT k 1.5", b"2", [("add", b"0/k", b"1.5")], [b"2"]),
    ("EXPIRE k 7", 1, [("expire", b"0/k", 7.0, None)], [True]),
    ("PEXPIRE k 700 NX", 0, [("expire", b"0/k", 0.7, "none")], [False]),
    ("PEXPIRE k 700 XX", 1, [("expire", b"0/k", 0.7, "some")], [True]),
    ("PEXPIRE k 700 GT", 1, [("expire", b"0/k", 0.7, "later")], [True]),
    ("PEXPIRE k 700 LT", 0, [("expire", b"0/k", 0.7, "earlier")], [False]),
    ("PERSIST k", 0, [("expire", b"0/k", None, None)], [False]),
    ("PTTL k", 250, [("ttl", b"0/k")], [0.25]),
    ("PTTL k", -2, [("ttl", b"0/k")], [False]),
    ("TTL k", -1, [("ttl", b"0/k")], [None]),
    ("TTL k", 3, [("exists", b"0/k")], [1]),
    ("EXPIRETIME k", 3, [("exists", b"0/k")], [1]),
    ("PEXPIRETIME k", -2, [("ttl", b"0/k")], [False]),
    ("EXISTS a b a", 3, [("exists", b"0/a", b"0/b", b"0/a")], [3]),
    ("TOUCH a", 1, [("exists", b"0/a")], [1]),
    ("TYPE a", Simple("string"), [("exists", b"0/a")], [1]),
    ("TYPE a", Simple("none"), [("exists", b"0/a")], [0]),
    ("STRLEN a", 2, [("strlen", b"0/a")], [2]),
    ("GETRANGE a 0 -2", b"x", [("getrange", b"0/a", 0, -2)], [b"x"]),
    ("SUBSTR a 0 -2", b"x", [("getrange", b"0/a", 0, -2)], [b"x"]),
    ("SETRANGE k 3 x", 4, [("setrange", b"0/k", 3, b"x")], [4]),
    ("RENAME a b", OK, [("rename", b"0/a", b"0/b", True)], [True]),
    ("RENAME a b", Error("ERR no such key"), [("rename", b"0/a", b"0/b", True)], [False]),
    ("RENAMENX a b", 0, [("rename", b"0/a", b"0/b", False)], [False]),
    ("COPY a b DB 1", 1, [("copy", b"0/a", b"1/b", False)], [True]),
    ("COPY a b REPLACE", 0, [("copy", b"0/a", b"0/b", True)], [False]),
    ("DEL a b", 1, [("delete", b"0/a", b"0/b")], [1]),
    ("UNLINK a", 1, [("delete", b"0/a")], [1]),
    ("DELETE a", 1, [("delete", b"0/a")], [1]),
    ("FLUSHDB", OK, [("flush", b"0/")], [None]),
    ("FLUSHALL", OK, [("flush", b"%d/" % db) for db in range(16)], [None] * 16),
]
"""A request and its reply; the acts and their results."""

ELSEWHERE = {
    "expireat": "what is left until a time of day is not known to the clients, who do not ask for it",
    "pexpireat": "the same",
    "idmp": "it is the write that it holds; no other form of it executes one",
}
"""The commands that are no cases, with the reason."""


def entry_of(line: str, db: int = 0) -> Any:
    """What a node makes of a request."""
    made = interpret([word.encode() for word in line.split()], Context(Limits(), db))
    return made.entry if isinstance(made, LogRequest) else made


class WordyActsTests(SynchronousTestCase):
    def test_acts(self) -> None:
        """A request that is read as another would accuse a right server, or miss what a wrong one did."""
        for line, reply, acts, results in CASES:
            self.assertEqual(acts_of(entry_of(line), reply), (acts, results), line)
        self.assertEqual(acts_of(entry_of("GET k", 3), None), ([("get", b"3/k")], [None]))
        self.assertEqual(acts_of(entry_of("APPEND k v", 3), 1), ([("append", b"3/k", b"v")], [1]))

    def test_several_at_once(self) -> None:
        """An MSETNX that was refused inside a transaction tells of no single key, and DBSIZE of none at all."""
        entry = [codes.EXEC, 0, 100, [], [entry_of("MSETNX a 1 b 2"), entry_of("DBSIZE"), entry_of("INCR a")]]
        free: Any = [("set", key, value, "absent", None, False) for key, value in ((b"0/a", b"1"), (b"0/b", b"2"))]
        count = ("incr", b"0/a", 1)
        self.assertEqual(acts_of(entry, [1, 2, 2]), ([*free, count], [True, True, 2]))
        self.assertEqual(acts_of(entry, [0, 2, 2]), ([count], [2]))

    def test_every_command(self) -> None:
        """A command that the checker does not know is judged by nobody: each has acts, or a reason."""
        named = {line.split()[0].lower() for line, *_ in CASES}
        untold = {name.decode() for name, command in COMMANDS.items() if UNTOLD.keys() >= {*command.codes}}
        self.assertEqual(named | untold | ELSEWHERE.keys(), {name.decode() for name in COMMANDS})
        self.assertEqual((named & untold, named & ELSEWHERE.keys(), untold & ELSEWHERE.keys()), (set(), set(), set()))
        made = {code for line, *_ in CASES for db in (0, 1) if (code := entry_of(line, db)[0])}
        self.assertEqual(made | UNTOLD.keys() | {codes.EXEC}, codes.READS | codes.WRITES)
        kinds = {act[0] for _, _, acts, _ in CASES for act in acts}
        self.assertLessEqual(kinds, ARGUMENTS.keys() | GUARDS.keys())
