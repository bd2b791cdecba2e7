"""Streams that strangers send: good beginnings that were spoiled, in pieces of any size; and what they cost."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterable

from hypothesis import strategies as st

_LARGE = (
    b"\x7f\xff\xff\xff",
    b"\xff" * 8,
    b"\x9b\x7f" + b"\xff" * 7,
    b"999999999999",
    b"-1",
    b"\r\n" * 40,
    b"\0" * 300,
)
"""What hurts in the place of a length, or of a line's end."""

_EDITS = st.tuples(
    st.sampled_from(("flip", "cut", "put", "repeat")),
    st.floats(0, 1, exclude_max=True),
    st.one_of(st.sampled_from(_LARGE), st.binary(max_size=30)),
)


@st.composite
def spoiled(draw: st.DrawFn, *good: bytes) -> bytes:
    """One of ``good``, with a few edits: bytes flipped, cut out, put in, or said again and again."""
    data = bytearray(draw(st.sampled_from(good)))
    for what, place, more in draw(st.lists(_EDITS, max_size=6)):
        at = int(place * len(data))
        if what == "flip" and data:
            data[at] ^= 1 << len(more) % 8
        elif what == "cut":
            del data[at : at + len(more) + 1]
        elif what == "put":
            data[at:at] = more
        else:
            data += data[at:] * (len(more) % 5)
    return bytes(data[:100_000])


@st.composite
def streams(draw: st.DrawFn, *good: bytes) -> list[bytes]:
    """The pieces in which a stream arrives: spoiled beginnings, or noise."""
    stream = draw(st.one_of(spoiled(*good), st.binary(max_size=2_000)))
    sizes = draw(st.lists(st.integers(1, 200), max_size=20))
    pieces = []
    for size in sizes:
        pieces.append(stream[:size])
        stream = stream[size:]
    return [piece for piece in (*pieces, stream) if piece]


def endless(piece: bytes, total: int) -> Iterable[bytes]:
    """``piece`` again and again, until ``total`` bytes have been sent."""
    return (piece for _ in range(total // len(piece)))


def most_held(call: Callable[[], object]) -> int:
    """The bytes of memory that Python held more, at most, while ``call`` ran."""
    running = tracemalloc.is_tracing()
    if not running:
        tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        call()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        if not running:
            tracemalloc.stop()
