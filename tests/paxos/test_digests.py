"""Digests: nodes that applied different logs find out, and the one that cannot be right gives up."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import LEARNER, Address, Fenced
from dkv.configurations import Configuration, Configurations, first_configurations
from dkv.events import MembersAre
from dkv.keys import DIGEST
from dkv.paxos import digests
from dkv.paxos.digests import Digests
from dkv.paxos.known_members import KnownMembers
from dkv.records import NO_DIGEST, NOOP, Batch, Value, digest_after
from dkv.state_messages import AppliedDigest
from tests.turns import FakeTurn

BATCHES = st.builds(
    Batch, st.integers(1, 3), st.integers(0, 2), st.integers(1, 2), st.integers(1, 2), st.binary(max_size=3)
)
LOGS = st.lists(st.builds(Value, st.lists(BATCHES, max_size=2).map(tuple), st.sampled_from((0, 1, 2**63))), max_size=3)


def value(text: str) -> Value:
    """A value of one batch."""
    return Value((Batch(2, 0xB2, 1, 1, text.encode()),))


def digest_of(log: str) -> bytes:
    """The digest of a log whose slots hold one letter each."""
    digest = NO_DIGEST
    for letter in log:
        digest = digest_after(digest, value(letter))
    return digest


def claim(log: str) -> AppliedDigest:
    """What a node says that has applied this log."""
    return AppliedDigest(len(log), digest_of(log))


class DigestTests(SynchronousTestCase):
    @given(LOGS, LOGS)
    def test_tells_logs_apart(self, one: list[Value], other: list[Value]) -> None:
        """Two logs with one digest would pass for equal; a no-op is a slot like any other."""
        of = [NO_DIGEST, NO_DIGEST]
        for index, log in enumerate((one, other)):
            for each in log:
                of[index] = digest_after(of[index], each)
        self.assertEqual(of[0] == of[1], one == other)

    def test_long_values(self) -> None:
        """One byte of a megabyte, wherever it is, makes another log."""
        for size in (2_048, 2_049, 1 << 20):
            blob = bytes(size)
            others = [blob[:at] + b"x" + blob[at + 1 :] for at in (0, size // 2, size - 1)]
            values = [Value((Batch(2, 0xB2, 1, 1, each),)) for each in (blob, *others, blob + b"\0")]
            self.assertEqual(len({digest_after(NO_DIGEST, each) for each in values}), 5)

    def test_is_part_of_the_format(self) -> None:
        """Another formula, and a node that was upgraded differs from all the others."""
        self.assertEqual(digest_of("ab").hex(), "b1ec26d571c00718b38080f6e90f5ebb")
        long = Value((Batch(2, 0xB2, 1, 1, b"x" * 3_000),))
        self.assertEqual(digest_after(NO_DIGEST, long).hex(), "5a6ef13326c4b9a1ac12561365fec5d1")
        self.assertEqual(digest_after(NO_DIGEST, NOOP).hex(), "463be1d58a72e9618ea59884367c4358")
        stamped = [digest_after(NO_DIGEST, Value(long.batches, time)).hex() for time in (1, 1_795_000_000_123)]
        self.assertEqual(stamped, ["6b538c3f75747dd4a672f603863f7cb8", "9ca717b80265f39d98ac535d99cb807f"])


class OneNode(SynchronousTestCase):
    """Node 1 of ``members`` that has applied nothing yet."""

    members: tuple[int, ...] = (1, 2, 3)

    def setUp(self) -> None:
        self.begin({}, 0)

    def begin(self, stored: dict[bytes, bytes], through: int, node: int = 1) -> None:
        """A life on what is stored."""
        self.turn = FakeTurn(stored=stored)
        self.known = KnownMembers(node, first_configurations(self.members))
        self.digests = Digests(self.known, 0.2)
        self.digests.start(self.turn, through)

    def change(self, voters: tuple[int, ...], standbys: tuple[int, ...]) -> None:
        """Another set is in force."""
        changed = Configuration(1, 2, frozenset(voters), frozenset(standbys))
        sets = (*first_configurations(self.members).sets, changed)
        self.known.update(MembersAre(Configurations(sets, (), 5), 5))

    def apply(self, letters: str) -> None:
        """The next slots, all in one turn."""
        for letter in letters:
            self.digests.add(value(letter))
        self.digests.applied(self.turn)

    def hear(self, node: int, log: str) -> None:
        """A peer's claim."""
        self.digests.heard(self.turn, node, claim(log))

    def differing(self) -> list[Any]:
        """The peers that were said to differ, in order."""
        return [fields["peer"] for event, fields in self.turn.notes if event == "digest_differs"]


class TellTests(OneNode):
    def test_when_it_has_changed(self) -> None:
        """A busy node tells its peers once in a heartbeat's time; an idle one does not wake up for it."""
        self.assertEqual(self.turn.timers, {})
        self.apply("a")
        self.assertEqual(self.turn.timers, {"digest": 100.2})
        self.turn.now = 100.1
        self.apply("b")
        self.assertEqual((self.turn.timers, self.turn.sent), ({"digest": 100.2}, []))
        self.turn.timers.clear()
        self.digests.tell_all(self.turn)
        self.assertEqual(self.turn.sent, [(Address(node, LEARNER), claim("ab")) for node in (2, 3)])
        self.assertEqual(self.turn.timers, {})
        self.apply("c")
        self.assertEqual(self.turn.timers, {"digest": 100.3})

    def test_to_all_others(self) -> None:
        """A node that is told nothing never finds out; one that told itself would agree with a bad replica."""
        self.begin({}, 0, node=2)
        self.apply("a")
        self.digests.tell_all(self.turn)
        self.assertEqual(self.turn.sent, [(Address(node, LEARNER), claim("a")) for node in (1, 3)])

    def test_to_whoever_connects(self) -> None:
        """What was said while a peer was away is lost: it hears it when it is back, if there is anything to say."""
        self.digests.tell(self.turn, 2)
        self.assertEqual(self.turn.sent, [])
        self.apply("a")
        self.digests.tell(self.turn, 2)
        self.assertEqual(self.turn.sent, [(Address(2, LEARNER), claim("a"))])


