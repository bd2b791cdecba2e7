"""The commands of publish/subscribe. docs/pubsub.md says what they promise.

A node answers them itself. They take effect in their places among the requests of their connection: a subscriber that
is told by a PUBLISH sees the write that its publisher sent before it.
"""

from __future__ import annotations

from collections.abc import Callable

from dkv.console.client_state import ClientState
from dkv.console.declaring import ClientWord, container, quoted, word
from dkv.kv.glob import PATTERN_BYTES_MAX, Glob
from dkv.kv.registry import NO_CHANNELS, NO_KEYS, BadRequest, Channels, Flag, KeySpec
from dkv.pubsub.exchange import Exchange
from dkv.pubsub.key_channels import key_named
from dkv.pubsub_messages import CHANNEL, PATTERN, SHARD
from dkv.replies import InPlace, Local, Nested, Series
from dkv.security.rights import Rights

ALLOWED = frozenset(
    (
        b"subscribe",
        b"psubscribe",
        b"ssubscribe",
        b"unsubscribe",
        b"punsubscribe",
        b"sunsubscribe",
        b"ping",
        b"quit",
        b"reset",
    )
)
"""What a client that speaks RESP 2 may ask while it has subscribed to something: there, messages look like replies."""


def not_while_subscribed(name: str) -> str:
    """Redis's refusal of the command ``name``, for such a client."""
    return (
        f"ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET"
        " are allowed in this context"
    )


def _publishing(kind: int) -> Callable[[ClientState, list[bytes]], Local]:
    def publish(client: ClientState, words: list[bytes]) -> Local:
        channel, text = words[1], words[2]
        bytes_max = client.limits.key_bytes_max
        if len(channel) > bytes_max:
            raise BadRequest(f"ERR the channel has {len(channel)} bytes, limits.key_bytes_max is {bytes_max}")
        exchange, itself = client.node.exchange, client.connection
        if client.executing:  # what it gets itself may not stand among the results of its EXEC
            return Local(InPlace(lambda: exchange.publish((kind, channel, text))))
        return Local(InPlace(lambda: Series([exchange.publish((kind, channel, text)), *exchange.take_for(itself)])))

    return publish


def _subscribing(kind: int) -> Callable[[ClientState, list[bytes]], Local]:
    def subscribe(client: ClientState, words: list[bytes]) -> Local:
        return client.subscribed.subscribe(client.node.exchange, kind, words[1:])

    return subscribe


def _unsubscribing(kind: int) -> Callable[[ClientState, list[bytes]], Local]:
    def unsubscribe(client: ClientState, words: list[bytes]) -> Local:
        return client.subscribed.unsubscribe(client.node.exchange, kind, words[1:])

    return unsubscribe


# --- what there is to ask ---


def _names(kind: int) -> Callable[[ClientState, list[bytes]], Local]:
    def names(client: ClientState, words: list[bytes]) -> Local:
        if len(words) > 3:
            raise BadRequest(
                f"ERR unknown subcommand or wrong number of arguments for '{quoted(words[1])}'. Try PUBSUB HELP."
            )
        pattern = words[2] if len(words) == 3 else b"*"
        if len(pattern) > PATTERN_BYTES_MAX:
            raise BadRequest(f"ERR the pattern has {len(pattern)} bytes, the most is {PATTERN_BYTES_MAX}")
        exchange, matches, may_know = client.node.exchange, Glob(pattern).matches, _knowing(client.user.rights)
        return Local(InPlace(lambda: [name for name in exchange.names(kind) if matches(name) and may_know(name)]))

    return names


def _counts(kind: int) -> Callable[[ClientState, list[bytes]], Local]:
    def counts(client: ClientState, words: list[bytes]) -> Local:
        exchange, may_know = client.node.exchange, _knowing(client.user.rights)
        return Local(InPlace(lambda: _counted(exchange, kind, words[2:], may_know)))

    return counts


def _counted(exchange: Exchange, kind: int, names: list[bytes], may_know: Callable[[bytes], bool]) -> list[Nested]:
    found: list[Nested] = []
    for name in names:
        found += (name, exchange.count((kind, name)) if may_know(name) else 0)
    return found


def _knowing(rights: Rights) -> Callable[[bytes], bool]:
    """Whether a client with these rights may be told that a channel has subscribers: its name may be that of a key."""
    if rights.is_unrestricted:
        return lambda name: True

    def may_know(name: bytes) -> bool:
        key = key_named(name)
        return rights.allows_channel(name) and (key is None or rights.may_know(*key))

    return may_know


