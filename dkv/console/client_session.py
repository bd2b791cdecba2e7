"""One client's session: it finds out what each request asks for.

Commands on data become entries for the log. Commands about the connection, or about its node, are answered here. Words
that Redis knows are answered as Redis does, or refused in its words; nothing is half done.
"""

from __future__ import annotations

from collections.abc import Callable

from dkv.console.info import REDIS_VERSION, info_text
from dkv.console.inspection import Inspection
from dkv.console.introspection import Table, command_docs, command_info, config_get, help_lines
from dkv.console.orders import ORDERS
from dkv.kv.codes import READS
from dkv.kv.commands import COMMANDS, interpret
from dkv.kv.registry import NO_KEYS, ConnectionCommand, Context, table, wrong_number_of_arguments
from dkv.records import Entry
from dkv.replies import OK, Error, Local, Nested, Simple
from dkv.settings import Limits
from dkv.wire.telnet import TIMING_MARK, TIMING_MARK_REPLY

QUOTED_BYTES_MAX = 128
"""How much of a client's own words an error quotes, as in Redis."""

PROTOCOLS = {b"2": 2, b"3": 3}


class ClientSession:
    """The session of the connection with the number ``connection`` and the client at ``peer``."""

    reads = READS

    def __init__(self, connection: int, peer: str, limits: Limits, node: Inspection) -> None:
        self.connection = connection
        self.peer = peer
        self.limits = limits
        self.node = node
        self._context = Context(limits)
        self._protocol = 2
        self._name: bytes | None = None
        self.interpret: Callable[[list[bytes]], Entry | Local] = self._interpret
        """An entry for the log, or the reply to a request that needs none.

        Some of those replies change it, so the caller looks it up again after each ``Local``.
        """

    def gone(self) -> None:
        """The client is gone."""
        self.node.backups.end(self)

    def _interpret(self, arguments: list[bytes]) -> Entry | Local:
        entry = interpret(arguments, self._context)
        if isinstance(entry, list):
            return entry
        return self._answer(arguments) if entry is None else Local(entry)

    def _interpret_nothing(self, arguments: list[bytes]) -> Entry | Local:
        """Refuse all commands behind a refused MULTI: the client believes that nothing is executed before EXEC.

        Most libraries send the whole transaction before they look at the answer to MULTI.
        """
        name = arguments[0].lower()
        if arguments is TIMING_MARK or name in (b"quit", b"reset"):
            return self._answer(arguments)
        if name in (b"exec", b"discard") and len(arguments) == 1:
            self.interpret = self._interpret
            return Local(OK if name == b"discard" else _ABORTED)
        return Local(_ABORTED)

    def _answer(self, words: list[bytes]) -> Entry | Local:
        if words is TIMING_MARK:
            return Local(TIMING_MARK_REPLY)
        name = words[0].lower()
        command = CONNECTION_COMMANDS.get(name) or ORDERS.get(name)
        if command is None:
            if name == b"multi":
                self.interpret = self._interpret_nothing
            return Local(_unknown(words))
        if not command.takes(len(words)):
            return Local(wrong_number_of_arguments(command.name))
        bytes_max = self.limits.value_bytes_max
        for word in words:
            if len(word) > bytes_max:
                return Local(Error(f"ERR the argument has {len(word)} bytes, limits.value_bytes_max is {bytes_max}"))
        return command.answer(self, words)

    # --- the connection ---

    def _ping(self, words: list[bytes]) -> Local:
        if len(words) > 2:
            return Local(wrong_number_of_arguments("ping"))
        return Local(words[1] if len(words) == 2 else Simple("PONG"))

    def _echo(self, words: list[bytes]) -> Local:
        return Local(words[1])

    def _quit(self, words: list[bytes]) -> Local:
        return Local(OK, close=True)

    def _reset(self, words: list[bytes]) -> Local:
        """The session of a new connection."""
        self._protocol, self._name, self.interpret = 2, None, self._interpret
        return Local(Simple("RESET"), protocol=2)

    def _select(self, words: list[bytes]) -> Local:
        if not words[1].removeprefix(b"-").isdigit():
            return Local(Error("ERR value is not an integer or out of range"))
        return Local(OK if words[1] == b"0" else Error("ERR DB index is out of range"))

    def _hello(self, words: list[bytes]) -> Local:
        protocol = self._protocol
        if len(words) > 1:
            if not words[1].removeprefix(b"-").isdigit():
                return Local(Error("ERR Protocol version is not an integer or out of range"))
            if words[1] not in PROTOCOLS:
                return Local(Error("NOPROTO unsupported protocol version"))
            protocol = PROTOCOLS[words[1]]
        name = self._name
        options = words[2:]
        while options:
            option = options.pop(0)
            if option.lower() == b"auth" and len(options) >= 2:
                return Local(Error("ERR this server has no passwords: say HELLO without AUTH"))
            if option.lower() != b"setname" or not options:
                return Local(Error(f"ERR Syntax error in HELLO option '{_quoted(option)}'"))
            name = options.pop(0)
            if not _is_plain(name):
                return Local(_BAD_NAME)
        self._protocol, self._name = protocol, name
        fields: dict[bytes, Nested] = {
            b"server": b"dkv",
            b"version": REDIS_VERSION.encode(),
            b"proto": protocol,
            b"id": self.connection,
            b"mode": b"standalone",
            b"role": b"master",
            b"modules": [],
        }
        return Local(fields, protocol=protocol)

    def _client(self, words: list[bytes]) -> Local:
        match words[1].lower(), *words[2:]:
            case (b"id",):
                return Local(self.connection)
            case (b"getname",):
                return Local(self._name)
            case b"setname", name:
                if not _is_plain(name):
                    return Local(_BAD_NAME)
                self._name = name or None
                return Local(OK)
            case b"setinfo", field, value:
                if field.lower() not in (b"lib-name", b"lib-ver"):
                    return Local(Error(f"ERR Unrecognized option '{_quoted(field)}'"))
                return Local(OK if _is_plain(value) else _BAD_NAME)
        return _refused_subcommand("client", words[1], ("getname", "id", "setinfo", "setname"))

    # --- the node ---

    def _help(self, words: list[bytes]) -> Local:
        return Local([*help_lines(TABLE)])

    def _command(self, words: list[bytes]) -> Local:
        match [word.lower() for word in words[1:]]:
            case []:
                return Local(command_info(TABLE, TABLE))
            case [b"count"]:
                return Local(len(TABLE))
            case [b"docs", *names]:
                return Local(command_docs(TABLE, names or TABLE))
            case [b"info", *names]:
                return Local(command_info(TABLE, names or TABLE))
        return _refused_subcommand("command", words[1], ("count", "docs", "info"))

    def _config(self, words: list[bytes]) -> Local:
        if words[1].lower() == b"get" and len(words) > 2:
            return Local(config_get(self.limits, self.node.connections_max, words[2:]))
        return _refused_subcommand("config", words[1], ("get",))

    def _info(self, words: list[bytes]) -> Local:
        return Local(info_text(self.node.info(), words[1:]))


