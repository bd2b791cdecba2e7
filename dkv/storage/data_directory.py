"""The data directory of a node: made once, opened by its owner alone, and of a known format."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack, closing
from itertools import islice
from typing import Any

from dkv.configurations import Configurations, first_configurations, unpack_configurations
from dkv.identity import Acquaintance, Identity
from dkv.keys import APPLIED_KEYS, APPLIED_THROUGH, CHOSEN_THROUGH, CONFIGURATIONS, FORMAT, pack_number, unpack_number
from dkv.storage.fence import FENCED_ADVICE, fence_of
from dkv.storage.guard import DirectoryLock, DirectoryLocked, narrow, private_files
from dkv.storage.leveldb import LevelDBStore
from dkv.storage.lives import MembersDiffer, check_members, first_writes, next_life, read_identity, read_members
from dkv.storage.seal import DAMAGE_ADVICE
from dkv.storage.state_directories import (
    FIRST_GENERATION,
    MARKER,
    StateDirectories,
    StateDirectory,
    create_state,
    generation_in_force,
    generation_writes,
    sync_directory,
)
from dkv.storage.store import Store, StoreFailed

FORMAT_VERSION = 7
"""Raised when stored bytes change their meaning; ``tests/storage/formats`` keeps a directory of every version.

Opening a directory gives it this version, and an older dkv refuses it from then on. Formats 1 to 3 kept the state
beside the log, without revisions. Their logs are whole, so the node makes its state anew from the log at its first
start with this version: all nodes come to the same revisions, whenever each was upgraded.

Format 5 has changes of members in the log and their sets in the state. Nothing of format 4 has another meaning. But an
older dkv would take such a change for a command that it does not know, and go on with the members before it.

Format 6 has stamps in the records of the log. Nothing of format 5 has another meaning, but an older dkv cannot read a
record with a stamp.

