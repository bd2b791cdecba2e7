"""The state of a node on disk: a database for each generation, beside the log, in a directory of its own.

The log's key ``G`` names the one in force. A snapshot from a peer is written into a new one; when it is whole, one
commit of the log puts it in force. So a crash at any moment leaves the old state or the new one. What else is found at
a start was given up, and is erased. Each holds the cluster's key, so that a state of another cluster is noticed.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from threading import Thread
from typing import Any

from dkv.keys import CLUSTER_KEY, GENERATION, pack_number, unpack_number
from dkv.storage.leveldb import LevelDBStore
from dkv.storage.seal import DAMAGE_ADVICE
from dkv.storage.store import RecordCorrupt, Store, StoreFailed, StoreView

FIRST_GENERATION = 1

MARKER = "CURRENT"
"""A file that every directory of LevelDB has."""

_NAME = re.compile(r"state-(\d{8})")


def state_directory(directory: str, generation: int) -> str:
    """Where ``generation`` lies in the data directory ``directory``."""
    return os.path.join(directory, f"state-{generation:08d}")


def generation_in_force(log: Store) -> int:
    """The generation that the log names; 0 if it names none, as in formats 1 to 3."""
    return unpack_number(log.get(GENERATION))


def generation_writes(generation: int) -> dict[bytes, bytes]:
    """The writes of a commit of the log that puts ``generation`` in force."""
    return {GENERATION: pack_number(generation)}


class StateDirectory:
    """The database of one generation. It is erased only when no view of it is open and no commit is under way."""

    def __init__(self, path: str, call_from_thread: Callable[..., Any], cluster_key: bytes, *, create: bool) -> None:
        self.path = path
        self._store = LevelDBStore(path, call_from_thread, create=create, in_place=False)
        self._views = 0
        self._committing = False
        self._unwanted = False
        self._removing: Thread | None = None
        try:
            if create:
                self._store.commit_now({CLUSTER_KEY: cluster_key})
            elif self._store.get(CLUSTER_KEY) != cluster_key:
                raise RecordCorrupt(f"{path} is not a state of this cluster. {DAMAGE_ADVICE}")
        except BaseException:
            self._store.close()
            raise
        self.get, self.find, self.scan = self._store.get, self._store.find, self._store.scan
        self.commit_now = self._store.commit_now

    def commit(self, writes: Mapping[bytes, bytes | None], done: Callable[[StoreFailed | None], None]) -> None:
        """As ``Store.commit``, always on the other thread."""

        def finished(failure: StoreFailed | None) -> None:
            self._committing = False
            self._erase_if_unused()
            done(failure)

        self._committing = True
        self._store.commit(writes, finished)

    def view(self) -> StateDirectoryView:
        """What is committed now, without the cluster's key."""
        self._views += 1
        return StateDirectoryView(self._store.view(), self._view_closed)

    @property
    def commits(self) -> int:
        """As of ``LevelDBStore``."""
        return self._store.commits

    @property
    def erased(self) -> int:
        """As of ``LevelDBStore``; none while a view is open, since LevelDB keeps for it what was erased."""
        return 0 if self._views else self._store.erased

    @property
    def giving_back(self) -> bool:
        """As of ``LevelDBStore``."""
        return self._store.giving_back

    def give_back(self) -> None:
        """As ``LevelDBStore.give_back``."""
        self._store.give_back()

    def close(self) -> None:
        """As ``Store.close``; where it is being erased, that is waited for."""
        self._unwanted = False
        if self._removing is not None:
            self._removing.join()
        self._store.close()

    def erase(self) -> None:
        """Remove it from disk as soon as nobody uses it."""
        self._unwanted = True
        self._erase_if_unused()

    def _view_closed(self) -> None:
        self._views -= 1
        self._erase_if_unused()

    def _erase_if_unused(self) -> None:
        if self._unwanted and not self._views and not self._committing:
            self._unwanted = False
            self._removing = Thread(target=self._remove, name="dkv-erase", daemon=True)
            self._removing.start()

    @property
    def is_gone(self) -> bool:
        """Whether it was erased."""
        return self._removing is not None and not self._removing.is_alive()

    def _remove(self) -> None:
        self._store.close()  # may wait for LevelDB's own work
        shutil.rmtree(self.path, ignore_errors=True)  # what stays is erased at the next start


