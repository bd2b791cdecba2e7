"""The data directory: made once, opened only by its owner, counted at every start."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import Mock

from twisted.trial.unittest import SynchronousTestCase

from dkv.configurations import Configuration, Configurations, first_configurations, pack_configurations
from dkv.identity import Acquaintance, Identity
from dkv.keys import APPLIED_THROUGH, CONFIGURATIONS, FORMAT, IDENTITY, member_key, pack_number
from dkv.sim.memory import MemoryStore
from dkv.storage import data_directory as identity_module
from dkv.storage import state_directories
from dkv.storage.binding import plyvel
from dkv.storage.data_directory import (
    DirectoryError,
    DirectoryFenced,
    initialise,
    load_configurations,
    load_members,
    open_directory,
)
from dkv.storage.fence import fence_writes
from dkv.storage.leveldb import LevelDBStore
from dkv.storage.store import StoreFailed


def now(call: Any, *arguments: Any) -> None:
    """For ``call_from_thread``, where the storage thread has nothing to do."""
    call(*arguments)


class DirectoryTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = self.mktemp()

    def open(self, cluster: str = "c", node: int = 1) -> tuple[LevelDBStore, Identity]:
        """The directory of the test, opened and closed at the end."""
        store, states, identity = open_directory(self.directory, cluster, node, now)
        self.addCleanup(store.close)
        self.addCleanup(states.close)
        return store, identity

    def assertRefused(self, *words: str, cluster: str = "c", node: int = 1) -> None:
        """Opening fails with one line that has all the words, and leaves the directory unlocked."""
        error = self.assertRaises(DirectoryError, open_directory, self.directory, cluster, node, now)
        self.assertNotIn("\n", str(error))
        for word in (self.directory, *words):
            self.assertIn(word, str(error))


class InitialiseTests(DirectoryTestCase):
    def test_makes_the_directory_of_one_node(self) -> None:
        """A node must find the identity that it was given, in a directory that did not exist with parents and all."""
        self.directory = os.path.join(self.directory, "deep", "node1")
        made = initialise(self.directory, "c", 1)
        self.assertEqual((made.cluster, made.node, made.boot), ("c", 1, 0))
        _, opened = self.open()
        self.assertEqual((opened.cluster, opened.node, opened.incarnation), ("c", 1, made.incarnation))

    def test_what_was_made_survives_a_power_cut(self) -> None:
        """A directory whose name is not on disk is gone after a power cut, with the identity that was printed."""
        synced: list[str] = []
        for module in (identity_module, state_directories):
            self.patch(module, "sync_directory", synced.append)
        top = os.path.abspath(self.directory)
        self.directory = os.path.join(top, "deep", "node1")
        initialise(self.directory, "c", 1)
        self.assertEqual(set(synced), {self.directory, os.path.dirname(self.directory), top, os.path.dirname(top)})
        synced.clear()
        self.open()
        self.assertEqual(synced, [self.directory])

    def test_no_descriptor_is_left(self) -> None:
        """A process that makes many directories, as tests of programs do, must not run out of them."""
        before = len(os.listdir("/proc/self/fd"))
        initialise(self.directory, "c", 1)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_takes_an_empty_directory(self) -> None:
        """A mount point or a service's state directory exists before the node does."""
        os.mkdir(self.directory)
        initialise(self.directory, "c", 1)
        self.open()

    def test_however_it_is_named(self) -> None:
        """A path that a person types: the current directory, a bare name, bytes that are no text."""
        place = self.mktemp()
        os.mkdir(place)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(place)
        os.mkdir("here")
        os.mkdir("there")
        for self.directory in ("here", "new", "./new2", "there/", "a/b/../c", "x\udcff"):
            initialise(self.directory, "c", 1)
            self.open()
        os.mkdir("inside")
        os.chdir("inside")
        self.directory = "."
        initialise(".", "c", 1)
        self.open()

    def test_in_a_directory_that_was_removed(self) -> None:
        """A shell may still be in it."""
        place = self.mktemp()
        os.mkdir(place)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(place)
        os.rmdir(os.getcwd())
        error = self.assertRaises(DirectoryError, initialise, "here", "c", 1)
        self.assertEqual(str(error), "cannot create the data directory here: No such file or directory")

    def test_every_directory_has_another_incarnation(self) -> None:
        """A node that lost its disk must not be taken for the one that remembered its promises."""
        first = initialise(self.directory, "c", 1)
        second = initialise(self.mktemp(), "c", 1)
        self.assertNotEqual(first.incarnation, second.incarnation)

    def test_a_used_directory_is_left_alone(self) -> None:
        """Initialising again would make an acceptor forget what it promised."""
        made = initialise(self.directory, "c", 1)
        error = self.assertRaises(DirectoryError, initialise, self.directory, "c", 1)
        self.assertIn("initialised already", str(error))
        self.assertEqual(self.open()[1].incarnation, made.incarnation)

    def test_a_foreign_directory_is_left_alone(self) -> None:
        """A mistyped --data-dir must not fill somebody's home with files."""
        os.mkdir(self.directory)
        Path(self.directory, "letters.txt").write_text("dear")
        error = self.assertRaises(DirectoryError, initialise, self.directory, "c", 1)
        self.assertIn("'letters.txt'", str(error))
        self.assertEqual(os.listdir(self.directory), ["letters.txt"])

    def test_a_file_in_its_place_is_an_error(self) -> None:
        """One line, not a traceback."""
        Path(self.directory).write_text("")
        error = self.assertRaises(DirectoryError, initialise, self.directory, "c", 1)
        self.assertIn(f"cannot create the data directory {self.directory}: File exists", str(error))

    def test_a_failure_leaves_what_was_there_before(self) -> None:
        """`dkv init` must be possible again once the cause of its failure is mended."""
        for before in (None, self.directory):
            if before:
                os.mkdir(before)
            self.patch(LevelDBStore, "commit_now", self.refuse)
            error = self.assertRaises(DirectoryError, initialise, self.directory, "c", 1)
            self.assertIn("No space left", str(error))
            self.assertEqual(os.path.exists(self.directory), before is not None)
        self.assertEqual(os.listdir(self.directory), [])

    def refuse(self, *_: Any) -> None:
        """A disk that is full."""
        raise OSError(28, "No space left on device")


