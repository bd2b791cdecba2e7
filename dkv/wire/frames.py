"""Frames: how a stream of bytes between nodes is cut into bodies, each with a checksum.

A frame is the length of the body and its CRC32C, both big-endian u32, and then the body. TCP's own checksum misses
about one damaged packet in ten million, and the nodes would agree on a flipped bit in a slot's value for ever.
"""

from __future__ import annotations

from struct import Struct

import google_crc32c

_HEADER = Struct(">II")  # length of the body in bytes, CRC32C of the body


class FrameError(ValueError):
    """The stream is not a sequence of good frames within the limit; nothing behind this point can be trusted."""


def frame(body: bytes) -> bytes:
    """The bytes that carry ``body``."""
    return _HEADER.pack(len(body), google_crc32c.value(body)) + body


class FrameReader:
    """Cuts a stream into bodies, whatever pieces it arrives in.

    Each byte is copied a fixed number of times, so a frame in many pieces costs no more than in one. At most one
    unfinished frame is held, with a body of up to ``frame_bytes_max`` bytes. The attribute may be raised between two
    feeds, for example when a stranger turns out to be a member.
    """

    def __init__(self, frame_bytes_max: int) -> None:
        self.frame_bytes_max = frame_bytes_max
        self._pending = bytearray()  # the beginning of an unfinished frame
        self._needed = _HEADER.size  # the length that it must have before it is worth looking at

    @property
    def unfinished(self) -> bool:
        """Whether an unfinished frame is held."""
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
        end = _HEADER.size  # the bytes that must be there before the next step
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
