"""The commands about a node as a server: INFO, LATENCY, ROLE, and WAIT, which asks for copies of writes."""

from __future__ import annotations

from dkv.console.client_state import ClientState
from dkv.console.config_words import CONFIG
from dkv.console.declaring import Answer, ClientWord, container, whole, word
from dkv.console.info import info_text, sections_for
from dkv.kv.registry import NO_CHANNELS, NO_KEYS, BadRequest, Flag
from dkv.replies import Local, Verbatim

_LATENCY_ADVICE = (
    b"dkv keeps no latency events. How long commits, batches and reads take is in the metrics of each node:"
    b" DKV.METRICS, or its admin port.\n"
)


def _info(client: ClientState, words: list[bytes]) -> Local:
    sections = client.node.info()
    if not client.user.rights.is_unrestricted:
        sections = sections_for(client.user.rights, sections)
    return Local(Verbatim(info_text(sections, words[1:])))


def _role(client: ClientState, words: list[bytes]) -> Local:
    """Every node takes writes, so each is a master, and the others follow it. What is applied stands for offsets."""
    others = [
        [other.address.host.encode(), b"%d" % other.address.port, b"%d" % other.applied]
        for other in client.node.sentinel.others()
        if other.silent_seconds is not None
    ]
    return Local([b"master", client.node.applied_through, others])


# --- copies of writes ---


def _wait(client: ClientState, words: list[bytes]) -> Local:
    """How many other nodes have the writes of this connection that were answered: no need to wait for any."""
    whole(words[1])
    _check_timeout(words[2])
    return Local(client.node.member_view.quorum - 1)


def _waitaof(client: ClientState, words: list[bytes]) -> Local:
    """The same, as a sum: which nodes have them on disk is not told, and their number includes this one or not."""
    if not 0 <= whole(words[1]) <= 1:
        raise BadRequest("ERR value is out of range, value must between 0 and 1")
    if whole(words[2], "ERR value is out of range, must be positive") < 0:
        raise BadRequest("ERR value is out of range, must be positive")
    _check_timeout(words[3])
    return Local([1, client.node.member_view.quorum - 1])


def _check_timeout(text: bytes) -> None:
    if whole(text, "ERR timeout is not an integer or out of range") < 0:
        raise BadRequest("ERR timeout is negative")


# --- latency ---


def _no_events(client: ClientState, words: list[bytes]) -> Local:
    return Local([])


def _none_reset(client: ClientState, words: list[bytes]) -> Local:
    return Local(0)


def _doctor(client: ClientState, words: list[bytes]) -> Local:
    return Local(Verbatim(_LATENCY_ADVICE))


_ADMIN: tuple[Flag, ...] = ("admin", "noscript", "loading", "stale")


def _latency(name: str, arity: int, answer: Answer, arguments: str, summary: str) -> ClientWord:
    return word(
        f"latency|{name}",
        arity,
        answer,
        category="admin",
        keys=NO_KEYS,
        channels=NO_CHANNELS,
        group="server",
        since="2.8.13",
        arguments=arguments,
        summary=summary,
        flags=_ADMIN,
    )


SERVER_WORDS = (
    word(
        "info",
        -1,
        _info,
        category="connection",
        keys=NO_KEYS,
        channels=NO_CHANNELS,
        group="server",
        since="1.0.0",
        arguments="[section ...]",
        summary="The state of this node.",
    ),
    CONFIG,
    container(
        "latency",
        (
            _latency("doctor", 2, _doctor, "", "Where to look for latencies."),
            _latency("history", 3, _no_events, "event", "Nothing: no events are kept."),
            _latency("latest", 2, _no_events, "", "Nothing: no events are kept."),
            _latency("reset", -2, _none_reset, "[event ...]", "0: no events are kept."),
        ),
        group="server",
        since="2.8.13",
        summary="About slow events, of which dkv keeps none.",
    ),
    word(
        "role",
        1,
        _role,
        category="connection",
        keys=NO_KEYS,
        channels=NO_CHANNELS,
        group="server",
        since="2.8.12",
        summary="master, the last slot applied here, and the other voters.",
    ),
    word(
        "wait",
        3,
        _wait,
        category="connection",
        keys=NO_KEYS,
        channels=NO_CHANNELS,
        group="generic",
        since="3.0.0",
        arguments="numreplicas timeout",
        summary="How many other nodes, at least, hold the answered writes.",
        flags=(),
    ),
    word(
        "waitaof",
        4,
        _waitaof,
        category="connection",
        keys=NO_KEYS,
        channels=NO_CHANNELS,
        group="generic",
        since="7.2.0",
        arguments="numlocal numreplicas timeout",
        summary="As WAIT, with a 1 in front for one disk.",
        flags=(),
    ),
)