Format 7 has scripts in the log. Nothing of format 6 has another meaning, but an older dkv would take a script for a
command that it does not know, and its state would be another one from there on.
"""

FIRST_FORMAT_WITH_STATES = 4

_ERASED_AT_ONCE = 10_000
"""How many keys of the state of an older format one commit erases."""

_FORMAT_WORD = b"dkv "
_FORMAT = _FORMAT_WORD + str(FORMAT_VERSION).encode()
CLUSTER_KEY_BYTES = 16


class DirectoryError(Exception):
    """A data directory cannot be used; the text is one line that says why and what to do."""


class DirectoryUnfit(DirectoryError):
    """A data directory and the config file contradict each other."""


class DirectoryFenced(DirectoryError):
    """A data directory must never be used again."""


def draw_cluster_key() -> bytes:
    """A key for all directories of one new cluster, by which they tell each other from those of other clusters."""
    return os.urandom(CLUSTER_KEY_BYTES)


def initialise(
    directory: str,
    cluster: str,
    node: int,
    members: Collection[int] = (),
    cluster_key: bytes = b"",
    fill: Callable[[StateDirectory], Mapping[bytes, bytes]] = lambda _: {},
) -> Identity:
    """Make ``directory``, missing or empty, the data directory of ``node`` in ``cluster``, durably.

    Draws the incarnation. ``members`` are all ids of the cluster; without them the first start stores those of its
    config. ``fill`` writes into the new state, and gives the writes of the log that go with that. The directory and all
    files in it are this user's alone, whatever the umask. ``DirectoryError`` if it holds anything, is in use or cannot
    be written; a failure, also one of ``fill``, leaves things as they were before.
    """
    created = _make_missing(directory)
    lock = _lock_empty(directory)
    incarnation = int.from_bytes(os.urandom(8), "big")
    try:
        with private_files():
            store = LevelDBStore(directory, _no_thread, create=True, lock=lock)
            try:
                with closing(create_state(directory, _no_thread, cluster_key, FIRST_GENERATION)) as state:
                    filled = fill(state)
                written = first_writes(cluster, node, incarnation, members, cluster_key)
                store.commit_now({FORMAT: _FORMAT} | generation_writes(FIRST_GENERATION) | written | dict(filled))
            finally:
                store.close()
        narrow(directory)
        for each in (directory, *(os.path.dirname(path) for path in created or [os.path.abspath(directory)])):
            sync_directory(each)
    except BaseException as error:
        _undo(directory, created)
        if isinstance(error, StoreFailed | OSError):
            raise DirectoryError(f"cannot initialise the data directory {directory}: {error}") from None
        raise
    return Identity(cluster, node, incarnation, 0, cluster_key, tuple(sorted(members)))


def open_directory(
    directory: str, cluster: str, node: int, call_from_thread: Callable[..., Any], members: Collection[int] = ()
) -> tuple[LevelDBStore, StateDirectories, Identity]:
    """Open the data directory of ``node`` and begin a life, durably; ``call_from_thread`` as in LevelDBStore.

    The result is the log, the state, and who the node is. A directory of an older format is brought to this one.

    ``DirectoryError`` if it is not initialised, belongs to another node or cluster, has an unknown format, or is in
    use, not writable or damaged; ``DirectoryUnfit`` if it does not know the cluster's first members, for its format is
    old, and ``members``, those of the config, are others than it has met; ``DirectoryFenced`` if it is fenced. Then
    nothing stays open.
    """
    _require_database(directory, node)
    try:
        store = LevelDBStore(directory, call_from_thread)
    except StoreFailed as error:
        raise _explain(directory, error) from None
    with ExitStack() as opened:
        opened.callback(store.close)
        try:
            version = check_format(store)
            identity = _read_identity(store, cluster, node)
            refuse_fenced(store, directory)
            identity = check_members(store, identity, members) if members else identity
            if version < FIRST_FORMAT_WITH_STATES:
                _bring_to_format(store, call_from_thread, identity.cluster_key)
            _erase_state_beside_log(store)
            states = StateDirectories(directory, call_from_thread, identity.cluster_key, generation_in_force(store))
            opened.callback(states.close)
            identity = _begin_life(store, identity)
            sync_directory(directory)  # LevelDB has just replaced files, and synced only their contents
        except (StoreFailed, OSError) as error:
            raise DirectoryError(str(error)) from None
        except MembersDiffer as error:
            raise DirectoryUnfit(f"the data directory {directory} {error}") from None
        opened.pop_all()
    return store, states, identity


def empty_directory(directory: str) -> None:
    """Remove all that ``initialise`` put into an empty directory."""
    for entry in os.scandir(directory):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.remove(entry.path)


def load_configurations(state: Store, identity: Identity) -> tuple[Configurations, int]:
    """The sets of members by the ``state`` of a node, and the slot up to which it is applied.

    ``DirectoryError`` if they are damaged.
    """
    stored = state.get(CONFIGURATIONS)
    try:
        held = first_configurations(identity.members) if stored is None else unpack_configurations(stored)
    except ValueError as error:
        raise DirectoryError(str(error)) from None
    return held, unpack_number(state.get(APPLIED_THROUGH))


def load_members(store: Store) -> dict[int, Acquaintance]:
    """What the directory keeps of every member that was ever met; ``DirectoryError`` if a record is damaged."""
    try:
        return read_members(store)
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
    try:
        path = os.path.abspath(directory)  # fails if the current directory was removed
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
    """The lock of an empty ``directory``: of two processes that initialise it, only one may find it empty."""
    try:
        lock = DirectoryLock(directory)
        held = sorted(os.listdir(directory))
    except (StoreFailed, OSError) as error:
        raise DirectoryError(str(error)) from None
    if held:
        lock.release()
    if MARKER in held:
        raise DirectoryError(f"the data directory {directory} is initialised already; nothing was changed")
    if held:
        raise DirectoryError(f"the data directory {directory} holds {held[0]!r}; name an empty or a new one")
    return lock


def _undo(directory: str, created: list[str]) -> None:
    """Restore what was there before."""
    empty_directory(directory)
    for path in created:
        shutil.rmtree(path, ignore_errors=True)


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
    require_marker(directory, held)
    if not os.access(directory, os.W_OK | os.X_OK):
        raise DirectoryError(f"the data directory {directory} is not writable by this user")


def _explain(directory: str, error: StoreFailed) -> DirectoryError:
    """LevelDB's reason, explained to an operator. Kinds of errors can be told only by their words."""
    text = str(error)
    if isinstance(error, DirectoryLocked):
        return DirectoryError(text)
    if "/LOCK: Resource temporarily unavailable" in text or "already held by process" in text:
        return DirectoryError(f"the data directory {directory} is locked: is another dkvnode using it?")
    if "Permission denied" in text or "Read-only file system" in text:
        return DirectoryError(f"the data directory {directory} is not writable by this user: {text}")
    return DirectoryError(text)


