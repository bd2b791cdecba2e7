"""The headers of regular requests, the small ones that nearly all clients send: looked up instead of parsed.

A header that is in none of these tables is parsed carefully, digit by digit (``dkv.wire.resp``).
"""

from __future__ import annotations

from functools import lru_cache

ARGUMENTS_MAX = 16
BYTES_MAX = 2_048

LENGTHS = {b"$%d" % length: length for length in range(BYTES_MAX + 1)}
"""The length of an argument, by its header without the CRLF."""


@lru_cache(maxsize=8)
def regular_headers(arguments_max: int) -> tuple[dict[bytes, int], dict[int, bytes]]:
    """The headers of arrays, of at most ``arguments_max`` arguments: the number by header, and the header by parts.

    The parts are those of a request that was split on CRLF: a header, and two for each argument.
    """
    counts = {b"*%d" % count: count for count in range(1, min(ARGUMENTS_MAX, arguments_max) + 1)}
    return counts, {1 + 2 * count: header for header, count in counts.items()}
