"""A log that is applied without a node comes to what a node would come to."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from dkv.configurations import first_configurations
from dkv.identity import Identity
from dkv.keys import APPLIED_THROUGH, CLUSTER_KEY, pack_number
from dkv.kv.codes import DELETE, MEMBERS, PUT
from dkv.kv.membership import ADD, NAME
from dkv.node import offline
from dkv.node.offline import apply_log, members_after
from dkv.records import Entry, Value
from dkv.settings import Limits
from dkv.storage.state_directories import StateDirectory, create_state
from dkv.storage.store import StoreFailed
from tests.storage.survivor_directories import LOG, state_of, value

ME = Identity("shop", 1, 77, 9, bytes(16), (1, 2, 3))


class OfflineTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.state = self.new()

    def new(self) -> StateDirectory:
        """An empty state."""
        directory = self.mktemp()
        state = create_state(directory, print, b"key", 1)
        self.addCleanup(state.close)
        return state

    def apply(self, state: StateDirectory, log: list[Value], through: int) -> list[int]:
        """Apply the log; the sizes of the pieces that were read."""
        pieces: list[int] = []
        members = first_configurations(ME.members)
        apply_log(ME, members, state, lambda slot: log[slot - 1], through, pieces.append)
        return pieces

    def held(self, state: StateDirectory) -> dict[bytes, bytes]:
        """What the state holds on disk."""
        return {key: stored for key, stored in state.scan(b"") if key != CLUSTER_KEY}

    def test_from_nothing(self) -> None:
        """As an older format's state is made anew: keys, revisions, tokens, marks and digest."""
        self.apply(self.state, LOG, 6)
        self.assertEqual(self.held(self.state), state_of(LOG))

    def test_from_a_state(self) -> None:
        """Only the rest of the log is read; a batch or a token that the state has does nothing again."""
        for reached in range(7):
            state = self.new()
            state.commit_now(state_of(LOG[:reached]))
            read: list[int] = []

            def value_of(slot: int, read: list[int] = read) -> Value:
                read.append(slot)
                return LOG[slot - 1]

            apply_log(ME, first_configurations(ME.members), state, value_of, 6)
            self.assertEqual((read, self.held(state)), (list(range(reached + 1, 7)), state_of(LOG)))

    def test_nothing_to_do(self) -> None:
        """A state that is there, and a log without slots."""
        self.state.commit_now(state_of(LOG))
        self.apply(self.state, LOG, 6)
        self.assertEqual(self.held(self.state), state_of(LOG))
        empty = self.new()
        self.apply(empty, LOG, 0)
        self.assertEqual(self.held(empty), {})

    def test_long_log(self) -> None:
        """It is read in pieces and written back as it goes: neither log nor state need fit in memory."""
        limits = Limits()
        small = replace(limits, catchup_bytes_max=2_000, write_back_bytes_max=3_000)
        self.patch(offline, "Limits", lambda: small)
        log = [value(seq, [PUT, b"key %d" % seq, bytes(100)]) for seq in range(1, 301)]
        commits = self.state.commits
        pieces = self.apply(self.state, log, 300)
        self.assertLess(max(pieces), 2_300)
        self.assertGreater(self.state.commits - commits, 10)
        self.assertEqual(self.held(self.state), state_of(log))

    def test_members(self) -> None:
        """A change that was not written back; the state stays as it was, and is read where nothing is above it."""
        names: Entry = [[NAME, node, node] for node in (1, 2, 3)]
        log = [*LOG, value(6, [MEMBERS, 0, *names, [ADD, 4, 4, b"h:1", b"h:2"]]), value(7, [DELETE, b"a"])]
        first = first_configurations(ME.members)
        for reached in range(9):
            state = self.new()
            state.commit_now(state_of(log[:reached]))
            before = self.held(state)
            found = members_after(ME, first, state, lambda slot: log[slot - 1], 8)
            self.assertEqual((found.newest.slot, found.newest.standbys), (7, {4}), reached)
            self.assertEqual(self.held(state), before)
        self.assertEqual(members_after(ME, first, self.new(), lambda slot: log[slot - 1], 6), first)

    def test_full_disk(self) -> None:
        """The caller hears of it, and of a record that cannot be read."""

        def refuse(writes: object) -> None:
            raise StoreFailed("No space left on device")

        self.patch(self.state, "commit_now", refuse)
        self.assertRaises(StoreFailed, self.apply, self.state, LOG, 6)
        self.assertRaises(IndexError, self.apply, self.new(), LOG[:3], 6)
        self.assertNotEqual(self.state.get(APPLIED_THROUGH), pack_number(6))
