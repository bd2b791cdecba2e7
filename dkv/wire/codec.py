"""Messages as bytes: one CBOR array ``[tag, fields...]`` each.

Tags are the protocol: a number never gets another meaning, and a class that changes gets a new tag, or there is a new
``PROTOCOL``. A tag also names the sending and the receiving role (``dkv.messages.ROUTES``). Encoders and decoders are
built once, from the type hints of the message classes.

Bytes from the network are checked here and nowhere else, so that no handler meets a value that its types rule out:
exact types, no CBOR tags (tag 35 would compile a regular expression), no floats, nothing left over. Numbers are counts
below 2**63, so a handler may add to one and still store it in 64 bits. Only incarnations and lives use all 64 bits:
they are random names, and nobody counts with them. Node ids use 32 bits, as they do on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from io import BytesIO
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, NoReturn, get_args, get_origin, get_type_hints

from cbor2 import CBORDecodeEOF, CBORDecodeError, CBORDecoder, dumps

from dkv import messages
from dkv.ballot import Ballot
from dkv.identity import NO_VOTES, Start, Votes
from dkv.records import Entry, UncheckedEntry

PROTOCOL = 3
"""The version of everything that nodes say to each other, the entries of batches included. Others are refused."""

MESH = "mesh"
"""Both ends of Hello, the refusals and Alive: one mesh says them to another, and no actor does."""

COUNT_MAX = 2**63 - 1
NODE_MAX = 2**32 - 1
INCARNATION_MAX = 2**64 - 1
DEPTH_MAX = 8
"""Containers within containers: a Promise needs six, an entry of a batch at most as many as here."""


class CodecError(ValueError):
    """Bytes from the network are not a message of this protocol; the text says in one line what is wrong."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The first frame each way: who the sender is, and facts about it that the receiver may know better.

    ``mode`` is the cluster's mode, "leader" or "classic". ``starts`` are the latest starts that the directory
    remembers, this one at the end. ``votes`` tells what its acceptor had on disk when this start began.
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

    @property
    def start(self) -> Start:
        """The life of the node that says Hello."""
        return self.starts[-1]


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
class Alive:
    """The sender has nothing to say, but the connection works."""


TAGS: dict[int, type] = {
    1: Hello,
    2: Refused,
    3: Alive,
    4: RefusedForGood,
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
    29: messages.ReadChosen,
    30: messages.ChosenSlots,
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
    45: messages.AppliedDigest,
}
"""Every class that travels between nodes."""

RESERVED: dict[type, int] = {messages.Promise: 2, messages.ChosenSlots: 3}
"""After how many fields these carry one more number on the wire: the slot through which the sender compacted its log.

It is 0 until logs are compacted. Another number is refused: a reader that ignored it would take the compacted slots for
empty ones (B13).
"""


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


Convert = Callable[[Any], Any]

# --- Reserved fields ---------------------------------------------------------------------------------------------


def _with_reserved(place: int, pack: Convert) -> Convert:
    """``pack``, and a 0 after ``place`` fields."""

    def pack_reserved(message: Any) -> list[Any]:
        items = list(pack(message))
        items.insert(place, 0)
        return items

    return pack_reserved


def _without_reserved(place: int, unpack: Convert) -> Convert:
    """``unpack`` of all fields but the one after ``place`` others, which must be 0."""

    def unpack_reserved(items: list[Any]) -> Any:
        reserved = items[place : place + 1]
        if reserved != [0] or type(reserved[0]) is not int:
            raise CodecError("nothing is compacted in this protocol")
        return unpack(items[:place] + items[place + 1 :])

    return unpack_reserved


# --- Built from the type hints ----------------------------------------------------------------------------------


def _class_packer(cls: type) -> Convert:
    """A function from a message to the encoded forms of its fields."""
    hints = get_type_hints(cls)
    names = [field.name for field in fields(cls)]
    packers = [(name, _packer(hints[name])) for name in names]
    if len(names) > 1 and not any(pack for _, pack in packers):
        return attrgetter(*names)
    return lambda message: [pack(getattr(message, name)) if pack else getattr(message, name) for name, pack in packers]


def _packer(hint: Any) -> Convert | None:
    """The function that turns a value of type ``hint`` into one that cbor2 encodes; None if no function is needed."""
    if get_origin(hint) is UnionType:
        pack_some = _packer(_of_optional(hint))
        return (lambda item: None if item is None else pack_some(item)) if pack_some else None
    if is_dataclass(hint):
        return _class_packer(hint)  # type: ignore[arg-type]  # a class, since hints are classes
    if get_origin(hint) is not tuple:
        return None
    item, *more = get_args(hint)
    if more == [...]:
        pack = _packer(item)
        return (lambda items: [pack(each) for each in items]) if pack else None
    packers = [_packer(each) for each in (item, *more)]
    return lambda items: [pack(each) if pack else each for pack, each in zip(packers, items, strict=True)]


