"""A census of a state: what it counts, and that it notices a pair which no state machine wrote."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.configurations import first_configurations
from dkv.keys import APPLIED_THROUGH, CLUSTER_KEY, CONFIGURATIONS, DIGEST, RECORD, STATE, pack_number
from dkv.kv.census import Census, StateDamaged
from dkv.kv.codes import DELETE, IDMP, MEMBERS, PUT
from dkv.kv.machine import Machine
from dkv.kv.membership import NAME, REMOVE
from dkv.records import Argument, Batch, Entry
from dkv.wire.codec import decode_entries, encode_entries
from tests.turns import FakeTurn

NAMED: list[Argument] = [[NAME, node, node] for node in (1, 2, 3)]


def a_state() -> dict[bytes, bytes]:
    """What three slots of a machine amount to."""
    turn, machine = FakeTurn(), Machine(decode_entries, first_configurations((1, 2, 3)))
    writes: tuple[list[Entry], ...] = (
        [[PUT, b"a", b"1"], [PUT, b"bb", b"22"]],
        [[IDMP, b"alice", 1, [PUT, b"c", b"333"]], [IDMP, b"bob", 7, [DELETE, b"a"]]],
        [[IDMP, b"alice", 2, [PUT, b"c", b"4444"]], [MEMBERS, 0, *NAMED, [REMOVE, 3]]],
    )
    for slot, entries in enumerate(writes, 1):
        machine.begin_slot(turn, slot, 1_000 + slot)
        machine.apply(turn, Batch(1, 5, 6, slot, encode_entries(entries)), False)
    pairs = {key: value for key, value in turn.staged.items() if value is not None}
    return dict(sorted((pairs | {APPLIED_THROUGH: pack_number(3), DIGEST: bytes(16)}).items()))


class CensusTests(SynchronousTestCase):
    def census(self, pairs: dict[bytes, bytes]) -> Census:
        """The census of pairs in the order of their keys."""
        census = Census()
        for key, value in sorted(pairs.items()):
            census.add(key, value)
        census.finish()
        return census

    def test_counts(self) -> None:
        """An operator compares these numbers with what was to be saved."""
        found = self.census(a_state())
        self.assertEqual((found.keys, found.key_bytes, found.value_bytes), (2, 3, 6))
        self.assertEqual((found.producers, found.answers, found.origins), (2, 3, 1))
        assert found.configurations is not None
        self.assertEqual(found.configurations.newest.voters, {1, 2})
        self.assertEqual((found.applied_through, found.latest_change, found.digest), (3, 3, bytes(16)))

    def test_order(self) -> None:
        """A chunk that comes twice, or two in the wrong order, would be restored as it is."""
        census = Census()
        census.add(APPLIED_THROUGH, pack_number(1))
        self.assertRaises(StateDamaged, census.add, APPLIED_THROUGH, pack_number(1))

    def test_strange_pairs(self) -> None:
        """Keys of the log in a state, and values of another form, are damage: a node would fail on them later."""
        state = a_state()
        strange = {
            RECORD + bytes(8): b"",
            CLUSTER_KEY: bytes(16),
            b"T?": b"",
            b"B1": b"",
            STATE: b"",
            b"S\1k": b"",
            b"E1": b"1",
            b"Z": b"",
        }
        for key, value in strange.items():
            error = self.assertRaises(StateDamaged, self.census, state | {key: value})
            self.assertIn(repr(key), str(error))
        for key in state:
            self.assertRaises(StateDamaged, self.census, state | {key: b"\xff"})

    def test_change_from_the_future(self) -> None:
        """A value that is newer than the state cannot be of this state."""
        state = a_state() | {APPLIED_THROUGH: pack_number(2)}
        text = "slot 3 has changed something"
        self.assertIn(text, str(self.assertRaises(StateDamaged, self.census, state)))
        members_alone = {key: state[key] for key in (APPLIED_THROUGH, CONFIGURATIONS)}
        self.assertIn(text, str(self.assertRaises(StateDamaged, self.census, members_alone)))

    def test_lost_answer(self) -> None:
        """Without its answer a write with a token would happen twice."""
        state = a_state()
        answer = next(key for key in state if key.startswith(b"TA"))
        del state[answer]
        self.assertIn("count 3 answers, and there are 2", str(self.assertRaises(StateDamaged, self.census, state)))