class StateDirectoryView:
    """A view of one generation."""

    def __init__(self, view: StoreView, closed: Callable[[], None]) -> None:
        self._view = view
        self._closed: Callable[[], None] | None = closed
        self.get = view.get

    def read(self, after: bytes, bytes_max: int) -> list[tuple[bytes, bytes]]:
        """As ``StoreView.read``; the cluster's key is no part of the state."""
        return [pair for pair in self._view.read(after, bytes_max) if pair[0] != CLUSTER_KEY]

    def close(self) -> None:
        """Forget that moment; a second call does nothing."""
        closed, self._closed = self._closed, None
        if closed is not None:
            self._view.close()
            closed()


class StateDirectories:
    """All generations in the data directory ``directory``; ``generation`` is the one in force.

    Opening it erases all others. ``StoreFailed`` if the one in force cannot be opened, ``RecordCorrupt`` if it is
    damaged, missing or of another cluster.
    """

    def __init__(
        self, directory: str, call_from_thread: Callable[..., Any], cluster_key: bytes, generation: int
    ) -> None:
        self._directory = directory
        self._call_from_thread = call_from_thread
        self._cluster_key = cluster_key
        self._newest = generation
        path = state_directory(directory, generation)
        if not os.path.exists(os.path.join(path, MARKER)):
            raise RecordCorrupt(f"{directory} has lost its state: there is no {path}/{MARKER}. {DAMAGE_ADVICE}")
        for each in generations_in(directory):
            self._newest = max(self._newest, each)
            if each != generation:
                shutil.rmtree(state_directory(directory, each))
        self._current = self._open(generation, create=False)
        self._beside: dict[int, StateDirectory] = {}
        self._before: list[StateDirectory] = []
        self._leaving: list[StateDirectory] = []  # to be erased, as soon as nobody uses them

    @property
    def current(self) -> StateDirectory:
        """The generation in force."""
        return self._current

    def begin(self) -> int:
        """Make a new, empty generation, durably; ``StoreFailed`` if the disk refuses."""
        self._newest += 1
        self._beside[self._newest] = create_state(
            self._directory, self._call_from_thread, self._cluster_key, self._newest
        )
        return self._newest

    def beside(self, generation: int) -> StateDirectory:
        """A generation that is not in force."""
        return self._beside[generation]

    def switch(self, generation: int) -> None:
        """Put a generation in force, for this process."""
        self._before.append(self._current)
        self._current = self._beside.pop(generation)

    def settle(self) -> None:
        """The log names the one in force, durably: erase those before."""
        before, self._before = self._before, []
        for each in before:
            self._erase(each)

    def abandon(self, generation: int) -> None:
        """Erase a generation that is not in force."""
        self._erase(self._beside.pop(generation))

    def _erase(self, unwanted: StateDirectory) -> None:
        self._leaving = [each for each in self._leaving if not each.is_gone]
        self._leaving.append(unwanted)
        unwanted.erase()

    def close(self) -> None:
        """Close all of them, after commits that are under way. The next start erases what is not in force."""
        for each in (self._current, *self._beside.values(), *self._before, *self._leaving):
            each.close()

    def _open(self, generation: int, *, create: bool) -> StateDirectory:
        path = state_directory(self._directory, generation)
        return StateDirectory(path, self._call_from_thread, self._cluster_key, create=create)


def create_state(
    directory: str, call_from_thread: Callable[..., Any], cluster_key: bytes, generation: int
) -> StateDirectory:
    """Make the empty state of ``generation`` in ``directory``, durably, over whatever is there."""
    path = state_directory(directory, generation)
    shutil.rmtree(path, ignore_errors=True)
    created = StateDirectory(path, call_from_thread, cluster_key, create=True)  # nobody else can enter it
    sync_directory(directory)
    return created


def generations_in(directory: str) -> Iterable[int]:
    """The generations that have a directory in ``directory``."""
    found = map(_NAME.fullmatch, os.listdir(directory))
    return sorted(int(match[1]) for match in found if match)


def sync_directory(directory: str) -> None:
    """Make the names in ``directory`` durable, as fsync of a file makes its bytes."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
