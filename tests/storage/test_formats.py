"""Directories written by every version of the format, as they were on disk: this version must read them.

``formats/v1`` holds the files of LevelDB themselves. When the format changes, raise ``FORMAT_VERSION``, let
``write_example`` write the new form into a directory beside it, and keep what is there (not ``LOCK`` and ``LOG``):

    python -c "from tests.storage.test_formats import write_example; write_example('tests/storage/formats/v7')"

That of a version which no release has yet is removed and written again whenever what it holds changes.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from dkv.ballot import Ballot
from dkv.configurations import (
    Configuration,
    Configurations,
    MemberRecord,
    first_configurations,
    pack_configurations,
)
from dkv.identity import Acquaintance, Identity, Start, Votes, pack_acquaintance
from dkv.keys import (
    APPLIED_KEYS,
    APPLIED_THROUGH,
    CHOSEN_THROUGH,
    COMPACTED,
    CONFIGURATIONS,
    DATABASE,
    DIGEST,
    FORMAT,
    PROMISE,
    RECORD,
    SLOT_BALLOT,
    STATE,
    VOTE_COUNT,
    member_key,
    pack_ballot,
    pack_compacted,
    pack_number,
    record_key,
    slot_of,
    slot_promise_key,
    unpack_ballot,
    unpack_number,
)
from dkv.kv.codes import APPEND, GET, PUT
from dkv.kv.machine import Machine
from dkv.kv.sessions import MISMATCH, NEW, Sessions, check_of
from dkv.kv.stored import revision_of
from dkv.records import NO_DIGEST, NOOP, Batch, SlotRecord, Value, digest_after, pack_record, unpack_record
from dkv.storage.binding import plyvel
from dkv.storage.data_directory import (
    FORMAT_VERSION,
    DirectoryError,
    draw_cluster_key,
    initialise,
    load_members,
    open_directory,
)
from dkv.storage.log_check import check_log
from dkv.storage.state_directories import FIRST_GENERATION, state_directory
from dkv.storage.store import StoreFailed
from dkv.wire.codec import decode_entries, encode_entries
from tests.turns import FakeTurn

FORMATS = Path(__file__).parent / "formats"
INCARNATION = 0x0123456789ABCDEF
OTHER = 2**64 - 1
BATCHES = (
    Batch(3, INCARNATION, 1, 1, encode_entries([[PUT, b"greeting", b"hello"], [PUT, b"\x00\xff", b""]])),
    Batch(1, OTHER, 7, 1, encode_entries([[APPEND, b"greeting", b", world", 1_048_576]])),
)
MEMBERS = (1, 2, 3)
FIRST = first_configurations(MEMBERS)
CHANGED = Configurations(
    (*FIRST.sets, Configuration(2, 66, frozenset((2, 3, 4)), frozenset((5,)))),
    (
        MemberRecord(1, OTHER),
        MemberRecord(2, 2),
        MemberRecord(3, INCARNATION),
        MemberRecord(4, 4, "four:7401", "four:7001"),
        MemberRecord(5, 5, "five:7401", "five:7001"),
    ),
    5,
)
"""A set that has yet to take force."""

OLD_EXAMPLE = Identity("example", 3, INCARNATION, 0, b"", MEMBERS)
EXAMPLE = replace(OLD_EXAMPLE, cluster_key=INCARNATION.to_bytes(8, "big") * 2)
ACQUAINTANCES = {
    1: Acquaintance(OTHER, Start(2**32, OTHER), Votes(Ballot(2**40, 2), 4)),
    2: Acquaintance(2, Start(5, 6)),
}
BOBS_WRITE = check_of([APPEND, b"greeting", b"!", 1_048_576])
RECORDS = {
    1: SlotRecord(Ballot(1, 3), Value(BATCHES, 1_795_000_000_123), True),
    2: SlotRecord(Ballot(0, 0), NOOP, True),
    4: SlotRecord(Ballot(2**40, 2), Value(BATCHES[:1], 2**48)),
}
OLD_RECORDS = {slot: replace(record, value=replace(record.value, time=0)) for slot, record in RECORDS.items()}
"""Before format 6 there were no stamps."""


def applied() -> FakeTurn:
    """A turn in which the machine has applied what is chosen."""
    turn, machine = FakeTurn(), Machine(decode_entries, FIRST)
    machine.begin_slot(turn, 1, RECORDS[1].value.time)
    for batch in BATCHES:
        machine.apply(turn, batch, False)
    sessions = Sessions()
    sessions.remember(turn, b"alice", 7, 12, (1, 0))
    sessions.remember(turn, b"bob", 1, 13, (1, 1), BOBS_WRITE)
    turn.stage(CONFIGURATIONS, pack_configurations(CHANGED))
    turn.stage(DIGEST, digest_after(digest_after(NO_DIGEST, RECORDS[1].value), RECORDS[2].value))
    return turn


def write_example(directory: str) -> None:
    """Write a data directory with one of everything, in the form of this version."""
    with patch("os.urandom", lambda count: INCARNATION.to_bytes(8, "big") * (count // 8)), patch("time.time", int):
        initialise(directory, "example", 3, MEMBERS, draw_cluster_key())
        store, states, _ = open_directory(directory, "example", 3, print, MEMBERS)
    writes = {record_key(slot): pack_record(record) for slot, record in RECORDS.items()}
    writes |= {member_key(node): pack_acquaintance(held) for node, held in ACQUAINTANCES.items()}
    writes |= {PROMISE: pack_ballot(2**40, 2), CHOSEN_THROUGH: pack_number(2), COMPACTED: pack_compacted(0, NO_DIGEST)}
    writes |= {slot_promise_key(5): pack_ballot(2**40, 3), SLOT_BALLOT: pack_ballot(2**41, 1)}
    writes |= {VOTE_COUNT: pack_number(6)}
    store.commit_now(writes)
    states.current.commit_now({APPLIED_THROUGH: pack_number(2)} | applied().staged)
    states.close()
    store.close()


def stored_bytes(directory: str) -> list[dict[bytes, bytes]]:
    """Everything in a directory, as it is: the log, and the state."""
    found = []
    for path in (directory, state_directory(directory, FIRST_GENERATION)):
        database = plyvel.DB(path)
        found.append(dict(database))
        database.close()
    return found


class FormatTests(SynchronousTestCase):
    def copy(self, version: int) -> str:
        """A copy of the directory of ``version``: opening one writes to it."""
        directory: str = self.mktemp()
        shutil.copytree(FORMATS / f"v{version}", directory)
        return directory

    def test_there_is_a_directory_of_every_version(self) -> None:
        """A version without one could be unreadable and nobody would know before an upgrade."""
        versions = [f"v{version}" for version in range(1, FORMAT_VERSION + 1)]
        self.assertEqual(sorted(path.name for path in FORMATS.iterdir()), versions)

    def test_every_version_is_read(self) -> None:
        """An upgrade must find identity, promise, log, marks, members and state as the older version left them."""
        for version in range(1, FORMAT_VERSION + 1):
            store, states, identity = open_directory(self.copy(version), "example", 3, print, MEMBERS)
            self.addCleanup(store.close)
            self.addCleanup(states.close)
            check_log(store, states.current)
            self.assertEqual(replace(identity, boot=0, starts=()), EXAMPLE if version > 2 else OLD_EXAMPLE)
            self.assertEqual(len(identity.starts), 2 if version > 2 else 1)
            self.assertEqual(unpack_ballot(store.get(PROMISE) or b""), (2**40, 2))
            self.assertEqual(unpack_number(store.get(CHOSEN_THROUGH)), 2)
            found = {slot_of(key): unpack_record(data) for key, data in store.scan(RECORD)}
            self.assertEqual(found, RECORDS if version > 5 else OLD_RECORDS)
            known = ACQUAINTANCES if version > 2 else {1: Acquaintance(OTHER), 2: Acquaintance(2)}
            self.assertEqual(load_members(store), known)
            self.assertEqual(unpack_number(store.get(VOTE_COUNT)), 6 if version > 2 else 0)
            classic = {key: store.get(key) for key in (slot_promise_key(5), SLOT_BALLOT)} if version > 1 else {}
            held = {slot_promise_key(5): pack_ballot(2**40, 3), SLOT_BALLOT: pack_ballot(2**41, 1)}
            self.assertEqual(classic, held if version > 1 else {})
            self.assertEqual(store.get(FORMAT), b"dkv %d" % FORMAT_VERSION)  # which the older dkv refuses
            self.assertEqual([key for key, _ in store.scan(b"") if key[:1] in APPLIED_KEYS], [])
            self.check_state(version, FakeTurn(stored=dict(states.current.scan(b""))))

    def check_state(self, version: int, turn: FakeTurn) -> None:
        """The state is there, or is made from the log, with the revisions that other nodes come to.

        Before format 5 there were no changes of members.
        """
        machine, sessions = Machine(decode_entries, FIRST), Sessions()
        self.assertEqual(unpack_number(turn.load(APPLIED_THROUGH)), 0 if version < 4 else 2)
        machine.start(turn)
        sessions.start(turn)
        self.assertEqual(machine.configurations, FIRST if version < 5 else CHANGED)
        machine.begin_slot(turn, 1, RECORDS[1].value.time)
        if version < 4:
            for batch in BATCHES:
                machine.apply(turn, batch, False)
        self.assertEqual(set(machine.origins()), {(3, INCARNATION, 1, 1), (1, OTHER, 7, 1)})
        names = [b"greeting", b"\x00\xff", b"absent"]
        self.assertEqual(machine.read(turn, [[GET, name] for name in names]), [b"hello, world", b"", None])
        self.assertEqual(revision_of(turn.load(STATE + DATABASE + b"greeting") or b""), (1, 2))
        self.assertEqual(revision_of(turn.load(STATE + DATABASE + b"\x00\xff") or b""), (1, 1))
        for check in (b"", BOBS_WRITE):  # what was stored without the write's hash is given to any write
            self.assertEqual(sessions.find(turn, b"alice", 7, (2, 0), check), NEW if version < 4 else 12)
        found = [sessions.find(turn, b"bob", 1, (2, 0), check) for check in (BOBS_WRITE, b"another.")]
        self.assertEqual(found, [NEW, NEW] if version < 4 else [13, MISMATCH])

    def test_an_upgrade_that_was_cut_short(self) -> None:
        """A crash while the old state is erased must not leave the directory between two formats."""
        directory = self.copy(3)
        with patch("dkv.storage.data_directory._erase_state_beside_log", side_effect=StoreFailed("power cut")):
            self.assertRaises(DirectoryError, open_directory, directory, "example", 3, print, MEMBERS)
        store, states, _ = open_directory(directory, "example", 3, print, MEMBERS)
        self.addCleanup(store.close)
        self.addCleanup(states.close)
        check_log(store, states.current)
        self.assertEqual([key for key, _ in store.scan(b"") if key[:1] in APPLIED_KEYS], [])
        self.assertEqual(unpack_number(store.get(CHOSEN_THROUGH)), 2)

    def test_what_is_written_today_is_the_newest_version(self) -> None:
        """Stored bytes that change without a new version are misread by the release before, in silence."""
        directory = self.mktemp()
        write_example(directory)
        self.assertEqual(stored_bytes(directory), stored_bytes(self.copy(FORMAT_VERSION)))
