"""The rules of publish/subscribe, checked from outside: what subscribers get, and what nodes say of them.

- Nothing is delivered that was not published to that channel.
- Nothing is delivered twice to one connection, for the same name.
- What one connection publishes arrives in its order.
- What was published behind a write arrives when that write has been answered.
- When nothing fails any more, everything is delivered, and all nodes count all subscribers.
"""

from __future__ import annotations

from collections.abc import Callable

from dkv.pubsub_messages import SHARD
from dkv.replies import Notice

EVENTS = (b"__keyspace@", b"__keyevent@")
"""What the channels of events of keys begin with."""

_Name = tuple[int, int, bytes]
"""A subscriber's connection, the kind of the name, and the name that it got a message for."""


class AudienceRules:
    """Watches the audience; ``violated`` is told the first rule that is broken, in a sentence."""

    def __init__(self, violated: Callable[[str], None]) -> None:
        self.violated = violated
        self._published: dict[bytes, tuple[bool, bytes]] = {}  # by text: to a shard channel? and to which
        self._unanswered: set[bytes] = set()
        self._last: dict[tuple[_Name, bytes], int] = {}  # by who got it, and the publisher's connection
        self.heard: dict[int, set[bytes]] = {}
        """All texts that each connection has got."""
        self.count = 0
        """How many messages were delivered."""

    def publishing(self, where: bytes, text: bytes, behind_a_write: bool) -> None:
        """A client is about to publish ``text``, by the words ``where``."""
        word, _, channel = where.partition(b" ")
        self._published[text] = (word == b"spublish", channel)
        if behind_a_write:
            self._unanswered.add(text)

    def answered(self, text: bytes) -> None:
        """The write in front of this text is answered."""
        self._unanswered.discard(text)

    def got(self, connection: int, notice: Notice) -> None:
        """A subscriber has got something. Events of keys have rules of their own."""
        if notice.channel.startswith(EVENTS):
            return
        self.count += 1
        text = notice.text
        if self._published.get(text) != (notice.kind == SHARD, notice.channel):
            self.violated(f"a subscriber of {notice.channel!r} got {text!r}, which nobody has published there")
            return
        if text in self._unanswered:
            self.violated(f"a subscriber got {text!r} before the write in front of it was answered")
        publisher, _, number = text.partition(b".")
        name = notice.channel if notice.pattern is None else notice.pattern
        who = (connection, notice.kind, name), publisher
        if self._last.get(who, 0) == int(number):
            self.violated(f"connection {connection} got {text!r} twice for {name!r}")
        elif self._last.get(who, 0) > int(number):
            self.violated(f"connection {connection} got {text!r} behind a later message of its publisher")
        self._last[who] = int(number)
        self.heard.setdefault(connection, set()).add(text)
