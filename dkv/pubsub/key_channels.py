"""The channels that tell what happens to keys, and which key a message on one of them is about."""

from __future__ import annotations

import re
from collections.abc import Callable

MayKnow = Callable[[int, bytes], bool]
"""Whether a client may know of a key, which is given with its database before it."""

_CHANNEL = re.compile(rb"__key(space|event)@([0-9]{1,9})__:")


def key_named(channel: bytes) -> tuple[int, bytes] | None:
    """The database and the key that a channel has in its name; None if there is none in it."""
    found = _CHANNEL.match(channel)
    return (int(found[2]), channel[found.end() :]) if found is not None and found[1] == b"space" else None


def key_told(channel: bytes, text: bytes) -> tuple[int, bytes] | None:
    """The database and the key that a message is about; None if it is on another channel.

    A message that a client has published to such a channel is judged as if a node had told it.
    """
    found = _CHANNEL.match(channel)
    if found is None:
        return None
    return int(found[2]), channel[found.end() :] if found[1] == b"space" else text
