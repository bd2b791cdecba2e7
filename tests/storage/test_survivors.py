"""The directories that are left of a cluster: read and checked, and refused in clear words."""

from __future__ import annotations

import shutil
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dkv.keys import record_key
from dkv.records import NOOP
from dkv.storage.data_directory import DirectoryError, open_directory
from dkv.storage.fence import fence_writes
from dkv.storage.leveldb import LevelDBStore
from dkv.storage.state_directories import state_directory
from dkv.storage.survivors import survivors_in
from tests.storage.survivor_directories import LOG, MEMBERS, accepted, digest_of, make_survivor, value
from tests.storage.test_formats import FORMATS
from tests.storage.test_lookalike import everything


class SurvivorCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.place = Path(self.mktemp())
        self.place.mkdir()

    def at(self, name: str) -> str:
        """The path of a directory of this test."""
        return str(self.place / name)


class Facts(SurvivorCase):
    """What a survivor's directory holds."""

    def test_marks(self) -> None:
        """The last slot known to be chosen counts, by whichever mark; what is accepted above may have gaps."""
        more = {7: accepted(value(6)), 9: accepted(value(8))}
        make_survivor(self.at("one"), 1, applied=4, more=more)
        with survivors_in([self.at("one")]) as (one,):
            self.assertEqual((one.node, one.chosen_through, one.applied_through), (1, 6, 4))
            self.assertEqual((one.open_slots, one.accepted_through), ([7, 9], 9))
            record = one.record(7)
            assert record is not None
            self.assertEqual((record.value, one.record(8)), (value(6), None))

    def test_records_that_are_chosen(self) -> None:
        """A slot that was learned, and that the stored mark does not cover yet, is known to be chosen all the same."""
        more = {7: accepted(NOOP, 0, chosen=True), 8: accepted(value(6), chosen=True), 9: accepted(value(7))}
        make_survivor(self.at("one"), 1, more=more)
        with survivors_in([self.at("one")]) as (one,):
            self.assertEqual((one.chosen_through, one.accepted_through), (8, 9))

    def test_digests(self) -> None:
        """Of every slot that is not compacted, and of the one at which the log begins."""
        make_survivor(self.at("one"), 1, compacted=3)
        with survivors_in([self.at("one")]) as (one,):
            found = one.digests({1, 3, 5, 6, 7})
            self.assertEqual(found, {slot: digest_of(LOG[:slot]) for slot in (3, 5, 6)})
            self.assertEqual((one.compacted_through, one.record(3)), (3, None))

    def test_not_erased_yet(self) -> None:
        """A snapshot stands for these slots, so a value accepted in one of them need not be the chosen one."""
        make_survivor(self.at("one"), 1, compacted=3, more={2: accepted(value(9), 5)})
        with survivors_in([self.at("one")]) as (one,):
            self.assertEqual((one.record(2), one.digests({3, 6})[6]), (None, digest_of(LOG)))

    def test_nothing_yet(self) -> None:
        """A cluster that was lost before its first write."""
        make_survivor(self.at("one"), 1, [])
        with survivors_in([self.at("one")]) as (one,):
            self.assertEqual((one.chosen_through, one.accepted_through), (0, 0))
            self.assertEqual(one.digests({0}), {0: digest_of([])})

    def test_members(self) -> None:
        """Those it began with; an old directory knows only those that it has met."""
        make_survivor(self.at("one"), 1)
        with survivors_in([self.at("one")]) as (one,):
            self.assertEqual(one.members().newest.voters, set(MEMBERS))
        for version in ("v1", "v2", "v3", "v4"):
            with survivors_in([str(FORMATS / version)]) as (old,):
                self.assertEqual((old.members().newest.voters, old.chosen_through), ({1, 2, 3}, 2))


