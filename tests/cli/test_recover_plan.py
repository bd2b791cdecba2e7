"""dkv recover --plan: what is left, in words and as JSON, or one clear line."""

from __future__ import annotations

import shutil

from dkv.cli.layout import new_config
from dkv.config.config import render_config
from dkv.configurations import ALPHA
from dkv.keys import STATE
from dkv.kv.codes import MEMBERS
from dkv.kv.membership import ADD, NAME, PROMOTE, REMOVE
from dkv.records import NOOP, Entry
from dkv.storage.data_directory import FORMAT_VERSION
from dkv.storage.leveldb import LevelDBStore
from dkv.storage.state_directories import state_directory
from dkv.storage.stopped import stopped_node
from tests.cli.commands import run
from tests.cli.test_recover import RecoverCase
from tests.storage.survivor_directories import LOG, accepted, digest_of, make_survivor, value
from tests.storage.test_recovery_plan import OTHER


class Plan(RecoverCase):
    """``dkv recover --plan``."""

    def test_text(self) -> None:
        """An operator reads which node to take, and what may be lost."""
        make_survivor(self.at("one"), 1, more={7: accepted(NOOP), 8: accepted(NOOP), 10: accepted(NOOP)}, applied=5)
        result = self.plan("one")
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        digest = digest_of(LOG).hex()[:16]
        self.assertEqual(
            result.stdout.splitlines(),
            [
                "cluster 'shop': voters 1, 2, 3; of these 1 is here",
                "NODE  KIND   CHOSEN  ACCEPTED  APPLIED  COMPACTED  DIGEST            DIRECTORY",
                f"   1  voter       6        10        5          0  {digest}  {self.at('one')}",
                "node 1 is the most complete",
                "kept: all slots up to 8",
                "not known to node 1 as chosen: slots 7-8; writes there may have been acknowledged, or not",
                "lost: slot 10, behind slots that are missing here: their writes may have been acknowledged",
                "missing: nodes 2, 3, a majority by themselves: they may have acknowledged writes that no node here "
                "has, and these are lost; nobody can tell whether there were any",
            ],
        )
        self.assertFalse(self.new.exists())

    def test_json(self) -> None:
        """A script reads the same, and more."""
        make_survivor(self.at("one"), 1, compacted=2, members=range(1, 6))
        make_survivor(self.at("four"), 4, LOG[:4], members=range(1, 6))
        found = self.fields("four", "one")
        self.assertEqual((found["cluster"], found["voters"], found["standbys"]), ("shop", [1, 2, 3, 4, 5], []))
        self.assertEqual(
            (found["missing"], found["is_majority"], found["missing_may_have_chosen"]), ([2, 3, 5], False, True)
        )
        self.assertEqual([each["node"] for each in found["survivors"]], [1, 4])
        one = found["survivors"][0]
        self.assertEqual((one["chosen_through"], one["compacted_through"], one["format"]), (6, 2, FORMAT_VERSION))
        self.assertEqual(one["digests"], {str(slot): digest_of(LOG[:slot]).hex() for slot in (4, 6)})
        self.assertEqual(found["comparisons"], [{"nodes": [1, 4], "slot": 4, "same": True}])
        self.assertEqual((found["most_complete"], found["source"], found["kept_through"], found["lost"]), (1, 1, 6, []))

    def test_members_changed(self) -> None:
        """The voters are those of the newest change, also if the state on disk does not have it yet."""
        names: Entry = [[NAME, node, node] for node in (1, 2, 3)]
        added: Entry = [MEMBERS, 0, *names, [ADD, 4, 4, b"h:1", b"h:2"]]
        noops = [NOOP] * ALPHA
        log = [value(1, added), *noops, value(2, [MEMBERS, 1, [REMOVE, 3], [PROMOTE, 4]]), *noops]
        for applied in (len(log), 1 + ALPHA, 0):
            make_survivor(self.at(f"one-{applied}"), 1, log, applied=applied)
            found = self.fields(f"one-{applied}")
            self.assertEqual((found["voters"], found["missing"]), ([1, 2, 4], [2, 4]), applied)

    def test_majority(self) -> None:
        """Nothing is lost: there is nothing to recover."""
        make_survivor(self.at("one"), 1)
        make_survivor(self.at("two"), 2)
        self.assertIn("these nodes are a majority: start them, and recover nothing", self.plan("one", "two").stdout)
        self.assert_refused(self.apply("one", "two"), 1, "nodes 1, 2 are a majority of their cluster; start them")

    def test_no_acknowledged_write_is_lost(self) -> None:
        """Half of four nodes: the others were no majority."""
        make_survivor(self.at("one"), 1, members=range(1, 5))
        make_survivor(self.at("two"), 2, members=range(1, 5))
        words = (
            "missing: nodes 3, 4, no majority by themselves: every acknowledged write has reached a node that is here"
        )
        self.assertIn(words, self.plan("one", "two").stdout)

    def test_differing(self) -> None:
        """Different logs: it is said, and none is recommended; the user may name one."""
        make_survivor(self.at("one"), 1, members=range(1, 6))
        make_survivor(self.at("two"), 2, OTHER, members=range(1, 6))
        result = self.plan("one", "two")
        self.assertEqual(result.exit_code, 1)
        self.assertIn("the logs of nodes 1 and 2 differ, in slot 6 or before\nnone is recommended", result.stdout)
        self.assertIsNone(self.fields("one", "two")["source"])
        self.assert_refused(self.apply("one", "two"), 1, "the logs of the survivors differ, so none is recommended")
        named = self.plan("one", "two", "--from=2")
        self.assertEqual(named.exit_code, 0)
        self.assertIn("node 2 is taken, as --from says, and nobody can tell whether its log is the right", named.stdout)

    def test_not_comparable(self) -> None:
        """It is said, and the longer log is taken; unless the user names the other one."""
        make_survivor(self.at("one"), 1, compacted=5, members=range(1, 6))
        make_survivor(self.at("two"), 2, LOG[:3], members=range(1, 6))
        printed = self.plan("one", "two").stdout
        self.assertIn("nodes 1 and 2 cannot be compared: one log begins behind the end of the other", printed)
        self.assertIn("node 1 is the most complete", printed)
        printed = self.plan("one", "two", "--from=2").stdout
        self.assertIn("node 2 is taken, as --from says; node 1 is the most complete", printed)
        self.assertIn("lost: slots 4-6, behind slots that are missing here", printed)

    def test_refused(self) -> None:
        """Each in one line: the same twice, a directory that is none, damage in a state, a node that is not there."""
        make_survivor(self.at("one"), 1)
        self.assert_refused(self.plan("one", "one"), 1, "are the same directory; name each survivor once")
        self.assert_refused(self.plan("two"), 1, "two cannot be read: No such file or directory")
        self.assert_refused(self.plan("one", "--from=2"), 2, "none of the directories is that of node 2")
        store = LevelDBStore(state_directory(self.at("one"), 1), print)
        store.commit_now({STATE + b"\0damaged": b"?"})
        store.close()
        self.assert_refused(self.plan("one"), 1, f"{self.at('one')}: the value of key .* has another form")

    def test_usage(self) -> None:
        """What is asked for must be clear, and the new cluster must be one of one node."""
        make_survivor(self.at("one"), 1)
        both = ("--plan", "--apply", "--config", str(self.config))
        for words in (both, both[:0]):
            self.assert_refused(run("recover", *words, self.at("one")), 2, "either --plan or --apply")
        for option in ("--apply", f"--plan --config {self.config}", f"--plan --data-dir {self.new}", "--plan --node=1"):
            self.assert_refused(run("recover", *option.split(), self.at("one")), 2, "--apply needs --config FILE")
        self.config.write_text(render_config(new_config(3, 5001)))
        self.assert_refused(
            self.apply("one"), 2, "lists 3 nodes, and the new cluster begins with one: name it with --node"
        )
        self.assert_refused(self.apply("one", "--node=4"), 2, "node 4 is not a member")
        self.assertEqual(self.apply("one", "--node=2").exit_code, 0)
        with stopped_node(str(self.new)) as made:
            self.assertEqual((made.identity.node, made.identity.members), (2, (2,)))
        shutil.rmtree(self.new)
        self.config.unlink()
        self.assert_refused(self.apply("one"), 2, "No such file or directory")
