"""One reply in RESP 2 or 3, cut out of a stream: its bytes, and the replies inside it."""

from __future__ import annotations

from dataclasses import dataclass

_BULKS = b"$=!"
_AGGREGATES = {b"*": 1, b"~": 1, b">": 1, b"%": 2, b"|": 2}


@dataclass(frozen=True)
class Reply:
    """``data`` is the whole reply as it was sent; ``items`` are the replies within an array, a set or a map."""

    data: bytes
    items: tuple[Reply, ...] = ()

    @property
    def kind(self) -> bytes:
        """The first byte, which says what the reply is."""
        return self.data[:1]

    @property
    def is_error(self) -> bool:
        """Whether the server refuses."""
        return self.kind == b"-"

    @property
    def bulk(self) -> bytes:
        """The bytes of a bulk string."""
        return self.data.partition(b"\r\n")[2][:-2]

    @property
    def number(self) -> int:
        """The integer that this is, as an integer or as text."""
        return int(self.bulk if self.kind == b"$" else self.data[1:-2])


def read_whole(data: bytes) -> Reply:
    """The reply that these bytes are."""
    read = read_reply(data)
    assert read is not None and read[1] == len(data), data
    return read[0]


def read_reply(data: bytes, start: int = 0) -> tuple[Reply, int] | None:
    """The reply that begins at ``start``, and where the next one begins; None if it is not all there."""
    end = data.find(b"\r\n", start)
    if end < 0:
        return None
    kind, stop = data[start : start + 1], end + 2
    length = int(data[start + 1 : end]) if kind in _AGGREGATES or kind in _BULKS else -1
    items = []
    if kind in _AGGREGATES:
        for _ in range(max(length, 0) * _AGGREGATES[kind]):
            found = read_reply(data, stop)
            if found is None:
                return None
            item, stop = found
            items.append(item)
    elif length >= 0:
        stop += length + 2
    return (Reply(data[start:stop], tuple(items)), stop) if stop <= len(data) else None
