"""The fields of messages as items that cbor2 encodes, and back: functions built once, from the type hints of a class.

What is unpacked has exactly the types of its hints. Numbers are counts below 2**63, so a handler may add to one and
still store it in 64 bits. Only incarnations and lives use all 64 bits: they are random names, and nobody counts with
them. Node ids use 32 bits, as they do on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from dkv.ballot import Ballot

COUNT_MAX = 2**63 - 1
NODE_MAX = 2**32 - 1
INCARNATION_MAX = 2**64 - 1

Convert = Callable[[Any], Any]


class CodecError(ValueError):
    """Bytes from the network are not a message of this protocol; the text says in one line what is wrong."""


def class_packer(cls: type) -> Convert:
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
        return class_packer(hint)  # type: ignore[arg-type]  # a class, since hints are classes
    if get_origin(hint) is not tuple:
        return None
    item, *more = get_args(hint)
    if more == [...]:
        pack = _packer(item)
        return (lambda items: [pack(each) for each in items]) if pack else None
    packers = [_packer(each) for each in (item, *more)]
    return lambda items: [pack(each) if pack else each for pack, each in zip(packers, items, strict=True)]


def class_unpacker(cls: type) -> Convert:
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
        return class_unpacker(hint)  # type: ignore[arg-type]  # a class, since hints are classes
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
