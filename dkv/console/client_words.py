"""CLIENT: what the node knows of its clients, and what a client may say of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dkv.console.client_state import ClientState
from dkv.console.connection_words import BAD_NAME, is_plain
from dkv.console.declaring import SYNTAX, Answer, ClientWord, container, quoted, whole, word
from dkv.kv.registry import NO_CHANNELS, NO_KEYS, BadRequest, Flag
from dkv.net.client_connection import ClientConnection
from dkv.pubsub_messages import CHANNEL, PATTERN, SHARD
from dkv.replies import OK, Error, Local, Raw, Replying, Verbatim
from dkv.security.users import DEFAULT

TYPES = (b"normal", b"master", b"primary", b"replica", b"slave", b"pubsub")
"""The kinds of clients that Redis knows. Those of dkv are normal ones, or subscribers."""

_YES_NO = {b"yes": True, b"no": False}

Connected = tuple[ClientConnection, ClientState]


def _id(client: ClientState, words: list[bytes]) -> Local:
    return Local(client.connection)


def _getname(client: ClientState, words: list[bytes]) -> Local:
    return Local(client.name or None)


def _setname(client: ClientState, words: list[bytes]) -> Local:
    if not is_plain(words[2]):
        raise BadRequest(BAD_NAME)
    client.name = words[2]
    return Local(OK)


def _setinfo(client: ClientState, words: list[bytes]) -> Local:
    field, value = words[2].lower(), words[3]
    if field not in client.library:
        raise BadRequest(f"ERR Unrecognized option '{quoted(words[2])}'")
    if not is_plain(value):
        raise BadRequest(f"ERR {field.decode()} cannot contain spaces, newlines or special characters.")
    client.library[field] = value
    return Local(OK)


def _switch(client: ClientState, words: list[bytes]) -> Local:
    """A switch of what dkv never does: it evicts no clients, and does not order keys by their last use."""
    if words[2].lower() not in (b"on", b"off"):
        raise BadRequest(SYNTAX)
    return Local(OK)


def _reply(client: ClientState, words: list[bytes]) -> Local:
    match words[2].lower():
        case b"on":
            return Local(OK, replying=Replying.ON)
        case b"off":
            return Local(Raw(b""), replying=Replying.OFF)
        case b"skip":
            return Local(Raw(b""), replying=Replying.SKIP)
    raise BadRequest(SYNTAX)


# --- who is there ---


def _info(client: ClientState, words: list[bytes]) -> Local:
    return Local(Verbatim(_lines(each for each in _connected(client) if each[1] is client)))


def _list(client: ClientState, words: list[bytes]) -> Local:
    match [each.lower() for each in words[2:]]:
        case []:
            return Local(Verbatim(_lines(_connected(client))))
        case [b"type", kind]:
            _check_type(kind)
            return Local(Verbatim(_lines(each for each in _connected(client) if _kind(each[1]) == kind)))
        case [b"id", *texts] if texts:
            ids = {whole(text, "ERR Invalid client ID") for text in texts}
            return Local(Verbatim(_lines(each for each in _connected(client) if each[0].number in ids)))
    raise BadRequest(SYNTAX)


def _kind(state: ClientState) -> bytes:
    return b"pubsub" if state.subscribed else b"normal"


def _connected(client: ClientState) -> Iterator[Connected]:
    """The clients of the node, in the order in which they came."""
    for connection in client.node.client_connections():
        state = connection.interpreter
        if isinstance(state, ClientState):
            yield connection, state


def _lines(clients: Iterator[Connected]) -> bytes:
    listed = list(clients)
    now = listed[0][0].now if listed else 0.0
    return "".join([_line(*each, now) for each in listed]).encode()


def _line(connection: ClientConnection, state: ClientState, now: float) -> str:
    """A client in Redis's fields, as far as there is something to say.

    It is one expression of what is known already: there may be 10,000 clients, and their lines are made at once.
    """
    transaction, library, subscribed = state.transaction, state.library, state.subscribed
    flags = ("P" if subscribed else "") + ("x" if transaction.gathering else "")
    return (
        f"id={connection.number} addr={connection.peer} laddr={connection.local} name={state.name.decode()}"
        f" age={int(now - connection.made_at)} idle={int(now - connection.heard_at)}"
        f" flags={flags or 'N'} db={state.context.db} sub={subscribed.count(CHANNEL)}"
        f" psub={subscribed.count(PATTERN)} ssub={subscribed.count(SHARD)}"
        f" multi={transaction.queued} watch={transaction.watched} qbuf={connection.held_bytes}"
        f" omem={connection.unread_bytes} cmd={_last_command(connection, state)} user={state.user.name}"
        f" resp={state.protocol}"
        f" lib-name={library[b'lib-name'].decode()} lib-ver={library[b'lib-ver'].decode()}\n"
    )


def _last_command(connection: ClientConnection, state: ClientState) -> str:
    """The command that the client has sent last, among those that came together; Redis's ``NULL`` if it is none."""
    name, second = connection.last_words
    command = state.commands.get(name.lower())
    if command is None:
        return "NULL"
    return ((command.subcommand(second) if command.subcommands else None) or command).name


