"""The judge's own view of the members: sets that follow from the log, and votes that are counted by them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from unittest.mock import patch

from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from dkv.ballot import Ballot
from dkv.configurations import Configurations, first_configurations, pack_configurations
from dkv.kv.codes import MEMBERS, PUT
from dkv.kv.membership import changed
from dkv.kv.sessions import BOUNDS
from dkv.records import NOOP, Batch, Entry, Value
from dkv.sim.chosen import Chosen
from dkv.sim.member_rules import ADD, MOVE, NAME, PROMOTE, REMOVE, MemberTable
from dkv.wire.codec import encode_entries
from tests.kv.test_membership import LOGS

ALPHA = 3
ONE = Ballot(1, 1)
NAMES: list[list[Any]] = [[NAME, 1, 11], [NAME, 2, 12], [NAME, 3, 13]]


class MemberTableTests(SynchronousTestCase):
    """A judge that counts by the wrong set calls a safe cluster broken, or a broken one safe."""

    def setUp(self) -> None:
        patcher = patch("dkv.configurations.ALPHA", ALPHA)
        patcher.start()
        self.addCleanup(patcher.stop)
        self.table = MemberTable((1, 2, 3))

    def apply(self, slot: int, *operations: list[Any], base: int = 0) -> bool:
        return self.table.apply(slot, [base, *operations])

    def test_in_force_after_alpha(self) -> None:
        """Slots before that may be under way already, by the set before."""
        self.assertTrue(self.apply(5, *NAMES, [REMOVE, 3], [ADD, 4, 14, b"", b""], [PROMOTE, 4]))
        self.assertEqual(self.table.config(7).voters, {1, 2, 3})
        self.assertEqual(self.table.config(8).voters, {1, 2, 4})
        self.assertEqual([len(self.table.configs(*each)) for each in ((1, 7), (7, 8), (8, 9), (1, 20))], [1, 2, 1, 2])

    def test_one_at_a_time(self) -> None:
        """A second change while one is pending is refused, and so is one that rests on an older set."""
        self.assertTrue(self.apply(5, *NAMES, [ADD, 4, 14, b"", b""]))
        self.assertFalse(self.apply(6, [PROMOTE, 4], base=5))
        self.assertFalse(self.apply(8, [PROMOTE, 4]))
        self.assertTrue(self.apply(8, [PROMOTE, 4], base=5))

    def test_refused(self) -> None:
        """All of an entry takes effect, or nothing."""
        refused: list[list[list[Any]]] = [
            [],
            [[ADD, 4, 14, b"", b""]],
            [*NAMES, [ADD, 3, 14, b"", b""]],
            [*NAMES, [PROMOTE, 3]],
            [*NAMES, [PROMOTE, 4]],
            [*NAMES, [REMOVE, 4]],
            [*NAMES, [REMOVE, 1], [REMOVE, 2], [REMOVE, 3]],
            [*NAMES, [REMOVE, 1], [REMOVE, 1]],
            [*NAMES, [MOVE, 4, b"a:1", b"a:2"]],
            [*NAMES, [0, 4]],
            [*NAMES, [ADD, 4, 14]],
        ]
        for operations in refused:
            self.assertFalse(self.apply(5, *operations), operations)
        self.assertEqual((len(self.table.sets), self.table.records, self.table.ids_through), (1, {}, 3))

    def test_an_id_is_never_used_again(self) -> None:
        """Also not that of a member who came and left."""
        self.assertTrue(self.apply(1, *NAMES, [ADD, 7, 17, b"", b""]))
        self.assertTrue(self.apply(5, [REMOVE, 7], base=1))
        for node in (4, 7):
            self.assertFalse(self.apply(9, [ADD, node, 20, b"", b""], base=5))
        self.assertTrue(self.apply(9, [ADD, 8, 20, b"", b""], base=5))


def batch(node: int, seq: int, *entries: Entry) -> Value:
    return Value((Batch(node, 10 + node, 1, seq, encode_entries(list(entries))),))


class CountingTests(SynchronousTestCase):
    """Votes are counted by the set that decides their slot, and only once that is known."""

    def setUp(self) -> None:
        patcher = patch("dkv.configurations.ALPHA", ALPHA)
        patcher.start()
        self.addCleanup(patcher.stop)
        self.chosen = Chosen((1, 2, 3), BOUNDS)

    def vote(self, slot: int, value: Value, *nodes: int, ballot: Ballot = ONE) -> None:
        for node in nodes:
            self.assertIsNone(self.chosen.voted(node, slot, ballot, value))

    def change(self, slot: int) -> None:
        """The set 1, 2, 3 is followed by 3, 4, 5."""
        new: list[Entry] = [[ADD, 4, 14, b"", b""], [ADD, 5, 15, b"", b""], [PROMOTE, 4], [PROMOTE, 5]]
        self.vote(slot, batch(1, 1, [MEMBERS, 0, *NAMES, *new, [REMOVE, 1], [REMOVE, 2]]), 1, 2)

    def test_votes_wait(self) -> None:
        """A quorum of the set before chooses nothing in a slot of the next one, whenever its votes came."""
        self.vote(4, NOOP, 1, 2)
        self.vote(2, NOOP, 1, 2)
        self.assertEqual((self.chosen.config(4), self.chosen.through), (None, 0))
        self.change(1)
        self.assertEqual(self.chosen.through, 2)
        self.assertEqual(self.chosen.config(4).voters, {3, 4, 5})  # type: ignore[union-attr]  # it is known
        self.assertNotIn(4, self.chosen.values)
        self.vote(3, NOOP, 1, 3)
        self.vote(4, NOOP, 3)
        self.assertEqual(self.chosen.through, 3)
        self.vote(4, NOOP, 5)
        self.assertEqual(self.chosen.through, 4)

    def test_two_values(self) -> None:
        """Two sets that each take a slot for theirs are found, also if the votes came before it was known whose."""
        self.vote(4, batch(3, 1, [PUT, b"k", b"v"]), 3, 4, ballot=Ballot(2, 3))
        self.vote(4, NOOP, 3, 4)
        for slot in (2, 3):
            self.vote(slot, NOOP, 1, 2)
        self.chosen.voted(1, 1, ONE, self._change())
        self.assertIn("two chosen values", self.chosen.voted(2, 1, ONE, self._change()) or "")

    def _change(self) -> Value:
        return batch(1, 1, [MEMBERS, 0, *NAMES, [ADD, 4, 14, b"", b""], [PROMOTE, 4], [REMOVE, 1]])

    def test_only_members_write(self) -> None:
        """A batch of one that is no member yet, or not any more, takes no effect; its marks go with it."""
        self.vote(1, batch(4, 1, [PUT, b"early", b"v"]), 1, 2)
        self.change(2)
        for slot in (3, 4):
            self.vote(slot, batch(2, slot - 2, [PUT, b"k", b"%d" % slot]), 1, 2)
        marks = [self.chosen.reference.state_at(slot) for slot in range(5)]
        self.assertEqual([len(after) - len(before) for before, after in pairwise(marks)], [0, 2, 3, 0])
        self.vote(5, batch(2, 3, [PUT, b"late", b"v"]), 3, 4)
        state = self.chosen.reference.state_at(5)
        self.assertFalse(any(b"late" in key or b"early" in key for key in state))
        self.assertEqual(len(state), 3)
        self.assertEqual(set(self.chosen.batches), {(1, 11, 1, 1), (2, 12, 1, 1), (2, 12, 1, 2)})


class SecondVersionTests(SynchronousTestCase):
    """The judge and the product have read the same rules and written them apart: they must agree on any log."""

    @given(LOGS)
    def test_any_log(self, log: list[tuple[int, list[Any]]]) -> None:
        """A rule that one of them has and the other one lacks lets two nodes count by two sets."""
        held, table, slot = first_configurations((1, 2, 3)), MemberTable((1, 2, 3)), 0
        for distance, operations in log:
            slot += distance
            change = [held.newest.slot, *operations]
            made = changed(held, slot, [MEMBERS, *change])
            self.assertEqual(table.apply(slot, change), isinstance(made, Configurations), operations)
            if isinstance(made, Configurations):
                held = made
                self.assertEqual(table.stored(), pack_configurations(held))
                self.assertEqual(
                    [table.config(each) for each in (slot, slot + 64)], [held.of(slot), held.of(slot + 64)]
                )
