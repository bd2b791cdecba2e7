"""Backups of a running node: what a client fetches is the state after one slot, and costs the node little."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dkv.cli.checked_backup import CheckedBackup
from dkv.console.surroundings import BackupRefused
from dkv.identity import Identity
from dkv.keys import APPLIED_THROUGH, CLUSTER_KEY, DATABASE, STATE, pack_number
from dkv.kv.stored import string_header
from dkv.node import backups
from dkv.node.backups import SHARE, SILENCE_SECONDS, NodeBackups
from dkv.storage.store import RecordCorrupt, StoreFailed
from tests.node.test_key_count import SLICE_SECONDS, TimedStore

OWNER, OTHER = object(), object()


class BackupTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.store = TimedStore(self.clock)
        self.failures: list[StoreFailed] = []
        self.backups = NodeBackups(
            self.clock, Identity("c", 2, 9, 1), lambda: self.store, self.failures.append, lambda: 1234.5
        )
        self.keys = [b"%03d" % number for number in range(30)]
        self.write(7, self.keys)

    def write(self, slot: int, keys: list[bytes]) -> None:
        """Slot ``slot`` has set these keys."""
        values: dict[bytes, bytes | None] = {STATE + DATABASE + key: string_header(slot, 0) + key for key in keys}
        self.store.commit(values | {APPLIED_THROUGH: pack_number(slot), CLUSTER_KEY: b"secret"}, lambda _: None)

    def refusal(self, owner: object, covering: int | None = None) -> str:
        """Why no backup begins, or goes on."""
        with self.assertRaises(BackupRefused) as caught:
            self.backups.next(owner) if covering is None else self.backups.begin(owner, covering)
        return str(caught.exception)

    def fetch(self, first: bytes) -> CheckedBackup:
        """Fetch the rest as fast as the node allows, and check all of it."""
        made = CheckedBackup("it")
        made.feed(first)
        while (piece := self.next()) is not None:
            made.feed(piece)
        made.finish()
        return made

    def next(self) -> bytes | None:
        """The next piece, after as many questions as it takes."""
        while True:
            try:
                return self.backups.next(OWNER)
            except BackupRefused as refused:
                assert str(refused).startswith("TRYAGAIN "), refused
                self.clock.advance(SLICE_SECONDS / 10)

    def test_one_moment(self) -> None:
        """However much is written meanwhile, it is the state after one slot. The cluster's key is not in it."""
        self.patch(backups, "PIECE_BYTES", 100)
        made = CheckedBackup("it")
        made.feed(self.backups.begin(OWNER, 7))
        pieces = 0
        while (piece := self.next()) is not None:
            made.feed(piece)
            pieces += 1
            self.write(7 + pieces, [*self.keys, b"new"])
        made.finish()
        self.assertGreater(pieces, 5)
        self.assertEqual((made.header.applied_through, made.census.keys, made.census.latest_change), (7, 30, 7))
        self.assertEqual((made.header.cluster, made.header.node, made.header.seconds), ("c", 2, 1234))

    def test_begin_again(self) -> None:
        """A client that begins anew gives up what it had begun."""
        self.backups.begin(OWNER, 7)
        self.write(8, [b"new"])
        again = self.backups.begin(OWNER, 8)
        self.assertFalse(self.store.views[0].open)
        self.assertEqual(self.fetch(again).census.keys, 31)

    def test_covers(self) -> None:
        """A client that has seen slot 8 gets no backup without it, until the node has written it back."""
        self.assertEqual(self.refusal(OWNER, 8), "TRYAGAIN the state on disk ends at slot 7; ask again in a moment")
        self.assertFalse(self.store.views[0].open)
        self.write(8, [])
        self.assertEqual(self.fetch(self.backups.begin(OWNER, 8)).header.applied_through, 8)

    def test_one_at_a_time(self) -> None:
        """Two views would keep twice as much on disk. The end of the first makes room."""
        self.backups.begin(OWNER, 0)
        self.assertTrue(self.refusal(OTHER, 0).startswith("BUSY "))
        self.backups.end(OTHER)
        self.assertTrue(self.store.views[0].open)
        self.backups.end(OWNER)
        self.assertFalse(self.store.views[0].open)
        self.backups.begin(OTHER, 0)
        self.assertTrue(self.refusal(OWNER).startswith("ERR "))

    def test_done(self) -> None:
        """Behind the end nothing is open, and another client may begin."""
        self.fetch(self.backups.begin(OWNER, 7))
        self.assertFalse(any(view.open for view in self.store.views))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.backups.begin(OTHER, 7)

    def test_silence(self) -> None:
        """A client that hangs keeps overwritten data on disk for a while only; one that goes on keeps its view."""
        self.backups.begin(OWNER, 7)
        self.clock.advance(SILENCE_SECONDS * 0.9)
        self.assertTrue(self.store.views[-1].open)
        self.backups.next(OWNER)
        self.clock.advance(SILENCE_SECONDS * 0.9)
        self.assertTrue(self.store.views[-1].open)
        self.clock.advance(SILENCE_SECONDS * 0.2)
        self.assertFalse(self.store.views[-1].open)
        self.assertIn("silence of 30 s ends one", self.refusal(OWNER))

    def test_share_of_time(self) -> None:
        """A client that asks without pause gets a share of the node's time, and clients the rest."""
        self.patch(backups, "PIECE_BYTES", 20)
        self.backups.begin(OWNER, 7)
        began = self.clock.seconds()
        for _ in range(10):
            self.next()
        took = self.clock.seconds() - began
        self.assertGreaterEqual(took * SHARE * 1.01, 9 * SLICE_SECONDS)

    def test_damage(self) -> None:
        """Damage that is found on the way ends the node, as any read of it would; the client hears of no backup."""
        self.store.broken = RecordCorrupt("a block is damaged")
        self.backups.begin(OWNER, 7)
        self.assertEqual(self.refusal(OWNER), "ERR the state cannot be read")
        self.assertEqual(self.failures, [self.store.broken])
        self.assertFalse(self.store.views[0].open)

    def test_stop(self) -> None:
        """A node that ends closes what is open before it closes LevelDB."""
        self.backups.begin(OWNER, 7)
        self.backups.stop()
        self.assertFalse(self.store.views[0].open)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.backups.stop()
