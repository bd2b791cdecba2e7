"""AUTH and HELLO: who the client is, and which protocol it speaks."""

from __future__ import annotations

from collections.abc import Callable

from dkv.console.client_state import ClientState
from dkv.console.client_transaction import NOT_IN_MULTI
from dkv.console.connection_words import BAD_NAME, BEFORE_AUTH, is_plain
from dkv.console.declaring import SYNTAX, quoted, whole, word
from dkv.console.info import REDIS_VERSION
from dkv.kv.registry import NO_CHANNELS, NO_KEYS, BadRequest
from dkv.replies import OK, Awaited, Error, Local, Nested
from dkv.security.users import DEFAULT, User

PROTOCOLS = (2, 3)

NO_PASSWORD = (
    "ERR AUTH <password> called without any password configured for the default user. "
    "Are you sure your configuration is correct?"
)
HELLO_FIRST = (
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option "
    "can be used to authenticate the client and select the RESP protocol version at the same time"
)

LISTENS = Error("NOPERM the connection has subscribed to what this user may not listen to: unsubscribe first")


def _auth(client: ClientState, words: list[bytes]) -> Local | Awaited:
    if len(words) > 3:
        raise BadRequest(SYNTAX)
    if len(words) == 2 and not client.node.logins.default_has_password:
        raise BadRequest(NO_PASSWORD)

    def greet(user: User) -> Local:
        if not client.may_listen_as(user):
            return Local(LISTENS)
        client.log_in(user)
        return Local(OK)

    name = DEFAULT if len(words) == 2 else name_of(words[1])
    return client.node.logins.log_in(client.peer, name, words[-1], greet, _waits(client))


def _waits(client: ClientState) -> Callable[[], bool]:
    return lambda: not client.is_gone


def name_of(word: bytes) -> str:
    """The name that a word is; that of no user if it is no text."""
    return word.decode("utf-8", "replace")


def _hello(client: ClientState, words: list[bytes]) -> Local | Awaited:
    protocol = client.protocol
    if len(words) > 1:
        protocol = whole(words[1], "ERR Protocol version is not an integer or out of range")
        if protocol not in PROTOCOLS:
            raise BadRequest("NOPROTO unsupported protocol version")
    name, claim = _options(client, words[2:])

    def greet(user: User | None) -> Local:
        if user is not None:
            if not client.may_listen_as(user):
                return Local(LISTENS)
            client.log_in(user)
        client.protocol, client.name = protocol, name
        return Local(_facts(client), protocol=protocol)

    if claim is not None:
        if client.executing:
            raise BadRequest(NOT_IN_MULTI.text)
        return client.node.logins.log_in(client.peer, *claim, greet, _waits(client))
    if client.is_unnamed:
        raise BadRequest(HELLO_FIRST)
    return greet(None)


def _options(client: ClientState, options: list[bytes]) -> tuple[bytes, tuple[str, bytes] | None]:
    """The name that the client calls itself, and the user that it says it is, with the password."""
    name, claim = client.name, None
    while options:
        option = options.pop(0)
        if option.lower() == b"auth" and len(options) >= 2:
            claim = name_of(options.pop(0)), options.pop(0)
        elif option.lower() == b"setname" and options:
            name = options.pop(0)
            if not is_plain(name):
                raise BadRequest(BAD_NAME)
        else:
            raise BadRequest(f"ERR Syntax error in HELLO option '{quoted(option)}'")
    return name, claim


def _facts(client: ClientState) -> dict[bytes, Nested]:
    return {
        b"server": b"dkv",
        b"version": REDIS_VERSION.encode(),
        b"proto": client.protocol,
        b"id": client.connection,
        b"mode": b"standalone",
        b"role": b"master",
        b"modules": [],
    }


LOGIN_WORDS = (
    word(
        "auth",
        -2,
        _auth,
        category="connection",
        keys=NO_KEYS,
        channels=NO_CHANNELS,
        group="connection",
        since="1.0.0",
        arguments="[username] password",
        summary="Say which user the client is, and prove it.",
        flags=(*BEFORE_AUTH, "no_multi"),
    ),
    word(
        "hello",
        -1,
        _hello,
        category="connection",
        keys=NO_KEYS,
        channels=NO_CHANNELS,
        group="connection",
        since="6.0.0",
        arguments="[2|3 [AUTH username password] [SETNAME name]]",
        summary="Choose RESP 2 or 3; also who the client is, as AUTH does, and facts about this server.",
        flags=BEFORE_AUTH,
    ),
)
