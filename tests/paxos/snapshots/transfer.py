"""A state to be sent, and actors of two nodes that send and take it: what the tests of snapshots share."""

from __future__ import annotations

from collections.abc import Mapping

from dkv.actor import DONOR, RECEIVER, Address
from dkv.identity import Identity
from dkv.keys import APPLIED_THROUGH, BATCH_MARK, DIGEST, STATE, TOKEN, pack_number
from dkv.paxos.snapshots.chunks import checksum_after
from dkv.state_messages import SnapshotChunk, Transfer

ME = Identity("blue", 1, 0xB1, 3)


def donor(node: int) -> Address:
    """The donor of a node."""
    return Address(node, DONOR)


def receiver(node: int) -> Address:
    """The receiver of a node."""
    return Address(node, RECEIVER)


def state(through: int, **values: str) -> dict[bytes, bytes]:
    """What a state has after slot ``through``: marks, a batch's mark, a token, and values by key."""
    marks = {APPLIED_THROUGH: pack_number(through), DIGEST: b"%016d" % through}
    held = {BATCH_MARK + b"origin": b"mark", TOKEN + b"Pproducer": b"answers"}
    return marks | held | {STATE + b"\0" + key.encode(): value.encode() for key, value in values.items()}


def chunks(transfer: Transfer, through: int, pairs: Mapping[bytes, bytes], each: int = 2) -> list[SnapshotChunk]:
    """The chunks of a whole transfer, ``each`` pairs in one, and the last without any."""
    items, checksum, made = sorted(pairs.items()), 0, []
    for number, start in enumerate([*range(0, len(items), each), len(items)]):
        some = tuple(items[start : start + each])
        checksum = checksum_after(checksum, some)
        made.append(SnapshotChunk(transfer, number, through, some, checksum))
    return made
