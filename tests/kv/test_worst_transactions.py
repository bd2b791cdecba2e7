"""No transaction holds a node up for long: the worst one for each word is applied, over a real database.

Each word comes 10,000 times in one EXEC: with small values, and with large ones that nobody has read lately. Times are
of the processor, and are compared with that of as many plain writes: a busy machine fails no test.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from random import Random
from sys import maxsize
from threading import Event
from time import thread_time
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.configurations import first_configurations
from dkv.host.layers import Layers
from dkv.kv import codes
from dkv.kv.effort import EFFORT_MAX
from dkv.kv.machine import Machine
from dkv.kv.scripts.operations import DELETE_MATCHING, HIT_OR_RESET
from dkv.records import Batch
from dkv.settings import Limits
from dkv.sim.memory import MemoryStore
from dkv.storage.leveldb import LevelDBStore
from dkv.wire.codec import decode_entries, encode_entries
from tests.turns import FakeTurn

COUNT = Limits().request_arguments_max
ROOM = Limits().value_bytes_max
SMALL, LARGE, MORTAL = 5_000, 40, 3_000
DIES = 1_000_000
"""When the mortal keys die, in milliseconds."""
TIMES_MAX = 2.5
"""How many times as long as ``COUNT`` writes, each of which is stored by itself, a transaction may take. These take
about 40 ms."""
ANOTHER = b"another"
LONG_DECIMAL = b"1e4900"
SLOW_PATTERN = b"*?" * 500

WORST_SCRIPTS: tuple[Callable[[bytes, int], list[Any]], ...] = (
    lambda key, number: [HIT_OR_RESET, [ANOTHER + b"%d" % number], [b"1", b"5000"]],
    lambda key, number: [DELETE_MATCHING, [SLOW_PATTERN], []],
)
"""Those that make many calls, and those that look at many keys."""

WORST: dict[int, Callable[[bytes, int], list[Any]]] = {
    codes.PUT: lambda key, _: [codes.PUT, key, b"v"],
    codes.APPEND: lambda key, _: [codes.APPEND, key, b"v", 2 * ROOM],
    codes.DELETE: lambda key, _: [codes.DELETE, key],
    codes.GET: lambda key, _: [codes.GET, key],
    codes.READ: lambda key, _: [codes.READ, 0, ROOM, key],
    codes.SET: lambda key, number: [codes.SET, 0, ROOM, key, b"v", 4, b"x", 2, 5_000 + number, 1],
    codes.SETNX: lambda key, _: [codes.SETNX, 0, ROOM, ANOTHER + key, b"v"],
    codes.ERASE: lambda key, _: [codes.ERASE, 0, ROOM, key, ANOTHER],
    codes.EXTEND: lambda key, _: [codes.EXTEND, 0, 2 * ROOM, key, b"v"],
    codes.GETDEL: lambda key, _: [codes.GETDEL, 0, ROOM, key],
    codes.GETEX: lambda key, number: [codes.GETEX, 0, ROOM, key, 2, 5_000 + number],
    codes.MGET: lambda key, _: [codes.MGET, 0, ROOM, *[key] * 12],
    codes.MSET: lambda key, _: [codes.MSET, 0, ROOM, *[key, b"v"] * 6],
    codes.MSETNX: lambda key, _: [codes.MSETNX, 0, ROOM, *[ANOTHER + key, b"v"] * 6],
    codes.INCRBY: lambda key, _: [codes.INCRBY, 0, ROOM, key, 1],
    codes.INCRBYFLOAT: lambda key, _: [codes.INCRBYFLOAT, 0, ROOM, ANOTHER + key[-1:], LONG_DECIMAL],
    codes.STRLEN: lambda key, _: [codes.STRLEN, 0, ROOM, key],
    codes.GETRANGE: lambda key, _: [codes.GETRANGE, 0, ROOM, key, 0, -1],
    codes.SETRANGE: lambda key, _: [codes.SETRANGE, 0, ROOM, ANOTHER + key, ROOM - 1, b"v"],
    codes.EXISTS: lambda key, _: [codes.EXISTS, 0, ROOM, *[key] * 12],
    codes.RENAME: lambda key, number: [codes.RENAME, 0, ROOM, key, ANOTHER + b"%d" % number],
    codes.RENAMENX: lambda key, number: [codes.RENAMENX, 0, ROOM, key, ANOTHER + b"%d" % number],
    codes.COPY: lambda key, number: [codes.COPY, 0, ROOM, key, ANOTHER + b"%d" % number, 1, 1],
    codes.TYPE: lambda key, _: [codes.TYPE, 0, ROOM, key],
    codes.EXPIRE: lambda key, number: [codes.EXPIRE, 0, ROOM, key, 2, 5_000 + number, 0],
    codes.PERSIST: lambda key, _: [codes.PERSIST, 0, ROOM, key],
    codes.TTL: lambda key, _: [codes.TTL, 0, ROOM, key, 1],
    codes.RANDOMKEY: lambda _, number: [codes.RANDOMKEY, 0, ROOM, number],
    codes.KEYS: lambda _, number: [codes.KEYS, number % 2, ROOM, SLOW_PATTERN],
    codes.DBSIZE: lambda _key, _: [codes.DBSIZE, 0, ROOM],
    codes.FLUSHDB: lambda _, number: [codes.FLUSHDB, number % 16, ROOM],
    codes.FLUSHALL: lambda _key, _: [codes.FLUSHALL, 0, ROOM],
    codes.OBJECT: lambda key, _: [codes.OBJECT, 0, ROOM, key, b"encoding"],
    codes.MEMORY: lambda key, _: [codes.MEMORY, 0, ROOM, key],
    codes.NOTIFY: lambda _, number: [codes.NOTIFY, 0, ROOM, (b"AnKE", b"xE")[number % 2]],
    codes.TIME: lambda _key, _: [codes.TIME, 0, ROOM],
    codes.SCRIPT: lambda key, number: [codes.SCRIPT, 0, ROOM, *WORST_SCRIPTS[number % 50 // 49](key, number)],
}
"""For each command that an EXEC may have: an entry on a key, of those that take long."""


class LayeredTurn(FakeTurn):
    """A turn that reads and writes as on a real node, but for the commits."""

    def __init__(self, store: LevelDBStore) -> None:
        super().__init__()
        self.layers = Layers(MemoryStore(), store)

    def stage(self, key: bytes, value: bytes) -> None:
        self.layers.stage(key, value)

    def stage_erase(self, key: bytes) -> None:
        self.layers.stage(key, None)

    def begin_trial(self) -> None:
        self.layers.state.begin_trial()

    def end_trial(self) -> None:
        self.layers.state.end_trial()

    def undo_trial(self) -> Iterable[bytes]:
        return self.layers.state.undo_trial()

    def load(self, key: bytes) -> bytes | None:
        return self.layers.load(key)

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        return self.layers.scan(prefix, start)

    def scan_page(self, prefix: bytes, after: bytes, count: int, bytes_max: int = maxsize) -> list[tuple[bytes, bytes]]:
        return self.layers.scan_page(prefix, after, count, bytes_max)


class WorstTransactionTests(SynchronousTestCase):
    def setUp(self) -> None:
        """What is stored; the tests change nothing of it."""
        self.store = LevelDBStore(self.mktemp(), lambda call, *arguments: call(*arguments), create=True)
        self.addCleanup(self.store.close)
        self.small = [b"small:%06d" % number for number in range(SMALL)]
        self.large = [b"large:%06d" % number for number in range(LARGE)]
        random = Random(17)
        entries: list[list[Any]] = [[codes.PUT, key, b"%d" % random.randrange(1 << 60)] for key in self.small]
        entries += [[codes.PUT, key, random.randbytes(ROOM)] for key in self.large]
        entries += [
            [codes.SET, 0, ROOM, b"mortal:%d" % number, b"v", 0, b"", codes.ABSOLUTE, DIES, 0]
            for number in range(MORTAL)
        ]
        turn, machine = self.node()
        machine.begin_slot(turn, 1, DIES - 1)
        machine.apply(turn, Batch(1, 2, 3, 1, encode_entries(entries)), True)
        turn.stage(b"A", (1).to_bytes(8, "big"))
        written = Event()
        self.store.commit(turn.layers.state.staged.writes, lambda failure: written.set())
        self.assertTrue(written.wait(60))
        writes = [[codes.SET, 0, ROOM, ANOTHER + b"%d" % number, b"v", 0, b"", 0, 0, 0] for number in range(COUNT)]
        self.writes = self.seconds(writes)

    def node(self) -> tuple[LayeredTurn, Machine]:
        """A machine that has just begun over what is stored."""
        turn = LayeredTurn(self.store)
        machine = Machine(decode_entries, first_configurations((1,)))
        machine.start(turn)
        return turn, machine

    def seconds(self, entries: Any) -> float:
        """What the entries take to be applied, at best. Dead keys wait to be erased, as many as count."""
        best = float(maxsize)
        for _ in range(2):
            turn, machine = self.node()
            machine.begin_slot(turn, 2, DIES)
            batch = Batch(1, 2, 3, 2, encode_entries(entries))
            gc.collect()
            began = thread_time()
            self.results = machine.apply(turn, batch, True)
            best = min(best, thread_time() - began)
            self.staged = turn.layers.state.staged.size
        return best

    def test_all_commands(self) -> None:
        """A new one must be thought of here."""
        self.assertEqual(WORST.keys(), codes.IN_EXEC)

    def check(self, keys: list[bytes]) -> None:
        """Each command, with these keys in turn."""
        for make in WORST.values():
            entries = [make(keys[number % len(keys)], number) for number in range(COUNT)]
            taken = self.seconds([[codes.EXEC, 0, ROOM, [], entries]])
            self.assertLess(taken, TIMES_MAX * self.writes, f"{entries[0]!r:.60}: {self.results!r:.60}")
            self.assertLess(self.staged, 2 * EFFORT_MAX, entries[0])

    def test_small_values(self) -> None:
        """It is either soon done or refused."""
        self.check(self.small)

    def test_large_values(self) -> None:
        """10,000 copies of a mebibyte would be more than the memory of most machines."""
        self.check(self.large)
