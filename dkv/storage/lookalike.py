"""A database that LevelDB may open, in place of one that must stay as it is, bit for bit.

LevelDB writes whenever it opens a database: it turns its log into tables, begins new files and removes old ones. It
never changes a table, and tables are nearly all of the bytes. So the lookalike, in a temporary directory, has links to
the tables, and copies of what is small. LevelDB writes its new files beside those links.

A crash may leave a table that the manifest does not know. LevelDB would give its number again and write through the
link, into the original. So tables are linked only below the number that the manifest says comes next.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from struct import Struct
from tempfile import TemporaryDirectory

from dkv.storage.seal import DAMAGE_ADVICE
from dkv.storage.store import RecordCorrupt

_CURRENT = "CURRENT"
_MANIFEST = re.compile(r"(MANIFEST-[0-9]+)\n")
_TABLE = re.compile(r"([0-9]+)\.(?:ldb|sst)")
_LOG = re.compile(r"[0-9]+\.log")

_BLOCK_BYTES = 32 * 1024
_PIECE = Struct("<IHB")  # checksum, length, kind: LevelDB's log format
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4

_NEXT_FILE = 3
_FIELDS: dict[int, str] = {1: "b", 2: "n", _NEXT_FILE: "n", 4: "n", 5: "nb", 6: "nn", 7: "nnnbb", 9: "n"}
"""The fields behind each tag of an edit in LevelDB's manifest: a number, or bytes behind their length."""


@contextmanager
def lookalike(directory: str) -> Iterator[str]:
    """While entered, the path of a lookalike of the LevelDB in ``directory``, which nobody may write meanwhile.

    ``RecordCorrupt`` if its manifest is damaged, ``OSError`` if it cannot be read.
    """
    with TemporaryDirectory(prefix="dkv-look-") as copy:
        manifest = _copy_current(directory, copy)
        with open(os.path.join(copy, manifest), "rb") as file:
            try:
                below = next_file_number(file.read())
            except ValueError as error:
                raise RecordCorrupt(f"{directory} is damaged: {manifest}: {error}. {DAMAGE_ADVICE}") from None
        for entry in os.scandir(directory):
            table = _TABLE.fullmatch(entry.name)
            if table is not None and int(table[1]) < below:
                os.symlink(os.path.abspath(entry.path), os.path.join(copy, entry.name))
            elif _LOG.fullmatch(entry.name):
                shutil.copyfile(entry.path, os.path.join(copy, entry.name))
        yield copy


def _copy_current(directory: str, copy: str) -> str:
    """Copy the file that names the manifest, and the manifest; its name."""
    with open(os.path.join(directory, _CURRENT), encoding="ascii", errors="replace") as file:
        named = _MANIFEST.fullmatch(file.read())
    if named is None or not os.path.isfile(os.path.join(directory, named[1])):
        raise RecordCorrupt(f"{directory} is damaged: {_CURRENT} names no manifest. {DAMAGE_ADVICE}")
    for each in (_CURRENT, named[1]):
        shutil.copyfile(os.path.join(directory, each), os.path.join(copy, each))
    return named[1]


def next_file_number(manifest: bytes) -> int:
    """The number that LevelDB gives to its next file, by its manifest; ``ValueError`` if that cannot be read."""
    number = 0
    for edit in _records(manifest):
        offset = 0
        while offset < len(edit):
            tag, offset = _number(edit, offset)
            if tag not in _FIELDS:
                raise ValueError(f"it has an unknown tag, {tag}")
            for kind in _FIELDS[tag]:
                field, offset = _number(edit, offset)
                offset += field if kind == "b" else 0
                number = field if tag == _NEXT_FILE else number
        if offset > len(edit):
            raise ValueError("an edit in it is cut")
    return number


def _records(data: bytes) -> Iterator[bytes]:
    """The records of a file in LevelDB's log format. Its checksums are LevelDB's to check, which reads it, too."""
    record = b""
    offset = 0
    while offset + _PIECE.size <= len(data):
        left = _BLOCK_BYTES - offset % _BLOCK_BYTES
        if left < _PIECE.size:
            offset += left  # nothing begins so near to the end of a block
            continue
        _, length, kind = _PIECE.unpack_from(data, offset)
        piece = data[offset + _PIECE.size : offset + _PIECE.size + length]
        offset += _PIECE.size + length
        if not _WHOLE <= kind <= _LAST:
            raise ValueError(f"it has a piece of an unknown kind, {kind}")
        record = piece if kind in (_WHOLE, _FIRST) else record + piece
        if kind in (_WHOLE, _LAST) and len(piece) == length:  # a last record that is cut was never finished
            yield record


def _number(data: bytes, offset: int) -> tuple[int, int]:
    """A number in LevelDB's encoding, seven bits a byte, the lowest first; and the offset behind it."""
    number = shift = 0
    while True:
        if offset >= len(data):
            raise ValueError("an edit in it is cut")
        byte = data[offset]
        number |= (byte & 0x7F) << shift
        offset, shift = offset + 1, shift + 7
        if byte < 0x80:
            return number, offset
