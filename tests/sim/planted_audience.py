"""Bugs of publish/subscribe, planted as in ``tests.sim.planted``: the rules for the audience must find each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from dkv.client_events import CountsElsewhere
from dkv.pubsub.exchange import Exchange, Outbox
from dkv.pubsub.patterns import Patterns
from dkv.pubsub.relay import Relay
from dkv.pubsub.telling import Telling
from dkv.pubsub_messages import CountsHeard, Posting, Published, SubscriberCounts
from dkv.replies import Notice

Plant = Callable[[], Any]
AUDIENCE: dict[str, Plant] = {}
"""Every planted bug by its name."""


def _plant(function: Callable[[], Iterator[None]]) -> Plant:
    AUDIENCE[function.__name__] = contextmanager(function)
    return AUDIENCE[function.__name__]


@_plant
def numbers_not_looked_at() -> Iterator[None]:
    """What a peer has published is delivered whatever its number."""

    def deliver(self: Relay, turn: Any, node: int, message: Published) -> None:
        self._deliver(turn, message.postings)

    with patch.object(Relay, "_on_published", deliver):
        yield


@_plant
def only_the_newest_is_looked_at() -> Iterator[None]:
    """A message is dropped if it is the last one again, and not if it is older."""

    def deliver(self: Relay, turn: Any, node: int, message: Published) -> None:
        peer = self._peer(node)
        if (message.boot, message.number) != peer.published:
            peer.published = (message.boot, message.number)
            self._deliver(turn, message.postings)

    with patch.object(Relay, "_on_published", deliver):
        yield


@_plant
def effect_not_in_place() -> Iterator[None]:
    """PUBLISH takes effect when it is read, and not when what stands before it is answered."""
    with patch("dkv.console.pubsub_words.InPlace", lambda make: make()):
        yield


@_plant
def counts_kept_of_a_node_that_is_gone() -> Iterator[None]:
    """Subscribers of a node that is gone are counted on."""

    def keep(self: Relay, turn: Any, message: Any) -> None:
        self._peer(message.node).up = False

    with patch.object(Relay, "_on_peer_down", keep):
        yield


@_plant
def counts_told_once() -> Iterator[None]:
    """A message with counts that was lost is not sent again."""
    with patch.object(Telling, "has_waited", lambda self, seconds, now: False):
        yield


@_plant
def counts_of_an_earlier_life() -> Iterator[None]:
    """What an earlier life of a peer has told holds for the next one."""

    def take_any(self: Relay, turn: Any, sender: Any, message: SubscriberCounts) -> None:
        turn.send(self._clients, CountsElsewhere(sender.node, message.anew, message.counts))
        peer = self._peer(sender.node)
        peer.has_counts = True
        peer.must_ask = False
        turn.send(sender, CountsHeard(message.boot, message.number))

    with patch.object(Relay, "_on_counts", take_any):
        yield


@_plant
def a_pattern_for_each_length() -> Iterator[None]:
    """A short channel meets the same patterns once for each length that the beginning of any pattern has."""

    def matching(self: Patterns, channel: bytes) -> list[bytes]:
        found: list[bytes] = []
        for length in self._lengths:
            alike = self._with_beginning.get(channel[:length], {})
            found += [pattern for pattern, glob in alike.items() if glob.matches(channel)]
        return found

    with patch.object(Patterns, "matching", matching):
        yield


@_plant
def subscribers_of_others_alone() -> Iterator[None]:
    """What comes from a peer is delivered only if the peer was told that somebody here has subscribed by pattern."""
    deliver = Exchange.deliver

    def some(self: Exchange, postings: tuple[Posting, ...]) -> None:
        deliver(self, [posting for posting in postings if not self._here.of((posting[0], posting[1]))])

    with patch.object(Exchange, "deliver", some):
        yield


@_plant
def slow_subscribers_are_kept() -> Iterator[None]:
    """Who does not read is written to for ever."""

    def put(self: Exchange, notice: Notice, receivers: Any) -> None:
        for connection in receivers:
            outbox = self._outboxes.setdefault(connection, Outbox())
            outbox.notices.append(notice)

    with patch.object(Exchange, "_put", put), patch("dkv.net.deliveries.Deliveries._cut", lambda *_: None):
        yield
