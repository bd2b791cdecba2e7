"""Kinds of damage to the files of a data directory, each at a place that is named."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

PAGE_BYTES = 4096
SMALL_BYTES = 1000
WHOLE_EVERY = 100
"""A sweep with a step of at most so many bytes flips *every* bit of small files: in a manifest each one counts."""


@dataclass(frozen=True)
class Strike:
    """Damage to one place of ``file``: ``do`` takes the directory that it is done to."""

    file: str
    what: str
    do: Callable[[Path], None]

    @property
    def name(self) -> str:
        """Which place, and what is done to it."""
        return f"{self.file}: {self.what}"

    @property
    def kind(self) -> str:
        """What kind of file it is, such as "MANIFEST of the state"."""
        path = Path(self.file)
        name = path.suffix.strip(".") if path.suffix in (".ldb", ".log") else path.name.split("-")[0]
        return f"{name} of the state" if path.parent.name else name


def files_of(directory: Path) -> list[Path]:
    """All files in a data directory and the directories of its state, as paths within it."""
    return sorted(path.relative_to(directory) for path in directory.rglob("*") if path.is_file())


def flip(file: Path, offset: int, bit: int) -> Strike:
    """One bit is another one."""

    def do(directory: Path) -> None:
        with (directory / file).open("r+b") as opened:
            opened.seek(offset)
            (byte,) = opened.read(1)
            opened.seek(offset)
            opened.write(bytes([byte ^ 1 << bit]))

    return Strike(str(file), f"bit {bit} of byte {offset} is flipped", do)


def truncate(file: Path, size: int) -> Strike:
    """The end of a file is missing."""
    return Strike(str(file), f"cut to {size} bytes", lambda directory: os.truncate(directory / file, size))


def remove(file: Path) -> Strike:
    """A file is missing."""
    return Strike(str(file), "removed", lambda directory: (directory / file).unlink())


def zero(file: Path, page: int) -> Strike:
    """A page of a file holds zeros, as a file system leaves it that lost what was written there."""

    def do(directory: Path) -> None:
        with (directory / file).open("r+b") as opened:
            size = opened.seek(0, os.SEEK_END)
            opened.seek(page * PAGE_BYTES)
            opened.write(bytes(min(PAGE_BYTES, size - page * PAGE_BYTES)))

    return Strike(str(file), f"page {page} is zero", do)


def replace_file(file: Path, other: Path, whose: str) -> Strike:
    """A file of another directory of the cluster is in its place."""

    def do(directory: Path) -> None:
        shutil.copy(other / file, directory / file)

    return Strike(str(file), f"that of {whose}", do)


def replace_log(other: Path, whose: str) -> Strike:
    """All files of the log come from another directory; the state stays."""

    def do(directory: Path) -> None:
        for path in [path for path in directory.iterdir() if path.is_file()]:
            path.unlink()
        for path in [path for path in other.iterdir() if path.is_file()]:
            shutil.copy(path, directory / path.name)

    return Strike("the log", f"that of {whose}", do)


def replace_state(other: Path, whose: str) -> Strike:
    """The state comes from another directory; the log stays."""

    def do(directory: Path) -> None:
        for path in directory.glob("state-*"):
            shutil.rmtree(path)
        for path in other.glob("state-*"):
            shutil.copytree(path, directory / path.name)

    return Strike("the state", f"that of {whose}", do)


def flips(directory: Path, every: int, random: Random) -> Iterator[Strike]:
    """A bit of each ``every``-th byte of every file; in a dense sweep every bit of small files."""
    for file in files_of(directory):
        size = (directory / file).stat().st_size
        all_bits = size < SMALL_BYTES and every <= WHOLE_EVERY and not file.name.startswith("LOG")
        for offset in range(size) if all_bits else range(random.randrange(every), size, every):
            for bit in range(8) if all_bits else (random.randrange(8),):
                yield flip(file, offset, bit)


def losses(directory: Path) -> Iterator[Strike]:
    """Every file removed, cut short in several places, and each of its pages zeroed."""
    for file in files_of(directory):
        size = (directory / file).stat().st_size
        yield remove(file)
        for cut in sorted({0, size // 3, size // 2, size - 200, size - 50, size - 1}):
            if 0 <= cut < size:
                yield truncate(file, cut)
        for page in range((size + PAGE_BYTES - 1) // PAGE_BYTES):
            yield zero(file, page)


def exchanges(directory: Path, others: dict[str, Path]) -> Iterator[Strike]:
    """Each file, the whole log or the whole state replaced by those of ``others``, by whose they are."""
    for whose, other in others.items():
        yield replace_log(other, whose)
        yield replace_state(other, whose)
        for file in files_of(directory):
            if (other / file).is_file():
                yield replace_file(file, other, whose)