_ABORTED = Error("EXECABORT Transaction discarded because of previous errors.")
_BAD_NAME = Error("ERR Client names cannot contain spaces, newlines or special characters.")


def _is_plain(name: bytes) -> bool:
    return all(33 <= byte <= 126 for byte in name)


def _quoted(word: bytes) -> str:
    return word[:QUOTED_BYTES_MAX].decode("utf-8", "backslashreplace")


def _unknown(words: list[bytes]) -> Error:
    """Redis's error for an unknown command; it quotes the beginning of the request."""
    quoted, room = "", QUOTED_BYTES_MAX
    for word in words[1:]:
        if room <= 0:
            break
        quoted += f"'{_quoted(word[:room])}' "
        room -= len(word) + 3
    return Error(f"ERR unknown command '{_quoted(words[0])}', with args beginning with: {quoted}")


def _refused_subcommand(name: str, word: bytes, known: tuple[str, ...]) -> Local:
    """The error for a subcommand: it has a wrong number of arguments, or dkv does not have it."""
    subcommand = _quoted(word)
    if subcommand.lower() in known:
        return Local(wrong_number_of_arguments(f"{name}|{subcommand.lower()}"))
    return Local(Error(f"ERR unknown subcommand '{subcommand}'. {name.upper()} knows {', '.join(known).upper()}."))


