"""dkv init: one directory becomes one node's, or nothing happens."""

from __future__ import annotations

import os
import re
from pathlib import Path

from click.testing import Result
from twisted.trial.unittest import SynchronousTestCase

from dkv.cli.layout import new_config
from dkv.config.config import render_config
from dkv.storage.data_directory import open_directory
from tests.cli.commands import run

KEY = "00112233445566778899aabbccddeeff"


class Init(SynchronousTestCase):
    """``dkv init``."""

    def setUp(self) -> None:
        self.place = Path(self.mktemp())
        self.place.mkdir()
        self.config = self.place / "cluster.toml"
        self.config.write_text(render_config(new_config(3, 5001)))
        self.directory = self.place / "data" / "node2"

    def init(self, *words: str) -> Result:
        return run("init", "--config", str(self.config), "--data-dir", str(self.directory), *words)

    def assert_refused(self, result: Result, status: int, words: str) -> None:
        self.assertEqual((result.exit_code, result.stdout), (status, ""))
        self.assertRegex(result.stderr, rf"\Adkv: [^\n]*{words}[^\n]*\n\Z")

    def test_initialises(self) -> None:
        """The directory is then that node's, and the user reads so."""
        result = self.init("--node", "2", "--cluster-key", KEY)
        self.assertEqual(
            (result.exit_code, result.stdout),
            (0, f"initialised {self.directory} as the data directory of node 2 of cluster 'local'\n"),
        )
        store, states, identity = open_directory(str(self.directory), "local", 2, lambda *_: None)
        states.close()
        store.close()
        self.assertEqual((identity.node, len(identity.starts)), (2, 1))
        self.assertEqual((identity.members, identity.cluster_key), ((1, 2, 3), bytes.fromhex(KEY)))

    def test_draws_a_key(self) -> None:
        """Two new clusters with one name keep their own nodes; the second line is for the other machines."""
        keys = set()
        for node in ("1", "2"):
            self.directory = self.place / f"node{node}"
            _, line = self.init("--node", node).stdout.splitlines()
            words = rf"for each of the other nodes: dkv init --config {self.config} --node ID --cluster-key (\S+)"
            found = re.fullmatch(words, line)
            assert found is not None
            keys.add(found[1])
        self.assertEqual(len(keys), 2)

    def test_a_cluster_of_one(self) -> None:
        """It has no other nodes to give a key to."""
        self.config.write_text(render_config(new_config(1, 5001)))
        self.assertEqual(len(self.init("--node", "1").stdout.splitlines()), 1)

    def test_not_a_key(self) -> None:
        """A key that was cut off in pasting is noticed here, not when nodes refuse each other."""
        for text in ("", KEY[:-1], KEY[:-2], KEY + "00", "no key"):
            self.assert_refused(self.init("--node", "2", "--cluster-key", text), 2, "is not 32 hex digits")
            self.assertFalse(self.directory.exists())

    def test_any_name(self) -> None:
        """The current directory, and a bare name that is there already."""
        config = self.config.absolute()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.place)
        os.mkdir("bare")
        self.assertEqual(run("init", "--config", str(config), "--node", "1", "--data-dir", "bare").exit_code, 0)
        os.mkdir("inside")
        os.chdir("inside")
        result = run("init", "--config", str(config), "--node", "1", "--data-dir", ".")
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        self.assertTrue(os.path.exists("CURRENT"))

    def test_environment(self) -> None:
        """A unit file or a container can say it all in the environment, as for twistd dkvnode."""
        environment = {"DKV_CONFIG": str(self.config), "DKV_NODE": "2", "DKV_DATA_DIR": str(self.directory)}
        self.assertEqual(run("init", environment=environment).exit_code, 0)
        self.assertTrue((self.directory / "CURRENT").exists())

    def test_twice(self) -> None:
        """Typing it again destroys nothing: the node would forget what it promised."""
        self.init("--node", "2")
        held = {path.name: path.read_bytes() for path in self.directory.rglob("*") if path.is_file()}
        self.assert_refused(self.init("--node", "2"), 1, "initialised already")
        self.assertEqual({path.name: path.read_bytes() for path in self.directory.rglob("*") if path.is_file()}, held)

    def test_directory_of_something_else(self) -> None:
        """A slip in a path does not mix a database into somebody's files."""
        self.directory.mkdir(parents=True)
        (self.directory / "letter").touch()
        self.assert_refused(self.init("--node", "2"), 1, "'letter'")

    def test_unknown_node(self) -> None:
        """A node that the config does not have is a slip; nothing is made."""
        self.assert_refused(self.init("--node", "4"), 2, "node 4 is not a member")
        self.assertFalse(self.directory.exists())

    def test_no_config(self) -> None:
        """A config that is not there is one clear line."""
        self.config.unlink()
        self.assert_refused(self.init("--node", "2"), 2, "No such file or directory")
