"""What is too much at once is not done at all, on any node, and whatever else a node remembers of its keys."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.configurations import first_configurations
from dkv.kv import codes
from dkv.kv.effort import LOOK, TOO_MUCH
from dkv.kv.machine import Machine
from dkv.records import Batch
from dkv.wire.codec import decode_entries, encode_entries
from tests.sim.test_reference import COMMANDS
from tests.turns import FakeTurn

START = 1_000
ROOM = 1 << 20

SEARCHES = st.one_of(
    st.builds(lambda number: [codes.RANDOMKEY, 0, ROOM, number], st.integers(0, 99)),
    st.just([codes.KEYS, 0, ROOM, b"*"]),
)
TRANSACTIONS = st.lists(st.one_of(COMMANDS, COMMANDS, SEARCHES), max_size=8)


class Node:
    """A machine. ``forgetful``: its process begins anew before each slot."""

    def __init__(self, forgetful: bool = False) -> None:
        self.turn = FakeTurn()
        self._forgetful = forgetful
        self._slot = 0
        self._start()

    def _start(self) -> None:
        self.machine = Machine(decode_entries, first_configurations((1,)))
        self.machine.start(self.turn)

    def apply(self, *entries: list[Any]) -> Any:
        """The results of entries in the next slot."""
        self._slot += 1
        if self._forgetful:
            self.turn.stored[b"A"] = self._slot.to_bytes(8, "big")
            self._start()
        self.machine.begin_slot(self.turn, self._slot, START + self._slot)
        return self.machine.apply(self.turn, Batch(1, 2, 3, self._slot, encode_entries([*entries])), True)

    def stored(self) -> dict[bytes, bytes]:
        """What the disk will have of the keys."""
        return {key: value for key, value in self.turn.stored.items() if key[:1] in b"SEZU"}


def transaction(entries: list[list[Any]]) -> list[Any]:
    """One entry for all of them."""
    return [codes.EXEC, 0, ROOM, [], entries]


class EffortTests(SynchronousTestCase):
    @given(st.lists(st.tuples(TRANSACTIONS, st.integers(0, 60)), max_size=6))
    def test_as_if_it_had_not_been(self, log: list[tuple[list[list[Any]], int]]) -> None:
        """A transaction that is too much leaves no trace, in the state or in memory. Nodes that restart agree."""
        node, forgetful, without = Node(), Node(forgetful=True), Node()
        for entries, looks in log:
            with patch("dkv.kv.effort.EFFORT_MAX", looks * LOOK):
                results = node.apply(transaction(entries))
                self.assertEqual(results, forgetful.apply(transaction(entries)))
            refused = results == [TOO_MUCH]
            without.apply(*([] if refused else [transaction(entries)]))
            self.assertEqual(node.stored(), without.stored())
            self.assertEqual(node.stored(), forgetful.stored())
            self.assertEqual(node.machine.counted(), without.machine.counted())
            self.assertEqual(node.machine.executed, without.machine.executed)

    def test_writes_that_were_known(self) -> None:
        """A key that a refused transaction has made, or made immortal, is counted rightly when it is written."""
        node = Node()
        node.apply([codes.SET, 0, ROOM, b"mortal", b"v", 0, b"", codes.RELATIVE, 9_000, 0])
        with patch("dkv.kv.effort.EFFORT_MAX", 20 * LOOK):
            refused = [
                [codes.PUT, b"new", b"v"],
                [codes.PUT, b"mortal", b"v"],
                [codes.APPEND, b"k", bytes(30_000), ROOM],
            ]
            self.assertEqual(node.apply(transaction(refused)), [TOO_MUCH])
        self.assertEqual(node.machine.counted(), [(0, 1, 1)])
        node.apply([codes.PUT, b"new", b"v"], [codes.PUT, b"mortal", b"v"])
        self.assertEqual(node.machine.counted(), [(0, 2, 0)])

    def test_memory_counts_for_nothing(self) -> None:
        """A node that has just started must read a value that others know of. It refuses what they refuse."""
        for forgetful in (False, True):
            node = Node(forgetful)
            node.apply([codes.PUT, b"k", bytes(9 * LOOK)])
            with patch("dkv.kv.effort.EFFORT_MAX", 8 * LOOK):
                self.assertEqual(node.apply(transaction([[codes.PUT, b"k", b"v"]])), [TOO_MUCH])

    def test_many_keys(self) -> None:
        """A command on many keys may have to read a lot. One of an older version is done, as that version does it."""
        node = Node()
        names = [b"%d" % number for number in range(40)]
        node.apply(*([codes.PUT, name, bytes(2 * LOOK)] for name in names))
        with patch("dkv.kv.effort.EFFORT_MAX", 100 * LOOK):
            for refused in (
                [codes.ERASE, 0, ROOM, *names],
                [codes.EXISTS, 0, ROOM, *names],
                [codes.MSET, 0, ROOM, *(word for name in names for word in (name, b"v"))],
                [codes.IDMP, b"p", 1, [codes.ERASE, 0, ROOM, *names]],
            ):
                self.assertEqual(node.apply(refused), [TOO_MUCH])
            self.assertEqual(node.machine.read(node.turn, [[codes.MGET, 0, ROOM, *names]]), [TOO_MUCH])
            self.assertEqual(node.apply([codes.EXISTS, 0, ROOM, *names[:20]]), [20])
            self.assertEqual(node.apply([codes.DELETE, *names]), [40])

    def test_a_repeat_is_refused_alike(self) -> None:
        """The refusal is the answer of its token: a client that sends it again must not find half of it done."""
        node = Node()
        write = [codes.IDMP, b"p", 1, transaction([[codes.PUT, b"k", b"v"]] * 9)]
        with patch("dkv.kv.effort.EFFORT_MAX", 9 * LOOK):
            self.assertEqual(node.apply(write), [TOO_MUCH])
        self.assertEqual(node.apply(write), [TOO_MUCH])
        self.assertEqual(node.apply([codes.GET, b"k"]), [None])
