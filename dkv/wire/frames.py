"""Frames: how a stream of bytes between nodes is cut into bodies, each with a checksum.

A frame is the body's length and its CRC32C, both big-endian u32, then the body. TCP's own checksum misses about
one damaged packet in ten million or more, and a flipped bit in a slot's value would be agreed on for ever.
"""

from __future__ import annotations

from struct import Struct

import google_crc32c

_HEADER = Struct(">II")  # length of the body in bytes, CRC32C of the body


class FrameError(ValueError):
    """The stream is not a sequence of whole frames within the limit; nothing after this point can be trusted."""


def frame(body: bytes) -> bytes:
    """The bytes that carry ``body``."""
    return _HEADER.pack(len(body), google_crc32c.value(body)) + body


class FrameReader:
    """Cuts what arrives into bodies, whatever the pieces.

    Each byte is copied a fixed number of times, so a frame that arrives in many pieces costs no more than in one.
    At most one unfinished frame of up to ``frame_bytes_max`` bytes (of body) is held; the attribute may be raised
    between two feeds, as when a stranger turns out to be a member.
    """

    def __init__(self, frame_bytes_max: int) -> None:
        self.frame_bytes_max = frame_bytes_max
        self._pending = bytearray()  # the beginning of an unfinished frame
        self._needed = _HEADER.size  # how long it must be before looking at it is worth while

    @property
    def unfinished(self) -> bool:
        """Whether a part of a frame is held."""
        return bool(self._pending)

    def feed(self, data: bytes) -> list[bytes]:
        """The bodies that ``data`` completes, in order; ``FrameError`` if a frame is too long or damaged."""
        if self._pending:
            self._pending += data
            if len(self._pending) < self._needed:
                return []
            data = bytes(self._pending)
            self._pending.clear()
        bodies = []
        offset = 0
        end = _HEADER.size  # of what must be there before the next step can be taken
        while end <= len(data):
            length, checksum = _HEADER.unpack_from(data, offset)
            if length > self.frame_bytes_max:
                raise FrameError(f"a frame of {length} bytes exceeds the limit of {self.frame_bytes_max} bytes")
            start = offset + _HEADER.size
            end = start + length
            if end > len(data):
                break
            body = data[start:end]
            if google_crc32c.value(body) != checksum:
                raise FrameError(f"the checksum of a frame of {length} bytes is wrong")
            bodies.append(body)
            offset = end
            end += _HEADER.size
        self._pending += data[offset:]
        self._needed = end - offset
        return bodies
