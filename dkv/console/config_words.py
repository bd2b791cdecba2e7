"""CONFIG: the settings that have a name in Redis, and the one that clients may set.

Which events of keys are told (``notify-keyspace-events``) is part of the state, which the whole cluster has. So setting
it is an entry of the log. All other settings are those of the config file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dkv.console.client_state import ClientState
from dkv.console.declaring import SYNTAX, container, quoted, word
from dkv.kv.codes import DATABASES, NOTIFY
from dkv.kv.glob import PATTERN_BYTES_MAX, Glob
from dkv.kv.key_events import NotWanted, as_redis_shows, canonical
from dkv.kv.registry import NO_CHANNELS, NO_KEYS, BadRequest, Flag
from dkv.net.sockets import KEEPALIVE_IDLE_SECONDS
from dkv.records import Entry
from dkv.replies import Local

EVENTS = "notify-keyspace-events"

_ADMIN: tuple[Flag, ...] = ("admin", "noscript", "loading", "stale")


def config_get(client: ClientState, patterns: Iterable[bytes]) -> Mapping[bytes, bytes]:
    """CONFIG GET: the settings that have a name in Redis and match one of ``patterns``."""
    wanted = [Glob(pattern.lower()) for pattern in patterns if len(pattern) <= PATTERN_BYTES_MAX]
    named = {name.encode(): value for name, value in _settings(client).items()}
    return {name: value for name, value in named.items() if any(glob.matches(name) for glob in wanted)}


def _settings(client: ClientState) -> dict[str, bytes]:
    limits, node = client.limits, client.node
    return {
        "appendfsync": b"always",
        "appendonly": b"yes",
        "cluster-enabled": b"no",
        "databases": b"%d" % DATABASES,
        "latency-monitor-threshold": b"0",
        "maxclients": b"%d" % node.connections_max,  # fewer than the limit if that of open files allows fewer
        "maxmemory": b"0",
        "maxmemory-policy": b"noeviction",
        EVENTS: as_redis_shows(node.notifications),
        "proto-max-bulk-len": b"%d" % limits.value_bytes_max,
        "requirepass": b"",
        "save": b"",
        "tcp-keepalive": b"%d" % KEEPALIVE_IDLE_SECONDS,
    }


def config_set(client: ClientState, pairs: list[bytes]) -> Entry:
    """CONFIG SET: the entry that sets the one setting that can be set; ``BadRequest``, in Redis's words, for others.

    As in Redis, all is looked at before anything is set, and the first name that is wrong is told.
    """
    if len(pairs) % 2:
        raise BadRequest(SYNTAX)
    known = _settings(client)
    found: dict[str, bytes] = {}
    for given, value in zip(pairs[::2], pairs[1::2], strict=True):
        name = given.lower().decode("utf-8", "backslashreplace")
        if name not in known:
            raise BadRequest(f"ERR Unknown option or number of arguments for CONFIG SET - '{quoted(given)}'")
        if name != EVENTS:
            raise _refused(name, "can't set immutable config")
        if name in found:
            raise _refused(name, "duplicate parameter")
        found[name] = value
    try:
        letters = canonical(found[EVENTS])
    except NotWanted as refusal:
        raise _refused(EVENTS, str(refusal)) from None
    return [NOTIFY, 0, client.limits.value_bytes_max, letters]


def _refused(name: str, reason: str) -> BadRequest:
    return BadRequest(f"ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}")


def _get(client: ClientState, words: list[bytes]) -> Local:
    return Local({**config_get(client, words[2:])})


def _set(client: ClientState, words: list[bytes]) -> Entry:
    return config_set(client, words[2:])


CONFIG = container(
    "config",
    (
        word(
            "config|get",
            -3,
            _get,
            category="admin",
            keys=NO_KEYS,
            channels=NO_CHANNELS,
            group="server",
            since="2.0.0",
            arguments="pattern [pattern ...]",
            summary="Settings, by Redis's names.",
            flags=_ADMIN,
        ),
        word(
            "config|set",
            -4,
            _set,
            category="admin",
            keys=NO_KEYS,
            channels=NO_CHANNELS,
            group="server",
            since="2.0.0",
            arguments=f"{EVENTS} letters",
            summary="Set which events of keys are told, on all nodes.",
            flags=_ADMIN,
        ),
    ),
    group="server",
    since="2.0.0",
    summary="Settings, by Redis's names.",
)
