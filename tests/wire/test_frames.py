"""Frames: any split, any damage."""

from __future__ import annotations

from itertools import pairwise
from struct import pack

import google_crc32c
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.wire.frames import FrameError, FrameReader, frame

BODIES = st.lists(st.binary(max_size=200), max_size=8)


class Frames(SynchronousTestCase):
    """``frame`` and ``FrameReader``."""

    def test_stored_bytes(self) -> None:
        """The format is the protocol: nodes of two releases must cut the stream alike."""
        self.assertEqual(frame(b"123456789"), bytes.fromhex("00000009 e3069283") + b"123456789")

    @given(BODIES, st.lists(st.integers(0, 2000), max_size=10))
    def test_split_anywhere(self, bodies: list[bytes], cuts: list[int]) -> None:
        """However the network cuts the stream, the same bodies come out, empty ones too."""
        data = b"".join(map(frame, bodies))
        reader = FrameReader(200)
        edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
        received = [body for start, end in pairwise(edges) for body in reader.feed(data[start:end])]
        self.assertEqual(received, bodies)

    @given(BODIES)
    def test_one_byte_at_a_time(self, bodies: list[bytes]) -> None:
        """The slowest sender is understood."""
        reader = FrameReader(200)
        data = b"".join(map(frame, bodies))
        received = [body for index in range(len(data)) for body in reader.feed(data[index : index + 1])]
        self.assertEqual(received, bodies)

    @given(st.binary(max_size=100), st.data())
    def test_flipped_bit(self, body: bytes, data: st.DataObject) -> None:
        """One flipped bit, in the header or the body, never yields a body that was not sent."""
        damaged = bytearray(frame(body))
        bit = data.draw(st.integers(0, len(damaged) * 8 - 1))
        damaged[bit // 8] ^= 1 << bit % 8
        reader = FrameReader(100)
        try:
            received = reader.feed(bytes(damaged))
        except FrameError:
            return
        # A longer length waits for bytes that follow, and what follows cannot mend the checksum.
        self.assertEqual(received, [])
        self.assertRaises(FrameError, reader.feed, b"\0" * 200)

    def test_limit_is_inclusive(self) -> None:
        """A frame as long as the setting says is good."""
        self.assertEqual(FrameReader(10).feed(frame(b"x" * 10)), [b"x" * 10])

    def test_too_long_is_refused_by_its_header(self) -> None:
        """A length field of 4 GiB is refused at once, before memory is spent on it; the error names the limit."""
        error = self.assertRaises(FrameError, FrameReader(10).feed, pack(">II", 11, 0))
        self.assertIn("11 bytes exceeds the limit of 10", str(error))

    def test_limit_can_be_raised(self) -> None:
        """A stranger that turns out to be a member may send what members send."""
        reader = FrameReader(10)
        reader.feed(frame(b"hello")[:-1])
        reader.frame_bytes_max = 20
        self.assertEqual(reader.feed(frame(b"hello")[-1:] + frame(b"x" * 20)), [b"hello", b"x" * 20])

    def test_large_frame_in_small_pieces_is_linear(self) -> None:
        """A 16 MiB slot in 64 KiB reads is summed once, and held once: quadratic cost would stall the node."""
        summed = []
        value = google_crc32c.value

        def counting(data: bytes) -> int:
            summed.append(len(data))
            return int(value(data))

        size = 16 * 2**20
        data = frame(b"x" * size)
        self.patch(google_crc32c, "value", counting)
        reader = FrameReader(size)
        received = []
        for start in range(0, len(data), 2**16):
            held = reader._pending
            received += reader.feed(data[start : start + 2**16])
            self.assertIs(reader._pending, held, "grown in place, not copied")
        self.assertEqual((len(received), summed), (1, [size]))
