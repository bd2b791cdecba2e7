"""Entries of the log in the words that a client would type, for those who look at the log."""

from __future__ import annotations

from dkv.kv.codes import APPEND, DELETE, GET, IDMP, IDMP_NEW, IDMP_REPEAT, IDMP_UNCHECKED, MEMBERS, PUT
from dkv.kv.membership import describe_change
from dkv.records import UncheckedEntry

_NAMES = {PUT: b"PUT", APPEND: b"APPEND", DELETE: b"DELETE", GET: b"GET", MEMBERS: b"MEMBERS"}
_NAMES |= dict.fromkeys((IDMP, IDMP_UNCHECKED, IDMP_NEW, IDMP_REPEAT), b"IDMP")


def describe(entry: UncheckedEntry) -> list[bytes]:
    """An entry of the log in the words that a client would type; ``?`` if it is no entry."""
    match entry:
        case [kind, *_] if type(kind) is not int or kind not in _NAMES:
            return [b"?"]
        case [code, bytes() as producer, int() as op, [*write]] if code in (IDMP, IDMP_UNCHECKED):
            return [b"IDMP", producer, b"%d" % op, *describe(write)]
        case [code, bytes() as producer, int() as op, bytes()] if code == IDMP_REPEAT:
            return [b"IDMP", producer, b"%d" % op, b"?"]
        case [code] if code == IDMP_NEW:
            return [b"IDMP", b"NEW"]
        case [code, *_] if code == MEMBERS:
            return [b"MEMBERS", *describe_change(entry)]
        case [code, bytes() as key, bytes() as suffix, int()] if code == APPEND:
            return [b"APPEND", key, suffix]
        case [code, *arguments] if code in (PUT, DELETE, GET) and arguments:
            words = [word for word in arguments if type(word) is bytes]
            if len(words) == len(arguments):
                return [_NAMES[code], *words]
    return [b"?"]
