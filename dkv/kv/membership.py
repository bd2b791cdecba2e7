"""Changes of members: what an entry MEMBERS makes of the sets before it, the same on every node.

===================================== ===========================================================================
operation                             meaning
===================================== ===========================================================================
``[ADD, id, incarnation, peer, client]`` a new member, a standby at first, with the addresses of its two ports
``[PROMOTE, id]``                        a standby becomes a voter
``[REMOVE, id]``                         a member leaves for ever
``[MOVE, id, peer, client]``             a member has other addresses
``[NAME, id, incarnation]``              the incarnation of a first member, which the log has not named yet
===================================== ===========================================================================

An entry is ``[MEMBERS, base, operation, ...]``. Each operation sees what those before it have done; all of them take
effect, or none. The entry rests on the set that slot ``base`` made: it is refused if that is not the newest one, so of
two changes that were asked for at the same time one takes effect. It is refused as well while an earlier change has
yet to take force. Whether new voters are alive is not judged here: no node may apply what another one refuses.

Once the members have changed, the log names the incarnation of every member. A node that lost its disk is known by
that, also to members that never met it (B12), and comes back under a new id only.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, TypeGuard

from dkv.configurations import (
    ADDRESS_BYTES_MAX,
    ALPHA,
    SETS_KEPT,
    STANDBYS_MAX,
    VOTERS_MAX,
    Configuration,
    Configurations,
    MemberRecord,
)
from dkv.records import UncheckedEntry
from dkv.replies import Error

ADD, PROMOTE, REMOVE, MOVE, NAME = 1, 2, 3, 4, 5

_FIELDS: dict[int, list[type]] = {
    ADD: [int, int, int, bytes, bytes],
    PROMOTE: [int, int],
    REMOVE: [int, int],
    MOVE: [int, int, bytes, bytes],
    NAME: [int, int, int],
}
"""The types of an operation's fields, its number included."""

_WORDS = {ADD: b"ADD", PROMOTE: b"PROMOTE", REMOVE: b"REMOVE", MOVE: b"MOVE", NAME: b"NAME"}

_ADDRESS = re.compile(rb"[!-~]{0,%d}" % ADDRESS_BYTES_MAX)

ID_MAX = 2**32 - 1
INCARNATION_MAX = 2**64 - 1


def changed(held: Configurations, slot: int, entry: UncheckedEntry) -> Configurations | Error:
    """What the entry in ``slot`` makes of the sets ``held``; an Error if it changes nothing. Total: any entry does."""
    base, *operations = entry[1:] or [None]
    if type(base) is not int or not operations:
        return _refusal("the log holds a change that this cluster does not know")
    newest = held.newest
    if base != newest.slot:
        newer = f"the newest are of slot {newest.slot}: look at these first"
        return _refusal(f"the request rests on the members of slot {base}, and {newer}")
    if newest.from_slot > slot:
        return _refusal(f"the change of slot {newest.slot} is under way until slot {newest.from_slot}")
    draft = _Draft(held)
    try:
        for operation in operations:
            draft.take(operation)
        return draft.finish(slot)
    except _Refused as refused:
        return _refusal(str(refused))


def is_address(text: bytes) -> bool:
    """Whether the log takes ``text`` for an address of a member; one that is empty says nothing."""
    return _ADDRESS.fullmatch(text) is not None


def describe_change(entry: UncheckedEntry) -> list[bytes]:
    """The words of an entry behind its name: the base, then those of each operation; ``?`` for what is neither."""
    words: list[bytes] = []
    for field in entry[1:]:
        if _is_operation(field):
            words += [_WORDS[field[0]], *(each if type(each) is bytes else b"%d" % each for each in field[1:])]
        else:
            words.append(b"%d" % field if type(field) is int else b"?")
    return words


class _Refused(Exception):
    """The change has no effect; the text says why."""


