"""Data directories of nodes whose cluster is gone: each with the log and the state that a test wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dkv.ballot import ZERO, Ballot
from dkv.configurations import Configurations, first_configurations, pack_configurations
from dkv.identity import Acquaintance, pack_acquaintance
from dkv.keys import (
    APPLIED_THROUGH,
    CHOSEN_THROUGH,
    COMPACTED,
    CONFIGURATIONS,
    DIGEST,
    PROMISE,
    VOTE_COUNT,
    member_key,
    pack_ballot,
    pack_compacted,
    pack_number,
    record_key,
)
from dkv.kv.codes import APPEND, IDMP, PUT
from dkv.kv.machine import Machine
from dkv.records import NO_DIGEST, NOOP, Batch, Entry, SlotRecord, Value, digest_after, pack_record
from dkv.storage.data_directory import initialise, open_directory
from dkv.wire.codec import decode_entries, encode_entries
from tests.turns import FakeTurn

KEY = b"the cluster key."
MEMBERS = (1, 2, 3)
BALLOT = Ballot(1, 2)


def value(seq: int, *entries: Entry) -> Value:
    """The value of a slot: the next batch of node 1, which writes to the key ``k`` unless ``entries`` are given."""
    return Value((Batch(1, 77, 9, seq, encode_entries(list(entries) or [[PUT, b"k", b"value %d" % seq]])),))


LOG = [
    value(1, [PUT, b"a", b"1"]),
    value(2, [IDMP, b"alice", 1, [APPEND, b"a", b"2", 100]]),
    NOOP,
    value(3, [PUT, b"b", b"3"]),
    value(4, [IDMP, b"alice", 2, [APPEND, b"a", b"4", 100]]),
    value(5, [PUT, b"c", b"5"]),
]
"""The values of slots 1 to 6."""


def digest_of(log: Sequence[Value]) -> bytes:
    """The digest of a log with these values."""
    digest = NO_DIGEST
    for each in log:
        digest = digest_after(digest, each)
    return digest


def state_of(log: Sequence[Value], members: Sequence[int] = MEMBERS) -> dict[bytes, bytes]:
    """What these slots amount to, in a cluster that began with ``members``."""
    turn, machine = FakeTurn(), Machine(decode_entries, first_configurations(members))
    machine.start(turn)
    for slot, each in enumerate(log, 1):
        machine.begin_slot(turn, slot, each.time)
        for batch in each.batches:
            machine.apply(turn, batch, False)
    marks = {APPLIED_THROUGH: pack_number(len(log)), DIGEST: digest_of(log)} if log else {}
    return {key: stored for key, stored in turn.staged.items() if stored is not None} | marks


def make_survivor(
    directory: Path | str,
    node: int,
    log: Sequence[Value] = LOG,
    *,
    applied: int | None = None,
    compacted: int = 0,
    more: Mapping[int, SlotRecord] | None = None,
    cluster: str = "shop",
    key: bytes = KEY,
    members: Sequence[int] = MEMBERS,
    sets: Configurations | None = None,
) -> None:
    """The directory of ``node``, which knows that the values of ``log`` are chosen from slot 1 on.

    Its state has the slots up to ``applied``, all of them unless told; ``more`` are records above, or in place of the
    usual ones. ``sets`` are those that the state names.
    """
    directory, reached = str(directory), len(log) if applied is None else applied
    initialise(directory, cluster, node, members, key)
    store, states, _ = open_directory(directory, cluster, node, print, members)
    records = {slot: SlotRecord(BALLOT, each) for slot, each in enumerate(log, 1) if slot > compacted} | dict(
        more or {}
    )
    writes = {record_key(slot): pack_record(record) for slot, record in records.items()}
    writes |= {CHOSEN_THROUGH: pack_number(len(log)), PROMISE: pack_ballot(*BALLOT), VOTE_COUNT: pack_number(9)}
    writes |= {member_key(each): pack_acquaintance(Acquaintance(each)) for each in members if each != node}
    if compacted:
        writes[COMPACTED] = pack_compacted(compacted, digest_of(log[:compacted]))
    store.commit_now(writes)
    named = {} if sets is None else {CONFIGURATIONS: pack_configurations(sets)}
    states.current.commit_now(state_of(log[:reached], members) | named)
    states.close()
    store.close()


def accepted(each: Value, round_: int = 1, *, chosen: bool = False) -> SlotRecord:
    """A record that some node has accepted in round ``round_``."""
    return SlotRecord(Ballot(round_, 1) if round_ else ZERO, each, chosen)
