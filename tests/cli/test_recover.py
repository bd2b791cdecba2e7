"""dkv recover --apply: the directory that is made, or one clear line and nothing."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from click.testing import Result

from dkv.cli import recover as command
from dkv.cli.layout import new_config
from dkv.config.config import render_config
from dkv.configurations import first_configurations
from dkv.keys import (
    APPLIED_THROUGH,
    BATCH_MARK,
    CLUSTER_KEY,
    CONFIGURATIONS,
    MEMBER,
    PROMISE,
    RECORD,
    STATE,
    pack_number,
)
from dkv.kv.codes import APPEND, IDMP, MEMBERS, PUT
from dkv.kv.machine import Machine
from dkv.kv.membership import ADD, NAME
from dkv.kv.stored import revision_of
from dkv.records import Batch, Entry
from dkv.storage import data_directory
from dkv.storage.data_directory import open_directory
from dkv.storage.guard import DirectoryLock
from dkv.storage.leveldb import LevelDBStore
from dkv.storage.lives import votes_of
from dkv.storage.log_check import check_log
from dkv.storage.recovered import MAKING
from dkv.storage.restored import EPOCH_SLOTS
from dkv.storage.state_directories import state_directory
from dkv.storage.stopped import stopped_node
from dkv.wire.codec import decode_entries, encode_entries
from tests.cli.commands import run
from tests.storage.survivor_directories import KEY, LOG, accepted, make_survivor, state_of, value
from tests.storage.test_formats import FORMATS
from tests.storage.test_lookalike import everything
from tests.storage.test_survivors import SurvivorCase
from tests.turns import FakeTurn


class Crash(BaseException):
    """The process ends here."""


class RecoverCase(SurvivorCase):
    def setUp(self) -> None:
        super().setUp()
        self.patch(command, "end_as_interrupted", lambda: None)  # a test keeps its own handlers
        self.config = self.place / "recovered.toml"
        self.config.write_text(render_config(new_config(1, 5001)))
        self.new = self.place / "new"

    def plan(self, *names: str) -> Result:
        """Run the plan for directories of this test."""
        return run("recover", "--plan", *(name if name.startswith("-") else self.at(name) for name in names))

    def fields(self, *names: str) -> Any:
        """The plan as JSON."""
        return json.loads(run("recover", "--plan", "--output", "json", *map(self.at, names)).stdout)

    def apply(self, *names: str) -> Result:
        """Make the new directory from directories of this test."""
        words = ("recover", "--apply", "--config", str(self.config), "--data-dir", str(self.new))
        return run(*words, *(name if name.startswith("-") else self.at(name) for name in names))

    def assert_refused(self, result: Result, status: int, words: str) -> None:
        """One line, and nothing is made."""
        self.assertEqual((result.exit_code, result.stdout), (status, ""))
        self.assertRegex(result.stderr, rf"\Adkv: [^\n]*{words}[^\n]*\n\Z")
        self.assertFalse(self.new.exists())

    def new_state(self) -> dict[bytes, bytes]:
        """What the new directory's state holds; the log must be that of a node that never voted."""
        log, states, identity = open_directory(str(self.new), "local", 1, print, (1,))
        try:
            check_log(log, states.current)
            self.assertEqual((identity.members, votes_of(log).count, log.get(PROMISE)), ((1,), 0, None))
            self.assertEqual([*log.scan(RECORD), *log.scan(MEMBER)], [])
            self.assertNotEqual(identity.cluster_key, KEY)
            return {key: stored for key, stored in states.current.scan(b"") if key != CLUSTER_KEY}
        finally:
            states.close()
            log.close()


