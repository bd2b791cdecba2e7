"""The commands of a connection: PING, ECHO, SELECT, RESET, QUIT, and the five of transactions."""

from __future__ import annotations

from dkv.console.client_state import ClientState
from dkv.console.declaring import whole, word
from dkv.kv.codes import DATABASES
from dkv.kv.registry import NO_CHANNELS, NO_KEYS, BadRequest, Flag, KeySpec, wrong_number_of_arguments
from dkv.kv.words.parsing import keys_of
from dkv.replies import OK, Error, InPlace, Local, LogRequest, Replying, Series, Simple

RESET = Simple("RESET")
BAD_NAME = "ERR Client names cannot contain spaces, newlines or special characters."

ALWAYS: tuple[Flag, ...] = ("loading", "stale", "fast")
FOR_NO_SCRIPT: tuple[Flag, ...] = ("noscript", *ALWAYS)
BEFORE_AUTH: tuple[Flag, ...] = ("no_auth", *FOR_NO_SCRIPT)


def database_of(text: bytes) -> int:
    """The number of a database."""
    db = whole(text)
    if not -(2**31) <= db < 2**31:
        raise BadRequest("ERR value is out of range, value must between -2147483648 and 2147483647")
    if not 0 <= db < DATABASES:
        raise BadRequest("ERR DB index is out of range")
    return db


def is_plain(name: bytes) -> bool:
    """Whether this may stand in a list of clients without being taken for something else."""
    return all(33 <= byte <= 126 for byte in name)


def _ping(client: ClientState, words: list[bytes]) -> Local:
    if len(words) > 2:
        return Local(wrong_number_of_arguments("ping"))
    if client.protocol == 2 and client.subscribed:  # it takes what is no array for a mistake
        return Local([b"pong", words[1] if len(words) == 2 else b""])
    return Local(words[1] if len(words) == 2 else Simple("PONG"))


def _echo(client: ClientState, words: list[bytes]) -> Local:
    return Local(words[1])


def _select(client: ClientState, words: list[bytes]) -> Local:
    client.select(database_of(words[1]))
    return Local(OK)


def _reset(client: ClientState, words: list[bytes]) -> Local:
    was_subscribed, exchange = bool(client.subscribed), client.node.exchange
    client.reset()

    def leave() -> Series:
        notices = exchange.take_for(client.connection)
        exchange.leave(client.connection)
        return Series([*notices, Local(RESET, protocol=2)])  # they are in the protocol that was spoken before

    if was_subscribed:
        return Local(InPlace(leave), replying=Replying.ON)
    return Local(RESET, protocol=2, replying=Replying.ON)


def _quit(client: ClientState, words: list[bytes]) -> Local:
    return Local(OK, close=True)


# --- transactions ---


def _watch(client: ClientState, words: list[bytes]) -> Local | LogRequest:
    transaction = client.transaction
    if transaction.gathering:
        return Local(Error("ERR WATCH inside MULTI is not allowed"))
    try:
        keys = keys_of(words[1:], client.context)
    except BadRequest as refused:
        return Local(transaction.fail_watch(Error(str(refused))))
    return transaction.watch(client.context.db, keys)


def _unwatch(client: ClientState, words: list[bytes]) -> Local:
    client.transaction.unwatch()
    return Local(OK)


def _multi(client: ClientState, words: list[bytes]) -> Local:
    if client.transaction.gathering:
        return Local(Error("ERR MULTI calls can not be nested"))
    client.transaction.begin(client.context)
    return Local(OK)


def _exec(client: ClientState, words: list[bytes]) -> Local | LogRequest:
    transaction = client.transaction
    return transaction.execute() if transaction.gathering else Local(Error("ERR EXEC without MULTI"))


def _discard(client: ClientState, words: list[bytes]) -> Local:
    if not client.transaction.gathering:
        return Local(Error("ERR DISCARD without MULTI"))
    client.transaction.end()
    return Local(OK)


CONNECTION_WORDS = (
    word(
        "ping",
        -1,
        _ping,
        category="connection",
        keys=NO_KEYS,
        channels=NO_CHANNELS,
        group="connection",
        since="1.0.0",
        arguments="[message]",
        summary="PONG, or the message.",
        flags=("fast",),
    ),
    word(
        "echo",
        2,
        _echo,
        category="connection",
        keys=NO_KEYS,
        channels=NO_CHANNELS,
        group="connection",
        since="1.0.0",
        arguments="message",
        summary="The message.",
        flags=ALWAYS,
    ),
    word(
        "select",
        2,
        _select,
        category="connection",
        keys=NO_KEYS,
        channels=NO_CHANNELS,
        group="connection",
        since="1.0.0",
        arguments="index",
        summary="Use another database, 0 to 15, from here on.",
        flags=ALWAYS,
    ),
    word(
        "reset",
        1,
        _reset,
        category="connection",
        keys=NO_KEYS,
        channels=NO_CHANNELS,
        group="connection",
        since="6.2.0",
        summary="Begin again, as a new connection would.",
        flags=BEFORE_AUTH,
    ),
    word(
        "quit",
        -1,
        _quit,
        category="connection",
        keys=NO_KEYS,
        channels=NO_CHANNELS,
        group="connection",
        since="1.0.0",
        summary="Close the connection.",
        flags=BEFORE_AUTH,
    ),
    word(
        "watch",
        -2,
        _watch,
        category="read",
        keys=KeySpec(1, -1),
        channels=NO_CHANNELS,
        group="transactions",
        since="2.2.0",
        arguments="key [key ...]",
        summary="Make EXEC do nothing if one of these keys has changed.",
        flags=FOR_NO_SCRIPT,
        complexity="O(N) for N keys",
    ),
    word(
        "unwatch",
        1,
        _unwatch,
        category="connection",
        keys=NO_KEYS,
        channels=NO_CHANNELS,
        group="transactions",
        since="2.2.0",
        summary="Forget the watched keys.",
        flags=FOR_NO_SCRIPT,
    ),
    word(
        "multi",
        1,
        _multi,
        category="connection",
        keys=NO_KEYS,
        channels=NO_CHANNELS,
        group="transactions",
        since="1.2.0",
        summary="Begin a transaction; the requests that follow are queued until EXEC.",
        flags=FOR_NO_SCRIPT,
    ),
    word(
        "exec",
        1,
        _exec,
        category="connection",
        keys=NO_KEYS,
        channels=NO_CHANNELS,
        group="transactions",
        since="1.2.0",
        summary="Execute the queued requests; do nothing if a watched key has changed.",
        flags=("noscript", "loading", "stale"),
        complexity="That of the requests",
    ),
    word(
        "discard",
        1,
        _discard,
        category="connection",
        keys=NO_KEYS,
        channels=NO_CHANNELS,
        group="transactions",
        since="2.0.0",
        summary="Drop the queued requests, and forget the watched keys.",
        flags=FOR_NO_SCRIPT,
    ),
)
