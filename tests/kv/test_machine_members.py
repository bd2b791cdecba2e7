"""The state machine and the members: a change is part of the state, and only members write."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.configurations import ALPHA, first_configurations, unpack_configurations
from dkv.keys import BATCH_MARK, CONFIGURATIONS
from dkv.kv.asks import UNKNOWN
from dkv.kv.codes import IDMP, MEMBERS, PUT
from dkv.kv.machine import Machine
from dkv.kv.membership import ADD, NAME, PROMOTE, REMOVE
from dkv.records import Batch
from dkv.replies import OK, Error, Simple
from dkv.wire.codec import decode_entries, encode_entries
from tests.turns import FakeTurn

FIRST = first_configurations((1, 2, 3))
NAMED: list[Any] = [[NAME, node, 0xA0 + node] for node in (1, 2, 3)]
CHANGE: list[Any] = [MEMBERS, 0, *NAMED, [ADD, 4, 0xA4, b"", b""], [REMOVE, 3]]
FORCE = 10 + ALPHA
"""The slot from which on the change decides, if it is applied in slot 10."""


class MachineMembers(SynchronousTestCase):
    def setUp(self) -> None:
        self.turn = FakeTurn()
        self.start()

    def start(self) -> None:
        """A machine on the state as it is."""
        self.machine = Machine(decode_entries, FIRST)
        self.machine.start(self.turn)

    def apply(self, slot: int, *batches: Batch) -> list[list[Any] | None]:
        """Apply a slot; the results of each batch."""
        self.machine.begin_slot(self.turn, slot, 0)
        return [self.machine.apply(self.turn, each, True) for each in batches]

    def write(self, slot: int, node: int, seq: int, *entries: Any, incarnation: int = 9) -> Any:
        """Apply a slot with one batch of ``node``; what it brings."""
        blob = encode_entries(list(entries) or [[PUT, b"k", b"%d" % seq]])
        (results,) = self.apply(slot, Batch(node, incarnation, 1, seq, blob))
        return results

    def marks(self) -> set[tuple[int, int]]:
        """The origins, by node and incarnation, whose last batch is stored; what is in memory is the same."""
        held = {key for key in {**self.turn.stored, **self.turn.staged} if key[:1] == BATCH_MARK}
        stored = {
            (int.from_bytes(key[1:5]), int.from_bytes(key[5:])) for key in held if self.turn.load(key) is not None
        }
        self.assertEqual(stored, {origin[:2] for origin in self.machine.origins()})
        return stored

    def test_stored_with_its_slot(self) -> None:
        """A change is in the state that its slot leads to, also while it has yet to take force: restarts, snapshots."""
        self.assertEqual(self.write(10, 1, 1, CHANGE), [Simple("OK 10")])
        self.assertEqual(unpack_configurations(self.turn.load(CONFIGURATIONS) or b""), self.machine.configurations)
        made = self.machine.configurations
        self.assertEqual((made.in_force(10).voters, made.newest.from_slot), ({1, 2, 3}, FORCE))
        self.start()
        self.assertEqual(self.machine.configurations, made)

    def test_nothing_is_stored_before(self) -> None:
        """Nodes come to this version at different slots: their states must be equal."""
        self.write(10, 1, 1)
        self.assertIsNone(self.turn.load(CONFIGURATIONS))
        self.assertIs(self.machine.configurations, FIRST)

    def test_refused(self) -> None:
        """A second change at one base is answered by an error that its client sees, and leaves no trace."""
        self.write(10, 1, 1, CHANGE)
        stored = self.turn.load(CONFIGURATIONS)
        (refusal,) = self.write(11, 2, 1, [MEMBERS, 0, [REMOVE, 2]])
        self.assertIs(type(refusal), Error)
        self.assertEqual(self.turn.load(CONFIGURATIONS), stored)
        self.assertEqual(self.machine.executed, 1)

    def test_no_token(self) -> None:
        """A change rests on a base, which makes it happen once: it takes no token."""
        self.assertEqual(self.write(10, 1, 1, [IDMP, b"p", 1, CHANGE]), [UNKNOWN])

    def test_another_state_takes_its_place(self) -> None:
        """A snapshot brings the members of its own slot."""
        self.write(10, 1, 1, CHANGE)
        self.turn.stored = {key: value for key, value in self.turn.stored.items() if key[:1] != CONFIGURATIONS}
        self.turn.staged.clear()
        self.machine.start(self.turn)
        self.assertIs(self.machine.configurations, FIRST)


class OriginTests(MachineMembers):
    """Only batches of members under the set that decides a slot take effect in it, once."""

    def test_until_it_takes_force(self) -> None:
        """A member that is to leave goes on writing until then, and its repeats are repeats (its mark is there)."""
        self.write(9, 3, 1)
        self.write(10, 1, 1, CHANGE)
        self.assertIsNone(self.write(11, 3, 1))
        self.assertEqual(self.write(FORCE - 1, 3, 2), [OK])
        self.assertEqual(self.marks(), {(1, 9), (3, 9)})
        self.assertIsNone(self.write(FORCE, 3, 3))

    def test_marks_go_in_an_empty_slot(self) -> None:
        """The marks of all incarnations go at one slot, whether a batch is in it: states must be equal after it."""
        self.write(8, 3, 1)
        self.write(9, 3, 1, incarnation=7)
        self.write(10, 1, 1, CHANGE)
        self.apply(FORCE - 1)
        self.assertEqual(self.marks(), {(1, 9), (3, 7), (3, 9)})
        self.apply(FORCE)
        self.assertEqual(self.marks(), {(1, 9)})

    def test_late_first_batch(self) -> None:
        """A batch of a member that left, whose mark is gone, would take effect again as its first one."""
        self.write(9, 3, 1)
        self.write(10, 1, 1, CHANGE)
        self.assertIsNone(self.write(FORCE + 5, 3, 1))
        self.assertEqual(self.marks(), {(1, 9)})
        self.assertEqual((self.turn.load(b"S\0k") or b"")[1:9], (9).to_bytes(8), "the slot that changed the key")

    def test_a_new_member_writes_once_it_is_in_force(self) -> None:
        """Also a standby has clients. What it sent too early is skipped, on every node, and leaves no mark."""
        self.write(10, 1, 1, CHANGE)
        self.assertIsNone(self.write(FORCE - 1, 4, 1))
        self.assertEqual(self.write(FORCE, 4, 1), [OK])
        self.assertEqual(self.write(FORCE + 1, 1, 2, [MEMBERS, 10, [PROMOTE, 4]]), [Simple(f"OK {FORCE + 1}")])
        self.assertEqual(self.write(FORCE + 2, 4, 2), [OK])

    def test_strangers(self) -> None:
        """Nobody writes who never was a member."""
        self.assertIsNone(self.write(1, 4, 1))
        self.assertEqual(self.marks(), set())

    def test_restart_right_before(self) -> None:
        """A node that starts between the two slots drops the marks like all others."""
        self.write(9, 3, 1)
        self.write(10, 1, 1, CHANGE)
        self.apply(FORCE - 1)
        self.start()
        self.assertEqual(self.marks(), {(1, 9), (3, 9)})
        self.assertIsNone(self.write(FORCE, 3, 2))
        self.assertEqual(self.marks(), {(1, 9)})

    def test_two_batches_in_the_slot_of_a_change(self) -> None:
        """Those behind the change, in its own slot, are of the old set still."""
        blob = encode_entries([[PUT, b"k", b"3"]])
        first = Batch(1, 9, 1, 1, encode_entries([CHANGE]))
        results = self.apply(10, first, Batch(3, 9, 1, 1, blob), Batch(4, 9, 1, 1, blob))
        self.assertEqual(results, [[Simple("OK 10")], [OK], None])
