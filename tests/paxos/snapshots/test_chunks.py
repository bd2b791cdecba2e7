"""Chunks of a snapshot: nothing missing, nothing twice, nothing of another state."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.configurations import first_configurations, pack_configurations
from dkv.keys import APPLIED_THROUGH, CONFIGURATIONS, DIGEST, PROMISE, STATE, pack_number
from dkv.paxos.snapshots.chunks import ChunkCheck, checksum_after, pairs_bytes
from dkv.state_messages import SnapshotChunk
from tests.paxos.snapshots.transfer import chunks, state

T = (3, 1)
PAIRS = st.lists(st.tuples(st.binary(max_size=6), st.binary(max_size=6)), max_size=6)


def complaints(made: list[SnapshotChunk]) -> list[str | None]:
    """What is said of each chunk."""
    check = ChunkCheck()
    return [check.complaint(chunk) for chunk in made]


class ChecksumTests(SynchronousTestCase):
    @given(PAIRS, st.integers(0, 6))
    def test_runs_through(self, pairs: list[tuple[bytes, bytes]], cut: int) -> None:
        """Both nodes must come to the same, however the pairs are cut into chunks."""
        self.assertEqual(checksum_after(checksum_after(0, pairs[:cut]), pairs[cut:]), checksum_after(0, pairs))

    @given(PAIRS, PAIRS)
    def test_other_pairs_have_another(self, one: list[tuple[bytes, bytes]], other: list[tuple[bytes, bytes]]) -> None:
        """A byte that moved from a key to its value would go unseen, if lengths were not in it."""
        self.assertEqual(one == other, checksum_after(0, one) == checksum_after(0, other))

    def test_bytes(self) -> None:
        """The rate counts keys and values."""
        self.assertEqual(pairs_bytes([(b"ab", b"c"), (b"d", b"")]), 4)


class CheckTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.made = chunks(T, 7, state(7, a="1", b="2"))

    def test_right(self) -> None:
        """A whole snapshot is taken, whatever the size of its chunks."""
        for each in (1, 2, 100):
            made = chunks(T, 7, state(7, a="1", b="2"), each)
            self.assertEqual(complaints(made), [None] * len(made))
            self.assertEqual(made[-1].pairs, ())

    def test_a_wrong_checksum(self) -> None:
        """A value that a bad memory changed would be in force on this node alone."""
        pairs = ((self.made[1].pairs[0][0], b"other"), *self.made[1].pairs[1:])
        for wrong in (replace(self.made[1], pairs=pairs), replace(self.made[1], checksum=1)):
            self.assertEqual(complaints([self.made[0], wrong])[1], "its checksum is wrong")

    def test_a_chunk_is_missing_or_comes_twice(self) -> None:
        """The state would lack keys."""
        self.assertIn("checksum", str(complaints([self.made[0], self.made[2]])[1]))
        self.assertIn("checksum", str(complaints([*self.made[:2], self.made[1]])[2]))

    def test_another_state(self) -> None:
        """Half of a state and half of a later one are no state that ever was."""
        later = chunks(T, 8, state(8, a="1", b="2"))
        self.assertIn("after slot 8", str(complaints([self.made[0], later[1]])[1]))

    def test_keys_of_the_state_alone(self) -> None:
        """A snapshot that names a promise, or the cluster's key, must not get as far as the disk."""
        for key in (PROMISE, b"Y", b""):
            (chunk,) = chunks(T, 7, {key: b"x"}, 9)[:1]
            self.assertIn("none of the state", str(complaints([chunk])[0]))

    def test_keys_in_their_order(self) -> None:
        """A key that comes twice has two values."""
        pairs = ((STATE + b"\0b", b"1"), (STATE + b"\0a", b"1"))
        for some in (pairs, (pairs[0], pairs[0])):
            chunk = SnapshotChunk(T, 0, 7, some, checksum_after(0, some))
            self.assertIn("out of order", str(complaints([chunk])[0]))

    def test_the_mark_is_that_of_the_snapshot(self) -> None:
        """The learner goes on behind the mark in the state; the log begins behind the slot that the chunks name."""
        self.assertIn("another slot", str(complaints(chunks(T, 7, state(8)))[0]))
        self.assertIn("digest", str(complaints(chunks(T, 7, state(7) | {DIGEST: b"short"}, 9))[0]))

    def test_members(self) -> None:
        """A node that took up sets which nobody can read would never start again."""
        members = pack_configurations(first_configurations((1, 2, 3)))
        self.assertEqual(set(complaints(chunks(T, 7, state(7) | {CONFIGURATIONS: members}, 9))), {None})
        for key, value in ((CONFIGURATIONS, members[:-1]), (CONFIGURATIONS + b"2", members)):
            self.assertIn("sets of members", str(complaints(chunks(T, 7, state(7) | {key: value}, 9))[0]))

    def test_without_marks(self) -> None:
        """A state that does not say where it ends would be applied from the first slot on."""
        for mark in (APPLIED_THROUGH, DIGEST):
            pairs = state(7)
            del pairs[mark]
            self.assertEqual(complaints(chunks(T, 7, pairs))[-1], "the state ends without its marks")
        self.assertEqual(pack_number(7), state(7)[APPLIED_THROUGH])
