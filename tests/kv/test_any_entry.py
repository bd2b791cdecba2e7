"""Any entry of any code, with any arguments: no node fails at it, and all nodes do the same.

An entry that stops one node stops every node, for ever. One that leaves two states behind makes nodes fence themselves.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.configurations import first_configurations
from dkv.keys import APPLIED_THROUGH, pack_number
from dkv.kv import codes
from dkv.kv.census import Census
from dkv.kv.codes import EXEC, IDMP, NOTIFY, READS, UNIFORM_FROM
from dkv.kv.machine import Machine
from dkv.records import Batch
from tests.kv import entries
from tests.kv.entries import READS_OF_ONE_NODE, SETTINGS, WRITES
from tests.turns import FakeTurn

CODES = range(UNIFORM_FROM, codes.NOTIFY + 1)
NUMBERS = st.one_of(
    st.integers(-2, 20), st.sampled_from([2**31, 2**63 - 1, 2**63, -(2**63), 2**64 - 1, 2**64, 1_000, 1_005])
)
BYTES = st.one_of(
    st.sampled_from(
        [b"a", b"b", b"", b"1", b"-9223372036854775808", b"1e400", b"nan", b"0.1", b"*", b"[a-", b"string"]
    ),
    st.binary(max_size=6),
)
ARGUMENTS = st.recursive(
    st.one_of(NUMBERS, BYTES, BYTES, st.none(), st.booleans(), st.floats(), st.text(max_size=2)),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
DBS = st.one_of(st.sampled_from([0, 0, 0, 1, 15, 16, -1]), ARGUMENTS)
KEYS = st.sampled_from([b"a", b"b"])
NEAR = st.one_of(NUMBERS, BYTES)
"""What comes near to arguments of commands, so that many of the entries are some."""

COMMANDS = st.one_of(
    st.builds(lambda code, db, most, rest: [code, db, most, *rest],
              st.sampled_from(CODES), DBS, st.one_of(st.just(100), ARGUMENTS), st.lists(ARGUMENTS, max_size=7)),
    st.builds(lambda code, db, key, rest: [code, db, 100, key, *rest],
              st.sampled_from(CODES), st.sampled_from([0, 1]), KEYS, st.lists(NEAR, max_size=6)),
    st.builds(lambda code, db: [code, db, 100], st.sampled_from(CODES), st.sampled_from([0, 1])),
)  # fmt: skip
WATCHED = st.lists(st.tuples(DBS, KEYS, NUMBERS, NUMBERS, NUMBERS).map(list), max_size=2)
EXECS = st.builds(lambda watched, entries: [EXEC, 0, 100, watched, entries],
                  st.one_of(st.just([]), WATCHED, ARGUMENTS), st.lists(COMMANDS, max_size=3))  # fmt: skip
WITH_TOKENS = st.builds(lambda op, write: [IDMP, b"p", op, write], st.integers(1, 3), st.one_of(COMMANDS, EXECS))
SLOTS = st.lists(st.lists(st.one_of(COMMANDS, COMMANDS, EXECS, WITH_TOKENS), max_size=4), max_size=6)

REAL_COMMANDS = st.one_of(WRITES, WRITES, WRITES, entries.READS, entries.READS, SETTINGS)
REAL_EXECS = st.builds(lambda commands: [EXEC, 0, 100, [], commands], st.lists(REAL_COMMANDS, max_size=4))
REAL_TOKENS = st.builds(lambda op, write: [IDMP, b"p", op, write], st.integers(1, 9), st.one_of(WRITES, REAL_EXECS))
REAL_SLOTS = st.lists(
    st.lists(st.one_of(REAL_COMMANDS, REAL_COMMANDS, READS_OF_ONE_NODE, REAL_EXECS, REAL_TOKENS), max_size=6),
    max_size=9,
)
FORGETFUL = {
    "dkv.kv.expiry.FRONT_MAX": 1,
    "dkv.kv.plain_keys.PLACES": 2,
    "dkv.kv.key_filter.BLOCKS": 1,
    "dkv.kv.key_filter.GROWTH": 1,
    "dkv.kv.key_filter.PAGE_KEYS": 1,
}
"""Constants of a machine that keeps next to nothing in memory."""


class AnyEntryTests(SynchronousTestCase):
    def compare(self, log: list[list[Any]], restart: int, erased_max: int) -> None:
        """Three nodes apply the log: one where the clients wait, another one, and one that restarts and forgets."""
        batch: list[Any] = []
        turns = FakeTurn(), FakeTurn(), FakeTurn()
        machines = [Machine(lambda blob: batch, first_configurations((1,))) for _ in turns]
        for machine, turn in zip(machines, turns, strict=True):
            machine.start(turn)
        for slot, each in enumerate(log, 1):
            batch[:] = each
            answers, told = [], []
            for number, (machine, turn) in enumerate(zip(machines, turns, strict=True)):
                with ExitStack() as stack:
                    constants = {"dkv.kv.erasure.ERASED_MAX": erased_max} | (FORGETFUL if number == 2 else {})
                    for name, value in constants.items():
                        stack.enter_context(patch(name, value))
                    if number == 2 and slot % restart == 0:
                        machine.start(turn)
                    machine.begin_slot(turn, slot, 1_000 + slot)
                    answers.append(machine.apply(turn, Batch(1, 1, 1, slot, b""), number == 0))
                turn.stage(APPLIED_THROUGH, pack_number(slot))
                told.append(machine.take_events())
            own, *others = answers
            assert own is not None
            self.assertEqual(len(own), len(batch))
            for other in others:
                assert other is not None
                for entry, here, there in zip(batch, own, other, strict=True):
                    self.assertEqual(there, None if entry[0] in READS else here, entry)
            self.assertEqual(told[0], told[1])
            self.assertEqual(told[0], told[2])
            self.assertEqual(turns[0].stored, turns[1].stored)
            self.assertEqual(turns[0].stored, turns[2].stored)
        census = Census()
        for key, stored in sorted(turns[0].stored.items()):
            census.add(key, stored)
        census.finish()

    @given(SLOTS, st.integers(1, 3))
    def test_all_nodes_agree_on_anything(self, log: list[list[Any]], restart: int) -> None:
        """Equal states, and equal results of writes, whatever stands in the log."""
        self.compare(log, restart, 500)

    @given(REAL_SLOTS, st.integers(1, 3), st.sampled_from([1, 500]))
    def test_all_nodes_agree_on_commands(self, log: list[list[Any]], restart: int, erased_max: int) -> None:
        """The same for what clients ask; what is counted is right, and all have the same events of keys."""
        self.compare([[[NOTIFY, 0, 100, b"AnKE"]], *log], restart, erased_max)

    @given(COMMANDS)
    def test_reads_change_nothing(self, command: list[Any]) -> None:
        """A read that one node evaluates, and others do not, must not make its state another one."""
        if command[0] in READS:
            turn, machine = FakeTurn(), Machine(lambda blob: None, first_configurations((1,)))
            machine.start(turn)
            self.assertEqual(len(machine.read(turn, [command])), 1)
            self.assertEqual(turn.staged, {})
