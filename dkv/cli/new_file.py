"""A new file that a command makes: whole and on disk, or not there at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dkv.cli.output import Failure, Status, emit
from dkv.storage.guard import private_files
from dkv.storage.state_directories import sync_directory


@contextmanager
def output(path: Path | None, what: str) -> Iterator[Callable[[bytes], None]]:
    """Takes the bytes of ``what``; None is stdout.

    A file gets its name when it is whole and on disk, so nobody mistakes a part for it. Only its owner may read it.
    """
    if path is None:
        yield lambda piece: emit(piece, newline=False)
        return
    part = path.with_name(path.name + ".part")
    if path.exists() or path.is_symlink():
        raise Failure(Status.USAGE, "USAGE", f"{path} exists: name another file, or remove this one")
    try:
        with private_files(), open(part, "xb") as file:
            try:
                yield file.write  # type: ignore[misc]  # how much it wrote is not looked at: it writes all or fails
                file.flush()
                os.fsync(file.fileno())
                os.rename(part, path)
                sync_directory(str(path.absolute().parent))
            except BaseException:
                with suppress(OSError):
                    part.unlink(missing_ok=True)
                raise
    except OSError as error:
        why = error.strerror
        if isinstance(error, FileExistsError):
            why = f"{part} exists: remove it if no other {what} is under way"
        raise Failure(Status.FAILED, "FILE", f"cannot write {path}: {why}; it was not made") from None
