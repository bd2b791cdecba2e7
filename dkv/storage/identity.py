"""The data directory of a node: whose it is, which format it has, and how often it was started."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from struct import Struct
from typing import Any

from dkv.identity import Identity
from dkv.keys import BOOT, FORMAT, IDENTITY, MEMBER, node_of, pack_number, unpack_number
from dkv.storage.fence import FENCED_ADVICE, fence_of
from dkv.storage.guard import DirectoryLock, DirectoryLocked, narrow, private_files
from dkv.storage.leveldb import LevelDBStore
from dkv.storage.store import Store, StoreFailed

FORMAT_VERSION = 3
"""Raised when stored bytes change their meaning; ``tests/storage/formats`` keeps a directory of every version.

What an older version wrote means the same in this one: opening makes the directory one of this version, so that the
older dkv, to which tokens in the log would be unknown commands, refuses it from then on.
"""

_FORMAT_WORD = b"dkv "
_FORMAT = _FORMAT_WORD + str(FORMAT_VERSION).encode()
_IDENTITY = Struct(">QI")  # incarnation, node; the cluster's name follows
_MARKER = "CURRENT"  # every LevelDB directory has this file


class DirectoryError(Exception):
    """A data directory cannot be used; the text is one line that says why and what to do."""


class DirectoryFenced(DirectoryError):
    """A data directory must never be used again."""


def initialise(directory: str, cluster: str, node: int) -> Identity:
    """Make ``directory``, missing or empty, the data directory of ``node`` in ``cluster``, durably.

    Draws the incarnation. The directory and all in it are this user's alone, whatever the umask. ``DirectoryError``
    if it holds anything, is in use or cannot be written; what was there before a failure is there after it.
    """
    created = _make_missing(directory)
    lock = _lock_empty(directory)
    identity = Identity(cluster, node, int.from_bytes(os.urandom(8), "big"), 0)
    try:
        with private_files():
            store = LevelDBStore(directory, _no_thread, create=True, lock=lock)
            try:
                store.commit_now(
                    {
                        FORMAT: _FORMAT,
                        IDENTITY: _IDENTITY.pack(identity.incarnation, node) + cluster.encode(),
                        BOOT: pack_number(0),
                    }
                )
            finally:
                store.close()
        narrow(directory)
        for each in (directory, *(os.path.dirname(path) for path in created or [os.path.abspath(directory)])):
            _sync_directory(each)
    except (StoreFailed, OSError) as error:
        _undo(directory, created)
        raise DirectoryError(f"cannot initialise the data directory {directory}: {error}") from None
    return identity


def open_directory(
    directory: str, cluster: str, node: int, call_from_thread: Callable[..., Any]
) -> tuple[LevelDBStore, Identity]:
    """Open the data directory of ``node`` and count this start, durably; ``call_from_thread`` as in LevelDBStore.

    ``DirectoryError`` if it is not initialised, another node's or cluster's, of an unknown format, in use, not
    writable or damaged, ``DirectoryFenced`` if it is fenced; then nothing stays open.
    """
    _require_database(directory, node)
    try:
        store = LevelDBStore(directory, call_from_thread)
    except StoreFailed as error:
        raise _explain(directory, error) from None
    try:
        _check_format(store)
        stored = _read_identity(store, cluster, node)
        refuse_fenced(store, directory)
        identity = _count_boot(store, stored)
        _sync_directory(directory)  # LevelDB has just replaced files, and syncs only their contents
    except (StoreFailed, OSError) as error:
        store.close()
        raise DirectoryError(str(error)) from None
    except DirectoryError:
        store.close()
        raise
    return store, identity


def load_members(store: Store) -> dict[int, int]:
    """The incarnation of every member whose Hello was once accepted; ``DirectoryError`` if one is damaged."""
    try:
        return {node_of(key): unpack_number(value) for key, value in store.scan(MEMBER)}
    except StoreFailed as error:
        raise DirectoryError(str(error)) from None


def refuse_fenced(store: Store, directory: str) -> None:
    """``DirectoryFenced``, with the reason and what to do, if ``directory`` is fenced."""
    reason = fence_of(store)
    if reason is not None:
        raise DirectoryFenced(f"the data directory {directory} is fenced: {reason}. {FENCED_ADVICE}")


# --- making one ---


def _make_missing(directory: str) -> list[str]:
    """Create ``directory`` and its missing parents, unless it is there; the paths that were created."""
    created: list[str] = []
    path = os.path.abspath(directory)
    try:
        while not os.path.isdir(path):
            created.append(path)
            path = os.path.dirname(path)
        os.makedirs(os.path.dirname(os.path.abspath(directory)), exist_ok=True)
        with private_files():
            os.makedirs(directory, exist_ok=True)
    except OSError as error:
        raise DirectoryError(f"cannot create the data directory {directory}: {error.strerror}") from None
    return created


def _lock_empty(directory: str) -> DirectoryLock:
    """The lock of ``directory``, which holds nothing: two that initialise it must not both find it empty."""
    try:
        lock = DirectoryLock(directory)
        held = sorted(os.listdir(directory))
    except (StoreFailed, OSError) as error:
        raise DirectoryError(str(error)) from None
    if held:
        lock.release()
    if _MARKER in held:
        raise DirectoryError(f"the data directory {directory} is initialised already; nothing was changed")
    if held:
        raise DirectoryError(f"the data directory {directory} holds {held[0]!r}; name an empty or a new one")
    return lock


def _undo(directory: str, created: list[str]) -> None:
    """Leave what was there before; all that the directory holds was put there by ``initialise``."""
    for entry in os.scandir(directory):
        os.remove(entry.path)
    for path in created:
        shutil.rmtree(path, ignore_errors=True)


def _sync_directory(directory: str) -> None:
    """Make the names in ``directory`` durable, as fsync of a file makes its bytes."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _no_thread(*_: Any) -> None:
    raise AssertionError("nothing is committed on the storage thread while a directory is initialised")


