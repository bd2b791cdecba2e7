"""What a store knows of its node's lives and members."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from dkv.ballot import ZERO, Ballot
from dkv.identity import (
    NO_VOTES,
    STARTS_KEPT,
    Acquaintance,
    Identity,
    Start,
    Votes,
    pack_acquaintance,
    unpack_acquaintance,
)
from dkv.keys import (
    BOOT,
    FIRST_MEMBERS,
    IDENTITY,
    PROMISE,
    SLOT_BALLOT,
    VOTE_COUNT,
    member_key,
    pack_ballot,
    pack_number,
    record_key,
)
from dkv.records import NOOP, SlotRecord, pack_record
from dkv.sim.memory import MemoryStore
from dkv.storage.lives import MembersDiffer, check_members, first_writes, next_life, read_identity, votes_of

NOON = 1_700_000_000


class LivesTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.store = MemoryStore(auto=True)
        self.write(first_writes("c", 1, 0xB1, (3, 1, 2), b"key"))

    def write(self, writes: dict[bytes, bytes] | dict[bytes, bytes | None]) -> None:
        self.store.commit(writes, lambda failure: None)

    def read(self) -> Identity:
        identity = read_identity(self.store)
        assert identity is not None
        return identity

    def age(self, *members: int) -> None:
        """Make it a store of format 2 that has met ``members``."""
        old = {key: self.store.get(key) for key in (IDENTITY,)} | {BOOT: pack_number(7), FIRST_MEMBERS: None}
        self.store = MemoryStore(auto=True)
        self.write(old | {member_key(node): pack_number(0xB0 + node) for node in members})


class NextLife(LivesTestCase):
    def start(self, seconds: float, life: int) -> Identity:
        identity, writes = next_life(self.read(), seconds, life)
        self.write(writes)
        self.assertEqual(self.read(), identity)
        return identity

    def test_is_numbered_by_the_time(self) -> None:
        """Two copies of one directory must not number their batches alike."""
        self.assertEqual(self.start(NOON + 0.9, 5), Identity("c", 1, 0xB1, NOON, b"key", (1, 2, 3), (Start(NOON, 5),)))

    def test_no_number_is_used_twice(self) -> None:
        """Not within one second, nor after a clock was set back."""
        boots = [self.start(seconds, 1 + count).boot for count, seconds in enumerate((NOON, NOON + 0.5, 60.0, 0.0))]
        self.assertEqual(boots, [NOON, NOON + 1, NOON + 2, NOON + 3])

    def test_the_latest_are_kept(self) -> None:
        """A directory that is started for years stays small."""
        for count in range(STARTS_KEPT + 3):
            identity = self.start(NOON + count, 1 + count)
        self.assertEqual([start.life for start in identity.starts], list(range(4, STARTS_KEPT + 4)))

    def test_after_an_older_format(self) -> None:
        """Its count goes on if the clock is behind; its starts have no names."""
        self.age()
        identity = self.start(3.0, 5)
        self.assertEqual((identity.boot, identity.starts), (8, (Start(8, 5),)))


class Members(LivesTestCase):
    def assert_differ(self, members: tuple[int, ...], *words: str) -> None:
        error = self.assertRaises(MembersDiffer, check_members, self.store, self.read(), members)
        for word in words:
            self.assertIn(word, str(error))

    def test_b33_those_of_the_first_start(self) -> None:
        """An edit of the config file must not make a majority of fewer nodes, nor of others."""
        for members in ((2, 3, 1), (1, 2), (1,), (1, 2, 3, 4), (1, 2, 4)):
            self.assertEqual(check_members(self.store, self.read(), members).members, (1, 2, 3))

    def test_an_older_format_that_has_met_nobody(self) -> None:
        """It says nothing of members: those of the config are taken, and kept."""
        self.age()
        identity = check_members(self.store, self.read(), (1, 2, 3))
        self.write(next_life(identity, NOON, 5)[1])
        self.assertEqual(self.read().members, (1, 2, 3))
        self.assertEqual(check_members(self.store, self.read(), (1, 2)).members, (1, 2, 3))

    def test_b33_an_older_format_that_has_met_members(self) -> None:
        """Whom it has met is a member, also before it ever voted."""
        self.age(2, 3)
        self.assert_differ((1, 2), "members are 1, 2, 3")
        self.assertEqual(check_members(self.store, self.read(), (1, 2, 3, 4)).members, (1, 2, 3, 4))

    def test_b33_an_older_format_that_has_voted(self) -> None:
        """It had met all members by then."""
        for key in (PROMISE, SLOT_BALLOT):
            self.age(2, 3)
            self.write({key: pack_ballot(1, 1)})
            self.assert_differ((1, 2, 3, 4), "members are 1, 2, 3", "lists 1, 2, 3, 4")
            self.assertEqual(check_members(self.store, self.read(), (1, 2, 3)).members, (1, 2, 3))

    def test_an_older_format_that_has_only_learned(self) -> None:
        """A node that has not met everybody does not vote, but takes in what the others chose: it must start again."""
        self.age(2, 3)
        self.write({record_key(4): pack_record(SlotRecord(ZERO, NOOP, chosen=True))})
        self.assertEqual(check_members(self.store, self.read(), (1, 2, 3, 4)).members, (1, 2, 3, 4))
        self.assert_differ((1, 2), "members are 1, 2, 3")


class Stored(LivesTestCase):
    def test_votes(self) -> None:
        """The highest ballot of both modes counts, for a node may have run in either."""
        self.assertEqual(votes_of(self.store), NO_VOTES)
        self.write({PROMISE: pack_ballot(3, 1), SLOT_BALLOT: pack_ballot(2, 9), VOTE_COUNT: pack_number(6)})
        self.assertEqual(votes_of(self.store), Votes(Ballot(3, 1), 6))
        self.write({SLOT_BALLOT: pack_ballot(4, 1)})
        self.assertEqual(votes_of(self.store), Votes(Ballot(4, 1), 6))

    def test_nothing(self) -> None:
        """A store that is nobody's says so."""
        self.assertIsNone(read_identity(MemoryStore()))

    def test_names_of_clusters(self) -> None:
        """The name is read as it was given."""
        self.write(first_writes("prod-7.eu", 2**32 - 1, 2**64 - 1, (2**32 - 1,), b""))
        wanted = Identity("prod-7.eu", 2**32 - 1, 2**64 - 1, 0, b"", (2**32 - 1,))
        self.assertEqual(self.read(), replace(wanted, starts=()))

    def test_acquaintances(self) -> None:
        """All that is kept of a member comes back."""
        held = Acquaintance(2**64 - 1, Start(2**63 - 1, 2**64 - 1), Votes(Ballot(2**63 - 1, 2**32 - 1), 2**63 - 1))
        self.assertEqual(unpack_acquaintance(pack_acquaintance(held)), held)