class OpenDirectoryTests(DirectoryTestCase):
    def test_every_start_is_numbered(self) -> None:
        """Two starts with one number would give two batches one name, and one of them would be dropped."""
        initialise(self.directory, "c", 1)
        began, boots, lives = int(time.time()), [], []
        for _ in range(3):
            store, states, identity = open_directory(self.directory, "c", 1, now)
            states.close()
            store.close()
            boots.append(identity.boot)
            lives.append(identity.starts[-1].life)
        self.assertEqual(sorted(set(boots)), boots)
        self.assertGreaterEqual(boots[0], began)
        self.assertEqual(len(set(lives)), 3)
        self.assertEqual([start.boot for start in identity.starts], boots)

    def test_fenced(self) -> None:
        """A node that once found its directory to be wrong must not vote after the next start: the fence stays."""
        initialise(self.directory, "c", 1)
        store, states, _ = open_directory(self.directory, "c", 1, now)
        states.close()
        store.commit_now(fence_writes("slot 7 differs"))
        store.close()
        for _ in range(2):
            self.assertRefused("is fenced: slot 7 differs", "keep the directory", "a new node take its place")
            self.assertRaises(DirectoryFenced, open_directory, self.directory, "c", 1, now)

    def test_a_start_is_counted_before_anything_else_happens(self) -> None:
        """A start that crashed at once was a start."""
        initialise(self.directory, "c", 1)
        code = (
            "import os, sys; from dkv.storage.data_directory import open_directory;"
            "open_directory(sys.argv[1], 'c', 1, print); os._exit(9)"
        )
        subprocess.run([sys.executable, "-c", code, self.directory], env={"PYTHONPATH": os.pathsep.join(sys.path)})
        self.assertEqual(len(self.open()[1].starts), 2)

    def test_a_missing_directory_says_how_to_make_it(self) -> None:
        """The first thing that a new operator meets; and nothing is created by looking."""
        self.assertRefused("does not exist", "dkv init --config <file> --node 7 --data-dir", node=7)
        self.assertFalse(os.path.exists(self.directory))

    def test_an_empty_directory_says_how_to_initialise_it(self) -> None:
        """A disk that was not mounted looks like this: starting anew by itself would forget every promise."""
        os.mkdir(self.directory)
        self.assertRefused("is empty", "dkv init")
        self.assertEqual(os.listdir(self.directory), [])

    def test_a_directory_of_something_else_is_refused(self) -> None:
        """LevelDB would put its files among the others."""
        os.mkdir(self.directory)
        Path(self.directory, "letters.txt").write_text("dear")
        self.assertRefused("not a data directory of dkv")
        self.assertEqual(os.listdir(self.directory), ["letters.txt"])

    def test_current_is_lost(self) -> None:
        """The advice to initialise it again would throw away what the node has promised."""
        initialise(self.directory, "c", 1)
        os.remove(os.path.join(self.directory, "CURRENT"))
        held = sorted(os.listdir(self.directory))
        self.assertRefused("is damaged: its file CURRENT is lost", "must not vote")
        self.assertEqual(sorted(os.listdir(self.directory)), held)

    def test_another_programs_leveldb_is_refused(self) -> None:
        """A node that takes another program's keys for its own would vote by rubbish."""
        plyvel.DB(self.directory, create_if_missing=True).close()
        self.assertRefused("not a data directory of dkv", "format version")

    def test_another_clusters_directory_is_refused(self) -> None:
        """Two clusters mixed would vote on each other's logs."""
        initialise(self.directory, "other", 1)
        self.assertRefused("belongs to cluster 'other', not to 'c'")

    def test_another_nodes_directory_is_refused(self) -> None:
        """One node's promises must not be kept, or broken, by another."""
        initialise(self.directory, "c", 2)
        self.assertRefused("belongs to node 2, not to node 1")

    def test_an_unknown_format_is_refused(self) -> None:
        """An older dkv must not misread what a newer one wrote; the line says which versions those are."""
        initialise(self.directory, "c", 1)
        database = plyvel.DB(self.directory)
        database.put(FORMAT, b"dkv 8")
        database.close()
        self.assertRefused("format version 8", "knows none beyond 7")

    def test_a_damaged_identity_is_refused(self) -> None:
        """A damaged name could be another node's."""
        initialise(self.directory, "c", 1)
        database = plyvel.DB(self.directory)
        database.put(IDENTITY, database.get(IDENTITY)[:-1] + b"d")
        database.close()
        self.assertRefused("is damaged", "must not vote", cluster="d")

    def test_a_directory_in_use_is_refused(self) -> None:
        """Two processes with one acceptor's promises would break them."""
        initialise(self.directory, "c", 1)
        self.open()
        self.assertRefused("is another dkvnode using it?")

    def test_the_words_of_leveldb(self) -> None:
        """LevelDB says only in words what is wrong; an operator is told what that means."""
        initialise(self.directory, "c", 1)
        for words, meaning in (
            ("IO error: lock d/LOCK: Resource temporarily unavailable", "is locked: is another dkvnode using it?"),
            ("IO error: lock d/LOCK: already held by process", "is locked: is another dkvnode using it?"),
            ("IO error: d/000004.log: Permission denied", "is not writable by this user: IO error: d/000004.log"),
            ("IO error: d/000004.log: Read-only file system", "is not writable by this user"),
        ):
            self.patch(identity_module, "LevelDBStore", Mock(side_effect=StoreFailed(words)))
            self.assertRefused(meaning)
        self.patch(identity_module, "LevelDBStore", Mock(side_effect=StoreFailed("Corruption: bad block")))
        error = self.assertRaises(DirectoryError, open_directory, self.directory, "c", 1, now)
        self.assertEqual(str(error), "Corruption: bad block")

    def test_a_refused_directory_is_unlocked_again(self) -> None:
        """A node started with the right --node after a wrong one, by the same process, must start."""
        initialise(self.directory, "c", 2)
        self.assertRefused("belongs to node 2")
        self.open(node=2)

    def test_an_unwritable_directory_is_refused(self) -> None:
        """A node that cannot write cannot promise."""
        initialise(self.directory, "c", 1)
        real_access = os.access
        self.patch(os, "access", lambda path, mode: not mode & os.W_OK and real_access(path, mode))
        self.assertRefused("not writable")