class _Draft:
    """The newest set while the operations of one entry change it; they begin with what is ``held``."""

    def __init__(self, held: Configurations) -> None:
        self._held = held
        self._voters, self._standbys = set(held.newest.voters), set(held.newest.standbys)
        self._records = {record.id: record for record in held.records}
        self._ids_through = held.ids_through

    def take(self, operation: object) -> None:
        """Carry out one operation; ``_Refused`` if it is none, or contradicts what is there."""
        if not _is_operation(operation):
            raise _Refused("the log holds a change that this cluster does not know")
        match operation:
            case [number, id_, incarnation, peer, client] if number == ADD:
                self._add(id_, incarnation, _address(peer), _address(client))
            case [number, id_] if number == PROMOTE:
                if id_ not in self._standbys:
                    raise _Refused(f"node {id_} cannot be promoted: it is no standby")
                self._standbys.remove(id_)
                self._voters.add(id_)
            case [number, id_] if number == REMOVE:
                self._require_member(id_)
                self._standbys.discard(id_)
                self._voters.discard(id_)
            case [number, id_, peer, client] if number == MOVE:
                self._records[id_] = replace(self._record(id_), peer=_address(peer), client=_address(client))
            case [number, id_, incarnation] if number == NAME:
                self._name(id_, incarnation)

    def finish(self, slot: int) -> Configurations:
        """The sets, with the one that the entry in ``slot`` makes; ``_Refused`` if it would be no set to work with."""
        if not self._voters:
            raise _Refused("no voter would be left")
        for kind, ids, count_max in (("voters", self._voters, VOTERS_MAX), ("standbys", self._standbys, STANDBYS_MAX)):
            if len(ids) > count_max:
                raise _Refused(f"there would be {len(ids)} {kind}, and at most {count_max} are allowed")
        made = Configuration(slot, slot + ALPHA, frozenset(self._voters), frozenset(self._standbys))
        for id_ in sorted(made.members):
            self._record(id_)
        sets = (*self._held.sets, made)[-SETS_KEPT:]
        kept = frozenset().union(*(each.members for each in sets))
        records = tuple(record for id_, record in sorted(self._records.items()) if id_ in kept)
        return Configurations(sets, records, self._ids_through)

    def _add(self, id_: int, incarnation: int, peer: str, client: str) -> None:
        if id_ <= self._ids_through:
            raise _Refused(f"node {id_} cannot be added: no id is used twice, and those up to {self._ids_through} were")
        if id_ > ID_MAX:
            raise _Refused(f"node {id_} cannot be added: ids end at {ID_MAX}")
        self._ids_through = id_
        self._standbys.add(id_)
        self._records[id_] = MemberRecord(id_, _incarnation(incarnation), peer, client)

    def _name(self, id_: int, incarnation: int) -> None:
        self._require_member(id_)
        named = self._records.setdefault(id_, MemberRecord(id_, _incarnation(incarnation)))
        if named.incarnation != incarnation:
            raise _Refused(f"node {id_} has incarnation {named.incarnation:016x} and cannot get another one")

    def _record(self, id_: int) -> MemberRecord:
        """What the log says of a member, which must be one, and named."""
        self._require_member(id_)
        if id_ not in self._records:
            raise _Refused(f"the incarnation of node {id_} is not named")
        return self._records[id_]

    def _require_member(self, id_: int) -> None:
        if id_ not in self._voters and id_ not in self._standbys:
            raise _Refused(f"node {id_} is no member")


def _is_operation(field: object) -> TypeGuard[list[Any]]:
    """Whether the field is an operation of the table, as far as its length and the types of its fields say."""
    if type(field) is not list or not field or type(field[0]) is not int:
        return False
    return [*map(type, field)] == _FIELDS.get(field[0])


def _address(field: bytes) -> str:
    if not is_address(field):
        raise _Refused(f"the address {field!r:.80} is not one of at most {ADDRESS_BYTES_MAX} visible ASCII characters")
    return field.decode("ascii")


def _incarnation(field: int) -> int:
    if not 0 <= field <= INCARNATION_MAX:
        raise _Refused(f"{field} is no incarnation")
    return field


def _refusal(reason: str) -> Error:
    return Error(f"ERR {reason}; no member was changed")
