"""Messages as bytes: one CBOR array ``[tag, fields...]`` each.

Tags are the protocol: a number never gets another meaning, and a class that changes gets a new tag, or there is a new
``PROTOCOL``. A tag also names the sending and the receiving role (``dkv.routes.ROUTES``). The fields are packed and
checked by ``dkv.wire.packing``.

Bytes from the network are checked in these two modules and nowhere else, so that no handler meets a value that its
types rule out: no CBOR tags (tag 35 would compile a regular expression), no floats, nothing left over.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any, NoReturn

from cbor2 import CBORDecodeEOF, CBORDecodeError, CBORDecoder, dumps

from dkv import messages, pubsub_messages, state_messages
from dkv.identity import NO_VOTES, Start, Votes
from dkv.records import Entry, UncheckedEntry
from dkv.routes import ROUTES
from dkv.wire.packing import CodecError, Convert, class_packer, class_unpacker

PROTOCOL = 8
"""The version of everything that nodes say to each other, the entries of batches included. Others are refused."""

MESH = "mesh"
"""Both ends of Hello, Challenge, PeerProof, refusals and Alive: one mesh says them to another, and no actor does."""

DEPTH_MAX = 8
"""Containers within containers: a Promise needs seven, an entry of a batch at most as many as here."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The first frame each way: who the sender is, and facts about it that the receiver may know better.

    ``mode`` is the cluster's mode, "leader" or "classic". ``starts`` are the latest starts that the directory
    remembers, this one at the end. ``votes`` tells what its acceptor had on disk when this start began. ``nonce`` is
    new with each connection that is dialled, and empty if the sender has no peer secret, or has not dialled.
    """

    protocol: int
    cluster: str
    node: int
    incarnation: int
    mode: str
    cluster_key: bytes
    members_hash: bytes
    frame_bytes_max: int
    starts: tuple[Start, ...]
    votes: Votes
    nonce: bytes = b""

    @property
    def start(self) -> Start:
        """The life of the node that says Hello."""
        return self.starts[-1]


@dataclass(frozen=True, slots=True)
class Challenge:
    """The answer to a Hello where there is a peer secret: show that you know it. ``nonce`` is new each time."""

    nonce: bytes


@dataclass(frozen=True, slots=True)
class PeerProof:
    """The sender knows the peer secret, as ``mac`` shows; ``target`` is the node that was meant to be dialled.

    The dialler's proof answers a Challenge. The other end's own comes next, ahead of its Hello or refusal.
    """

    target: int
    mac: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """Instead of a Hello: the sender will not talk. ``reason`` tells the receiver's log why, and what to do."""

    reason: str


@dataclass(frozen=True, slots=True)
class RefusedForGood:
    """Instead of a Hello: the receiver's directory must never take part again. ``by`` is the Hello of the sender."""

    reason: str
    by: Hello


@dataclass(frozen=True, slots=True)
class Removed:
    """Instead of a Hello: the receiver is no member any more, by the entry in ``slot``.

    ``addresses`` are those at which clients find members, ``by`` is the Hello of the sender.
    """

    reason: str
    slot: int
    addresses: tuple[str, ...]
    by: Hello


@dataclass(frozen=True, slots=True)
class Alive:
    """The sender has nothing to say, but the connection works."""


TAGS: dict[int, type] = {
    1: Hello,
    2: Refused,
    3: Alive,
    4: RefusedForGood,
    5: Removed,
    6: Challenge,
    7: PeerProof,
    16: messages.Prepare,
    17: messages.Promise,
    18: messages.Nack,
    19: messages.Accept,
    20: messages.Accepted,
    21: messages.ChosenOtherwise,
    22: messages.ChosenMark,
    23: messages.Submit,
    24: messages.Want,
    25: messages.BarrierRequest,
    26: messages.Barrier,
    27: messages.Confirm,
    28: messages.Confirmed,
    29: state_messages.ReadChosen,
    30: state_messages.ChosenSlots,
    31: messages.Poll,
    32: messages.PollAnswer,
    33: messages.Resigned,
    34: messages.Heartbeat,
    35: messages.HeartbeatAck,
    36: messages.PrepareSlot,
    37: messages.PromiseSlot,
    38: messages.NackSlot,
    39: messages.AcceptSlot,
    40: messages.AcceptedSlot,
    41: messages.SlotSettled,
    42: messages.SlotChosen,
    43: messages.ChosenThrough,
    44: messages.Voted,
    45: state_messages.AppliedDigest,
    46: messages.GiveWay,
    47: state_messages.CompactedThrough,
    48: state_messages.SnapshotRequest,
    49: state_messages.SnapshotChunk,
    50: state_messages.SnapshotRefused,
    51: state_messages.SnapshotTaken,
    52: messages.DiskSpace,
    53: state_messages.StateCheck,
    54: state_messages.StateDigest,
    55: messages.TakeOver,
    56: pubsub_messages.Published,
    57: pubsub_messages.SubscriberCounts,
    58: pubsub_messages.CountsHeard,
}
"""Every class that travels between nodes."""