# --- opening one ---


def _require_database(directory: str, node: int) -> None:
    """Look before LevelDB does: it creates files in whatever directory it is told to open."""
    advice = f"initialise it once with: dkv init --config <file> --node {node} --data-dir {directory}"
    try:
        held = os.listdir(directory)
    except FileNotFoundError:
        raise DirectoryError(f"the data directory {directory} does not exist; {advice}") from None
    except OSError as error:
        raise DirectoryError(f"the data directory {directory} cannot be read: {error.strerror}") from None
    if not held:
        raise DirectoryError(f"the data directory {directory} is empty; {advice}")
    if _MARKER not in held:
        raise _not_ours(directory, f"file {_MARKER}")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise DirectoryError(f"the data directory {directory} is not writable by this user")


def _explain(directory: str, error: StoreFailed) -> DirectoryError:
    """What LevelDB's reason means to an operator; it knows kinds of errors only by their words."""
    text = str(error)
    if isinstance(error, DirectoryLocked):
        return DirectoryError(text)
    if "/LOCK: Resource temporarily unavailable" in text or "already held by process" in text:
        return DirectoryError(f"the data directory {directory} is locked: is another dkvnode using it?")
    if "Permission denied" in text or "Read-only file system" in text:
        return DirectoryError(f"the data directory {directory} is not writable by this user: {text}")
    return DirectoryError(text)


def _not_ours(directory: str, what: str) -> DirectoryError:
    return DirectoryError(
        f"{directory} is not a data directory of dkv, for it has no {what}; name another one, "
        f"or empty it and initialise it again if `dkv init` was interrupted there"
    )


def _check_format(store: LevelDBStore) -> None:
    stored = store.get(FORMAT)
    if stored is None or not stored.startswith(_FORMAT_WORD):
        raise _not_ours(store.directory, "format version")
    version = stored[len(_FORMAT_WORD) :].decode("ascii", "replace")
    if version not in map(str, range(1, FORMAT_VERSION + 1)):
        raise DirectoryError(
            f"the data directory {store.directory} has format version {version} and this dkv knows none beyond "
            f"{FORMAT_VERSION}; run the version of dkv that last used it, or a newer one that reads it"
        )


def _read_identity(store: LevelDBStore, cluster: str, node: int) -> Identity:
    stored = store.get(IDENTITY)
    if stored is None:
        raise _not_ours(store.directory, "identity")
    incarnation, owner = _IDENTITY.unpack_from(stored)
    name = stored[_IDENTITY.size :].decode()
    if name != cluster:
        raise DirectoryError(
            f"the data directory {store.directory} belongs to cluster {name!r}, not to {cluster!r}; "
            f"correct the config file or --data-dir"
        )
    if owner != node:
        raise DirectoryError(
            f"the data directory {store.directory} belongs to node {owner}, not to node {node}; "
            f"correct --node or --data-dir"
        )
    return Identity(cluster, node, incarnation, unpack_number(store.get(BOOT)))


def _count_boot(store: LevelDBStore, identity: Identity) -> Identity:
    """On disk before this start does anything, for its batches are numbered within it."""
    boot = identity.boot + 1
    store.commit_now({BOOT: pack_number(boot), FORMAT: _FORMAT})
    return Identity(identity.cluster, identity.node, identity.incarnation, boot)
