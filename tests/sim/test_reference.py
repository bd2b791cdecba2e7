"""The second state machine, which judges simulated runs, against the real one: equal states, and equal results.

Both are fed random logs. What they store must be equal byte for byte, whatever small constants make of erasure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.client_events import KeyEvents
from dkv.configurations import first_configurations
from dkv.keys import SUMMED
from dkv.kv import codes
from dkv.kv.appliers.by_code import APPLIERS
from dkv.kv.machine import Machine
from dkv.kv.sessions import Bounds
from dkv.records import Batch, Value
from dkv.replies import Watched
from dkv.sim.batch_rules import is_same
from dkv.sim.constants import constants
from dkv.sim.member_rules import MemberTable
from dkv.sim.reference import Reference
from dkv.sim.second_commands import UNJUDGED, execute
from dkv.sim.second_keys import keys_of
from dkv.wire.codec import decode_entries, encode_entries
from tests.kv.script_entries import scripts
from tests.turns import FakeTurn

BYTES_MAX = 6
BOUNDS = Bounds(answers=3, answer_bytes=60, producers=2)
START = 1_000

dbs = st.sampled_from((0, 0, 0, 1, 15))
keys = st.sampled_from((b"", b"a", b"b", b"\xff"))
values = st.sampled_from((b"", b"1", b"-7", b"2.50", b"x", b"xyz", b"9223372036854775807"))
moments = st.sampled_from((-1, 0, 1, 3, 10, START, START + 5, 2**63, -(2**63)))
lives = st.tuples(st.sampled_from((codes.NO_LIFE, codes.KEEP_LIFE, codes.RELATIVE, codes.ABSOLUTE)), moments)
bits = st.integers(0, 1)


def entry(code: int, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """Entries with this code."""
    return st.tuples(dbs, *arguments).map(lambda drawn: [code, drawn[0], BYTES_MAX, *drawn[1:]])


def several(code: int, *items: st.SearchStrategy[bytes]) -> st.SearchStrategy[list[Any]]:
    """Entries with this code and any number of items."""
    rows = st.lists(st.tuples(*items), min_size=1, max_size=3)
    return st.tuples(dbs, rows).map(
        lambda drawn: [code, drawn[0], BYTES_MAX, *(item for row in drawn[1] for item in row)]
    )


patterns = st.sampled_from((b"*", b"?", b"a*", b"[ab]", b"b", b"[a-z]?*"))
numbers = st.sampled_from((0, 1, -1, 5, -9, 2**63 - 1, -(2**63)))
places = st.integers(-4, 4)
OF_ONE = {
    codes.READ: entry(codes.READ, keys),
    codes.SET: st.builds(
        lambda db, key, value, condition, operand, life, get: [
            codes.SET,
            db,
            BYTES_MAX,
            key,
            value,
            condition,
            operand,
            *life,
            get,
        ],
        dbs,
        keys,
        values,
        st.sampled_from(codes.CONDITIONS),
        values,
        lives,
        bits,
    ),
    codes.SETNX: entry(codes.SETNX, keys, values),
    codes.ERASE: several(codes.ERASE, keys),
    codes.EXTEND: entry(codes.EXTEND, keys, values),
    codes.GETDEL: entry(codes.GETDEL, keys),
    codes.GETEX: entry(codes.GETEX, keys, st.sampled_from((codes.RELATIVE, codes.ABSOLUTE, codes.NEVER_DIES)), moments),
    codes.MGET: several(codes.MGET, keys),
    codes.MSET: several(codes.MSET, keys, values),
    codes.MSETNX: several(codes.MSETNX, keys, values),
    codes.INCRBY: entry(codes.INCRBY, keys, numbers),
    codes.INCRBYFLOAT: entry(codes.INCRBYFLOAT, keys, st.sampled_from((b"1", b"-0.5", b"2.25"))),
    codes.STRLEN: entry(codes.STRLEN, keys),
    codes.GETRANGE: entry(codes.GETRANGE, keys, places, places),
    codes.SETRANGE: entry(codes.SETRANGE, keys, st.integers(0, 7), values),
    codes.EXISTS: several(codes.EXISTS, keys),
    codes.RENAME: entry(codes.RENAME, keys, keys),
    codes.RENAMENX: entry(codes.RENAMENX, keys, keys),
    codes.COPY: entry(codes.COPY, keys, keys, dbs, bits),
    codes.TYPE: entry(codes.TYPE, keys),
    codes.EXPIRE: entry(
        codes.EXPIRE, keys, st.sampled_from((codes.RELATIVE, codes.ABSOLUTE)), moments, st.integers(0, 15)
    ),
    codes.PERSIST: entry(codes.PERSIST, keys),
    codes.TTL: entry(codes.TTL, keys, st.integers(0, 3)),
    codes.KEYS: entry(codes.KEYS, patterns),
    codes.DBSIZE: entry(codes.DBSIZE),
    codes.FLUSHDB: entry(codes.FLUSHDB),
    codes.FLUSHALL: entry(codes.FLUSHALL),
    codes.TIME: entry(codes.TIME),
    codes.SCRIPT: scripts(dbs, keys, BYTES_MAX),
    codes.NOTIFY: entry(codes.NOTIFY, st.sampled_from((b"AnKE", b"AnKE", b"$nK", b"gxE", b"A", b""))),
}
"""Entries of each command that an EXEC may have, by code."""

OLD = st.one_of(
    st.builds(lambda key, value: [codes.PUT, key, value], keys, values),
    st.builds(lambda key, value: [codes.APPEND, key, value, BYTES_MAX], keys, values),
    st.builds(lambda names: [codes.DELETE, *names], st.lists(keys, min_size=1, max_size=3)),
    st.builds(lambda key: [codes.GET, key], keys),
)
COMMANDS = st.one_of(OLD, *(each for code, each in OF_ONE.items() if code in APPLIERS))
WRITES = COMMANDS.filter(lambda each: each[0] in codes.WRITES)
WATCHES = several(codes.WATCH, keys)
EXECS = st.lists(COMMANDS, max_size=3).map(lambda entries: [codes.EXEC, 0, BYTES_MAX, [], entries])
"""What they watch is filled in when they are applied: all that was watched since the last one."""
TOKENS = st.tuples(st.sampled_from((b"p", b"q", b"r", b"#1.0")), st.integers(1, 5))
WITH_TOKENS = st.builds(lambda token, write: [codes.IDMP, *token, write], TOKENS, st.one_of(WRITES, EXECS))
ENTRIES = st.one_of(COMMANDS, COMMANDS, WATCHES, EXECS, WITH_TOKENS, st.just([codes.IDMP_NEW]))
SLOTS = st.tuples(st.sampled_from((0, 0, 1, 2, 10)), st.lists(st.lists(ENTRIES, max_size=4), max_size=2))
"""How much later the stamp is than that of the slot before, and the entries of each batch."""
SMALL = st.fixed_dictionaries(
    {
        "dkv.kv.erasure.ERASED_MAX": st.sampled_from((1, 3, 500)),
        "dkv.kv.erasure.ERASED_BYTES_MAX": st.sampled_from((1, 40, 4 << 20)),
        "dkv.kv.erasure.PAGE_KEYS": st.sampled_from((1, 2, 16)),
        "dkv.kv.appliers.iteration.KEYS_AT_ONCE": st.sampled_from((1, 2, 2_000)),
        "dkv.kv.appliers.iteration.KEY_BYTES_AT_ONCE": st.sampled_from((1, 2, 65_536)),
        "dkv.kv.appliers.iteration.PAGE_BYTES": st.sampled_from((1, 40, 1 << 20)),
        "dkv.kv.keyspace.BACKLOG_MAX": st.sampled_from((1, 1_000)),
        "dkv.kv.transactions.ANSWER_BYTES_MAX": st.sampled_from((40, 32 << 20)),
    }
)


Told = tuple[bool, bool, int, bytes, bytes]
"""An event with the ways in which it is told: by key, by event."""


def events_of(messages: Iterable[KeyEvents]) -> list[Told]:
    """What a learner tells."""
    return [(each.by_key, each.by_event, *event) for each in messages for event in each.events]


def second_events(told: Iterable[tuple[bytes, int, bytes, bytes]]) -> list[Told]:
    """The same as the second state machine has it."""
    return [(b"K" in letters, b"E" in letters, db, event, key) for letters, db, event, key in told]


class ReferenceTests(SynchronousTestCase):
    @given(st.lists(SLOTS, max_size=10), SMALL)
    def test_equal(self, log: list[tuple[int, list[list[list[Any]]]]], small: dict[str, Any]) -> None:
        """A judge that errs accuses production code, or lets it go."""
        with constants(small):
            self.compare([(1, [[[codes.NOTIFY, 0, BYTES_MAX, b"AnKE"]]]), *log])

    def test_flushes_in_transactions(self) -> None:
        """One that has taken nothing is none, nor is one that is undone: its results are too large."""
        put, flush = [codes.PUT, b"a", b""], [codes.FLUSHALL, 0, BYTES_MAX]
        read, execution = [codes.GET, b"a"], [codes.EXEC, 0, BYTES_MAX]
        entries = [
            put,
            [*execution, [], [flush]],
            [*execution, [], [flush]],
            put,
            [*execution, [], [flush, *[read] * 9]],
        ]
        with constants({"dkv.kv.transactions.ANSWER_BYTES_MAX": 40}):
            self.assertEqual(self.compare([(2, [entries])]).flushes, [1])

    def compare(self, log: list[tuple[int, list[list[list[Any]]]]]) -> Reference:
        """Apply the log by both; returns the second one."""
        turn, machine = FakeTurn(), Machine(decode_entries, first_configurations((1,)), BOUNDS)
        machine.start(turn)
        reference = Reference(BOUNDS, MemberTable((1,)))
        stamp = START
        seq = 0
        watched: list[Any] = []
        for slot, (step, batches) in enumerate(log, 1):
            stamp += step - 1  # so that some stamps fall
            found = []
            values = []
            machine.begin_slot(turn, slot, stamp)
            for entries in batches:
                seq += 1
                watched = self.fill_in(entries, watched)
                batch = Batch(1, 2, 3, seq, encode_entries(entries))
                results = machine.apply(turn, batch, True)
                assert results is not None
                found.append((batch, entries, results))
                values.append(batch)
                for each, result in zip(entries, results, strict=True):
                    if isinstance(result, Watched):
                        keys = zip(each[3:], result.revisions, strict=True)
                        watched += [[each[1], key, *revision, result.slot] for key, revision in keys]
            reference.apply(slot, Value(tuple(values), stamp))
            self.assertEqual(events_of(machine.take_events()), second_events(reference.told.get(slot, [])))
            for batch, entries, results in found:
                expected = reference.results[1, 2, 3, batch.seq]
                self.assertTrue(is_same(results, expected), f"{entries}: {results}, not {expected}")
            stored = {key: value for key, value in turn.stored.items() if key[:1] in SUMMED}
            self.assertEqual(stored, reference.state_at(slot))
            flushed = machine._keyspace.databases.numbered[0].flushed
            self.assertEqual(max(reference.flushes, default=0), flushed)
            self.check_reads(machine, turn, reference, slot)
        return reference

    def fill_in(self, entries: list[list[Any]], watched: list[Any]) -> list[Any]:
        """Let each EXEC watch what was watched before it; returns what is left."""
        for each in entries:
            execution = each[3] if each[0] == codes.IDMP else each
            if execution[0] == codes.EXEC:
                execution[3], watched = watched, []
        return watched

    def check_reads(self, machine: Machine, turn: FakeTurn, reference: Reference, slot: int) -> None:
        """Reads between slots find the same in the stored state."""
        state = keys_of(reference.state_at(slot), slot)
        reads: list[list[Any]] = [[codes.GET, b"a"], [codes.WATCH, 1, 0, b"", b"a"], [codes.KEYSPACE, 0, 0]]
        reads += [[codes.READ, 15, 0, b"b"], [codes.DBSIZE, 0, 0], [codes.TIME, 0, 0], [codes.KEYS, 0, 0, b"?"]]
        for read in reads:
            self.assertTrue(is_same(machine.read(turn, [read])[0], execute(state, read)), read)


class SameTests(SynchronousTestCase):
    def test_types_count(self) -> None:
        """A client that is told 1 for OK, or nil for 0, is told something else."""
        for one, other in ((1, True), (None, 0), (b"", None), ([1], [1, 2]), ([[b"a"]], [[b"b"]]), (b"a", [b"a"])):
            self.assertFalse(is_same(one, other))
            self.assertTrue(is_same(one, one))
        self.assertTrue(is_same([b"OK 7"], [UNJUDGED]))