class Refused(SurvivorCase):
    """Directories of which nothing must be made."""

    def refusal(self, *names: str) -> str:
        """Why these directories are refused, in one line that speaks of no lookalike."""
        context = survivors_in([self.at(name) for name in names])
        text = str(self.assertRaises(DirectoryError, context.__enter__))
        self.assertNotIn("\n", text)
        self.assertNotIn("dkv-look", text)
        return text

    def test_nothing_changes(self) -> None:
        """They stay as evidence, whatever comes of it."""
        make_survivor(self.at("one"), 1)
        make_survivor(self.at("two"), 2, LOG[:3])
        before = [everything(self.place / name) for name in ("one", "two")]
        states = [everything(Path(state_directory(self.at(name), 1))) for name in ("one", "two")]
        with survivors_in([self.at("two"), self.at("one")]) as found:
            self.assertEqual([each.node for each in found], [1, 2])
            found[0].digests({3, 6})
        self.assertEqual([everything(self.place / name) for name in ("one", "two")], before)
        self.assertEqual([everything(Path(state_directory(self.at(name), 1))) for name in ("one", "two")], states)

    def test_running(self) -> None:
        """A node that runs may get acknowledgements that the plan does not know; it cannot start meanwhile either."""
        make_survivor(self.at("one"), 1)
        store, states, _ = open_directory(self.at("one"), "shop", 1, print)
        self.assertIn(f"{self.at('one')} is locked: is another dkvnode using it?", self.refusal("one"))
        states.close()
        store.close()
        with survivors_in([self.at("one")]):
            error = self.assertRaises(DirectoryError, open_directory, self.at("one"), "shop", 1, print)
            self.assertIn("is another dkvnode using it?", str(error))

    def test_same_directory(self) -> None:
        """Also by another name: it is no second survivor."""
        make_survivor(self.at("one"), 1)
        (self.place / "link").symlink_to("one")
        for name in ("one", "link"):
            self.assertIn("are the same directory; name each survivor once", self.refusal("one", name))

    def test_same_node(self) -> None:
        """A copy, or a directory that was made after the first was lost: one of the two is not the node's last one."""
        make_survivor(self.at("one"), 1)
        shutil.copytree(self.at("one"), self.at("copy"))
        words = "are both directories of node 1, and one of them "
        self.assertIn(f"{words}is a copy of the other", self.refusal("one", "copy"))
        make_survivor(self.at("anew"), 1, [])
        self.assertIn(f"{words}was made in place of the other", self.refusal("one", "anew"))

    def test_other_clusters(self) -> None:
        """Two logs that have nothing to do with each other."""
        make_survivor(self.at("one"), 1)
        make_survivor(self.at("name"), 2, cluster="bank")
        make_survivor(self.at("key"), 2, key=bytes(16))
        make_survivor(self.at("members"), 2, members=(1, 2, 3, 4))
        self.assertIn("belongs to cluster 'shop'", self.refusal("one", "name"))
        self.assertIn("have different cluster keys", self.refusal("one", "key"))
        self.assertIn("began with different members", self.refusal("one", "members"))

    def test_fenced(self) -> None:
        """The others could not count on it: so a new cluster cannot either."""
        make_survivor(self.at("one"), 1)
        self.write("one", fence_writes("it has forgotten votes"))
        self.assertIn(f"{self.at('one')} is fenced: it has forgotten votes", self.refusal("one"))

    def test_damaged(self) -> None:
        """A lost record, and a state that is gone; the directory is named."""
        make_survivor(self.at("one"), 1)
        self.write("one", {record_key(4): None})
        self.assertRegex(self.refusal("one"), f"{self.at('one')} is damaged: the log has lost slot 4")
        make_survivor(self.at("two"), 2)
        shutil.rmtree(state_directory(self.at("two"), 1))
        self.assertIn("has lost the directory of its state", self.refusal("two"))
        self.assertIn("No such file or directory", self.refusal("three"))

    def write(self, name: str, writes: dict[bytes, bytes] | dict[bytes, None]) -> None:
        """Write into the log of a directory."""
        store = LevelDBStore(self.at(name), print)
        store.commit_now(writes)
        store.close()