def _numpat(client: ClientState, words: list[bytes]) -> Local:
    exchange = client.node.exchange
    return Local(InPlace(lambda: len(list(exchange.names(PATTERN)))))


def _word(
    name: str,
    arity: int,
    answer: Callable[[ClientState, list[bytes]], Local],
    since: str,
    arguments: str,
    summary: str,
    complexity: str,
    channels: Channels,
) -> ClientWord:
    flags: tuple[Flag, ...] = ("pubsub", "loading", "stale")
    if name in ("publish", "spublish"):
        flags += ("fast",)
    elif not name.startswith("pubsub|"):
        flags = ("pubsub", "noscript", "loading", "stale")
    return word(
        name,
        arity,
        answer,
        category="pubsub",
        keys=NO_KEYS,
        channels=channels,
        group="pubsub",
        since=since,
        arguments=arguments,
        summary=summary,
        complexity=complexity,
        flags=flags,
    )


_FAN_OUT = "O(N) for N subscribers and the patterns that may match"
_EACH = "O(N) for N names"
_FIRST, _ALL, _NAMED = Channels(KeySpec(1, 1)), Channels(KeySpec(1, -1)), Channels(KeySpec(2, -1))

PUBSUB_WORDS = (
    _word(
        "publish",
        3,
        _publishing(CHANNEL),
        "2.0.0",
        "channel message",
        "Send a message to all subscribers.",
        _FAN_OUT,
        _FIRST,
    ),
    _word(
        "spublish",
        3,
        _publishing(SHARD),
        "7.0.0",
        "shardchannel message",
        "As PUBLISH, to a shard channel; all nodes have all of these.",
        _FAN_OUT,
        _FIRST,
    ),
    _word(
        "subscribe",
        -2,
        _subscribing(CHANNEL),
        "2.0.0",
        "channel [channel ...]",
        "Get what is published there.",
        _EACH,
        _ALL,
    ),
    _word(
        "psubscribe",
        -2,
        _subscribing(PATTERN),
        "2.0.0",
        "pattern [pattern ...]",
        "Get what is published to channels that match.",
        _EACH,
        Channels(KeySpec(1, -1), are_patterns=True),
    ),
    _word(
        "ssubscribe",
        -2,
        _subscribing(SHARD),
        "7.0.0",
        "shardchannel [shardchannel ...]",
        "Get what SPUBLISH publishes there.",
        _EACH,
        _ALL,
    ),
    _word(
        "unsubscribe",
        -1,
        _unsubscribing(CHANNEL),
        "2.0.0",
        "[channel [channel ...]]",
        "Get it no more; without channels, from none.",
        _EACH,
        NO_CHANNELS,
    ),
    _word(
        "punsubscribe",
        -1,
        _unsubscribing(PATTERN),
        "2.0.0",
        "[pattern [pattern ...]]",
        "Get no more what matches these, or any pattern.",
        _EACH,
        NO_CHANNELS,
    ),
    _word(
        "sunsubscribe",
        -1,
        _unsubscribing(SHARD),
        "7.0.0",
        "[shardchannel [shardchannel ...]]",
        "Get it no more; without shard channels, from none.",
        _EACH,
        NO_CHANNELS,
    ),
    container(
        "pubsub",
        (
            _word(
                "pubsub|channels",
                -2,
                _names(CHANNEL),
                "2.8.0",
                "[pattern]",
                "The channels that have subscribers in the cluster.",
                "O(N) for N channels",
                NO_CHANNELS,
            ),
            _word(
                "pubsub|numpat",
                2,
                _numpat,
                "2.8.0",
                "",
                "How many patterns have subscribers in the cluster.",
                "O(N) for N patterns",
                NO_CHANNELS,
            ),
            _word(
                "pubsub|numsub",
                -2,
                _counts(CHANNEL),
                "2.8.0",
                "[channel [channel ...]]",
                "How many subscribers channels have in the cluster, without those by pattern.",
                _EACH,
                _NAMED,
            ),
            _word(
                "pubsub|shardchannels",
                -2,
                _names(SHARD),
                "7.0.0",
                "[pattern]",
                "The shard channels that have subscribers in the cluster.",
                "O(N) for N channels",
                NO_CHANNELS,
            ),
            _word(
                "pubsub|shardnumsub",
                -2,
                _counts(SHARD),
                "7.0.0",
                "[shardchannel [shardchannel ...]]",
                "How many subscribers shard channels have in the cluster.",
                _EACH,
                _NAMED,
            ),
        ),
        group="pubsub",
        since="2.8.0",
        summary="Who has subscribed to what.",
    ),
)