CONNECTION_COMMANDS: dict[bytes, ConnectionCommand[ClientSession]] = table(
    (
        ConnectionCommand(
            name="ping",
            arity=-1,
            keys=NO_KEYS,
            flags=("fast",),
            group="connection",
            since="1.0.0",
            arguments="[message]",
            summary="PONG, or the message.",
            answer=ClientSession._ping,
        ),
        ConnectionCommand(
            name="echo",
            arity=2,
            keys=NO_KEYS,
            flags=("loading", "stale", "fast"),
            group="connection",
            since="1.0.0",
            arguments="message",
            summary="The message.",
            answer=ClientSession._echo,
        ),
        ConnectionCommand(
            name="help",
            arity=-1,
            keys=NO_KEYS,
            flags=("loading", "stale"),
            group="dkv",
            since="0.1.0",
            arguments="",
            summary="These lines.",
            answer=ClientSession._help,
        ),
        ConnectionCommand(
            name="info",
            arity=-1,
            keys=NO_KEYS,
            flags=("loading", "stale"),
            group="server",
            since="1.0.0",
            arguments="[section ...]",
            summary="The state of this node.",
            answer=ClientSession._info,
        ),
        ConnectionCommand(
            name="quit",
            arity=-1,
            keys=NO_KEYS,
            flags=("noscript", "loading", "stale", "fast"),
            group="connection",
            since="1.0.0",
            arguments="",
            summary="Close the connection.",
            answer=ClientSession._quit,
        ),
        ConnectionCommand(
            name="reset",
            arity=1,
            keys=NO_KEYS,
            flags=("noscript", "loading", "stale", "fast"),
            group="connection",
            since="6.2.0",
            arguments="",
            summary="Begin again, as a new connection would.",
            answer=ClientSession._reset,
        ),
        ConnectionCommand(
            name="select",
            arity=2,
            keys=NO_KEYS,
            flags=("loading", "stale", "fast"),
            group="connection",
            since="1.0.0",
            arguments="0",
            summary="Nothing: there is one database.",
            answer=ClientSession._select,
        ),
        ConnectionCommand(
            name="hello",
            arity=-1,
            keys=NO_KEYS,
            flags=("noscript", "loading", "stale", "fast"),
            group="connection",
            since="6.0.0",
            arguments="[2|3 [SETNAME name]]",
            summary="Choose RESP 2 or 3; about this server.",
            answer=ClientSession._hello,
        ),
        ConnectionCommand(
            name="client",
            arity=-2,
            keys=NO_KEYS,
            flags=("noscript", "loading", "stale"),
            group="connection",
            since="2.4.0",
            arguments="GETNAME|ID|SETINFO|SETNAME ...",
            summary="About this connection.",
            answer=ClientSession._client,
        ),
        ConnectionCommand(
            name="command",
            arity=-1,
            keys=NO_KEYS,
            flags=("loading", "stale"),
            group="server",
            since="2.8.13",
            arguments="[COUNT|DOCS|INFO [name ...]]",
            summary="About the commands.",
            answer=ClientSession._command,
        ),
        ConnectionCommand(
            name="config",
            arity=-2,
            keys=NO_KEYS,
            flags=("admin", "noscript", "loading", "stale"),
            group="server",
            since="2.0.0",
            arguments="GET pattern [pattern ...]",
            summary="Settings, by Redis's names.",
            answer=ClientSession._config,
        ),
    )
)

TABLE: Table = table(COMMANDS.values(), CONNECTION_COMMANDS.values(), ORDERS.values())
