"""What a command is: its name, its arity, how to find its keys, what it does, and how its words become an entry.

Each command is declared once. Those that travel through the log stand in ``dkv.kv.words``, beside the functions that
build their entries; those that a connection or its node answers stand in ``dkv.console``. Parsing, ``COMMAND``, HELP,
the pages and the tests read these declarations, so no command can be known in one place and unknown in another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Generic, Literal, TypeVar, get_args

from dkv.records import Entry
from dkv.replies import Error, LogRequest, Meaning
from dkv.settings import Limits

Flag = Literal[
    "write", "readonly", "denyoom", "admin", "noscript", "loading", "stale", "fast", "no_multi", "no_auth", "pubsub"
]
"""``write`` and ``readonly`` say what a command does to keys, ``admin`` that it is for operators.

``denyoom``: it may grow the data, so it is refused while disks are short of space (``dkv.kv.growth``). ``noscript``:
for no script. ``loading`` and ``stale``: it is answered by a node that is not ready, too. ``fast``: its cost does not
grow with the data. ``no_multi``: it is refused between MULTI and EXEC. ``no_auth``: a client may use it before it has
said who it is, too. ``pubsub``: it is about publish/subscribe. All are told to clients (``COMMAND INFO``) under these
names, which are those of Redis.
"""

Group = Literal["string", "generic", "connection", "server", "transactions", "pubsub", "scripting", "sentinel", "dkv"]
"""The heading that a command stands under in the documentation, as on Redis's pages; ``dkv``: Redis has none such."""

Category = Literal["connection", "read", "write", "pubsub", "admin", "fault"]
"""What a user must be allowed to do so as to use a command (``dkv.security.rights``).

``connection``: the client's own affairs, such as PING and MULTI, and what every client may know, such as the addresses
of the nodes. ``admin``: what tells of other clients, of the log and of the inside of a node, or changes the cluster.
``fault``: a fault is ordered.
"""


@dataclass(frozen=True, slots=True)
class ByWords:
    """The category is one of several: ``find`` gives that of a request."""

    categories: tuple[Category, ...]
    find: Callable[[list[bytes]], Category]


WORD_BYTES_MAX = 64
"""How many bytes of a refused option are quoted."""

SUBCOMMAND_BYTES_MAX = 128
"""How many bytes of a refused subcommand are quoted, as in Redis."""


@dataclass(frozen=True, slots=True)
class KeySpec:
    """Where the keys are: each ``step``-th word from word ``first`` to word ``last``. The name is word 0.

    A negative ``last`` counts from the end: -1 is the last word.
    """

    first: int
    last: int
    step: int = 1

    def positions(self, words: list[bytes]) -> Iterable[int]:
        """The places of the keys among the words of a request."""
        last = self.last if self.last >= 0 else len(words) + self.last
        return range(self.first, last + 1, self.step)


NO_KEYS = KeySpec(0, -1_000_000_000)
"""The command has no keys."""


class Scope(Enum):
    """Which keys a command is about, if it does not name them."""

    DATABASE = auto()
    """All keys of the database of the connection."""
    EVERYTHING = auto()
    """All keys of all databases."""
    LISTED = auto()
    """Those that its reply lists, so each client is told of those that it may use."""


Keys = KeySpec | Callable[[list[bytes]], Iterable[int]] | Scope
"""Where a command has its keys; a function finds the places of those that have no fixed ones."""


@dataclass(frozen=True, slots=True)
class Channels:
    """Where the channels are. ``are_patterns``: each word is a pattern, and stands for all channels that match it."""

    places: KeySpec
    are_patterns: bool = False


NO_CHANNELS = Channels(NO_KEYS)
"""The command has no channels."""


