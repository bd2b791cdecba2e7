"""The messages of publish/subscribe that travel between nodes (``dkv.messages`` has those of consensus).

What one client publishes is a *posting*. Nothing of all this is on any disk: it is delivered at most once.
"""

from __future__ import annotations

from dataclasses import dataclass

CHANNEL, PATTERN, SHARD = 0, 1, 2
"""Kinds of names that clients subscribe to. A shard channel is a channel in a space of its own, as in Redis."""

KINDS = (CHANNEL, PATTERN, SHARD)

Posting = tuple[int, bytes, bytes]
"""What was published: ``CHANNEL`` or ``SHARD``, the channel, and the message for its subscribers."""

Name = tuple[int, bytes]
"""What clients subscribe to: one of ``KINDS``, and a channel or a pattern."""

Count = tuple[int, bytes, int]
"""A name, and how many clients have subscribed to it; 0 says that none has any more."""


@dataclass(frozen=True, slots=True)
class Published:
    """Clients of the sender have published this, in this order. ``number`` counts these messages within ``boot``.

    It goes to all peers that are connected. A peer delivers it if it has delivered nothing as late from this sender.
    """

    boot: int
    number: int
    postings: tuple[Posting, ...]


@dataclass(frozen=True, slots=True)
class SubscriberCounts:
    """How many clients of the sender have subscribed to these names by now.

    ``anew`` says that the receiver has to forget what it was told before. ``number`` counts within ``boot``; the next
    of these messages follows when the receiver has said that it has heard this one.
    """

    boot: int
    number: int
    anew: bool
    counts: tuple[Count, ...]


@dataclass(frozen=True, slots=True)
class CountsHeard:
    """The sender has heard counts ``number`` of the receiver's ``boot``. Number 0: it knows none, and asks for them."""

    boot: int
    number: int
