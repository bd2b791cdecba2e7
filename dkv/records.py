"""Values that several messages carry: the contents of a slot, an acceptor's record of it, and a disk that is short."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from zlib import crc32

from dkv.ballot import Ballot

_RECORD = struct.Struct(">BQII")  # flags, ballot round, ballot node, number of batches
_BATCH = struct.Struct(">IQQQI")  # node, incarnation, boot, seq, length of the blob
_TIME = struct.Struct(">Q")
_CHOSEN = 1
_TIMED = 2

Argument = int | bytes | list["Argument"]
Entry = list[Argument]
"""One command as a gateway puts it into a batch: its number, then its arguments (``dkv.kv.codes`` has a table).

A write with a token is an entry whose last argument is the write, an entry itself.
"""

UncheckedEntry = Sequence[object]
"""An entry that was decoded from a chosen batch: an array of anything, because any bytes may have been proposed."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Commands of one gateway, encoded once at the node where they arrived, with the number of the batch.

    (node, incarnation, boot, seq) names ``blob`` for ever: a batch that is sent again carries the same bytes (B28).
    ``boot`` and ``seq`` count from 1; ``incarnation`` is 64 random bits that name the data directory.
    """

    node: int
    incarnation: int
    boot: int
    seq: int
    blob: bytes


@dataclass(frozen=True, slots=True)
class ShortDisk:
    """The disk of ``node`` is short of space: it has ``free_bytes`` left, and ``wanted_bytes`` would be enough."""

    node: int
    free_bytes: int
    wanted_bytes: int


@dataclass(frozen=True, slots=True)
class Value:
    """The value that Paxos agrees on for one slot: batches, and the stamp that their proposer gave them.

    ``time`` is the stamp: milliseconds since 1970, or 0 if there is none. It belongs to the value. Values that differ
    in their stamps alone are two values, of which one slot can have only one (I3, I8).
    """

    batches: tuple[Batch, ...] = ()
    time: int = 0


STAMP_MAX = 2**63 - 1
"""No stamp is later, and no clock in a message: these carry no larger number."""

NOOP = Value()
"""What fills a slot that nobody has a value for."""


NO_DIGEST = bytes(16)
"""The digest of a log without slots."""

_HASHED_BYTES_MAX = 2_048
"""For a longer blob the digest covers a CRC, which is cheaper: it only has to notice accidents."""

_CRC = struct.Struct(">I")


def digest_after(digest: bytes, value: Value) -> bytes:
    """The digest of a log with ``digest`` that goes on with ``value``. Equal logs, and only those, have equal digests.

    It is part of the stored format and of the protocol: 16 bytes of BLAKE2b over the digest before, and then each
    batch as in a record, with the CRC-32 of its blob in place of a long blob. The stamp is the salt. BLAKE2b fills a
    salt up with zeros, so the digest of a log without stamps is what it was before there were any.
    """
    state = blake2b(digest, digest_size=len(NO_DIGEST), salt=_TIME.pack(value.time))
    for batch in value.batches:
        state.update(_BATCH.pack(batch.node, batch.incarnation, batch.boot, batch.seq, len(batch.blob)))
        state.update(batch.blob if len(batch.blob) <= _HASHED_BYTES_MAX else _CRC.pack(crc32(batch.blob)))
    return state.digest()


def follows(mark: tuple[int, int], boot: int, seq: int) -> bool:
    """Whether batch (boot, seq) is the next of an origin whose last one is ``mark``, (0, 0) if there was none.

    The next one has the same boot and seq + 1, or is the first of any later boot: batches that an earlier life left
    unfinished are given up with that life.
    """
    last_boot, last_seq = mark
    if boot == last_boot:
        return seq == last_seq + 1
    return boot > last_boot and seq == 1


def batch_bytes(batch: Batch) -> int:
    """The size in bytes of a batch that is stored or sent, accurate to a few bytes."""
    return len(batch.blob) + _BATCH.size


def value_bytes(value: Value) -> int:
    """The size in bytes of a value that is stored or sent: that of its batches."""
    return sum([batch_bytes(batch) for batch in value.batches])


@dataclass(frozen=True, slots=True)
class SlotRecord:
    """One slot in an acceptor's log: the ballot in which it was accepted, its value, and whether it is known chosen.

    A value that was learned, and never accepted here, has the ballot that the slot had before, or zero.
    """

    ballot: Ballot
    value: Value
    chosen: bool = False


class RecordDamaged(ValueError):
    """The stored bytes are not a slot record."""


def pack_record(record: SlotRecord) -> bytes:
    """The stored form of a record: a fixed header, the stamp if there is one, then the batches, big-endian.

    Of each batch that is its numbers, its length and its blob.
    """
    batches, time = record.value.batches, record.value.time
    flags = (_CHOSEN if record.chosen else 0) | (_TIMED if time else 0)
    parts = [_RECORD.pack(flags, *record.ballot, len(batches))]
    if time:
        parts.append(_TIME.pack(time))
    for batch in batches:
        parts.append(_BATCH.pack(batch.node, batch.incarnation, batch.boot, batch.seq, len(batch.blob)))
        parts.append(batch.blob)
    return b"".join(parts)


def unpack_record(data: bytes) -> SlotRecord:
    """The record that ``pack_record`` stored; ``RecordDamaged`` if the bytes are anything else."""
    try:
        flags, round_, node, count = _RECORD.unpack_from(data)
        offset = _RECORD.size
        time = 0
        if flags & _TIMED:
            (time,) = _TIME.unpack_from(data, offset)
            offset += _TIME.size
        batches = []
        for _ in range(count):
            origin, incarnation, boot, seq, length = _BATCH.unpack_from(data, offset)
            offset += _BATCH.size
            batches.append(Batch(origin, incarnation, boot, seq, data[offset : offset + length]))
            offset += length
    except struct.error as error:
        raise RecordDamaged(f"not a slot record: {error}") from None
    if offset != len(data):
        raise RecordDamaged(f"not a slot record: {len(data)} bytes where {offset} were written")
    if flags & ~(_CHOSEN | _TIMED) or (time > 0) != bool(flags & _TIMED):
        raise RecordDamaged(f"not a slot record: flags {flags} and time {time}")
    return SlotRecord(Ballot(round_, node), Value(tuple(batches), time), bool(flags & _CHOSEN))
