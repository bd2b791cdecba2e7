"""dkv restore: the directories of a new cluster, or one clear line and nothing."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from click.testing import Result
from twisted.trial.unittest import SynchronousTestCase

from dkv.cli import restore as command
from dkv.cli.checked_backup import CheckedBackup, read_checked
from dkv.cli.layout import new_config
from dkv.config.config import render_config
from dkv.keys import DATABASES_KEY
from dkv.storage.data_directory import DirectoryError, initialise
from dkv.storage.restored import EPOCH_SLOTS
from dkv.storage.stopped import stopped_node
from dkv.wire.backup_file import BackupHeader, BackupWriter, Pair
from tests.cli.commands import run
from tests.kv.test_census import a_state

KEY = "00112233445566778899aabbccddeeff"


def a_backup(pairs: dict[bytes, bytes] | None = None, node: int = 1) -> bytes:
    """The bytes of a backup of three slots, in several chunks."""
    writer = BackupWriter()
    state = a_state() if pairs is None else pairs
    parts = [writer.begin(BackupHeader("old", node, 3, 0, "1"))]
    return b"".join([*parts, *(writer.chunk([pair]) for pair in state.items()), writer.end()])


class RestoreTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.place = Path(self.mktemp()).absolute()
        self.place.mkdir()
        self.config = self.place / "cluster.toml"
        self.config.write_text(render_config(new_config(3, 5001)))
        self.file = self.place / "state.dkv"
        self.file.write_bytes(a_backup())
        self.data = self.place / "data"
        self.patch(command, "end_as_interrupted", lambda: None)  # a test keeps its own handlers

    def restore(self, *words: str) -> Result:
        return run("restore", str(self.file), "--config", str(self.config), "--data-dir", str(self.data), *words)

    def assert_refused(self, result: Result, status: int, words: str) -> None:
        """One line, and nothing is made."""
        self.assertEqual((result.exit_code, result.stdout), (status, ""))
        self.assertRegex(result.stderr, rf"\Adkv: [^\n]*{words}[^\n]*\n\Z")
        self.assertFalse(self.data.exists())

    def key_of(self, path: Path) -> str:
        """The cluster's key in a directory."""
        with stopped_node(str(path)) as node:
            return node.identity.cluster_key.hex()

    def test_all_nodes(self) -> None:
        """A cluster on this machine: each directory passes `dkv verify`, and they belong together."""
        result = self.restore()
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        *lines, last = result.stdout.splitlines()
        directories = [self.data / f"node{node}" for node in (1, 2, 3)]
        self.assertEqual(
            lines,
            [
                f"restored {path} as the data directory of node {node} of cluster 'local'"
                for node, path in enumerate(directories, 1)
            ],
        )
        self.assertEqual(
            last,
            f"2 keys of cluster 'old' as after its slot 3; the new cluster's slots go on above {EPOCH_SLOTS}",
        )
        for path in directories:
            verified = run("verify", str(path))
            self.assertIn(f"2 keys up to slot {EPOCH_SLOTS}", verified.stdout, verified.output)
        self.assertEqual(len({self.key_of(path) for path in directories}), 1)

    def test_node_by_node(self) -> None:
        """On several machines, with the key that the first one printed; the names of both files are in the line."""
        first = self.restore("--node", "1")
        words = r"for each of the other nodes: dkv restore (\S+) --config (\S+) --node ID --cluster-key (\S+)"
        found = re.fullmatch(words, first.stdout.splitlines()[-1])
        assert found is not None
        self.assertEqual(found.groups()[:2], (str(self.file), str(self.config)))
        key = self.key_of(self.data)
        self.data = self.place / "node2"
        second = self.restore("--node", "2", "--cluster-key", found[3])
        self.assertEqual((second.exit_code, self.key_of(self.data)), (0, key))
        self.assertNotIn("for each of the other nodes", second.stdout)

    def test_other_backups(self) -> None:
        """Nodes of two backups never find together, even with one key given to both; nor with `dkv init`."""
        keys = set()
        for number, backup in enumerate((a_backup(), a_backup(node=2), a_backup())):
            self.file.write_bytes(backup)
            self.data = self.place / f"data{number}"
            self.restore("--node", "1", *(("--cluster-key", KEY) if number < 2 else ()))
            keys.add(self.key_of(self.data))
        self.assertEqual(len(keys | {KEY}), 4)

    def test_never_over_anything(self) -> None:
        """A restore destroys nothing: all directories must be new, or none is made."""
        (self.data / "node2").mkdir(parents=True)
        (self.data / "node2" / "letter").touch()
        result = self.restore()
        self.assertEqual((result.exit_code, result.stdout), (1, ""))
        self.assertIn("holds 'letter'; name an empty or a new one", result.stderr)
        self.assertEqual(
            sorted(map(str, self.data.rglob("*"))), [str(self.data / "node2"), str(self.data / "node2/letter")]
        )
        (self.data / "node2" / "letter").unlink()
        self.assertEqual(self.restore().exit_code, 0)
        self.assertIn("is initialised already; nothing was changed", self.restore().stderr)

    def test_damaged(self) -> None:
        """A cut file, and a flipped bit in each region, are found before anything is made."""
        whole = self.file.read_bytes()
        for offset in (3, 14, 40, len(whole) // 2, len(whole) - 5):
            self.file.write_bytes(whole[:offset] + bytes([whole[offset] ^ 1]) + whole[offset + 1 :])
            self.assert_refused(self.restore(), 1, "state.dkv (is damaged|is no backup|is cut, or damaged|lacks parts)")
        self.file.write_bytes(whole[:-1])
        self.assert_refused(self.restore(), 1, "state.dkv is cut, or damaged: it has .* bytes and no end")
        self.file.write_bytes(b"dkv backup 9\n")
        self.assert_refused(self.restore(), 1, "has version 9 of the format, and this dkv knows none beyond 3")
        self.file.write_bytes(a_backup({key: value for key, value in a_state().items() if key != DATABASES_KEY}))
        self.assert_refused(self.restore(), 1, "state.dkv is damaged: ")

    def test_unreadable(self) -> None:
        """A file that is not there, or is a directory, is one line."""
        self.file.unlink()
        self.assert_refused(self.restore(), 1, "cannot read .*state.dkv: No such file or directory")
        self.file.mkdir()
        self.assert_refused(self.restore(), 1, "cannot read .*state.dkv: Is a directory")

    def test_usage(self) -> None:
        """A node that the config does not have, and a key that was cut off in pasting."""
        self.assert_refused(self.restore("--node", "4"), 2, "node 4 is not a member")
        self.assert_refused(self.restore("--cluster-key", KEY[:-1]), 2, "is not 32 hex digits")

    def test_changed_meanwhile(self) -> None:
        """A file that is replaced while it is read: what was checked is not what would be restored."""

        def replaced(path: Path, what: str, backup: CheckedBackup) -> Iterator[list[Pair]]:
            yield from read_checked(path, what, backup)
            self.file.write_bytes(a_backup(node=2))

        self.patch(command, "read_checked", replaced)
        self.assert_refused(self.restore(), 1, "state.dkv has changed while it was read")

    def test_interrupted_and_no_room(self) -> None:
        """At the second of three nodes: the first is removed, too."""
        for error, status, words in (
            (KeyboardInterrupt(), 130, "interrupted; nothing was made"),
            (DirectoryError("cannot initialise node2: No space left on device"), 1, "No space left on device"),
        ):
            self._fail_at_second(error)
            self.assert_refused(self.restore(), status, words)

    def _fail_at_second(self, error: BaseException) -> None:
        def fail(directory: str, cluster: str, node: int, *more: object) -> object:
            if node == 2:
                raise error
            return initialise(directory, cluster, node, *more)  # type: ignore[arg-type]  # as the command gives them

        self.patch(command, "initialise", fail)

    def test_the_config_is_the_new_one(self) -> None:
        """More nodes, another name: nothing of the old cluster but its data."""
        text = render_config(new_config(5, 5001)).replace('cluster = "local"', 'cluster = "other"')
        self.assertEqual(len(tomllib.loads(text)["node"]), 5)
        self.config.write_text(text)
        self.assertIn("of node 5 of cluster 'other'", self.restore().stdout)
        self.assertEqual(sorted(os.listdir(self.data)), [f"node{node}" for node in range(1, 6)])
