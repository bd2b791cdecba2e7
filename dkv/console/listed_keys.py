"""What KEYS and SCAN list to a client that may not use all keys: those that it may use.

The node that serves the client takes the others out of the answer, behind the log: what is applied knows no users.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dkv.kv.codes import KEYS, SCAN
from dkv.records import Entry
from dkv.replies import EncodedList, Error, Local, LogRequest, Nested
from dkv.security.rights import Rights

ENCODED_BYTES_MAX = 256 * 1024
"""A longer answer to KEYS is not taken apart: that would hold up all other clients of the node."""

TOO_MANY = Error("ERR KEYS finds too many keys of others for this user: use SCAN, or a pattern that this user has")


def lists_others(rights: Rights, entry: Entry) -> bool:
    """Whether the entry lists keys, and perhaps ones that these rights do not allow."""
    if entry[0] not in (KEYS, SCAN):
        return False
    db, pattern = entry[1], entry[3 if entry[0] == KEYS else 4]
    assert isinstance(db, int) and isinstance(pattern, bytes), "a session has made this entry"
    return not rights.allows_keys_matching(db, pattern)


def as_allowed(rights: Rights, request: LogRequest) -> LogRequest:
    """A request for such an entry, with what makes the reply of its result."""
    assert request.settle is None, "a request that lists keys needs nothing else"
    return replace(request, settle=lambda result: Local(kept(rights, request.entry, result)))


def kept(rights: Rights, entry: Entry, result: Nested) -> Nested:
    """The result of an entry, with the keys left that these rights allow if it lists keys."""
    if not lists_others(rights, entry):
        return result
    db = entry[1]
    assert isinstance(db, int), "a session has made this entry"
    match result:
        case [bytes() as cursor, list() as keys] if entry[0] == SCAN:
            return [cursor, [key for key in keys if isinstance(key, bytes) and rights.allows_key(db, key)]]
        case list() if entry[0] == KEYS:
            return [key for key in result if isinstance(key, bytes) and rights.allows_key(db, key)]
        case EncodedList():
            return _decoded(result, lambda key: rights.allows_key(db, key))
        case Error():
            return result
    raise AssertionError("no result of a request that lists keys")


def _decoded(answer: EncodedList, wanted: Callable[[bytes], bool]) -> Nested:
    """The keys that are ``wanted`` of a long answer, whose pieces are bulk strings of RESP, one behind the other."""
    if sum(map(len, answer.pieces)) > ENCODED_BYTES_MAX:
        return TOO_MANY
    keys: list[Nested] = []
    for piece in answer.pieces:
        place = 0
        while place < len(piece):
            end = piece.index(b"\r\n", place)
            begin = end + 2
            key = piece[begin : begin + int(piece[place + 1 : end])]
            place = begin + len(key) + 2
            if wanted(key):
                keys.append(key)
    return keys