class CompareTests(OneNode):
    def test_the_same_log(self) -> None:
        """Nodes that are not equally far have nothing to complain of."""
        self.hear(2, "abcd")
        self.hear(3, "a")
        for letter in "abcdef":
            self.apply(letter)
            self.hear(3, "ab")
        self.assertEqual(self.turn.notes, [])

    def test_differs_from_a_majority(self) -> None:
        """A node whose log is not the others' would answer from it for ever."""
        self.apply("aXc")
        self.hear(2, "abc")
        self.assertEqual(self.differing(), [2])
        with self.assertRaisesRegex(Fenced, "up to slot 2 is not what nodes 2, 3 applied"):
            self.hear(3, "ab")

    def test_b38_one_bad_replica_fences_nobody_else(self) -> None:
        """A bad replica says what it likes, again and again: the good ones go on, and say so once."""
        self.apply("abc")
        for log in ("aXc", "Y", "YYY", "aX"):
            self.hear(2, log)
        self.hear(3, "abc")
        self.assertEqual(self.differing(), [2])
        self.assertEqual(self.turn.notes[0][1], {"peer": 2, "slot": 3, "differing": [2]})

    def test_b38_two_of_five(self) -> None:
        """Two that differ are no majority of five; the third is, and only members count."""
        self.members = (1, 2, 3, 4, 5)
        self.begin({}, 0)
        self.apply("abc")
        for node in (2, 3, 2, 9):
            self.hear(node, "aXc")
        with self.assertRaises(Fenced):
            self.hear(4, "aXc")

    def test_a_cluster_of_two(self) -> None:
        """One against one: nobody can say who is right, and nobody gives up."""
        self.members = (1, 2)
        self.begin({}, 0)
        self.apply("a")
        self.hear(2, "X")
        self.assertEqual(self.differing(), [2])

    def test_b38_a_single_voter(self) -> None:
        """A cluster that was shrunk to one voter, which is the bad replica: its standbys do not give up for it."""
        self.change(voters=(2,), standbys=(1, 3))
        self.apply("abc")
        self.hear(2, "aXc")
        self.assertEqual(self.differing(), [2])

    def test_members_come_and_go(self) -> None:
        """A removed node says nothing that counts, and a standby nothing that fences."""
        self.change(voters=(1, 3, 4), standbys=(5,))
        self.apply("abc")
        for node in (2, 5, 3):
            self.hear(node, "aXc")
        self.assertEqual(self.differing(), [5, 3])
        with self.assertRaisesRegex(Fenced, "what nodes 3, 4, 5 applied"):
            self.hear(4, "aXc")

    def test_in_one_turn_with_many_slots(self) -> None:
        """A node that catches up passes the slot that was spoken of; it must not overlook it."""
        self.hear(2, "ab")
        self.hear(3, "abc")
        with self.assertRaisesRegex(Fenced, "what nodes 2, 3 applied"):
            self.apply("aXcd")

    def test_the_first_claim_is_kept_and_the_newest(self) -> None:
        """A node that runs behind for ever must reach what was claimed; one that is last must not stop short of it."""
        for length in range(2, 9):
            self.hear(2, "abcdefgh"[:length])
        self.apply("aXcdefg")
        self.assertEqual(self.differing(), [2])
        self.hear(2, "aXcdefg")
        self.assertEqual(self.turn.noted(), ["digest_differs", "digest_agrees"])
        self.apply("Z")
        self.assertEqual(self.differing(), [2, 2])

    def test_a_peer_that_agrees_again(self) -> None:
        """A node that was replaced must not count as one that differs, together with another one later."""
        self.apply("abc")
        self.hear(2, "aXc")
        self.hear(2, "abc")
        self.assertEqual(self.turn.notes[-1], ("digest_agrees", {"peer": 2, "slot": 3, "differing": []}))
        self.hear(3, "aXc")
        self.assertEqual(self.differing(), [2, 3])

    def test_too_long_ago(self) -> None:
        """Digests are kept for so many slots and no more: memory is bounded, and nobody is accused without proof."""
        self.patch(digests, "KEPT", 3)
        self.begin({}, 0)
        self.apply("abcde")
        for node in (2, 3):
            self.hear(node, "YY")
        self.assertEqual(self.turn.notes, [])
        self.hear(2, "YYY")
        self.assertEqual(self.differing(), [2])


class StartTests(OneNode):
    def test_goes_on_where_it_was(self) -> None:
        """A restart must not begin another chain."""
        self.apply("ab")
        self.assertEqual(self.turn.staged, {DIGEST: digest_of("ab")})
        self.begin(self.turn.stored, 2)
        self.hear(2, "ab")
        self.apply("c")
        self.hear(3, "abc")
        self.assertEqual((self.turn.notes, self.turn.staged), ([], {DIGEST: digest_of("abc")}))

    def test_a_state_without_its_digest(self) -> None:
        """A digest that begins anew in the middle would fence a good node: the state is damaged, and says so."""
        self.assertRaises(AssertionError, self.begin, {}, 3)
        self.assertRaises(AssertionError, self.begin, {DIGEST: digest_of("abc")}, 0)