class Apply(RecoverCase):
    """``dkv recover --apply``."""

    def assert_recovered(self, values: list[Any], keys: int) -> None:
        """The state is that after these slots, at the next epoch, without the old members."""
        expected = {key: each for key, each in state_of(values).items() if not key.startswith(BATCH_MARK)}
        self.assertEqual(self.new_state(), expected | {APPLIED_THROUGH: pack_number(EPOCH_SLOTS)})
        self.assertIn(f"{keys} keys", run("verify", str(self.new)).stdout)

    def test_directory(self) -> None:
        """A node starts on it, with all that was chosen, and what was accepted; the survivors stay as they are."""
        make_survivor(self.at("one"), 1, applied=2, more={7: accepted(value(6))})
        state = Path(state_directory(self.at("one"), 1))
        before = everything(self.place / "one"), everything(state)
        result = self.apply("one")
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        self.assertEqual(
            result.stdout.splitlines(),
            [
                f"recovered {self.new} as the data directory of node 1, alone in cluster 'local'",
                f"4 keys; slots go on above {EPOCH_SLOTS}; the new cluster refuses all nodes of the old one: never "
                "start these again, and keep their directories",
            ],
        )
        self.assertEqual((everything(self.place / "one"), everything(state)), before)
        self.assert_recovered([*LOG, value(6)], 4)

    def test_json(self) -> None:
        """What was made, and the plan that it was made by."""
        make_survivor(self.at("one"), 1)
        found = json.loads(self.apply("one", "--output=json").stdout)
        made = {"directory": str(self.new), "node": 1, "keys": 3, "applied_through": EPOCH_SLOTS}
        self.assertEqual((found["made"], found["source"], found["kept_through"]), (made, 1, 6))

    def test_from_several(self) -> None:
        """The log of one, and what the other has accepted behind it."""
        make_survivor(self.at("one"), 1, LOG[:4], members=range(1, 6), more={7: accepted(value(6))})
        make_survivor(self.at("two"), 2, members=range(1, 6), applied=0)
        self.assertEqual(self.apply("one", "two").exit_code, 0)
        self.assert_recovered([*LOG, value(6)], 4)

    def test_compacted(self) -> None:
        """The log has given slots up that the state has."""
        make_survivor(self.at("one"), 1, compacted=4, applied=5)
        self.assertEqual(self.apply("one").exit_code, 0)
        self.assert_recovered(LOG, 3)

    def test_generation_of_a_snapshot(self) -> None:
        """The state in force counts, and not one that lies beside it."""
        make_survivor(self.at("one"), 1)
        store, states, _ = open_directory(self.at("one"), "shop", 1, print)
        states.beside(states.begin()).commit_now({STATE + b"\0half": b"a snapshot"})
        generation = states.begin()
        states.beside(generation).commit_now(dict(states.current.scan(b"")))
        store.commit_now({b"G": pack_number(generation)})
        states.close()
        store.close()
        shutil.rmtree(state_directory(self.at("one"), 1))
        self.assertEqual(self.apply("one").exit_code, 0)
        self.assert_recovered(LOG, 3)

    def test_every_format(self) -> None:
        """A cluster that was lost before it was upgraded: its state is made from the log."""
        versions = sorted(os.listdir(FORMATS))
        self.assertEqual(versions[0], "v1")
        for version in versions:
            self.new = self.place / f"new-{version}"
            shutil.copytree(FORMATS / version, self.at(version))
            self.assertEqual(self.apply(version).exit_code, 0, version)
            held = self.new_state()
            self.assertEqual(held[STATE + b"\0greeting"][-12:], b"hello, world", version)

    def test_retried_write(self) -> None:
        """A write that is sent again to the new cluster still happens once; revisions go on far above."""
        make_survivor(self.at("one"), 1)
        self.apply("one")
        turn = FakeTurn(stored=self.new_state())
        machine = Machine(decode_entries, first_configurations((1,)))
        machine.start(turn)
        machine.begin_slot(turn, EPOCH_SLOTS + 1, 0)
        entries: list[Entry] = [[IDMP, b"alice", 2, [APPEND, b"a", b"4", 100]], [PUT, b"new", b""]]
        machine.apply(turn, Batch(1, 5, 1, 1, encode_entries(entries)), True)
        self.assertNotIn(STATE + b"\0a", turn.staged)
        written = turn.staged[STATE + b"\0new"]
        assert written is not None
        self.assertGreater(revision_of(written), (EPOCH_SLOTS, 0))

    def test_members_changed(self) -> None:
        """The sets of the old cluster, and of a change in the log that is still to be applied, go with it."""
        names: Entry = [[NAME, node, node] for node in (1, 2, 3)]
        change: Entry = [MEMBERS, 0, *names, [ADD, 4, 4, b"h:1", b"h:2"]]
        log = [*LOG[:2], value(3, change), *(value(seq, [PUT, b"k", b"%d" % seq]) for seq in (4, 5))]
        make_survivor(self.at("one"), 1, log, applied=2)
        self.assertEqual(self.apply("one").exit_code, 0)
        held = self.new_state()
        self.assertEqual(
            (held[STATE + b"\0k"][-1:], CONFIGURATIONS in state_of(log), CONFIGURATIONS in held), (b"5", True, False)
        )

    def test_keys_of_clusters(self) -> None:
        """Two that were recovered from one directory are two clusters, and neither is the old one."""
        make_survivor(self.at("one"), 1)
        keys = {KEY}
        for name in ("new", "other"):
            self.new = self.place / name
            self.apply("one")
            with stopped_node(str(self.new)) as node:
                keys.add(node.identity.cluster_key)
        self.assertEqual(len(keys), 3)

    def test_again(self) -> None:
        """A repeat over what was made changes nothing; and nothing is ever made over anything."""
        make_survivor(self.at("one"), 1)
        self.new.mkdir()
        self.assertEqual(self.apply("one").exit_code, 0)
        before = everything(self.new)
        again = self.apply("one")
        self.assertEqual((again.exit_code, again.stdout), (1, ""))
        self.assertRegex(again.stderr, "holds '[^']+'; name an empty or a new one")
        self.assertEqual(everything(self.new), before)

    def test_mount(self) -> None:
        """The root of a file system cannot be given to what was made beside it."""
        make_survivor(self.at("one"), 1)
        self.patch(os.path, "ismount", lambda path: path == str(self.new.absolute()))
        self.assert_refused(self.apply("one"), 1, "is the root of a file system")

    def test_another_is_at_it(self) -> None:
        """Two at a time would write one over the other."""
        make_survivor(self.at("one"), 1)
        Path(f"{self.new}{MAKING}").mkdir()
        lock = DirectoryLock(f"{self.new}{MAKING}")  # as the other process holds it
        self.assert_refused(self.apply("one"), 1, "is locked")
        lock.release()
        self.assertEqual(self.apply("one").exit_code, 0)

    def test_crash_at_every_commit(self) -> None:
        """Power lost at any moment leaves no directory, or the whole one; and a repeat is all that is needed."""
        make_survivor(self.at("one"), 1, applied=3, more={7: accepted(value(6))})
        commit_now, rename = LevelDBStore.commit_now, os.rename
        left = 0

        def crash_in(count: int) -> None:
            """Let the process end before its commit, or its renaming, of this number."""
            nonlocal left
            left = count

        def counted(call: Any) -> Any:
            def counting(*arguments: Any) -> None:
                nonlocal left
                left -= 1
                if left == 0:
                    raise Crash
                call(*arguments)

            return counting

        self.patch(LevelDBStore, "commit_now", counted(commit_now))
        self.patch(os, "rename", counted(rename))
        self.patch(data_directory, "_undo", lambda *_: None)  # it never gets so far
        crashes = 0
        while True:
            crash_in(crashes + 1)
            try:
                result = self.apply("one")
            except Crash:
                crashes += 1
                self.assertFalse(self.new.exists())
                continue
            break
        self.assertGreater(crashes, 4)
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        self.assertEqual(sorted(os.listdir(self.place)), ["new", "one", "recovered.toml"])
        crash_in(0)
        self.assert_recovered([*LOG, value(6)], 4)

    def test_interrupted_and_no_room(self) -> None:
        """Nothing stays, neither in the place nor beside it."""
        make_survivor(self.at("one"), 1)
        for error, status, words in (
            (KeyboardInterrupt(), 130, "interrupted; nothing was made"),
            (OSError(28, "No space left on device"), 1, "No space left on device"),
        ):

            def fail(*_: object, error: BaseException = error) -> None:
                raise error

            self.patch(command, "begin_epoch", fail)
            self.assert_refused(self.apply("one"), status, words)
            self.assertEqual(sorted(os.listdir(self.place)), ["one", "recovered.toml"])