# --- KILL ---


def _kill(client: ClientState, words: list[bytes]) -> Local:
    """End connections: that of an address, or those that match all options."""
    if len(words) == 3:
        address = words[2].decode("utf-8", "backslashreplace")
        killed = _end(client, [each for each in _connected(client) if each[0].peer == address])
        return Local(OK, close=killed.close) if killed.reply else Local(Error("ERR No such client"))
    wanted, skips_itself = _filters(client, words[2:])
    chosen = [each for each in _connected(client) if all(wants(*each) for wants in wanted)]
    return _end(client, [each for each in chosen if not (skips_itself and each[1] is client)])


def _end(client: ClientState, chosen: list[Connected]) -> Local:
    """End these connections, its own behind the reply: how many those are."""
    for connection, state in chosen:
        if state is not client:
            connection.kill()
    return Local(len(chosen), close=any(state is client for _, state in chosen))


Wants = Callable[[ClientConnection, ClientState], bool]


def _filters(client: ClientState, words: list[bytes]) -> tuple[list[Wants], bool]:
    """What a connection must be, by all options; and whether the client's own is spared."""
    if len(words) % 2:
        raise BadRequest(SYNTAX)
    wanted: list[Wants] = []
    skips_itself = True
    for option, value in zip(words[::2], words[1::2], strict=True):
        if option.lower() == b"skipme":
            if value.lower() not in _YES_NO:
                raise BadRequest(SYNTAX)
            skips_itself = _YES_NO[value.lower()]
        else:
            wanted.append(_filter(client, option.lower(), value))
    return wanted, skips_itself


def _filter(client: ClientState, option: bytes, value: bytes) -> Wants:
    text = value.decode("utf-8", "backslashreplace")
    match option:
        case b"id":
            number = whole(value, "ERR client-id should be greater than 0")
            if number < 1:
                raise BadRequest("ERR client-id should be greater than 0")
            return lambda connection, state: connection.number == number
        case b"addr":
            return lambda connection, state: connection.peer == text
        case b"laddr":
            return lambda connection, state: connection.local == text
        case b"type":
            _check_type(value.lower())
            kind = value.lower()
            return lambda connection, state: _kind(state) == kind
        case b"user":
            users = client.node.logins.users
            if not (text == DEFAULT if users is None else text in users.names):
                raise BadRequest(f"ERR No such user '{quoted(value)}'")
            return lambda connection, state: state.user.name == text
        case b"maxage":
            seconds = whole(value, "ERR maxage is not an integer or out of range")
            if seconds < 1:
                raise BadRequest("ERR maxage should be greater than 0")
            return lambda connection, state: connection.now - connection.made_at >= seconds
    raise BadRequest(SYNTAX)


def _check_type(kind: bytes) -> None:
    if kind not in TYPES:
        raise BadRequest(f"ERR Unknown client type '{quoted(kind)}'")


def _word(name: str, arity: int, answer: Answer, since: str, arguments: str, summary: str) -> ClientWord:
    flags: tuple[Flag, ...] = ("noscript", "loading", "stale")
    flags += ("admin",) if answer in (_kill, _list) else ("no_multi",) if answer is _reply else ()
    return word(
        f"client|{name}",
        arity,
        answer,
        category="admin" if answer in (_kill, _list) else "connection",
        keys=NO_KEYS,
        channels=NO_CHANNELS,
        group="connection",
        since=since,
        arguments=arguments,
        summary=summary,
        flags=flags,
    )


CLIENT = container(
    "client",
    (
        _word("getname", 2, _getname, "2.6.9", "", "The name of this connection."),
        _word("id", 2, _id, "5.0.0", "", "The number of this connection; each has its own."),
        _word("info", 2, _info, "6.2.0", "", "The line of CLIENT LIST about this connection."),
        _word(
            "kill",
            -3,
            _kill,
            "2.4.0",
            "address|option value [option value ...]",
            "End connections, by ID, ADDR, LADDR, TYPE, USER or MAXAGE; this one only with SKIPME no.",
        ),
        _word(
            "list",
            -2,
            _list,
            "2.4.0",
            "[TYPE NORMAL|MASTER|REPLICA|PUBSUB] [ID id [id ...]]",
            "A line for each client of this node.",
        ),
        _word("no-evict", 3, _switch, "7.0.0", "ON|OFF", "Nothing: no client is evicted."),
        _word("no-touch", 3, _switch, "7.2.0", "ON|OFF", "Nothing: the last use of a key is not kept."),
        _word(
            "reply",
            3,
            _reply,
            "3.2.0",
            "ON|OFF|SKIP",
            "Switch the replies to this connection on or off; SKIP leaves out the next one.",
        ),
        _word(
            "setinfo", 4, _setinfo, "7.2.0", "LIB-NAME|LIB-VER value", "Tell the node which library this client uses."
        ),
        _word("setname", 3, _setname, "2.6.9", "name", "Name this connection."),
    ),
    group="connection",
    since="2.4.0",
    summary="About this connection, and about all of this node.",
)
