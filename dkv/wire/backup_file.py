"""The file of a backup: the state of a cluster after one slot, written and read from its first byte to its last.

====================== =======================================================================
part                   bytes
====================== =======================================================================
the first line         ``dkv backup 3`` and a newline: the version of this format
a frame, ``H``         the header: where the state comes from, as JSON
frames, ``C``          chunks: pairs of the state, in the order of their keys
a frame, ``E``         the end: how many pairs and bytes came before it, and a hash of these bytes
====================== =======================================================================

A frame is its letter, the length of its body and their CRC32C, both big-endian u32, and then the body. A pair is two
lengths, big-endian u32, then the key and the value as they are stored. So a flipped bit is noticed in the frame that
has it, and a file that was cut has no end. The version rises when the stored forms of keys and values change, too.
Version 2 may have the sets of members (key ``M``), which a version 1 never has. Version 3 has the time, the databases
and the marks of erased keys, and may have deadlines (keys ``L``, ``U``, ``Z`` and ``E``). Else they are alike.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from hashlib import blake2b
from struct import Struct

import google_crc32c

BACKUP_VERSION = 3
"""What is written. All versions up to it are read."""

_WORD = b"dkv backup "
_FIRST_LINES = [_WORD + b"%d\n" % version for version in range(1, BACKUP_VERSION + 1)]
_FIRST_LINE_BYTES_MAX = len(_WORD) + 10

_FRAME = Struct(">cII")  # letter, length of the body, CRC32C of letter, length and body
_HEAD = Struct(">cI")
_PAIR = Struct(">II")
_END = Struct(">QQ32s")  # pairs, bytes in front of this frame, their hash
_HEADER, _CHUNK, _LAST = b"H", b"C", b"E"

FRAME_BYTES_MAX = 1 << 30
"""No chunk is nearly as long: a longer one is a damaged length."""

Pair = tuple[bytes, bytes]


class BackupError(ValueError):
    """The bytes are not those of a whole, undamaged backup; the text is a sentence without a subject."""


@dataclass(frozen=True, slots=True)
class BackupHeader:
    """Where a backup comes from: ``node`` of ``cluster``, whose state it is after slot ``applied_through``.

    ``seconds`` is the time of day of that node when it began, since 1970; ``version`` that of its dkv. ``spaces`` has
    the space of each database, in order (``dkv.kv.databases``); where it is empty each has its first one.
    """

    cluster: str
    node: int
    applied_through: int
    seconds: int
    version: str
    spaces: tuple[int, ...] = ()


class BackupWriter:
    """Makes the bytes of one backup, piece by piece: a header, chunks in the order of their keys, an end."""

    def __init__(self) -> None:
        self._hash = blake2b(digest_size=32)
        self._bytes = 0
        self._pairs = 0

    def begin(self, header: BackupHeader) -> bytes:
        """The first piece."""
        values = asdict(header)
        if not header.spaces:
            del values["spaces"]
        return self._counted(_FIRST_LINES[-1] + _frame(_HEADER, json.dumps(values).encode()))

    def chunk(self, pairs: Iterable[Pair]) -> bytes:
        """The piece that has the next pairs."""
        parts: list[bytes] = []
        for key, value in pairs:
            parts += (_PAIR.pack(len(key), len(value)), key, value)
            self._pairs += 1
        return self._counted(_frame(_CHUNK, b"".join(parts)))

    def end(self) -> bytes:
        """The last piece."""
        return _frame(_LAST, _END.pack(self._pairs, self._bytes, self._hash.digest()))

    def _counted(self, piece: bytes) -> bytes:
        self._hash.update(piece)
        self._bytes += len(piece)
        return piece


class BackupReader:
    """Reads the bytes of one backup, whatever pieces they come in, and checks all of them.

    It holds one unfinished frame at most. ``header`` is there once it was read; ``digest`` is the hash at the end.
    """

    def __init__(self) -> None:
        self.header: BackupHeader | None = None
        self.digest: bytes | None = None
        self.pairs = 0
        self._pending = bytearray()
        self._needed = 1  # how many bytes must be there before it is worth looking at them
        self._hash = blake2b(digest_size=32)
        self._bytes = 0  # of the parts that were read in full
        self._begun = False

    def feed(self, data: bytes) -> list[Pair]:
        """The pairs of the chunks that ``data`` completes; ``BackupError`` if something is wrong."""
        if self.digest is not None and data:
            raise BackupError(f"goes on behind its end, at byte {self._bytes}")
        self._pending += data
        found: list[Pair] = []
        while len(self._pending) >= self._needed:
            if not self._begun:
                self._read_first_line()
            elif not self._read_frame(found):
                break
        return found

    def finish(self) -> None:
        """There are no more bytes: ``BackupError`` unless the backup is whole."""
        if self.digest is None:
            whole = self._bytes + len(self._pending)
            raise BackupError(
                f"is cut, or damaged: it has {whole} bytes and no end" if self._begun else "is no backup of dkv"
            )

    def _read_first_line(self) -> None:
        line, newline, _ = bytes(self._pending[:_FIRST_LINE_BYTES_MAX]).partition(b"\n")
        if not _WORD.startswith(line[: len(_WORD)]) or (not newline and len(line) == _FIRST_LINE_BYTES_MAX):
            raise BackupError("is no backup of dkv")
        if not newline:
            self._needed = len(self._pending) + 1
            return
        if line + newline not in _FIRST_LINES:
            version = line.removeprefix(_WORD).decode("ascii", "replace")
            if not version.isdigit():
                raise BackupError("is no backup of dkv")
            raise BackupError(f"has version {version} of the format, and this dkv knows none beyond {BACKUP_VERSION}")
        self._begun = True
        self._took(len(line + newline), _FRAME.size)

    def _read_frame(self, found: list[Pair]) -> bool:
        """Read a frame if all of it is there; whether it was."""
        letter, length, checksum = _FRAME.unpack_from(self._pending)
        end = _FRAME.size + length
        if length > FRAME_BYTES_MAX:
            raise self._damaged()
        if len(self._pending) < end:
            self._needed = end
            return False
        body = bytes(self._pending[_FRAME.size : end])
        if google_crc32c.extend(google_crc32c.value(_HEAD.pack(letter, length)), body) != checksum:
            raise self._damaged()
        try:
            self._take(letter, body, found)
        except (ValueError, TypeError, KeyError) as error:
            raise error if isinstance(error, BackupError) else self._damaged() from None
        if letter == _LAST and len(self._pending) > end:
            raise BackupError(f"goes on behind its end, at byte {self._bytes + end}")
        self._took(end, _FRAME.size)
        return self.digest is None

    def _take(self, letter: bytes, body: bytes, found: list[Pair]) -> None:
        """One frame whose checksum is right; ``ValueError`` and the like if it is not what should come here."""
        if (letter == _HEADER) != (self.header is None):
            raise ValueError
        if letter == _HEADER:
            values = json.loads(body)
            spaces = tuple(map(int, values.pop("spaces", ())))  # those of older versions do not have it
            names = [each.name for each in fields(BackupHeader) if each.name != "spaces"]
            self.header = BackupHeader(**{name: values[name] for name in names}, spaces=spaces)
        elif letter == _CHUNK:
            pairs = _unpack_pairs(body)
            self.pairs += len(pairs)
            found += pairs
        elif letter == _LAST:
            if body != _END.pack(self.pairs, self._bytes, self._hash.digest()):
                raise BackupError("lacks parts, or has some that are not its own: its count or its hash is another one")
            self.digest = self._hash.digest()
        else:
            raise ValueError

    def _took(self, count: int, needed: int) -> None:
        self._hash.update(self._pending[:count])
        del self._pending[:count]
        self._bytes += count
        self._needed = needed

    def _damaged(self) -> BackupError:
        return BackupError(f"is damaged, in the part that begins at byte {self._bytes}")


def _frame(letter: bytes, body: bytes) -> bytes:
    checksum = google_crc32c.extend(google_crc32c.value(_HEAD.pack(letter, len(body))), body)
    return _FRAME.pack(letter, len(body), checksum) + body


def _unpack_pairs(body: bytes) -> list[Pair]:
    pairs = []
    offset = 0
    while offset < len(body):
        if offset + _PAIR.size > len(body):
            raise ValueError
        key_bytes, value_bytes = _PAIR.unpack_from(body, offset)
        start = offset + _PAIR.size
        middle, offset = start + key_bytes, start + key_bytes + value_bytes
        if offset > len(body):
            raise ValueError
        pairs.append((body[start:middle], body[middle:offset]))
    return pairs
