"""dkv backup: a whole and checked file, or one clear line and no file."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Self

from click.testing import Result
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dkv.cli import access, asking
from dkv.cli import backup as command
from dkv.client.blocking import Endpoint, NoAnswer, Reply, ServerError
from dkv.console.surroundings import BackupRefused
from dkv.identity import Identity
from dkv.keys import APPLIED_THROUGH, pack_number
from dkv.node import backups
from dkv.node.backups import NodeBackups
from dkv.sim.memory import MemoryStore
from tests.cli.commands import run
from tests.kv.test_census import a_state

ENDPOINT = Endpoint("127.0.0.1", 5001)


class OneNode:
    """A node as the command meets it: what it has written back grows to what it has applied after a few questions."""

    endpoint = ENDPOINT

    def __init__(self, applied_through: int = 3, state: dict[bytes, bytes] | None = None) -> None:
        self.state = MemoryStore(auto=True)
        self.clock = Clock()
        self.applied_through = applied_through
        self.write({**(state or a_state()), APPLIED_THROUGH: pack_number(3)})
        self.backups = NodeBackups(self.clock, Identity("c", 2, 9, 1), lambda: self.state, print, lambda: 0.0)
        self.asked: list[tuple[bytes, ...]] = []
        self.on_next: Callable[[int, bytes], bytes] = lambda _, piece: piece
        self._pieces = 0

    def write(self, pairs: dict[bytes, bytes]) -> None:
        self.state.commit(pairs, lambda _: None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.backups.end(self)

    def call(self, *words: bytes) -> Reply:
        """One request."""
        self.asked.append(words)
        self.clock.advance(0.01)
        try:
            match words:
                case (b"GET", _):
                    return None
                case (b"DKV.STATUS",):
                    return json.dumps({"applied_through": self.applied_through, "state_live_bytes": None}).encode()
                case (b"DKV.BACKUP", b"BEGIN", slot):
                    if len(self.asked) > 5:
                        self.write({APPLIED_THROUGH: pack_number(self.applied_through)})
                    return self.backups.begin(self, int(slot))
                case (b"DKV.BACKUP", b"NEXT"):
                    piece = self.backups.next(self)
                    self._pieces += 1
                    return piece if piece is None else self.on_next(self._pieces, piece)
        except BackupRefused as refused:
            raise ServerError(str(refused)) from None
        raise AssertionError(words)


class BackupTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.node = OneNode()
        self.place = Path(self.mktemp())
        self.place.mkdir()
        self.file = self.place / "state.dkv"
        self.patch(backups, "PIECE_BYTES", 60)
        self.patch(access, "ask_where", lambda *_: (ENDPOINT, None))
        self.patch(command, "connect", lambda *_: self.node)
        self.patch(command, "pause", self.pause)
        self.patch(asking, "pause", self.pause)
        self.patch(command, "end_as_interrupted", lambda: None)  # a test keeps its own handlers
        self.paused: list[float] = []

    def pause(self, seconds: float) -> None:
        self.paused.append(seconds)
        self.node.clock.advance(seconds)

    def backup(self, *words: str) -> Result:
        return run("backup", *(words or (str(self.file),)))

    def assert_failed(self, result: Result, status: int, words: str) -> None:
        """One line, and nothing half made."""
        self.assertEqual((result.exit_code, result.stdout), (status, ""))
        self.assertRegex(result.stderr, rf"\Adkv: [^\n]*{words}[^\n]*\n\Z")
        self.assertEqual(os.listdir(self.place), [])

    def test_file(self) -> None:
        """The file is whole, its owner's alone, and `dkv verify` says so."""
        result = self.backup()
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        self.assertRegex(result.stdout, r"2 keys, \d+ B in .* all that was acknowledged before, up to slot 3\n\Z")
        self.assertEqual(stat.S_IMODE(self.file.stat().st_mode), 0o600)
        self.assertEqual(os.listdir(self.place), ["state.dkv"])
        verified = run("verify", str(self.file))
        self.assertEqual(
            verified.stdout, f"ok: {self.file} has the state of cluster 'c' up to slot 3: 2 keys\n", verified.output
        )

    def test_json(self) -> None:
        """A script reads what was saved."""
        fields = json.loads(self.backup(str(self.file), "--output", "json").stdout)
        self.assertEqual((fields["keys"], fields["applied_through"], fields["node"]), (2, 3, 2))
        self.assertEqual(fields["bytes"], self.file.stat().st_size)

    def test_all_that_was_acknowledged(self) -> None:
        """A read comes first, and the backup covers what the node had applied then, once that is on its disk."""
        self.node.applied_through = 9
        self.assertIn("up to slot 9\n", self.backup().stdout)
        begins = [words for words in self.node.asked if words[1:2] == (b"BEGIN",)]
        self.assertEqual(self.node.asked[:2], [(b"GET", asking.READ_KEY), (b"DKV.STATUS",)])
        self.assertEqual(begins, [(b"DKV.BACKUP", b"BEGIN", b"9")] * len(begins))
        self.assertGreater(len(begins), 1)

    def test_state_that_is_never_written_back(self) -> None:
        """A node whose disk hangs is not waited for without end."""
        self.node.applied_through = 9
        self.node.write = lambda pairs: None  # type: ignore[method-assign]  # this node's disk takes nothing more
        self.patch(command, "COVERED_SECONDS", 0.0)
        self.assert_failed(self.backup(), 4, "refused by 127.0.0.1:5001: TRYAGAIN the state on disk ends at slot 3")

    def test_stdout(self) -> None:
        """A backup goes through a pipe; what is said of it does not get into it."""
        self.backup()
        result = self.backup("-")
        self.assertEqual((result.exit_code, result.stdout_bytes), (0, self.file.read_bytes()))
        self.assertRegex(result.stderr, r"\Adkv: 2 keys, [^\n]*\n\Z")
        verified = run("verify", "-", stdin=result.stdout_bytes)
        self.assertEqual(verified.stdout, "ok: stdin has the state of cluster 'c' up to slot 3: 2 keys\n")

    def test_rate(self) -> None:
        """The pauses make it as slow as it was told."""
        self.backup(str(self.file), "--rate", "0.001")
        self.assertGreater(sum(self.paused), 0.25)

    def test_never_written_over(self) -> None:
        """Last night's backup stays, whatever a script does."""
        self.file.write_text("last night's")
        result = self.backup()
        self.assertEqual((result.exit_code, result.stdout), (2, ""))
        self.assertIn("exists: name another file", result.stderr)
        self.assertEqual(self.file.read_text(), "last night's")

    def test_damaged_on_the_way(self) -> None:
        """What was changed on the way is not kept."""
        self.node.on_next = lambda number, piece: piece[:-1] + b"!" if number == 3 else piece
        self.assert_failed(self.backup(), 1, "the backup is damaged, in the part that begins at byte")

    def test_node_that_is_gone(self) -> None:
        """A node that ends in the middle leaves no half of a file."""

        def gone(number: int, piece: bytes) -> bytes:
            raise NoAnswer("no answer from 127.0.0.1:5001: it closed the connection")

        self.node.on_next = gone
        self.assert_failed(self.backup(), 5, "the backup is not whole: no answer from 127.0.0.1:5001")

    def test_cut_short(self) -> None:
        """A node that says that this was all, and it was not."""
        self.patch(NodeBackups, "next", lambda *_: None)
        self.assert_failed(self.backup(), 1, "the backup is cut")

    def test_another_backup(self) -> None:
        """Two at a time are one too many for a node."""
        self.node.backups.begin(object(), 0)
        self.assert_failed(self.backup(), 4, "refused by 127.0.0.1:5001: BUSY another client")

    def test_interrupted(self) -> None:
        """A Ctrl-C leaves nothing behind."""

        def interrupt(number: int, piece: bytes) -> bytes:
            raise KeyboardInterrupt

        self.node.on_next = interrupt
        self.assert_failed(self.backup(), 130, "interrupted; .*state.dkv was not made")

    def test_no_room(self) -> None:
        """A full disk is one line; what was written is removed."""

        def full(descriptor: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        self.patch(os, "fsync", full)
        self.assert_failed(self.backup(), 1, "cannot write .*state.dkv: No space left on device; it was not made")

    def test_no_directory(self) -> None:
        """A slip in the path."""
        result = self.backup(str(self.place / "nowhere" / "file"))
        self.assert_failed(result, 1, "cannot write .*: No such file or directory; it was not made")

    def test_odd_answers(self) -> None:
        """Another server at that port."""
        self.patch(OneNode, "call", lambda *_: 7)
        self.assert_failed(self.backup(), 4, "a node of dkv would not answer")
