"""The data directory of the one node with which a cluster begins anew, after it has lost its majority for ever.

It is made as from a backup (``dkv.storage.restored``): another cluster than the old one, with a key of its own and at
the next epoch, that has the state of the old one and nobody's promises, votes, records or members. So the nodes of the
old cluster, should one come back, are refused by it, and nothing that they gave out is given again. The survivors'
directories stay as they are.

The directory is made beside the place where it belongs, and gets its name when it is whole. Whatever ends the process
before leaves nothing there, and what is left beside it is removed by the next try.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from dkv.keys import (
    APPLIED_THROUGH,
    BATCH_MARK,
    CHOSEN_THROUGH,
    COMPACTED,
    CONFIGURATIONS,
    DIGEST,
    pack_compacted,
    pack_number,
    unpack_number,
)
from dkv.records import NO_DIGEST
from dkv.storage.data_directory import FIRST_FORMAT_WITH_STATES, DirectoryError, initialise
from dkv.storage.guard import DirectoryLock
from dkv.storage.restored import COMMIT_BYTES, restored_through
from dkv.storage.state_directories import StateDirectory, sync_directory
from dkv.storage.stopped import StoppedNode
from dkv.storage.store import StoreFailed

MAKING = ".recovering"
"""The end of the name under which a directory is made."""

_OF_THE_OLD_MEMBERS = (BATCH_MARK, CONFIGURATIONS)
"""Kinds of keys that say something of the old cluster's members, who send nothing to the new one."""

Fill = Callable[[StateDirectory], Mapping[bytes, bytes]]


def recover_directory(directory: str, cluster: str, node: int, cluster_key: bytes, fill: Fill) -> None:
    """Make ``directory``, missing or empty, that of ``node``, the only member of ``cluster``; all of it or nothing.

    ``fill`` as for ``initialise``. ``DirectoryError`` if it holds anything, or cannot be made.
    """
    place = os.path.realpath(directory)
    _require_free(directory, place)
    making = place + MAKING
    try:
        _remove_remains(making)
        initialise(making, cluster, node, (node,), cluster_key, fill)
        os.rename(making, place)  # over an empty directory too; fails if it holds something by now
        sync_directory(os.path.dirname(place))
    except (StoreFailed, OSError) as error:
        with suppress(OSError):
            shutil.rmtree(making)
        raise DirectoryError(f"cannot make the data directory {directory}: {error}") from None


def copy_state(stopped: StoppedNode, state: StateDirectory, done: Callable[[int], object]) -> None:
    """Write the whole state of a stopped node into an empty one. ``done`` is called with the bytes of each pair.

    The state of formats 1 to 3 is left out: the log makes it anew.
    """
    if stopped.format_version < FIRST_FORMAT_WITH_STATES:
        return
    writes: dict[bytes, bytes | None] = {}
    size = 0
    for key, value in stopped.state_pairs():
        writes[key] = value
        size += len(key) + len(value)
        done(len(key) + len(value))
        if size > COMMIT_BYTES:
            state.commit_now(writes)
            writes, size = {}, 0
    state.commit_now(writes)


def begin_epoch(state: StateDirectory) -> dict[bytes, bytes]:
    """Let ``state`` be that after the first slot of the next epoch, and of no member; the writes of the log with it."""
    through = restored_through(unpack_number(state.get(APPLIED_THROUGH)))
    digest = state.get(DIGEST) or NO_DIGEST
    gone = [key for prefix in _OF_THE_OLD_MEMBERS for key, _ in state.scan(prefix)]
    state.commit_now(dict.fromkeys(gone) | {APPLIED_THROUGH: pack_number(through), DIGEST: digest})
    return {CHOSEN_THROUGH: pack_number(through), COMPACTED: pack_compacted(through, digest)}


def _require_free(directory: str, place: str) -> None:
    if os.path.ismount(place):
        raise DirectoryError(
            f"{directory} is the root of a file system, and a directory gets its name here when it is whole; "
            f"name a directory in it"
        )
    try:
        held: Iterable[str] = sorted(os.listdir(place))
    except FileNotFoundError:
        return
    except OSError as error:
        raise DirectoryError(f"the data directory {directory} cannot be read: {error.strerror}") from None
    for each in held:
        raise DirectoryError(f"the data directory {directory} holds {each!r}; name an empty or a new one")


def _remove_remains(making: str) -> None:
    """Remove what an earlier try has left; ``StoreFailed`` if it is still under way."""
    if os.path.isdir(making):
        lock = DirectoryLock(making)
        shutil.rmtree(making)
        lock.release()
