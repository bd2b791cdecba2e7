"""The directory of a node that does not run, to be looked into. Not a byte of it changes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from dkv.identity import Identity
from dkv.keys import CLUSTER_KEY
from dkv.storage.data_directory import FIRST_FORMAT_WITH_STATES, DirectoryError, check_format, not_ours, require_marker
from dkv.storage.guard import DirectoryLock
from dkv.storage.leveldb import LevelDBStore
from dkv.storage.lives import read_identity
from dkv.storage.lookalike import lookalike
from dkv.storage.room import RESERVE_NAME
from dkv.storage.seal import DAMAGE_ADVICE
from dkv.storage.state_directories import generation_in_force, generations_in, state_directory
from dkv.storage.store import RecordCorrupt, StoreFailed


@dataclass(frozen=True, slots=True)
class StoppedNode:
    """A stopped node's databases, open for reading.

    Formats 1 to 3 keep the state beside the log: there ``state`` is ``log``, and ``generation`` is 0. ``log_bytes`` and
    ``state_bytes`` are the sizes of the files.
    """

    directory: str
    format_version: int
    identity: Identity
    log: LevelDBStore
    state: LevelDBStore
    generation: int
    generations: tuple[int, ...]
    log_bytes: int
    state_bytes: int

    def state_pairs(self) -> Iterator[tuple[bytes, bytes]]:
        """The pairs of the state, in the order of their keys, without the cluster's key."""
        return (pair for pair in self.state.scan(b"") if pair[0] != CLUSTER_KEY)


@contextmanager
def stopped_node(directory: str) -> Iterator[StoppedNode]:
    """Look into the data directory of a stopped node, which cannot start meanwhile.

    ``DirectoryError`` if it is none, is in use or cannot be read, and if something is found to be damaged, also later.
    """
    named: dict[str, str] = {}  # what an error calls a lookalike, and what the user does
    try:
        with ExitStack() as opened:
            _require_data(directory)
            lock = DirectoryLock(directory)
            opened.callback(lock.release)
            yield _open(directory, opened, named)
    except (StoreFailed, DirectoryError, shutil.Error) as error:
        raise DirectoryError(_renamed(str(error), named)) from None
    except OSError as error:
        where = _renamed(str(error.filename or directory), named)
        raise DirectoryError(f"{where} cannot be read: {error.strerror}") from None


def _open(directory: str, opened: ExitStack, named: dict[str, str]) -> StoppedNode:
    log = _database(directory, opened, named)
    version = check_format(log)
    identity = read_identity(log)
    if identity is None:
        raise not_ours(directory, "identity")
    if version < FIRST_FORMAT_WITH_STATES:
        return StoppedNode(directory, version, identity, log, log, 0, (), _size(directory), 0)
    generation = generation_in_force(log)
    path = state_directory(directory, generation)
    if not os.path.isdir(path):
        raise RecordCorrupt(f"{directory} has lost the directory of its state, {path}. {DAMAGE_ADVICE}")
    state = _database(path, opened, named)
    if state.get(CLUSTER_KEY) != identity.cluster_key:
        raise RecordCorrupt(f"{path} is not a state of this cluster. {DAMAGE_ADVICE}")
    generations = tuple(generations_in(directory))
    return StoppedNode(directory, version, identity, log, state, generation, generations, _size(directory), _size(path))


def _database(directory: str, opened: ExitStack, named: dict[str, str]) -> LevelDBStore:
    copy = opened.enter_context(lookalike(directory))
    named[copy] = directory
    store = LevelDBStore(copy, _nothing_is_written)
    opened.callback(store.close)
    return store


def _require_data(directory: str) -> None:
    try:
        held = os.listdir(directory)
    except OSError as error:
        raise DirectoryError(f"the data directory {directory} cannot be read: {error.strerror}") from None
    require_marker(directory, held)


def _size(directory: str) -> int:
    """The bytes of the database's files, without the reserve that lies beside them."""
    files = (entry for entry in os.scandir(directory) if entry.is_file(follow_symlinks=False))
    return sum(entry.stat().st_size for entry in files if entry.name != RESERVE_NAME)


def _renamed(text: str, named: dict[str, str]) -> str:
    for copy, directory in named.items():
        text = text.replace(copy, directory)
    return text


def _nothing_is_written(*_: Any) -> None:
    raise AssertionError("nothing is committed to a database that is only looked into")
