"""The fence: a reason, kept in the directory, why it must never take part in its cluster again.

It is written when a node learns that its directory is not what the others count on: its log differs from theirs, or
it has forgotten what it promised. The process ends, and every later start is refused.
"""

from __future__ import annotations

from dkv.keys import FENCE
from dkv.storage.store import Store

FENCED_ADVICE = (
    "This directory must not take part any more: leave the node stopped, keep the directory for the inquiry, "
    "and replace the node; the other nodes serve without it"
)


def fence_writes(reason: str) -> dict[bytes, bytes]:
    """What a commit must write to fence a directory."""
    return {FENCE: reason.encode()}


def fence_of(store: Store) -> str | None:
    """Why the directory is fenced, None if it is not; ``StoreFailed`` if that cannot be read."""
    stored = store.get(FENCE)
    return None if stored is None else stored.decode("utf-8", "replace")