@dataclass(frozen=True, slots=True)
class Context:
    """What the words of a request are read with: the limits of the node, and the database of the connection.

    ``draw`` gives a random number of up to 64 bits, for RANDOMKEY: what is applied may hold chance, but not make it.
    """

    limits: Limits
    db: int = 0
    draw: Callable[[], int] = int  # which gives 0: for those who want no chance


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """The facts about a command. A ``name`` is in lower case, and that of a subcommand is ``container|name``.

    ``arity`` is the number of words, the name included: n means n words, -n means n or more. ``arguments`` shows them
    as on Redis's pages, ``since`` is the version of Redis that had the command first, or of dkv, if Redis has none
    such.

    What is allowed is judged by ``category``, ``keys`` and ``channels``, so none of them has a default: ``TypeError``
    if one is not said. The last fields are for the few commands whose keys say more, or less, than what they are about.
    """

    name: str
    arity: int
    keys: Keys
    channels: Channels
    category: Category | ByWords
    flags: tuple[Flag, ...]
    group: Group
    since: str
    arguments: str
    summary: str
    complexity: str = "O(1)"
    subcommands: tuple[Command, ...] = ()
    database_of: Callable[[list[bytes], int, int], int] | None = None
    """The database of the key at a place, if the connection has this one: not the same for all keys."""
    patterns: Callable[[list[bytes]], Iterable[bytes]] | None = None
    """Patterns that stand for all keys that match one of them."""
    nested: Callable[[list[bytes]], list[bytes]] | None = None
    """The request within the request; empty if there is none. All keys of the whole are its own."""

    def __post_init__(self) -> None:
        if not isinstance(self.keys, KeySpec | Scope) and not callable(self.keys):
            raise TypeError(f"the command {self.name} does not say where its keys are")
        if not isinstance(self.channels, Channels):
            raise TypeError(f"the command {self.name} does not say where its channels are")
        if not isinstance(self.category, ByWords) and self.category not in get_args(Category):
            raise TypeError(f"the command {self.name} does not say who may use it")

    def takes(self, words: int) -> bool:
        """Whether the command takes so many words, its name included."""
        return words == self.arity if self.arity > 0 else words >= -self.arity

    def key_positions(self, words: list[bytes]) -> Iterable[int]:
        """The places of the keys among the words of a request, whose number is one that the command takes."""
        if self.subcommands and len(words) > 1:
            subcommand = self.subcommand(words[1])
            return [] if subcommand is None or not subcommand.takes(len(words)) else subcommand.key_positions(words)
        if isinstance(self.keys, KeySpec):
            return self.keys.positions(words)
        return [] if isinstance(self.keys, Scope) else self.keys(words)

    def category_of(self, words: list[bytes]) -> Category:
        """The category of a request, whose number of words is one that the command takes."""
        return self.category.find(words) if isinstance(self.category, ByWords) else self.category

    @property
    def categories(self) -> tuple[Category, ...]:
        """The categories that its requests may have."""
        return self.category.categories if isinstance(self.category, ByWords) else (self.category,)

    def subcommand(self, word: bytes) -> Command | None:
        """The subcommand of this name, in either case."""
        name = b"%b|%b" % (self.name.encode(), word.lower())
        return next((each for each in self.subcommands if each.name.encode() == name), None)


class BadRequest(Exception):
    """The words make no entry; the text is the error that the client gets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCommand(Command):
    """A command that becomes an entry of the log, or a read of the state.

    ``build`` is given as many words as the arity allows. It raises ``BadRequest`` if they make no entry. ``codes`` are
    the numbers of the entries that it makes (``dkv.kv.codes``). No entry is about channels.
    """

    channels: Channels = NO_CHANNELS
    codes: tuple[int, ...]
    build: Callable[[list[bytes], Context], Entry | LogRequest]


Session = TypeVar("Session", contravariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionCommand(Command, Generic[Session]):
    """A command that the connection or its node answers, without the log.

    ``answer`` is given the session that the command came in. It may find out that this is a matter for the log after
    all, as a change of members is: then it is the entry.
    """

    answer: Callable[[Session, list[bytes]], Meaning]


AnyCommand = TypeVar("AnyCommand", bound=Command)


def table(*families: Iterable[AnyCommand]) -> dict[bytes, AnyCommand]:
    """The commands by name. ``ValueError`` if two have the same, or if one has a name that no request can match."""
    found: dict[bytes, AnyCommand] = {}
    for command in (each for family in families for each in family):
        name = command.name.encode()
        if name in found or name != name.lower():
            raise ValueError(f"the command {command.name} is declared twice, or not in lower case")
        found[name] = command
    return found


def wrong_number_of_arguments(name: str) -> Error:
    """Redis's refusal of a command with too few or too many arguments."""
    return Error(f"ERR wrong number of arguments for '{name}' command")


def refused_subcommand(command: Command, word: bytes) -> Error:
    """Redis's refusal of a subcommand: it has a wrong number of arguments, or dkv does not have it."""
    known = command.subcommand(word)
    if known is not None:
        return wrong_number_of_arguments(known.name)
    quoted = word[:SUBCOMMAND_BYTES_MAX].decode("utf-8", "backslashreplace")
    return Error(f"ERR unknown subcommand '{quoted}'. Try {command.name.upper()} HELP.")


def shown(word: bytes) -> str:
    """A command or option, written as on Redis's pages, and cut: a client may have put anything there."""
    return word[:WORD_BYTES_MAX].upper().decode("utf-8", "backslashreplace")