def _class_unpacker(cls: type) -> Convert:
    """A function from the decoded fields back to the message."""
    hints = get_type_hints(cls)
    unpackers = tuple(_unpacker(hints[field.name], field.name) for field in fields(cls))
    arity = len(unpackers)

    def unpack(items: Any) -> Any:
        if type(items) is not list or len(items) != arity:
            raise CodecError(f"{cls.__name__} is {arity} fields")
        return cls(*[unpack_field(item) for unpack_field, item in zip(unpackers, items, strict=True)])

    return unpack


def _unpacker(hint: Any, name: str) -> Convert:
    """The function that checks a decoded value against ``hint``, the type of the field ``name``, and converts it."""
    if hint is int:
        return _number_unpacker(name)
    if hint is Ballot:
        return _unpack_ballot
    if get_origin(hint) is UnionType:
        unpack_some = _unpacker(_of_optional(hint), name)
        return lambda item: None if item is None else unpack_some(item)
    if is_dataclass(hint):
        return _class_unpacker(hint)  # type: ignore[arg-type]  # a class, since hints are classes
    if get_origin(hint) is not tuple:
        return _exact(hint)
    item, *more = get_args(hint)
    if more == [...]:
        unpack = _unpacker(item, name)
        return lambda items: tuple([unpack(each) for each in _list(items)])
    unpackers = [_unpacker(each, name) for each in (item, *more)]

    def unpack_fixed(items: Any) -> Any:
        if len(_list(items)) != len(unpackers):
            raise CodecError(f"{name} has items of {len(unpackers)} parts")
        return tuple([unpack_one(each) for unpack_one, each in zip(unpackers, items, strict=True)])

    return unpack_fixed


def _of_optional(hint: Any) -> Any:
    """The other type of a ``hint`` that allows None; no other unions travel."""
    some = [each for each in get_args(hint) if each is not NoneType]
    if len(some) != 1 or len(get_args(hint)) != 2:
        raise TypeError(f"no encoding for {hint}")
    return some[0]


def _number_unpacker(name: str) -> Convert:
    limit = {"node": NODE_MAX, "incarnation": INCARNATION_MAX, "life": INCARNATION_MAX}.get(name, COUNT_MAX)

    def unpack_number(item: Any) -> int:
        if type(item) is int and 0 <= item <= limit:
            return item
        raise CodecError(f"{name} is a number from 0 to {limit}")

    return unpack_number


def _unpack_ballot(item: Any) -> Ballot:
    if type(item) is list and len(item) == 2:
        round_, node = item
        if type(round_) is int and type(node) is int and 0 <= round_ <= COUNT_MAX and 0 <= node <= NODE_MAX:
            return Ballot(round_, node)
    raise CodecError("a ballot is a round and a node")


def _exact(cls: type) -> Convert:
    if cls not in (bool, bytes, str):
        raise TypeError(f"no encoding for {cls}")

    def check(item: Any) -> Any:
        if type(item) is cls:
            return item
        raise CodecError(f"{cls.__name__} expected, {type(item).__name__} found")

    return check


def _list(item: Any) -> list[Any]:
    if type(item) is list:
        return item
    raise CodecError("an array expected")


_unpack_hello = _class_unpacker(Hello)


def _unpack_any_hello(items: list[Any]) -> Hello:
    """A Hello. Of a Hello of another protocol only the first three fields, which are enough to refuse it in words."""
    match items:
        case [int(protocol), str(cluster), int(node), *_] if protocol != PROTOCOL:
            return Hello(protocol, cluster, node, 0, "", b"", b"", 0, (), NO_VOTES)
    hello: Hello = _unpack_hello(items)
    return hello


def _message_packer(cls: type) -> Convert:
    return _with_reserved(RESERVED[cls], _class_packer(cls)) if cls in RESERVED else _class_packer(cls)


def _message_unpacker(cls: type) -> Convert:
    return _without_reserved(RESERVED[cls], _class_unpacker(cls)) if cls in RESERVED else _class_unpacker(cls)


_PACKERS: dict[type, tuple[int, Convert]] = {cls: (tag, _message_packer(cls)) for tag, cls in TAGS.items()}
_UNPACKERS: dict[int, tuple[str, str, Convert]] = {
    tag: (*messages.ROUTES.get(cls, (MESH, MESH)), _message_unpacker(cls)) for tag, cls in TAGS.items()
}
_UNPACKERS[1] = (MESH, MESH, _unpack_any_hello)