def encode(message: Any) -> bytes:
    """The body of ``message``. ``KeyError`` for a class that never travels: that is a bug of the caller."""
    tag, pack = _PACKERS[type(message)]
    return dumps((tag, *pack(message)))


def decode(body: bytes) -> tuple[str, str, Any]:
    """(from_role, to_role, message) of a body; ``CodecError`` if it is anything but one well-formed message."""
    array = _load(body)
    if type(array) is not list or not array or type(array[0]) is not int:
        raise CodecError("a message is an array of a tag, which is a number, and fields")
    if array[0] not in _UNPACKERS:
        raise CodecError(f"unknown tag {array[0]}")
    sender, receiver, unpack = _UNPACKERS[array[0]]
    return sender, receiver, unpack(array[1:])


def encode_entries(entries: list[Entry]) -> bytes:
    """The blob of a batch: its entries as they are."""
    return dumps(entries)


def decode_entries(blob: bytes) -> list[UncheckedEntry] | None:
    """The entries of a batch, or None if the blob is not a CBOR array of arrays. Total: any blob will do.

    The result depends on the bytes alone, so every node judges a slot alike. The meaning of the entries is not
    checked here.
    """
    try:
        entries = _load(blob)
    except CodecError:
        return None
    if type(entries) is not list or not {*map(type, entries)} <= _LIST:
        return None
    return entries


_LIST = {list}


def _refuse_tag(*_: Any) -> NoReturn:
    raise CodecError("CBOR tags are not part of the protocol")


_KNOWN_TAGS = (*range(301), 1004, 43000, 55799)  # all the tags that cbor2 6 would decode by itself, and some to spare
_OPTIONS: dict[str, Any] = {
    "tag_hook": _refuse_tag,
    "semantic_decoders": dict.fromkeys(_KNOWN_TAGS, _refuse_tag),
    "max_depth": DEPTH_MAX,
    "allow_indefinite": False,
    "allow_duplicate_keys": False,
}


def _load(data: bytes) -> object:
    """The CBOR item that ``data`` consists of.

    ``loads`` would ignore bytes behind the item; a decoder tells where the item ends. It gets the whole frame in
    one read, because early 6.1 releases of cbor2 went wrong when they read on from a stream.
    """
    decoder = CBORDecoder(BytesIO(data), read_size=len(data) or 1, **_OPTIONS)
    try:
        item = decoder.decode()
    except (CBORDecodeError, CodecError) as error:
        raise CodecError(f"not CBOR as this protocol uses it: {error}") from None
    try:
        decoder.read(1)
    except CBORDecodeEOF:
        return item
    raise CodecError("bytes follow the message")


_unpack_hello = class_unpacker(Hello)


def _unpack_any_hello(items: list[Any]) -> Hello:
    """A Hello. Of a Hello of another protocol only the first three fields, which are enough to refuse it in words."""
    match items:
        case [int(protocol), str(cluster), int(node), *_] if protocol != PROTOCOL:
            return Hello(protocol, cluster, node, 0, "", b"", b"", 0, (), NO_VOTES)
    hello: Hello = _unpack_hello(items)
    return hello


_PACKERS: dict[type, tuple[int, Convert]] = {cls: (tag, class_packer(cls)) for tag, cls in TAGS.items()}
_UNPACKERS: dict[int, tuple[str, str, Convert]] = {
    tag: (*ROUTES.get(cls, (MESH, MESH)), class_unpacker(cls)) for tag, cls in TAGS.items()
}
_UNPACKERS[1] = (MESH, MESH, _unpack_any_hello)
