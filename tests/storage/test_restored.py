"""The directories of a new cluster that is made from a backup."""

from __future__ import annotations

import os
from collections.abc import Mapping

from twisted.trial.unittest import SynchronousTestCase

from dkv.ballot import ZERO
from dkv.configurations import first_configurations
from dkv.identity import NO_VOTES
from dkv.keys import (
    APPLIED_THROUGH,
    BATCH_MARK,
    CHOSEN_THROUGH,
    CLUSTER_KEY,
    COMPACTED,
    CONFIGURATIONS,
    DIGEST,
    PROMISE,
    RECORD,
    pack_compacted,
    pack_number,
    unpack_number,
)
from dkv.kv.codes import PUT
from dkv.kv.machine import Machine
from dkv.kv.stored import revision_of
from dkv.records import Batch
from dkv.storage import restored
from dkv.storage.data_directory import DirectoryError, initialise, open_directory
from dkv.storage.lives import votes_of
from dkv.storage.log_check import check_log
from dkv.storage.restored import EPOCH_SLOTS, restore_state, restored_key, restored_through
from dkv.storage.state_directories import StateDirectory
from dkv.wire.codec import decode_entries, encode_entries
from tests.kv.test_census import a_state
from tests.turns import FakeTurn

DIGEST_THERE = b"digest of a log."
KEY = b"of a new cluster"


class RestoredTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = self.mktemp()
        self.state = a_state() | {DIGEST: DIGEST_THERE}

    def restore(self, chunk_pairs: int = 3) -> None:
        """Make a directory from the state, which comes in chunks."""
        pairs = list(self.state.items())
        chunks = [pairs[first : first + chunk_pairs] for first in range(0, len(pairs), chunk_pairs)]

        def fill(state: StateDirectory) -> Mapping[bytes, bytes]:
            return restore_state(state, chunks, restored_through(3))

        initialise(self.directory, "new", 2, (1, 2, 3), KEY, fill)

    def test_node_that_starts(self) -> None:
        """The check of a start passes: the log begins behind the state, and the node has promised nothing."""
        self.restore()
        log, states, identity = open_directory(self.directory, "new", 2, print, (1, 2, 3))
        check_log(log, states.current)
        self.assertEqual((identity.cluster_key, len(identity.starts)), (KEY, 1))
        self.assertEqual((votes_of(log), log.get(PROMISE), NO_VOTES.ballot), (NO_VOTES, None, ZERO))
        self.assertEqual(list(log.scan(RECORD)), [])
        self.assertEqual(log.get(COMPACTED), pack_compacted(EPOCH_SLOTS, DIGEST_THERE))
        self.assertEqual(log.get(CHOSEN_THROUGH), pack_number(EPOCH_SLOTS))
        states.close()
        log.close()

    def test_same_state(self) -> None:
        """Keys with their revisions, and tokens, are as they were; marks of strangers, and their members, are gone.

        A cluster that believed the old members would wait for a quorum of them for ever.
        """
        self.patch(restored, "COMMIT_BYTES", 10)
        self.restore(chunk_pairs=1)
        log, states, _ = open_directory(self.directory, "new", 2, print, (1, 2, 3))
        found = dict(states.current.scan(b""))
        self.assertEqual(found.pop(CLUSTER_KEY), KEY)
        expected = {key: value for key, value in self.state.items() if key[:1] not in (BATCH_MARK, CONFIGURATIONS)}
        self.assertEqual(len(expected), len(self.state) - 2)
        self.assertEqual(found, expected | {APPLIED_THROUGH: pack_number(EPOCH_SLOTS)})
        states.close()
        log.close()

    def test_b36_revisions_go_on_above(self) -> None:
        """The old cluster went on after the backup: what it gave out then is never given again."""
        turn = FakeTurn(stored=self.state)
        machine = Machine(decode_entries, first_configurations((1, 2, 3)))
        machine.start(turn)
        slot = restored_through(unpack_number(self.state[APPLIED_THROUGH])) + 1
        machine.begin_slot(turn, slot, 0)
        machine.apply(turn, Batch(1, 99, 1, 1, encode_entries([[PUT, b"a", b"new"]])), False)
        written = turn.staged[b"S\0a"]
        assert written is not None
        self.assertGreater(revision_of(written), (3 + 10**9, 0))

    def test_epochs(self) -> None:
        """A cluster may be restored from a backup of a restored one."""
        self.assertEqual([restored_through(slot) for slot in (0, 1, EPOCH_SLOTS - 1)], [EPOCH_SLOTS] * 3)
        self.assertEqual(restored_through(EPOCH_SLOTS), 2 * EPOCH_SLOTS)

    def test_keys(self) -> None:
        """Nodes of two backups, of two restores, or of ``dkv init``, have different keys and refuse each other."""
        drawn, other = bytes(16), bytes(15) + b"\1"
        keys = {restored_key(*each) for each in ((drawn, b"x"), (drawn, b"y"), (other, b"x"))} | {drawn, other}
        self.assertEqual((len(keys), {len(each) for each in keys}), (5, {16}))
        self.assertEqual(restored_key(drawn, b"x"), restored_key(drawn, b"x"))

    def test_nothing_half_made(self) -> None:
        """Whatever goes wrong on the way, the directory is as it was: missing, or empty."""

        class Interrupted(BaseException):
            """Such as a Ctrl-C."""

        def refused(raised: type[BaseException], error: BaseException) -> None:
            def fail(state: StateDirectory) -> Mapping[bytes, bytes]:
                state.commit_now({b"Sx": b"y"})
                raise error

            self.assertRaises(raised, initialise, self.directory, "new", 2, (1, 2, 3), KEY, fail)

        refused(Interrupted, Interrupted())
        refused(DirectoryError, OSError(28, "No space left on device"))
        self.assertFalse(os.path.exists(self.directory))
        os.mkdir(self.directory)
        refused(DirectoryError, OSError(28, "No space left on device"))
        self.assertEqual(os.listdir(self.directory), [])
        self.restore()
