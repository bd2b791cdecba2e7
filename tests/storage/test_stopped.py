"""A stopped node's directory, open for reading."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dkv.storage.data_directory import FORMAT_VERSION, DirectoryError, initialise, open_directory
from dkv.storage.state_directories import state_directory
from dkv.storage.stopped import stopped_node
from tests.storage.test_formats import FORMATS
from tests.storage.test_lookalike import everything


class StoppedNodeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        shutil.copytree(FORMATS / "v7", self.directory)

    def refusal(self) -> str:
        """Why the directory cannot be looked into, in one line that speaks of no lookalike."""
        context = stopped_node(str(self.directory))
        text = str(self.assertRaises(DirectoryError, context.__enter__))
        self.assertNotIn("\n", text)
        self.assertNotIn("dkv-look", text)
        return text

    def test_open(self) -> None:
        """Both databases can be read, and nothing has changed behind that."""
        state = Path(state_directory(str(self.directory), 1))
        before = everything(self.directory), everything(state)
        with stopped_node(str(self.directory)) as node:
            self.assertEqual((node.identity.cluster, node.identity.node), ("example", 3))
            self.assertEqual((node.format_version, node.generation, node.generations), (FORMAT_VERSION, 1, (1,)))
            self.assertEqual(len(list(node.state_pairs())), 13)
        self.assertEqual((everything(self.directory), everything(state)), before)

    def test_older_formats(self) -> None:
        """Their state lies beside the log."""
        for version in (1, 2, 3):
            with stopped_node(str(FORMATS / f"v{version}")) as node:
                self.assertIs(node.state, node.log)
                self.assertEqual((node.format_version, node.generation), (version, 0))

    def test_in_use(self) -> None:
        """A running node's files change while they are read: it is left alone, and the other way round."""
        directory = self.mktemp()
        initialise(directory, "example", 3, (1, 2, 3), bytes(16))
        store, states, _ = open_directory(directory, "example", 3, print)
        self.directory = Path(directory)
        self.assertIn("is another dkvnode using it?", self.refusal())
        states.close()
        store.close()
        with stopped_node(directory):
            error = self.assertRaises(DirectoryError, open_directory, directory, "example", 3, print)
            self.assertIn("is another dkvnode using it?", str(error))
        store, states, _ = open_directory(directory, "example", 3, print)
        states.close()
        store.close()

    def test_no_data_directory(self) -> None:
        """A slip in the path is one clear line."""
        shutil.rmtree(self.directory)
        self.assertIn("No such file or directory", self.refusal())
        self.directory.mkdir()
        self.assertIn("is not a data directory of dkv, for it has no file CURRENT", self.refusal())
        self.directory.joinpath("CURRENT").write_text("a letter")
        self.assertIn("names no manifest", self.refusal())

    def test_lost_or_foreign_state(self) -> None:
        """A state that is gone, or another cluster's, is no state of this node."""
        state = state_directory(str(self.directory), 1)
        other = self.mktemp()
        initialise(other, "example", 3, (1, 2, 3), bytes(16))
        shutil.rmtree(state)
        self.assertIn("has lost the directory of its state", self.refusal())
        shutil.copytree(state_directory(other, 1), state)
        self.assertIn("is not a state of this cluster", self.refusal())

    def test_damage_names_the_directory(self) -> None:
        """The path that an operator reads is the node's, not that of a lookalike that is gone."""
        for path in self.directory.glob("*.log"):
            data = path.read_bytes()
            path.write_bytes(data[:40] + bytes([data[40] ^ 1]) + data[41:])
        self.assertIn(f"{self.directory} is damaged: Corruption", self.refusal())

    def test_errors_while_it_is_read(self) -> None:
        """What is damaged may be found only when it is read; the message is the same."""
        table = next(self.directory.glob("*.ldb"))
        data = table.read_bytes()
        table.write_bytes(data[:20] + bytes([data[20] ^ 1]) + data[21:])

        def read() -> None:
            with stopped_node(str(self.directory)) as node:
                list(node.log.scan(b""))

        self.assertIn(str(self.directory), str(self.assertRaises(DirectoryError, read)))
        self.assertTrue(os.path.exists(table))
