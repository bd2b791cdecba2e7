"""A census of a state: what it counts, and that it notices a pair which no state machine wrote."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.trial.unittest import SynchronousTestCase

from dkv.configurations import first_configurations
from dkv.keys import APPLIED_THROUGH, CLUSTER_KEY, CONFIGURATIONS, DATABASES_KEY, DIGEST, RECORD, STATE, pack_number
from dkv.kv.census import Census, StateDamaged
from dkv.kv.codes import DELETE, IDMP, MEMBERS, PUT
from dkv.kv.expiry import deadline_key
from dkv.kv.machine import Machine
from dkv.kv.membership import NAME, REMOVE
from dkv.kv.stored import string_header
from dkv.kv.tombstones import bucket_key
from dkv.records import Argument, Batch, Entry
from dkv.wire.codec import decode_entries, encode_entries
from tests.kv.one_keyspace import OneKeyspace
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


def census_of(pairs: dict[bytes, bytes]) -> Census:
    """The census of pairs in the order of their keys."""
    census = Census()
    for key, value in sorted(pairs.items()):
        census.add(key, value)
    census.finish()
    return census


class CensusTests(SynchronousTestCase):
    def test_counts(self) -> None:
        """An operator compares these numbers with what was to be saved."""
        found = census_of(a_state())
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
            error = self.assertRaises(StateDamaged, census_of, state | {key: value})
            self.assertIn(repr(key), str(error))
        for key in state:
            self.assertRaises(StateDamaged, census_of, state | {key: b"\xff"})

    def test_change_from_the_future(self) -> None:
        """A value that is newer than the state cannot be of this state."""
        state = a_state() | {APPLIED_THROUGH: pack_number(2)}
        text = "slot 3 has changed something"
        self.assertIn(text, str(self.assertRaises(StateDamaged, census_of, state)))
        members_alone = {key: state[key] for key in (APPLIED_THROUGH, CONFIGURATIONS)}
        self.assertIn(text, str(self.assertRaises(StateDamaged, census_of, members_alone)))

    def test_lost_answer(self) -> None:
        """Without its answer a write with a token would happen twice."""
        state = a_state()
        answer = next(key for key in state if key.startswith(b"TA"))
        del state[answer]
        self.assertIn("count 3 answers, and there are 2", str(self.assertRaises(StateDamaged, census_of, state)))


class CountTests(SynchronousTestCase):
    """What the state machine keeps twice: the census compares it."""

    def setUp(self) -> None:
        self.one = OneKeyspace()
        self.one.put(b"a", 5_000)
        self.one.put(b"b")
        self.one.put(b"c", 6_000, db=1)
        self.one.put(b"d", db=1)
        self.one.keyspace.flush(range(1, 2))
        self.one.put(b"e", db=1)
        self.one.keyspace.settle(self.one.turn)
        self.state = self.one.turn.stored

    def damaged(self, changes: Mapping[bytes, bytes | None]) -> str:
        """What is said of the state with these changes."""
        pairs = {key: value for key, value in (self.state | dict(changes)).items() if value is not None}
        return str(self.assertRaises(StateDamaged, census_of, pairs))

    def test_databases(self) -> None:
        """Keys that are flushed and stored still are no keys any more."""
        found = census_of(self.state)
        self.assertEqual((found.keys, found.time), (3, 1_000))
        assert found.databases is not None
        self.assertEqual([(each.keys, each.mortal) for each in found.databases.numbered[:3]], [(2, 1), (1, 0), (0, 0)])
        self.assertEqual(found.databases.flushed, {1: 2})

    def test_what_does_not_agree(self) -> None:
        """A key that nobody counts, one that is lost, and a deadline that one side alone knows."""
        value = string_header(1, 0)
        self.assertIn("database 0 counts 2 keys, 1 with a deadline, and there are 3", self.damaged({b"S\0z": value}))
        self.assertIn("database 0 counts 2 keys, 1 with a deadline, and there are 1", self.damaged({b"S\0b": None}))
        changes: Mapping[bytes, bytes | None]
        for changes in ({b"S\x01z": value}, {b"S\x01d": None}, {b"S\xf5z": value}):
            self.assertIn("other keys of flushed databases", self.damaged(changes))
        entry = deadline_key(5_000, b"\0a")
        others = {entry: None}, {deadline_key(7_000, b"\0a"): b""}, {b"S\0a": value}, {b"S\0b": string_header(1, 0, 9)}
        for changes in ({entry: None, deadline_key(5_001, b"\0a"): b""}, *others):
            self.assertIn("the index of deadlines", self.damaged(changes))
        self.assertIn("database 0 counts 0 keys", self.damaged({DATABASES_KEY: None}))

    def test_an_erasure_from_the_future(self) -> None:
        """A mark that is newer than the state cannot be of this state."""
        self.one.keyspace.erase(self.one.turn, 0, b"b")
        self.one.keyspace.settle(self.one.turn)
        self.assertIn("slot 1 has changed", self.damaged({APPLIED_THROUGH: pack_number(0)}))
        mark = bucket_key(0, b"b")
        self.assertIn("slot 9 has changed something", self.damaged({mark: pack_number(9)}))

    def test_a_state_of_format_5(self) -> None:
        """Nobody has counted its keys, and it has no time."""
        state = {APPLIED_THROUGH: pack_number(1), b"S\0a": string_header(1, 0), b"S\0b": string_header(1, 1)}
        self.assertEqual(census_of(state).keys, 2)