class LoadMembersTests(SynchronousTestCase):
    def test_returns_what_the_acceptor_stored(self) -> None:
        """A member that comes back with another disk is told apart by this."""
        store = MemoryStore(auto=True)
        store.commit({member_key(2): pack_number(2**64 - 1), member_key(300): pack_number(7)}, lambda failure: None)
        self.assertEqual(load_members(store), {2: Acquaintance(2**64 - 1), 300: Acquaintance(7)})
        self.assertEqual(load_members(MemoryStore()), {})

    def test_a_damaged_one_is_refused(self) -> None:
        """A damaged incarnation would refuse an honest peer for ever."""
        store = MemoryStore(auto=True)
        store.commit({member_key(2): pack_number(1)}, lambda failure: None)
        store.durable[member_key(2)] = store.durable[member_key(2)][:-1] + b"\x02"
        self.assertRaises(DirectoryError, load_members, store)


class ConfigurationsTests(SynchronousTestCase):
    """Who the members are at a start, before any actor has spoken."""

    ME = Identity("c", 1, 0xB1, 1, members=(1, 2, 3))

    def test_before_the_first_change(self) -> None:
        """The members are those of `dkv init`."""
        self.assertEqual(load_configurations(MemoryStore(), self.ME), (first_configurations((1, 2, 3)), 0))

    def test_as_the_state_has_them(self) -> None:
        """A node that starts must dial and judge by the members that it had when it stopped."""
        held = Configurations((Configuration(9, 73, frozenset((1, 4))),), (), 4)
        store = MemoryStore(auto=True)
        stored = {CONFIGURATIONS: pack_configurations(held), APPLIED_THROUGH: pack_number(80)}
        store.commit(stored, lambda failure: None)
        self.assertEqual(load_configurations(store, self.ME), (held, 80))
        store.commit({CONFIGURATIONS: b"nonsense"}, lambda failure: None)
        self.assertRaises(DirectoryError, load_configurations, store, self.ME)
