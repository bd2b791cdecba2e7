"""Guards a data directory from other processes and other users, beside LevelDB and independent of it."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from dkv.storage.store import StoreFailed

PRIVATE_UMASK = 0o077
"""The umask of a process that opens a data directory: LevelDB makes new files all the time."""

_OTHERS = 0o077


class DirectoryLocked(StoreFailed):
    """Another process, or another part of this one, has the directory."""


class DirectoryLock:
    """An exclusive flock on ``directory`` itself, held until ``release`` or the end of the process.

    LevelDB locks a file in the directory, ``LOCK``. If somebody deletes that file, a second LevelDB opens the
    directory and rewrites the log that the first one goes on writing. The directory itself is not deleted so easily.
    ``DirectoryLocked`` if another process has it, ``StoreFailed`` if it cannot be locked at all.
    """

    def __init__(self, directory: str) -> None:
        try:
            self._descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise StoreFailed(f"{directory} cannot be opened: {error.strerror}") from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            if isinstance(error, BlockingIOError):
                raise DirectoryLocked(
                    f"the data directory {directory} is locked: is another dkvnode using it?"
                ) from None
            raise StoreFailed(f"{directory} cannot be locked, use a local file system: {error.strerror}") from None

    def release(self) -> None:
        """Release the directory; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@contextmanager
def private_files() -> Iterator[None]:
    """While entered, new files and directories are the user's alone, whatever the umask."""
    before = os.umask(PRIVATE_UMASK)
    try:
        yield
    finally:
        os.umask(before)


def can_be_entered(directory: str) -> bool:
    """Whether other users can reach what is in ``directory``, as far as its own mode goes."""
    return bool(stat.S_IMODE(os.stat(directory).st_mode) & _OTHERS)


def narrow(directory: str) -> str | None:
    """Close ``directory`` and its files to other users; None if they were closed, else a sentence on what was open.

    Files that this user does not own stay as they are, and the sentence says so.
    """
    found, left = [], []
    for path in (directory, *(entry.path for entry in os.scandir(directory) if not entry.is_symlink())):
        try:
            mode = stat.S_IMODE(os.stat(path).st_mode)
            if mode & _OTHERS:
                found.append(f"{os.path.basename(path)} ({mode:04o})")
                os.chmod(path, mode & ~_OTHERS)
        except FileNotFoundError:
            continue  # LevelDB may remove a file at any time
        except OSError as error:
            left.append(f"{os.path.basename(path)}: {error.strerror}")
    if not found:
        return None
    others = f" and {len(found) - 1} more" if len(found) > 1 else ""
    result = f"could not be closed: {left[0]}" if left else "closed now"
    return f"{found[0]}{others} was open to other users; {result}"