def require_marker(directory: str, held: Collection[str]) -> None:
    """``DirectoryError`` unless the files ``held`` in ``directory`` are a database, and whole so far."""
    if MARKER in held:
        return
    if any(each.startswith("state-") or each.endswith(".ldb") for each in held):
        raise DirectoryError(f"the data directory {directory} is damaged: its file {MARKER} is lost. {DAMAGE_ADVICE}")
    raise not_ours(directory, f"file {MARKER}")


def not_ours(directory: str, what: str) -> DirectoryError:
    """The error for a directory that is no data directory, for it lacks something."""
    return DirectoryError(
        f"{directory} is not a data directory of dkv, for it has no {what}; name another one, "
        f"or empty it and initialise it again if `dkv init` was interrupted there"
    )


def check_format(store: LevelDBStore) -> int:
    """The format's version; ``DirectoryError`` if it is not known."""
    stored = store.get(FORMAT)
    if stored is None or not stored.startswith(_FORMAT_WORD):
        raise not_ours(store.directory, "format version")
    version = stored[len(_FORMAT_WORD) :].decode("ascii", "replace")
    if version not in map(str, range(1, FORMAT_VERSION + 1)):
        raise DirectoryError(
            f"the data directory {store.directory} has format version {version} and this dkv knows none beyond "
            f"{FORMAT_VERSION}; run the version of dkv that last used it, or a newer one that reads it"
        )
    return int(version)


def _bring_to_format(store: LevelDBStore, call_from_thread: Callable[..., Any], cluster_key: bytes) -> None:
    """Give a directory of formats 1 to 3 a state of its own, which begins with nothing.

    All that was applied is chosen: the mark says so from now on, for the state cannot.
    """
    create_state(store.directory, call_from_thread, cluster_key, FIRST_GENERATION).close()
    chosen_through = max(unpack_number(store.get(each)) for each in (CHOSEN_THROUGH, APPLIED_THROUGH))
    mark = {CHOSEN_THROUGH: pack_number(chosen_through)}
    store.commit_now(generation_writes(FIRST_GENERATION) | {FORMAT: _FORMAT} | mark)


def _erase_state_beside_log(store: LevelDBStore) -> None:
    """Erase what formats 1 to 3 kept beside the log. Nobody reads it any more; a crash leaves it to the next start."""
    for prefix in sorted(APPLIED_KEYS):
        start = prefix
        while keys := [key for key, _ in islice(store.scan(prefix, start), _ERASED_AT_ONCE)]:
            store.commit_now(dict.fromkeys(keys))
            start = keys[-1]


def _read_identity(store: LevelDBStore, cluster: str, node: int) -> Identity:
    identity = read_identity(store)
    if identity is None:
        raise not_ours(store.directory, "identity")
    if identity.cluster != cluster:
        raise DirectoryError(
            f"the data directory {store.directory} belongs to cluster {identity.cluster!r}, not to {cluster!r}; "
            f"correct the config file or --data-dir"
        )
    if identity.node != node:
        raise DirectoryError(
            f"the data directory {store.directory} belongs to node {identity.node}, not to node {node}; "
            f"correct --node or --data-dir"
        )
    return identity


def _begin_life(store: LevelDBStore, identity: Identity) -> Identity:
    """Begin a life, on disk before the start does anything: peers know the start by it, and it numbers batches."""
    born, writes = next_life(identity, time.time(), int.from_bytes(os.urandom(8), "big"))
    store.commit_now(writes | {FORMAT: _FORMAT})
    return born
