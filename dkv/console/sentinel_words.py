"""SENTINEL: answers for clients that look for the master of a name, as a Redis Sentinel gives them.

The fields and their order are those of a sentinel of Redis 7, which clients take apart. What they do with them is on
the page docs/clients.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dkv.console.client_state import ClientState
from dkv.console.declaring import Answer, ClientWord, container, word
from dkv.console.info import run_id_of
from dkv.console.sentinel_view import ClientAddress, Other
from dkv.kv.registry import NO_CHANNELS, NO_KEYS, BadRequest, Flag
from dkv.replies import ABORTED, Error, Local, Nested, Simple

NO_SUCH_MASTER = "ERR No such master with that name"
ALONE = (
    "NOQUORUM {usable} usable Sentinels. Not enough available Sentinels to reach the specified quorum for this master."
    " Not enough available Sentinels to reach the majority and authorize a failover"
)
NO_ADDRESS = ABORTED  # a nil array, as EXEC answers it
_REPLICA_PRIORITY = 100  # Redis's default

Fields = dict[bytes, Nested]


def _masters(client: ClientState, words: list[bytes]) -> Local:
    """The only master. Clients that read flags ask the next node while it is down."""
    address = _address(client)
    return Local([] if address is None else [_master_fields(client, address)])


def _master(client: ClientState, words: list[bytes]) -> Local:
    """The same, unless this node is down: node-redis asks the next node after an error, and not for the flags."""
    _check_name(client, words[2])
    address = _address(client)
    if address is None or client.node.sentinel.down:
        raise BadRequest(NO_SUCH_MASTER)
    return Local(_master_fields(client, address))


def _address_of_master(client: ClientState, words: list[bytes]) -> Local:
    """Nil if this node is down: whoever asks for the address alone, such as ioredis, asks the next node then."""
    view = client.node.sentinel
    address = _address(client)
    if address is None or view.down or words[2].decode("utf-8", "replace") != view.name:
        return Local(NO_ADDRESS)
    return Local([address.host.encode(), b"%d" % address.port])


def _replicas(client: ClientState, words: list[bytes]) -> Local:
    """The other voters: they serve reads, and what they answer is no older than what this node would."""
    _check_name(client, words[2])
    master = _address(client)
    return Local([] if master is None else [_replica_fields(client, master, other) for other in _others(client)])


def _sentinels(client: ClientState, words: list[bytes]) -> Local:
    """The other voters once more: all of them can be asked."""
    _check_name(client, words[2])
    return Local([_sentinel_fields(client, other) for other in _others(client)])


def _check_quorum(client: ClientState, words: list[bytes]) -> Local:
    _check_name(client, words[2])
    view = client.node.sentinel
    usable = 1 + sum(other.silent_seconds is not None for other in view.others())
    if view.down or usable < view.quorum:
        return Local(Error(ALONE.format(usable=usable)))
    return Local(Simple(f"OK {usable} usable Sentinels. Quorum and failover authorization can be reached"))


def _my_id(client: ClientState, words: list[bytes]) -> Local:
    return Local(client.node.sentinel.run_id().encode())


def _check_name(client: ClientState, name: bytes) -> None:
    if name.decode("utf-8", "replace") != client.node.sentinel.name:
        raise BadRequest(NO_SUCH_MASTER)


def _address(client: ClientState) -> ClientAddress | None:
    return client.node.sentinel.address_within(client.node.local_address(client.connection))


def _others(client: ClientState) -> Iterable[Other]:
    return client.node.sentinel.others()


# --- fields ---


def _master_fields(client: ClientState, address: ClientAddress) -> Fields:
    view, others = client.node.sentinel, client.node.sentinel.others()
    flags = "s_down,master" if view.down else "master"
    own = {
        **_instance(view.name, address, run_id_of(client.node.identity), flags, 0),
        **_down_for(client, 0, view.down),
        "info-refresh": 0,
        "role-reported": "master",
        "role-reported-time": 0,
        "config-epoch": view.epoch,
        "num-slaves": len(others),
        "num-other-sentinels": len(others),
        "quorum": view.quorum,
        "failover-timeout": client.node.sentinel.down_after_milliseconds,
        "parallel-syncs": 1,
    }
    return _encoded(own)


def _replica_fields(client: ClientState, master: ClientAddress, other: Other) -> Fields:
    down = other.silent_seconds is None
    flags = "s_down,slave,disconnected" if down else "slave"
    own = {
        **_instance(str(other.address), other.address, "", flags, _milliseconds(other)),
        **_down_for(client, _milliseconds(other), down),
        "info-refresh": _milliseconds(other),
        "role-reported": "slave",
        "role-reported-time": _milliseconds(other),
        "master-link-down-time": 0,
        "master-link-status": "err" if down else "ok",
        "master-host": master.host,
        "master-port": master.port,
        "slave-priority": _REPLICA_PRIORITY,
        "slave-repl-offset": other.applied,
        "replica-announced": 1,
    }
    return _encoded(own)


def _sentinel_fields(client: ClientState, other: Other) -> Fields:
    down = other.silent_seconds is None
    name = client.node.sentinel.run_id(other.node)
    flags = "s_down,sentinel,disconnected" if down else "sentinel"
    own = {
        **_instance(name, other.address, name, flags, _milliseconds(other)),
        **_down_for(client, _milliseconds(other), down),
        "last-hello-message": _milliseconds(other),
        "voted-leader": "?",
        "voted-leader-epoch": 0,
    }
    return _encoded(own)


def _instance(name: str, address: ClientAddress, run_id: str, flags: str, milliseconds: int) -> Mapping[str, object]:
    """The fields that all three have in front; the answer to the last ping is so old."""
    return {
        "name": name,
        "ip": address.host,
        "port": address.port,
        "runid": run_id,
        "flags": flags,
        "link-pending-commands": 0,
        "link-refcount": 1,
        "last-ping-sent": 0,
        "last-ok-ping-reply": milliseconds,
        "last-ping-reply": milliseconds,
    }


def _down_for(client: ClientState, milliseconds: int, down: bool) -> Mapping[str, object]:
    since = {"s-down-time": milliseconds} if down else {}
    return {**since, "down-after-milliseconds": client.node.sentinel.down_after_milliseconds}


def _milliseconds(other: Other) -> int:
    return 0 if other.silent_seconds is None else int(other.silent_seconds * 1000)


def _encoded(fields: Mapping[str, object]) -> Fields:
    return {name.encode(): str(value).encode() for name, value in fields.items()}


# --- the declarations ---

_ADMIN: tuple[Flag, ...] = ("admin", "loading", "stale")


def _word(name: str, arity: int, answer: Answer, since: str, arguments: str, summary: str) -> ClientWord:
    return word(
        f"sentinel|{name}",
        arity,
        answer,
        category="connection",
        keys=NO_KEYS,
        channels=NO_CHANNELS,
        group="sentinel",
        since=since,
        arguments=arguments,
        summary=summary,
        flags=_ADMIN,
    )


SENTINEL = container(
    "sentinel",
    (
        _word("ckquorum", 3, _check_quorum, "2.8.4", "name", "Whether this node hears a majority and serves."),
        _word(
            "get-master-addr-by-name",
            3,
            _address_of_master,
            "2.8.4",
            "name",
            "The address of this node, or nil while it serves nothing.",
        ),
        _word("master", 3, _master, "2.8.4", "name", "This node, as the master of its cluster."),
        _word("masters", 2, _masters, "2.8.4", "", "The same in a list; flagged s_down while it serves nothing."),
        _word("myid", 2, _my_id, "6.2.0", "", "The name of this node among the sentinels."),
        _word("replicas", 3, _replicas, "5.0.0", "name", "The other voters, which serve reads as this node does."),
        _word("sentinels", 3, _sentinels, "2.8.4", "name", "The other voters, which can be asked as well."),
        _word("slaves", 3, _replicas, "2.8.0", "name", "The same as SENTINEL REPLICAS."),
    ),
    group="sentinel",
    since="2.8.4",
    summary="Who is the master, for clients that ask a Sentinel.",
)
