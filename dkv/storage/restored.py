"""The data directories of a new cluster that goes on with the state of a backup.

It is another cluster than the one that was saved: nobody's promise, vote or record is taken over, and its *cluster key*
comes from the backup too, so nodes that were made from two backups refuse each other. Its log begins behind the slot
that the state ends at. That slot is moved up, to the beginning of the next *epoch*: the old cluster may have gone on
after the backup, and no revision or name that it gave out then may be given again (B36).

Tokens stay, so a write that is sent again to the new cluster still happens once. The marks of the last batches go, and
so do the sets of members: they are those of the old cluster's nodes, which send nothing here and decide nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from dkv.keys import (
    APPLIED_THROUGH,
    BATCH_MARK,
    CHOSEN_THROUGH,
    COMPACTED,
    CONFIGURATIONS,
    DIGEST,
    DIGEST_BYTES,
    pack_compacted,
    pack_number,
)
from dkv.settings import MIB
from dkv.storage.data_directory import CLUSTER_KEY_BYTES
from dkv.storage.state_directories import StateDirectory

EPOCH_SLOTS = 10**12
"""How far apart epochs begin. No cluster fills one: a million slots a second take eleven days, and dkv makes few."""

COMMIT_BYTES = 4 * MIB

_LEFT_OUT = frozenset((APPLIED_THROUGH, BATCH_MARK, CONFIGURATIONS))
"""The first bytes of the keys that belong to the old cluster alone."""

Pairs = Iterable[tuple[bytes, bytes]]


def restored_key(drawn: bytes, digest: bytes) -> bytes:
    """The cluster key of nodes that were made from the backup with this hash; ``drawn`` tells two such clusters apart.

    Neither another backup nor ``dkv init`` with the same ``drawn`` leads to it.
    """
    return blake2b(drawn + digest, digest_size=CLUSTER_KEY_BYTES).digest()


def restored_through(applied_through: int) -> int:
    """The slot at which the state of a backup ends in the new cluster: the beginning of the next epoch."""
    return (applied_through // EPOCH_SLOTS + 1) * EPOCH_SLOTS


def restore_state(state: StateDirectory, chunks: Iterable[Pairs], through: int) -> dict[bytes, bytes]:
    """Write the pairs of a backup into an empty state, which is from now on that after slot ``through``.

    The result are the writes of the log that go with it. ``StoreFailed`` if the disk refuses.
    """
    digest = bytes(DIGEST_BYTES)
    writes: dict[bytes, bytes | None] = {}
    size = 0
    for chunk in chunks:
        for key, value in chunk:
            if key == DIGEST:
                digest = value
            if key[:1] not in _LEFT_OUT:
                writes[key] = value
                size += len(key) + len(value)
        if size > COMMIT_BYTES:
            state.commit_now(writes)
            writes, size = {}, 0
    state.commit_now(writes | {APPLIED_THROUGH: pack_number(through), DIGEST: digest})
    return {CHOSEN_THROUGH: pack_number(through), COMPACTED: pack_compacted(through, digest)}
