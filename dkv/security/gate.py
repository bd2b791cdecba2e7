"""The gate: every request of a user who is not allowed everything passes it, before anybody else looks at it.

It judges a request by its words alone and by what the command declares (``dkv.kv.registry``): its category, *all* its
keys, its channels, and the request within it. So it does not matter in which state the session is, and nothing can be
asked in two ways of which one is not judged. A request that is no command, or has too few or too many words, is let
through to be refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from dkv.kv.codes import DATABASES
from dkv.kv.registry import Command, Scope
from dkv.replies import Error
from dkv.security.rights import OWN, Rights
from dkv.security.users import User

NO_AUTH = Error("NOAUTH Authentication required.")
BEFORE_AUTH = "no_auth"
"""The flag of commands that a client may use before it has said who it is."""


class Forbidden(Enum):
    """What of a request is not allowed."""

    COMMAND = auto()
    WHOLE = auto()
    """A command about keys that it does not name, which may be any."""
    KEY = auto()
    CHANNEL = auto()


@dataclass(frozen=True, slots=True)
class Denial:
    """Why a request is denied; ``name`` is that of the command, or it is the key or the channel."""

    forbidden: Forbidden
    name: bytes

    def refusal(self, user: str) -> Error:
        """The error for the client, in Redis's words. It names no key: the client knows what it has sent."""
        match self.forbidden:
            case Forbidden.KEY:
                return Error("NOPERM No permissions to access a key")
            case Forbidden.CHANNEL:
                return Error("NOPERM No permissions to access a channel")
            case _:
                return Error(f"NOPERM {self.told(user)}")

    def told(self, user: str) -> str:
        """The same for an operator: with the key or the channel."""
        name = self.name.decode("utf-8", "backslashreplace")
        match self.forbidden:
            case Forbidden.COMMAND:
                return f"User {user} has no permissions to run the '{name}' command"
            case Forbidden.WHOLE:
                return f"User {user} has no permissions to run the '{name}' command, as it needs all keys"
            case Forbidden.KEY:
                return f"User {user} has no permissions to access the '{name}' key"
            case Forbidden.CHANNEL:
                return f"User {user} has no permissions to access the '{name}' channel"


class Gate:
    """The gate in front of these ``commands``, which have their names in lower case."""

    def __init__(self, commands: Mapping[bytes, Command]) -> None:
        self._commands = commands

    def refusal(self, user: User, words: list[bytes], db: int) -> Error | None:
        """Why a client that is this user, and has the database ``db``, may not ask for this; None if it may."""
        if not user.rights.allows(OWN) and not self._is_before_auth(words):
            return NO_AUTH
        denial = self.denial(user.rights, words, db)
        return None if denial is None else denial.refusal(user.name)

    def _is_before_auth(self, words: list[bytes]) -> bool:
        command = self._commands.get(words[0].lower())
        return command is not None and BEFORE_AUTH in command.flags

    def denial(self, rights: Rights, words: list[bytes], db: int) -> Denial | None:
        """What of a request these rights do not allow."""
        command = self.command_of(words)
        if command is None or BEFORE_AUTH in command.flags:
            return None
        if not rights.allows(command.category_of(words)):
            return Denial(Forbidden.COMMAND, command.name.encode())
        if command.nested is None:
            return (
                _unnamed(rights, command, db) or _named(rights, command, words, db) or _channel(rights, command, words)
            )
        within = command.nested(words)
        if not within or within[0].lower() == command.name.encode():  # No command takes itself: it is refused.
            return None
        return self.denial(rights, within, db)

    def command_of(self, words: list[bytes]) -> Command | None:
        """The command of a request, or its subcommand; None if there is none that takes so many words."""
        command = self._commands.get(words[0].lower())
        if command is None or not command.takes(len(words)):
            return None
        if not command.subcommands or len(words) == 1:
            return command
        subcommand = command.subcommand(words[1])
        return subcommand if subcommand is not None and subcommand.takes(len(words)) else None


def _unnamed(rights: Rights, command: Command, db: int) -> Denial | None:
    """A command about keys that it does not name needs all of them."""
    match command.keys:
        case Scope.DATABASE:
            allowed = rights.allows_all_keys(db)
        case Scope.EVERYTHING:
            allowed = all(map(rights.allows_all_keys, range(DATABASES)))
        case _:
            return None
    return None if allowed else Denial(Forbidden.WHOLE, command.name.encode())


def _named(rights: Rights, command: Command, words: list[bytes], db: int) -> Denial | None:
    """Each key that a command names, and each that its patterns mean."""
    for place in command.key_positions(words):
        in_db = db if command.database_of is None else command.database_of(words, place, db)
        if not rights.allows_key(in_db, words[place]):
            return Denial(Forbidden.KEY, words[place])
    for pattern in () if command.patterns is None else command.patterns(words):
        if not rights.allows_keys_matching(db, pattern):
            return Denial(Forbidden.KEY, pattern)
    return None


def _channel(rights: Rights, command: Command, words: list[bytes]) -> Denial | None:
    """Each channel, and each pattern of channels."""
    channels = command.channels
    allows = rights.allows_channel_pattern if channels.are_patterns else rights.allows_channel
    for place in channels.places.positions(words):
        if not allows(words[place]):
            return Denial(Forbidden.CHANNEL, words[place])
    return None
