"""A backup that is read or made: every byte, key and value of it is checked on the way."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from dkv.cli.output import Failure, Status
from dkv.cli.progress_bar import ProgressBar
from dkv.kv.census import Census, StateDamaged
from dkv.wire.backup_file import BackupError, BackupHeader, BackupReader, Pair

READ_BYTES = 1 << 20


class CheckedBackup:
    """Takes the bytes of a backup, of which errors speak as ``name``. ``census`` counts what is in it."""

    def __init__(self, name: str) -> None:
        self.census = Census()
        self.name = name
        self._reader = BackupReader()

    @property
    def header(self) -> BackupHeader:
        """The header, which is there when pairs are."""
        assert self._reader.header is not None, "pairs come behind a header"
        return self._reader.header

    @property
    def digest(self) -> bytes:
        """The hash of the whole backup, which is there when it is finished."""
        assert self._reader.digest is not None, "the hash comes at the end"
        return self._reader.digest

    def feed(self, data: bytes) -> list[Pair]:
        """The pairs that ``data`` completes; ``Failure`` if something is wrong."""
        try:
            pairs = self._reader.feed(data)
            for key, value in pairs:
                self.census.add(key, value)
        except (BackupError, StateDamaged) as error:
            raise self._wrong(error) from None
        return pairs

    def finish(self) -> None:
        """There is nothing more: ``Failure`` unless the backup is whole."""
        try:
            self._reader.finish()
            self.census.finish()
        except (BackupError, StateDamaged) as error:
            raise self._wrong(error) from None
        if self.census.applied_through != self.header.applied_through:
            raise self._wrong(StateDamaged("the header and the state name different slots"))

    def _wrong(self, error: BackupError | StateDamaged) -> Failure:
        verb = "" if isinstance(error, BackupError) else "is damaged: "
        return Failure(Status.FAILED, "DAMAGED", f"{self.name} {verb}{error}")


def read_checked(path: Path, what: str, backup: CheckedBackup) -> Iterator[list[Pair]]:
    """The pairs in the file of a backup, or in stdin for ``-``, piece by piece; ``what`` is done meanwhile.

    ``Failure`` at the first thing that is wrong; at the last byte if the file was cut.
    """
    try:
        with opened(path) as file, ProgressBar(what, file_size(file)) as progress:
            while data := file.read(READ_BYTES):
                pairs = backup.feed(data)
                progress.add(len(data))
                if pairs:
                    yield pairs
            backup.finish()
    except OSError as error:
        raise Failure(Status.FAILED, "FILE", f"cannot read {name_of(path)}: {error.strerror}") from None


def backup_fields(backup: CheckedBackup) -> dict[str, Any]:
    """What a finished backup holds, for JSON."""
    header, census = backup.header, backup.census
    return asdict(header) | {
        "keys": census.keys,
        "key_bytes": census.key_bytes,
        "value_bytes": census.value_bytes,
        "producers": census.producers,
        "answers": census.answers,
        "digest": backup.digest.hex(),
    }


def name_of(path: Path) -> str:
    """What messages call a backup."""
    return "stdin" if str(path) == "-" else str(path)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A file to be read, or stdin for ``-``."""
    if str(path) != "-":
        with open(path, "rb") as file:
            yield file
    elif sys.stdin is None:
        raise Failure(Status.FAILED, "FILE", "cannot read stdin: it is closed")
    else:
        yield sys.stdin.buffer


def file_size(file: BinaryIO) -> int:
    """The size of a file in bytes; 0 if it has none, such as a pipe."""
    try:
        found = os.fstat(file.fileno())
    except OSError:  # a test's buffer
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0
