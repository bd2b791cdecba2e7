"""DKV.MEMBER CHANGE and CHECK: changes of members that may be proposed now, as entries of the log.

``DKV.MEMBER CHANGE base change ...`` becomes one entry, in which all changes take effect or none. ``base`` is the slot
of the newest set that its sender has seen: if another change came in between, this one is refused. The rules of the log
(``dkv.kv.membership``) are tried here first, since their refusal costs nothing yet; ``CHECK`` tries them and changes
nothing. What cannot be judged from the log is judged here alone: whether the voters to be are alive and near. That
protects from a set that cannot agree on anything, not even on its own end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

from dkv.config.listen_endpoint import EndpointError, client_string
from dkv.configurations import ALPHA, Configuration, Configurations
from dkv.console.member_lags import MemberLags
from dkv.console.member_view import MemberView
from dkv.kv.codes import MEMBERS
from dkv.kv.membership import ADD, ID_MAX, MOVE, NAME, PROMOTE, REMOVE, changed, is_address
from dkv.records import Argument, Entry
from dkv.replies import OK, Error, Local
from dkv.settings import CLASSIC

USAGE = Error(
    "ERR write DKV.MEMBER LIST, DKV.MEMBER JOIN, or DKV.MEMBER CHANGE|CHECK base and one or more of: ADD id incarnation"
    " peer client, PROMOTE id, REMOVE id, MOVE id peer client, REPLACE old new; dkv member and dkv replace do so"
)

_WHOLE = re.compile(rb"[0-9]{1,18}")
_INCARNATION = re.compile(rb"[0-9a-f]{16}")

Operation = list[Argument]


class Membership(Protocol):
    """What changes need to know of the node."""

    member_view: MemberView
    member_lags: MemberLags

    @property
    def node(self) -> int:
        """Its id."""

    @property
    def mode(self) -> str:
        """Whether the cluster has leaders."""

    @property
    def leader(self) -> int:
        """The leader that this node knows; 0 is none."""

    @property
    def applied_through(self) -> int:
        """Every slot up to this one is applied."""

    @property
    def connected(self) -> frozenset[int]:
        """The other nodes that it reaches."""


class Refused(Exception):
    """The order is not carried out; the text is the reply."""


def changing(of: Membership, words: list[bytes]) -> Entry | Local:
    """The entry for a change, or the answer to a request that is refused or only tried."""
    try:
        match [words[0].lower(), *words[1:]]:
            case [b"change", base, *rest] if rest and _WHOLE.fullmatch(base):
                return _entry(of, int(base), [*_operations(rest)])
            case [b"check", base, *rest] if rest and _WHOLE.fullmatch(base):
                _entry(of, int(base), [*_operations(rest)])
                return Local(OK)
    except Refused as refused:
        return Local(Error(str(refused)))
    return Local(USAGE)


def _operations(words: list[bytes]) -> Iterator[Operation]:
    """The operations that words ask for."""
    while words:
        match [words[0].lower(), *words[1:]]:
            case [b"add", id_, incarnation, peer, client, *rest] if _INCARNATION.fullmatch(incarnation):
                yield [ADD, _id(id_), int(incarnation, 16), peer, client]
            case [b"promote", id_, *rest]:
                yield [PROMOTE, _id(id_)]
            case [b"remove", id_, *rest]:
                yield [REMOVE, _id(id_)]
            case [b"move", id_, peer, client, *rest]:
                yield [MOVE, _id(id_), peer, client]
            case [b"replace", old, new, *rest]:
                yield [REMOVE, _id(old)]
                yield [PROMOTE, _id(new)]
            case _:
                raise Refused(USAGE.text)
        words = rest


def _id(word: bytes) -> int:
    if not _WHOLE.fullmatch(word) or not 1 <= int(word) <= ID_MAX:
        shown = word[:40].decode("utf-8", "backslashreplace")
        raise Refused(f"ERR {shown!r} is no id of a node; no member was changed")
    return int(word)


def _entry(of: Membership, base: int, operations: list[Operation]) -> Entry:
    """The entry for a change that may be proposed now; ``Refused`` otherwise."""
    held, applied = of.member_view.configurations, of.applied_through
    if of.mode != CLASSIC and of.leader != of.node:
        raise Refused(_ask_the_leader(of))
    if base > held.newest.slot or not of.member_view.is_member:
        raise Refused(
            f"TRYAGAIN node {of.node} {_why_unfit(of)}: ask another member, or again in a moment; no member was changed"
        )
    entry: Entry = [MEMBERS, base, *_names(of, held), *_addresses(of, held), *operations]
    made = changed(held, applied + 1, entry)
    if isinstance(made, Error):
        raise Refused(made.text)
    for operation in operations:
        match operation:
            case [number, int(node), *_] if number in (ADD, MOVE):
                _check_dialled(made, node)
                _check_alone_there(made, node, of.connected | {of.node} if number == ADD else made.newest.members)
    _check_alive(of, held.in_force(applied), made.newest)
    return entry


def _why_unfit(of: Membership) -> str:
    """Why a node cannot judge a change."""
    return "has not heard yet of the newest members" if of.member_view.is_member else "is no member itself"


def _ask_the_leader(of: Membership) -> str:
    if not of.leader:
        return "TRYAGAIN no leader is known, and it takes one to change members; ask again in a moment"
    address = of.member_view.client(of.leader)
    where = f" at {address}" if address else ""
    return f"TRYAGAIN node {of.leader} leads: ask it{where}; no member was changed"


def _names(of: Membership, held: Configurations) -> Iterator[Operation]:
    """What the first change says besides: on which directories the first members run.

    Members that never met a node know it by that. Otherwise it could come back with an empty disk under its old id once
    those that met it have gone, and vote again on what it has forgotten.
    """
    for node in sorted(held.newest.members):
        if held.record(node) is None:
            incarnation = of.member_view.incarnation(node)
            if incarnation is None:
                raise Refused(
                    f"TRYAGAIN this node has never met node {node}, which is a member: start that node, or ask another"
                    " one that has met it; no member was changed"
                )
            yield [NAME, node, incarnation]


def _addresses(of: Membership, held: Configurations) -> Iterator[Operation]:
    """What the first change says besides: where the first members are, which config files alone have known so far.

    So each node can send clients to the members, and dial them, whatever its own file lists.
    """
    for node in sorted(held.newest.members):
        record = held.record(node)
        if record is None or not (record.peer or record.client):
            peer, client = of.member_view.peer(node).encode(), of.member_view.client(node).encode()
            if (peer or client) and is_address(peer) and is_address(client):
                yield [MOVE, node, peer, client]


def _check_dialled(made: Configurations, node: int) -> None:
    """Refuse addresses that nobody can connect to."""
    for address in sorted(_where(made, node)):
        try:
            client_string(address)
        except EndpointError as error:
            raise Refused(f"ERR node {node} cannot be found there: {error}; no member was changed") from None


def _check_alone_there(made: Configurations, node: int, others: frozenset[int]) -> None:
    """Refuse to put a node where one of ``others`` is: only the latest is dialled at an address.

    A new node may be where a member is that nobody reaches: where that one was until it lost its disk.
    """
    for other in sorted(others & made.newest.members - {node}):
        for address in _where(made, node) & _where(made, other):
            raise Refused(f"ERR node {other} is at {address}, so node {node} cannot be there; no member was changed")


def _where(made: Configurations, node: int) -> frozenset[str]:
    """The addresses of a member, as far as the log has them."""
    record = made.record(node)
    return frozenset() if record is None else frozenset((record.peer, record.client)) - {""}


def _check_alive(of: Membership, now: Configuration, after: Configuration) -> None:
    """Refuse a set whose new voters, or a quorum of whose voters, are not there or too far behind to decide slots."""
    troubles = {node: trouble for node in sorted(after.voters) if (trouble := _trouble(of, node))}
    new = [troubles[node] for node in troubles if node not in now.voters]
    if new:
        raise Refused(f"TRYAGAIN {new[0]}: it must be there and near before it votes; no member was changed")
    if not after.decides(after.voters - troubles.keys()):
        reasons = ", and ".join(troubles.values())
        raise Refused(f"TRYAGAIN no majority of the new voters would work, since {reasons}; no member was changed")


def _trouble(of: Membership, node: int) -> str:
    """Why a node cannot vote on the next slots, in words; empty if it can."""
    if node == of.node:
        return ""
    if node not in of.connected:
        return f"node {node} is not connected"
    lag = of.member_lags.lag(node)
    if lag is None:
        return f"node {node} has not said yet how far it has come"
    return f"node {node} is {lag} slots behind" if lag > ALPHA else ""
