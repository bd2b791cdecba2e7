"""The generations of a state on a real disk: which is in force, what a crash leaves, what is erased and when."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from twisted.trial.unittest import TestCase

from dkv.keys import APPLIED_THROUGH, CLUSTER_KEY, GENERATION, STATE, pack_number
from dkv.sim.memory import MemoryStore
from dkv.storage.state_directories import (
    StateDirectories,
    create_state,
    generation_in_force,
    generation_writes,
    generations_in,
    state_directory,
)
from dkv.storage.store import RecordCorrupt, StoreFailed
from tests.integration.processes import wait_until

KEY = b"0123456789abcdef"
SECONDS = 10.0


class StateDirectoriesTests(TestCase):
    def setUp(self) -> None:
        self.directory: str = self.mktemp()
        os.mkdir(self.directory)
        create_state(self.directory, self.call, KEY, 1).close()
        self.failures: list[StoreFailed | None] = []

    def call(self, call: Any, *arguments: Any) -> None:
        """For ``call_from_thread``."""
        call(*arguments)

    def open(self, generation: int = 1) -> StateDirectories:
        opened = StateDirectories(self.directory, self.call, KEY, generation)
        self.addCleanup(opened.close)
        return opened

    def wait_for(self, *generations: int) -> None:
        """Until these are the directories: they are erased by a thread."""
        wait_until(lambda: generations_in(self.directory) == list(generations), SECONDS, f"only {generations} are left")

    def fill(self, states: StateDirectories, generation: int, value: bytes) -> None:
        """Write into a generation that is not in force."""
        states.beside(generation).commit({STATE + b"k": value, APPLIED_THROUGH: pack_number(9)}, self.failures.append)
        wait_until(lambda: self.failures == [None], SECONDS, "the commit is done")
        self.failures.clear()

    def test_which_is_in_force(self) -> None:
        """The log says it; formats without generations say nothing."""
        log = MemoryStore(auto=True)
        self.assertEqual(generation_in_force(log), 0)
        log.commit(generation_writes(7), lambda failure: None)
        self.assertEqual((generation_in_force(log), log.get(GENERATION)), (7, pack_number(7)))

    def test_switch(self) -> None:
        """The new state is read at once; the old one is erased when the log names the new one, durably."""
        states = self.open()
        states.current.commit_now({STATE + b"k": b"old"})
        generation = states.begin()
        self.fill(states, generation, b"new")
        self.assertEqual(states.current.get(STATE + b"k"), b"old")
        states.switch(generation)
        self.assertEqual(states.current.get(STATE + b"k"), b"new")
        self.assertEqual(generations_in(self.directory), [1, 2])
        states.settle()
        self.wait_for(2)

    def test_a_crash_before_the_switch(self) -> None:
        """Half a snapshot is erased at the next start, and the old state is as it was."""
        states = StateDirectories(self.directory, self.call, KEY, 1)
        states.current.commit_now({STATE + b"k": b"old"})
        self.fill(states, states.begin(), b"half")
        states.close()
        again = self.open(1)
        self.assertEqual(again.current.get(STATE + b"k"), b"old")
        self.assertEqual(generations_in(self.directory), [1])

    def test_a_crash_after_the_switch(self) -> None:
        """The log names the new one: the old one is erased."""
        states = StateDirectories(self.directory, self.call, KEY, 1)
        self.fill(states, states.begin(), b"new")
        states.close()
        self.assertEqual(self.open(2).current.get(STATE + b"k"), b"new")
        self.assertEqual(generations_in(self.directory), [2])

    def test_nothing_of_an_earlier_transfer(self) -> None:
        """A directory whose removal was cut short must not lend its keys to a new generation of its number."""
        states = self.open()
        shutil.copytree(state_directory(self.directory, 1), state_directory(self.directory, 2))
        Path(state_directory(self.directory, 2), "rest").touch()
        generation = states.begin()
        self.assertEqual(generation, 2)
        self.assertEqual(list(states.beside(2).scan(b"")), [(CLUSTER_KEY, KEY)])
        self.assertFalse(os.path.exists(os.path.join(state_directory(self.directory, 2), "rest")))

    def test_numbers_grow(self) -> None:
        """Also over those that were abandoned."""
        states = self.open()
        first = states.begin()
        states.abandon(first)
        self.assertEqual(states.begin(), first + 1)
        self.wait_for(1, first + 1)

    def test_erased_when_nobody_reads_it(self) -> None:
        """A donor's view of the old state stays readable after the switch, until it is closed."""
        states = self.open()
        states.current.commit_now({STATE + b"k": b"old", APPLIED_THROUGH: pack_number(3)})
        view = states.current.view()
        generation = states.begin()
        states.switch(generation)
        states.settle()
        self.assertEqual(view.read(b"", 1_000), [(APPLIED_THROUGH, pack_number(3)), (STATE + b"k", b"old")])
        self.assertEqual(generations_in(self.directory), [1, 2])
        view.close()
        view.close()
        self.wait_for(2)

    def test_a_view_is_one_moment(self) -> None:
        """Mark and data of a snapshot belong together, whatever is written back while it is sent."""
        states = self.open()
        states.current.commit_now({STATE + b"%d" % each: b"v" for each in range(5)} | {APPLIED_THROUGH: pack_number(1)})
        view = states.current.view()
        self.addCleanup(view.close)
        first = view.read(b"", 8)
        states.current.commit_now({STATE + b"3": None, STATE + b"9": b"v", APPLIED_THROUGH: pack_number(2)})
        self.assertEqual(view.get(APPLIED_THROUGH), pack_number(1))
        rest = view.read(first[-1][0], 1_000)
        self.assertEqual(
            [key for key, _ in first + rest], [APPLIED_THROUGH, *(STATE + b"%d" % each for each in range(5))]
        )
        self.assertEqual(view.read(STATE + b"4", 1_000), [])

    def test_a_state_of_another_cluster(self) -> None:
        """A directory that was put in the place of this one has sound checksums and other keys."""
        error = self.assertRaises(RecordCorrupt, StateDirectories, self.directory, self.call, b"another cluster.", 1)
        self.assertIn("is not a state of this cluster", str(error))
        self.open()

    def test_a_state_that_is_gone(self) -> None:
        """Beginning with nothing would forget what the log has given up."""
        error = self.assertRaises(RecordCorrupt, StateDirectories, self.directory, self.call, KEY, 3)
        for words in ("has lost its state", "state-00000003", "must not vote"):
            self.assertIn(words, str(error))
        self.assertEqual(generations_in(self.directory), [1])

    def test_a_disk_that_refuses(self) -> None:
        """What is half made is closed again."""
        states = self.open()
        before = len(os.listdir("/proc/self/fd"))
        os.rename(self.directory, self.directory + ".away")
        Path(self.directory).touch()
        self.assertRaises((StoreFailed, OSError), states.begin)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
        os.remove(self.directory)
        os.rename(self.directory + ".away", self.directory)

    def test_room_of_what_was_erased(self) -> None:
        """While a view is open LevelDB would merge in vain, and nobody would ask it again."""
        states = self.open()
        states.current.commit_now({STATE + b"k": b"v"})
        states.current.commit_now({STATE + b"k": None})
        view = states.current.view()
        self.assertEqual(states.current.erased, 0)
        view.close()
        erased = states.current.erased
        self.assertGreater(erased, 0)
        states.current.give_back()
        self.assertEqual(states.current.erased, 0)
        self.assertGreater(states.current.commits, 0)
