"""dkv export: every key that exists after one slot, once, and nothing of what is gone."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from click.testing import Result
from twisted.trial.unittest import SynchronousTestCase

from dkv.cli import access, asking, exporting
from dkv.cli import backup as backup_command
from dkv.client.blocking import NoAnswer
from dkv.keys import DIGEST
from dkv.kv.keyspace import Keyspace
from dkv.node import backups
from tests.cli.commands import run
from tests.cli.test_backup import ENDPOINT, OneNode
from tests.turns import FakeTurn

NOW = 1_000


def a_state() -> dict[bytes, bytes]:
    """The state after keys in three databases were set, some of which have expired, and one database was flushed."""
    turn, keyspace = FakeTurn(), Keyspace()
    keyspace.begin_slot(turn, 1, 1)
    keyspace.store(turn, 0, b"a", b"1")
    keyspace.store(turn, 0, b"gone", b"x", NOW)
    keyspace.store(turn, 0, b"lasts", "é".encode(), NOW + 1)
    keyspace.store(turn, 3, b"flushed", b"x")
    keyspace.settle(turn)
    keyspace.begin_slot(turn, 2, 2)
    keyspace.flush(range(3, 4))
    keyspace.settle(turn)
    keyspace.begin_slot(turn, 3, NOW)
    keyspace.store(turn, 3, b"\xff", b"\0\n\xfe")
    keyspace.store(turn, 15, b"a", b"")
    keyspace.settle(turn)
    pairs = {key: value for key, value in turn.staged.items() if value is not None}
    return dict(sorted((pairs | {DIGEST: bytes(16)}).items()))


class ExportTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.node = OneNode(3, a_state())
        self.place = Path(self.mktemp())
        self.place.mkdir()
        self.file = self.place / "keys.jsonl"
        self.patch(backups, "PIECE_BYTES", 60)
        self.patch(access, "ask_where", lambda *_: (ENDPOINT, None))
        self.patch(backup_command, "connect", lambda *_: self.node)
        for module in (backup_command, asking):
            self.patch(module, "pause", self.node.clock.advance)
        for module in (backup_command, exporting):
            self.patch(module, "end_as_interrupted", lambda: None)  # a test keeps its own handlers

    def export(self, *words: str) -> Result:
        return run("export", str(self.file), *words)

    def lines(self) -> list[dict[str, Any]]:
        """The lines of the file."""
        return [json.loads(line) for line in self.file.read_bytes().splitlines()]

    def test_all(self) -> None:
        """Keys of all databases, as they are after one slot; what has expired or was flushed is gone."""
        result = self.export()
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        self.assertRegex(result.stdout, r"keys.jsonl: 4 keys, \d+ B in .* of cluster 'c' up to slot 3\n\Z")
        self.assertEqual(stat.S_IMODE(self.file.stat().st_mode), 0o600)
        first, *keys, last = self.lines()
        self.assertEqual(first, {"dkv_export": 1, "cluster": "c", "node": 2, "applied_through": 3, "time_ms": NOW})
        self.assertEqual(last, {"dkv_export_end": 4})
        wanted = [
            {"db": 0, "key": "a", "value": "1"},
            {"db": 0, "key": "lasts", "value": "é", "deadline_ms": NOW + 1},
            {"db": 3, "key_base64": "/w==", "value_base64": "AAr+"},
            {"db": 15, "key": "a", "value": ""},
        ]
        self.assertEqual(sorted(keys, key=lambda each: int(each["db"])), wanted)

    def test_another_one(self) -> None:
        """The part of a file that another export writes, or left when it was killed, is nobody's to overwrite."""
        part = self.file.with_name(self.file.name + ".part")
        part.touch()
        result = self.export()
        self.assertEqual(result.exit_code, 1)
        said = f"cannot write {self.file}: {part} exists: remove it if no other export is under way; it was not made"
        self.assertIn(said, result.stderr)
        self.assertTrue(part.exists())

    def test_help(self) -> None:
        """Without --db all databases are exported, and not the one that other commands would take."""
        said = " ".join(run("export", "--help").stdout.split())
        self.assertIn("Only the keys of this database, from 0 to 15. [default: all, or that of --endpoints]", said)

    def test_some(self) -> None:
        """One database, or the keys that match."""
        self.export("--db", "3")
        self.assertEqual([line.get("db") for line in self.lines()], [None, 3, None])
        self.file.unlink()
        self.export("--match", "a*")
        self.assertEqual([line.get("key") for line in self.lines()], [None, "a", "a", None])
        self.file.unlink()
        self.export("--match", "nothing")
        self.assertEqual([line.get("dkv_export_end") for line in self.lines()], [None, 0])
        self.assertEqual(self.export("--match", "x" * 2000).exit_code, 2)

    def test_from_a_backup(self) -> None:
        """The same, without a node; a backup that was cut makes no file."""
        self.export()
        backup = self.place / "state.dkv"
        self.assertEqual(run("backup", str(backup)).exit_code, 0)
        whole = self.file.read_bytes()
        self.file.unlink()
        self.patch(access, "ask_where", self.fail)
        self.assertEqual(self.export("--from-backup", str(backup)).exit_code, 0)
        self.assertEqual(self.file.read_bytes(), whole)
        self.file.unlink()
        backup.write_bytes(backup.read_bytes()[:-1])
        result = self.export("--from-backup", str(backup))
        self.assertEqual((result.exit_code, self.file.exists()), (1, False))
        self.assertIn("is cut", result.stderr)

    def test_stdout(self) -> None:
        """Into a pipe; what is said of it does not get into it."""
        self.export()
        result = run("export", "-")
        self.assertEqual((result.exit_code, result.stdout_bytes), (0, self.file.read_bytes()))
        self.assertRegex(result.stderr, r"\Adkv: 4 keys, [^\n]*\n\Z")

    def test_json(self) -> None:
        """A script reads what was exported."""
        fields = json.loads(self.export("--output", "json").stdout)
        self.assertEqual(fields, {"file": str(self.file), "keys": 4, "applied_through": 3})

    def test_lost(self) -> None:
        """A node that is gone in the middle leaves no half of a file."""

        def gone(number: int, piece: bytes) -> bytes:
            raise NoAnswer("no answer from 127.0.0.1:5001: it closed the connection")

        self.node.on_next = gone
        result = self.export()
        self.assertEqual((result.exit_code, os.listdir(self.place)), (5, []))
        self.assertIn("the export is not whole: no answer from 127.0.0.1:5001", result.stderr)

    def test_an_older_state(self) -> None:
        """A cluster that has no databases yet, and no time."""
        self.node = OneNode()
        self.patch(backup_command, "connect", lambda *_: self.node)
        self.export()
        self.assertEqual([line.get("value") for line in self.lines()], [None, "22", "4444", None])
