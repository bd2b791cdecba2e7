"""ACL: who the users are, and what they may do. The users file alone changes that, so nothing is set here.

The answers have the forms of Redis. A category stands for all its commands, as ``+@read``, and a database with patterns
of its own is told as ``db1~pattern``. No password is told, and no hash of one either.
"""

from __future__ import annotations

from collections.abc import Mapping

from dkv.console.client_state import ClientState
from dkv.console.declaring import Answer, ClientWord, container, quoted, word
from dkv.kv.registry import NO_CHANNELS, NO_KEYS, BadRequest, Command, Flag, wrong_number_of_arguments
from dkv.replies import OK, Local, Nested, SetOf
from dkv.security.gate import Gate
from dkv.security.rights import CATEGORIES, EVERY, OWN, Rights
from dkv.security.users import DEFAULT, EVERYBODY, User, Users

HIDDEN = b"(hidden)"
"""In the place of each hash."""

_OF_EVERYBODY: tuple[Flag, ...] = ("noscript", "loading", "stale")
_OF_OPERATORS: tuple[Flag, ...] = ("admin", *_OF_EVERYBODY)


def acl_words(table: Mapping[bytes, Command], gate: Gate) -> ClientWord:
    """ACL, about the commands of ``table``, which may still grow, and about what ``gate`` lets through."""

    def answer_categories(client: ClientState, words: list[bytes]) -> Local:
        if len(words) > 3:
            raise BadRequest(
                f"ERR unknown subcommand or wrong number of arguments for '{quoted(words[1])}'. Try ACL HELP."
            )
        if len(words) == 2:
            return Local([name.encode() for name in (OWN, *CATEGORIES)])
        wanted = words[2].lower().decode("utf-8", "replace")
        if wanted not in (OWN, *CATEGORIES):
            raise BadRequest(f"ERR Unknown category '{quoted(words[2])}'")
        return Local([each.name.encode() for each in _leaves(table) if wanted in each.categories])

    def answer_trial(client: ClientState, words: list[bytes]) -> Local:
        user, request = _user(client, words[2]), words[3:]
        if user is None:
            raise BadRequest(f"ERR User '{quoted(words[2])}' not found")
        command = table.get(request[0].lower())
        leaf = None if command is None else _meant(command, request)
        if leaf is None:
            raise BadRequest(f"ERR Command '{quoted(request[0])}' not found")
        if gate.command_of(request) is None:
            raise BadRequest(wrong_number_of_arguments(leaf.name).text)
        denial = gate.denial(user.rights, request, client.context.db)
        return Local(OK if denial is None else denial.told(user.name).encode())

    return container(
        "acl",
        (
            _word("cat", -2, answer_categories, "[category]", "The categories, or the commands of one."),
            _word("dryrun", -4, answer_trial, "user command [arg ...]", "OK if a user may ask this; if not, why."),
            _word("getuser", 3, _getuser, "user", "What a user may do; nil if there is no such user."),
            _word("list", 2, _list, "", "A line for each user: what it may do."),
            _word("users", 2, _users, "", "The names of the users."),
            _word("whoami", 2, _whoami, "", "The user that this client is."),
        ),
        group="server",
        since="6.0.0",
        summary="Who the users are, and what they may do.",
    )


def _whoami(client: ClientState, words: list[bytes]) -> Local:
    return Local(client.user.name.encode())


def _users(client: ClientState, words: list[bytes]) -> Local:
    return Local([user.name.encode() for user in _known(client)])


def _list(client: ClientState, words: list[bytes]) -> Local:
    return Local([_line(user).encode() for user in _known(client)])


def _getuser(client: ClientState, words: list[bytes]) -> Local:
    user = _user(client, words[2])
    if user is None:
        return Local(None)
    rights = user.rights
    fields: dict[bytes, Nested] = {
        b"flags": SetOf([flag.encode() for flag in _flags(user)]),
        b"passwords": [HIDDEN for _ in user.hashes],
        b"certificates": [name.encode() for name in sorted(user.certificates)],
        b"commands": _commands(rights).encode(),
        b"keys": _shown(b"~", rights.keys),
        b"channels": _shown(b"&", rights.channels),
        b"databases": [[number, _shown(b"~", patterns)] for number, patterns in rights.databases],
        b"selectors": [],
    }
    return Local(fields)


def _known(client: ClientState) -> list[User]:
    """All users: without a users file the one that everybody is."""
    users = client.node.logins.users or Users([EVERYBODY])
    return [user for user in map(users.find, users.names) if user is not None]


def _user(client: ClientState, name: bytes) -> User | None:
    return next((user for user in _known(client) if user.name.encode() == name), None)


def _flags(user: User) -> list[str]:
    return ["on", *(["nopass"] if user.name == DEFAULT and not user.has_proof else [])]


def _line(user: User) -> str:
    rights = user.rights
    parts = [*_flags(user), *(f"#{HIDDEN.decode()}" for _ in user.hashes)]
    parts += [f"certificate={name}" for name in sorted(user.certificates)]
    only = [] if EVERY in rights.channels else [b"resetchannels"]
    patterns = [_shown(b"~", rights.keys), *only, _shown(b"&", rights.channels)]
    patterns += [_shown(b"db%d~" % number, own) or b"db%d" % number for number, own in rights.databases]
    parts += [text.decode("utf-8", "backslashreplace") for text in patterns if text]
    return " ".join(["user", user.name, *parts, _commands(rights)])


def _commands(rights: Rights) -> str:
    if rights.categories >= {*CATEGORIES}:
        return "+@all"
    return " ".join(["-@all", *(f"+@{name}" for name in (OWN, *CATEGORIES) if rights.allows(name))])


def _shown(sign: bytes, patterns: tuple[bytes, ...]) -> bytes:
    return b" ".join([sign + pattern for pattern in patterns])


def _word(name: str, arity: int, answer: Answer, arguments: str, summary: str) -> ClientWord:
    is_own = name in ("cat", "whoami")
    return word(
        f"acl|{name}",
        arity,
        answer,
        category="connection" if is_own else "admin",
        keys=NO_KEYS,
        channels=NO_CHANNELS,
        group="server",
        since="7.0.0" if name == "dryrun" else "6.0.0",
        arguments=arguments,
        summary=summary,
        flags=_OF_EVERYBODY if is_own else _OF_OPERATORS,
    )


def _meant(command: Command, request: list[bytes]) -> Command | None:
    """The command or its subcommand; None if there is no such subcommand."""
    return command.subcommand(request[1]) if command.subcommands and len(request) > 1 else command


def _leaves(table: Mapping[bytes, Command]) -> list[Command]:
    """The commands and subcommands that somebody can ask for."""
    return [each for command in table.values() for each in command.subcommands or (command,)]
