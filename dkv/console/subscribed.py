"""What one client has subscribed to, as its session knows it.

A session interprets requests before their places among the replies have come. So it knows what the client will have
subscribed to there, and what follows from that for the request behind it. What takes effect in its place is at the
exchange (``dkv.pubsub.exchange``), to which the session hands functions that do it.
"""

from __future__ import annotations

from collections.abc import Iterable

from dkv.kv.glob import PATTERN_BYTES_MAX
from dkv.kv.registry import BadRequest
from dkv.pubsub.exchange import Exchange
from dkv.pubsub.patterns import weight_of
from dkv.pubsub_messages import CHANNEL, PATTERN, SHARD, Name
from dkv.replies import InPlace, Local, Nested, Push, Series
from dkv.security.rights import Rights
from dkv.settings import Limits

_SUBSCRIBE = {CHANNEL: b"subscribe", PATTERN: b"psubscribe", SHARD: b"ssubscribe"}
_UNSUBSCRIBE = {CHANNEL: b"unsubscribe", PATTERN: b"punsubscribe", SHARD: b"sunsubscribe"}


class Subscribed:
    """The subscriptions of the connection with this number; ``limits`` are those of its node."""

    def __init__(self, connection: int, limits: Limits) -> None:
        self._connection = connection
        self._limits = limits
        self._names: dict[int, dict[bytes, None]] = {CHANNEL: {}, PATTERN: {}, SHARD: {}}

    def __bool__(self) -> bool:
        return any(self._names.values())

    def count(self, kind: int) -> int:
        """How many names of this kind."""
        return len(self._names[kind])

    def is_allowed(self, rights: Rights) -> bool:
        """Whether these rights allow to listen to all of it."""
        channels = (*self._names[CHANNEL], *self._names[SHARD])
        return all(map(rights.allows_channel, channels)) and all(
            map(rights.allows_channel_pattern, self._names[PATTERN])
        )

    def _told(self, kind: int) -> int:
        """The count that confirmations tell: that of channels and patterns together."""
        return self.count(SHARD) if kind == SHARD else self.count(CHANNEL) + self.count(PATTERN)

    def subscribe(self, exchange: Exchange, kind: int, names: Iterable[bytes]) -> Local:
        """SUBSCRIBE and its like: a confirmation for each name. ``BadRequest`` if there is no room for them."""
        names = list(names)
        mine = self._names[kind]
        fresh = [name for name in dict.fromkeys(names) if name not in mine]
        for name in fresh:
            self._check(kind, name)
        if not exchange.reserve(sum(weight_of(kind == PATTERN, name) for name in fresh)):
            raise BadRequest(
                f"ERR the clients of this node have subscribed to {exchange.weight} channels and patterns,"
                f" limits.subscriptions_max is {self._limits.subscriptions_max}; nothing of this was subscribed to"
            )
        confirmations: list[Nested] = []
        for name in names:
            mine[name] = None
            confirmations.append(Push([_SUBSCRIBE[kind], name, self._told(kind)]))
        subscribed: list[Name] = [(kind, name) for name in fresh]

        def take_effect() -> Series:
            exchange.subscribe(self._connection, subscribed)
            return Series(confirmations)

        return Local(InPlace(take_effect))

    def _check(self, kind: int, name: bytes) -> None:
        bytes_max, limit = self._limits.key_bytes_max, "limits.key_bytes_max"
        if kind == PATTERN and bytes_max > PATTERN_BYTES_MAX:
            bytes_max, limit = PATTERN_BYTES_MAX, "the most"
        if len(name) > bytes_max:
            what = "pattern" if kind == PATTERN else "channel"
            raise BadRequest(f"ERR the {what} has {len(name)} bytes, {limit} is {bytes_max}")

    def unsubscribe(self, exchange: Exchange, kind: int, names: Iterable[bytes]) -> Local:
        """UNSUBSCRIBE and its like, from these names, or from all of the kind if there are none."""
        mine = self._names[kind]
        names = list(names) or list(mine)
        dropped: list[Name] = []
        confirmations: list[Nested] = []
        for name in names:
            if name in mine:
                del mine[name]
                dropped.append((kind, name))
            confirmations.append(Push([_UNSUBSCRIBE[kind], name, self._told(kind)]))
        if not names:
            confirmations.append(Push([_UNSUBSCRIBE[kind], None, self._told(kind)]))
        exchange.release(sum(weight_of(kind == PATTERN, name) for _, name in dropped))

        def take_effect() -> Series:
            return Series([*exchange.unsubscribe(self._connection, dropped), *confirmations])

        return Local(InPlace(take_effect) if dropped else Series(confirmations))

    def forget(self, exchange: Exchange) -> None:
        """Want nothing any more; what is at the exchange stays there until it is told to ``leave``."""
        for kind, names in self._names.items():
            exchange.release(sum(weight_of(kind == PATTERN, name) for name in names))
            names.clear()
