"""The commands for operators, such as DKV.STATUS, DKV.LOG and DKV.BACKUP. The node answers them at once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Protocol

from dkv.console.comparison import NotHeld
from dkv.console.inspection import Busy, Inspection
from dkv.console.member_changes import changing
from dkv.console.member_orders import answer_member_order
from dkv.console.surroundings import BackupRefused
from dkv.kv.registry import NO_CHANNELS, NO_KEYS, ByWords, Category, ConnectionCommand, Keys, Scope, table
from dkv.net.fault_orders import DELAY_SECONDS_MAX, FAULT_SECONDS, FAULT_SECONDS_MAX
from dkv.records import Entry
from dkv.replies import OK, Error, Local, Nested

LOG_SLOTS = 10
LOG_SLOTS_MAX = 1_000
NODE_MAX = 2**32 - 1
_WHOLE = re.compile(rb"[0-9]{1,18}")
_DECIMAL = re.compile(rb"[0-9]{1,9}(\.[0-9]{1,9})?")

_ALL = Scope.EVERYTHING
"""The log, a backup and a comparison show whatever key there is."""

LOG_BUSY = Error("TRYAGAIN the log was read a moment ago; ask again in a moment")
FAULTS_REFUSED = Error("ERR fault orders are not allowed here: allow_faults = true in the config file allows them")
COMPARE_USAGE = Error(
    "ERR write DKV.COMPARE STATE, DKV.COMPARE HOLD|END slot, or DKV.COMPARE PAGE|PAIRS slot after; dkv compare does so"
)
FAULT_USAGE = Error(
    "ERR write DKV.FAULT DROP node rate [FOR seconds], DKV.FAULT DELAY node ms [FOR seconds],"
    " DKV.FAULT HANG [FOR seconds], or DKV.FAULT CLEAR [node]"
)


LEADER_USAGE = Error("ERR write DKV.LEADER TRANSFER node")


class HasNode(Protocol):
    """What an order needs from its session."""

    node: Inspection


BACKUP_USAGE = Error("ERR write DKV.BACKUP BEGIN slot, DKV.BACKUP NEXT, or DKV.BACKUP END")


class _Wrong(ValueError):
    """An argument is wrong; the text is the reply."""


def _answered(order: Callable[[Inspection, list[bytes]], Nested]) -> Callable[[HasNode, list[bytes]], Local]:
    def answer(session: HasNode, words: list[bytes]) -> Local:
        try:
            return Local(order(session.node, words[1:]))
        except _Wrong as error:
            return Local(Error(f"ERR {error}"))

    return answer


def _status(node: Inspection, words: list[bytes]) -> Nested:
    return json.dumps(node.status()).encode()


def _metrics(node: Inspection, words: list[bytes]) -> Nested:
    return node.metrics()


def _log(node: Inspection, words: list[bytes]) -> Nested:
    if len(words) > 2:
        raise _Wrong("write DKV.LOG [from [count]]")
    from_slot = _whole(words[0], "from", 1, 2**62) if words else None
    count = _whole(words[1], "count", 1, LOG_SLOTS_MAX) if len(words) > 1 else LOG_SLOTS
    try:
        return node.log(from_slot, count)
    except Busy:
        return LOG_BUSY


def _fault(node: Inspection, words: list[bytes]) -> Nested:
    if not node.faults_allowed:
        return FAULTS_REFUSED
    match [words[0].lower(), *words[1:]]:
        case [b"clear"]:
            node.faults.clear(None)
            node.release_disk()
        case [b"hang", *rest]:
            node.hold_disk(_seconds(rest))
        case [b"clear", peer]:
            node.faults.clear(_peer(node, peer))
        case [b"drop", peer, rate, *rest]:
            chance = _decimal(rate, "rate", 1.0)
            node.faults.drop(_peer(node, peer), chance, _seconds(rest))
        case [b"delay", peer, milliseconds, *rest]:
            seconds = _decimal(milliseconds, "ms", DELAY_SECONDS_MAX * 1000) / 1000
            node.faults.delay(_peer(node, peer), seconds, _seconds(rest))
        case _:
            return FAULT_USAGE
    return OK


def _leader(node: Inspection, words: list[bytes]) -> Nested:
    match [words[0].lower(), *words[1:]]:
        case [b"transfer", to]:
            refusal = node.handovers.transfer(_whole(to, "node", 1, NODE_MAX))
            return OK if refusal is None else Error(refusal)
    return LEADER_USAGE


def _compare(node: Inspection, words: list[bytes]) -> Nested:
    comparison = node.comparison
    try:
        match [words[0].lower(), *words[1:]]:
            case [b"state"]:
                return [node.identity.node, node.applied_through, *comparison.held()]
            case [b"hold", slot]:
                comparison.hold(_slot(slot))
                return OK
            case [b"page", slot, after]:
                return comparison.page(_slot(slot), after)
            case [b"pairs", slot, after]:
                return comparison.pairs(_slot(slot), after)
            case [b"end", slot]:
                comparison.release(_slot(slot))
                return OK
    except NotHeld as error:
        return Error(f"TRYAGAIN {error}")
    return COMPARE_USAGE


def _member(session: HasNode, words: list[bytes]) -> Entry | Local:
    """The members, or a change of them, which is a matter for the log."""
    if words[1].lower() in (b"change", b"check"):
        return changing(session.node, words[1:])
    return Local(answer_member_order(session.node.member_view, words[1:]))


def _of_members(words: list[bytes]) -> Category:
    """Every client may ask who the members are: it looks for their addresses."""
    return "connection" if words[1].lower() == b"list" else "admin"


def _slot(word: bytes) -> int:
    return _whole(word, "slot", 0, 2**62)


def _backup(session: HasNode, words: list[bytes]) -> Local:
    """The pieces of a backup. They belong to this session: its end is theirs."""
    backups = session.node.backups
    try:
        match [words[1].lower(), *words[2:]]:
            case [b"begin", slot]:
                return Local(backups.begin(session, _whole(slot, "slot", 0, 2**62)))
            case [b"next"]:
                return Local(backups.next(session))
            case [b"end"]:
                backups.end(session)
                return Local(OK)
    except _Wrong as error:
        return Local(Error(f"ERR {error}"))
    except BackupRefused as error:
        return Local(Error(str(error)))
    return Local(BACKUP_USAGE)


def _peer(node: Inspection, word: bytes) -> int:
    peers = node.faults.peers
    if not _WHOLE.fullmatch(word) or int(word) not in peers:
        known = ", ".join(map(str, sorted(peers))) or "none"
        raise _Wrong(f"node {_shown(word)} is no peer of node {node.identity.node}; its peers are {known}")
    return int(word)


def _seconds(rest: list[bytes]) -> float:
    if not rest:
        return FAULT_SECONDS
    if len(rest) != 2 or rest[0].lower() != b"for":
        raise _Wrong(FAULT_USAGE.text.removeprefix("ERR "))
    seconds = _decimal(rest[1], "seconds", FAULT_SECONDS_MAX)
    if seconds == 0:
        raise _Wrong("seconds must be more than 0; DKV.FAULT CLEAR ends an order")
    return seconds


def _whole(word: bytes, name: str, least: int, most: int) -> int:
    if not _WHOLE.fullmatch(word) or not least <= int(word) <= most:
        raise _Wrong(f"{name} must be a whole number from {least} to {most}, not {_shown(word)}")
    return int(word)


def _decimal(word: bytes, name: str, most: float) -> float:
    if not _DECIMAL.fullmatch(word) or float(word) > most:
        raise _Wrong(f"{name} must be a number from 0 to {most:g}, not {_shown(word)}")
    return float(word)


def _shown(word: bytes) -> str:
    return word[:40].decode("utf-8", "backslashreplace")


def _order(
    name: str,
    arity: int,
    arguments: str,
    summary: str,
    answer: Callable[[HasNode, list[bytes]], Entry | Local],
    category: Category | ByWords = "admin",
    keys: Keys = NO_KEYS,
) -> ConnectionCommand[HasNode]:
    return ConnectionCommand(
        name=name,
        arity=arity,
        keys=keys,
        channels=NO_CHANNELS,
        category=category,
        flags=("admin", "noscript", "loading", "stale", "no_multi"),
        group="dkv",
        since="0.1.0",
        arguments=arguments,
        summary=summary,
        answer=answer,
    )


ORDERS: dict[bytes, ConnectionCommand[HasNode]] = table(
    (
        _order("dkv.status", 1, "", "The state of this node, as JSON.", _answered(_status)),
        _order("dkv.metrics", 1, "", "The metrics of this node, as Prometheus reads them.", _answered(_metrics)),
        _order("dkv.log", -1, "[from [count]]", "Slots of this node's log, decoded.", _answered(_log), keys=_ALL),
        _order("dkv.backup", -2, "BEGIN slot|NEXT|END", "The state of this node, in pieces.", _backup, keys=_ALL),
        _order(
            "dkv.compare",
            -2,
            "STATE|HOLD|PAGE|PAIRS|END ...",
            "The state of this node after one slot, for dkv compare.",
            _answered(_compare),
            keys=_ALL,
        ),
        _order("dkv.leader", -2, "TRANSFER node", "Let another node lead.", _answered(_leader)),
        _order(
            "dkv.member",
            -2,
            "LIST|JOIN|CHANGE|CHECK",
            "The members, and changes of them.",
            _member,
            ByWords(("connection", "admin"), _of_members),
        ),
        _order(
            "dkv.fault",
            -2,
            "DROP|DELAY|HANG|CLEAR ...",
            "Drop or delay messages to a peer, or hold the disk.",
            _answered(_fault),
            "fault",
        ),
    )
)
