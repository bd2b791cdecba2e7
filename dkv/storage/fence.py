"""The fence: a reason, kept in a directory, for which it must never take part in its cluster again.

A node writes it when it learns that the others cannot count on its directory: the log differs from theirs, or the
disk has forgotten a promise. The process ends, and every later start is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread

from dkv.keys import FENCE
from dkv.storage.store import Store, StoreFailed

FENCE_SECONDS = 3.0
"""How long a node that ends waits for the disk to take the fence. On a disk that works the wait is short."""

FENCED_ADVICE = (
    "This directory must not take part any more: leave the node stopped, keep the directory for the inquiry, "
    "and let a new node take its place by `dkv replace`; the other nodes serve without it"
)


def fence_writes(reason: str) -> dict[bytes, bytes]:
    """The writes of a commit that fences a directory."""
    return {FENCE: reason.encode()}


def write_fence(commit_now: Callable[[dict[bytes, bytes]], None], reason: str) -> None:
    """Fence a directory whose store has ``commit_now``; ``StoreFailed`` if that takes more than ``FENCE_SECONDS``.

    A daemon thread writes: on a disk that hangs the write never ends, and the process must end all the same.
    """
    written: Future[None] = Future()

    def write() -> None:
        try:
            commit_now(fence_writes(reason))
        except Exception as error:  # the caller waits to hear of any error
            written.set_exception(error)
        else:
            written.set_result(None)

    Thread(target=write, name="dkv-fence", daemon=True).start()
    try:
        written.result(FENCE_SECONDS)
    except TimeoutError:
        raise StoreFailed(f"the disk has not taken it within {FENCE_SECONDS:g} seconds, and may yet") from None


def fence_of(store: Store) -> str | None:
    """Why the directory is fenced, or None if it is not; ``StoreFailed`` if that cannot be read."""
    stored = store.get(FENCE)
    return None if stored is None else stored.decode("utf-8", "replace")
