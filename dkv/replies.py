"""The results of commands, before a protocol encodes them; and what a session makes of a request.

Results never cross the network: each node answers its own clients from its own apply.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import final

from dkv.records import Entry


@dataclass(frozen=True, slots=True)
class Simple:
    """A status word, such as ``+OK``."""

    text: str


@final
@dataclass(frozen=True, slots=True)
class Error:
    """A refusal. Its first word (docs/protocol.md: ``ERR``, ``TRYAGAIN``, ``UNCERTAIN`` ...) says what to conclude."""

    text: str


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes outside the protocol, sent unchanged: the answer to a command of telnet itself."""

    data: bytes


OK = Simple("OK")


@final
@dataclass(frozen=True, slots=True)
class Aborted:
    """A transaction was not executed: a watched key has changed. Clients see a nil array."""


ABORTED = Aborted()


@final
@dataclass(frozen=True, slots=True)
class Watched:
    """What WATCH has seen, for the EXEC behind it. Clients see OK.

    ``slot`` is the last slot that was applied. ``revisions`` has (slot, index) of each key, in the order of the
    request; (0, 0) stands for a key that does not exist.
    """

    slot: int
    revisions: tuple[tuple[int, int], ...]


TOO_LONG = Error(
    "ERR KEYS would look through too many keys for a transaction: send it outside of MULTI, or use SCAN, step by step"
)
"""What a read answers at first that has to look through many keys: where it came alone, a survey follows."""


@final
@dataclass(frozen=True, slots=True)
class EncodedList:
    """A long list of bytes, encoded piece by piece while it was made: to encode it at once would take too long.

    ``pieces`` are those of all ``count`` items, as both versions of RESP have them.
    """

    count: int
    pieces: tuple[bytes, ...]


Single = bytes | int | Simple | Error | Aborted | Watched | None
"""A result that is no list; None is nil."""

Result = Single | list["Result"]
"""The result of an entry of the log. Lists are those of commands with many results, and of EXEC."""


@final
@dataclass(frozen=True, slots=True)
class Verbatim:
    """A text for people: a bulk string in RESP 2, a verbatim string in RESP 3."""

    data: bytes


@final
@dataclass(frozen=True, slots=True)
class SetOf:
    """Things without an order: an array in RESP 2, a set in RESP 3."""

    members: Sequence[Nested]


@final
@dataclass(frozen=True, slots=True)
class Push:
    """What a subscriber is told, also as the reply to SUBSCRIBE: an array in RESP 2, a push in RESP 3.

    A client that wants no replies gets it all the same.
    """

    items: Sequence[Nested]


@final
@dataclass(frozen=True, slots=True)
class Series:
    """More replies to one request, or fewer, than one: SUBSCRIBE is answered once for each channel."""

    replies: Sequence[Nested]


@final
@dataclass(frozen=True, slots=True)
class InPlace:
    """A reply that is made when its place has come: everything before it on its connection is answered by then.

    So what ``make`` does takes effect behind all that, and before what comes behind it.
    """

    make: Callable[[], Nested]


@final
class Notice:
    """A message for subscribers: what was published to ``channel``, and the ``pattern`` that it was found by, if any.

    Many subscribers get the same one. ``kind`` is that of the name that they subscribed to (``dkv.pubsub_messages``).
    """

    __slots__ = ("channel", "encoded", "kind", "pattern", "size", "text")

    def __init__(self, kind: int, pattern: bytes | None, channel: bytes, text: bytes) -> None:
        self.kind = kind
        self.pattern = pattern
        self.channel = channel
        self.text = text
        self.size = NOTICE_OVERHEAD_BYTES + len(pattern or b"") + len(channel) + len(text)
        """What it takes, roughly, in bytes."""
        self.encoded: dict[int, bytes] = {}
        """Its bytes by version of RESP, made when they are needed first."""


class Replying(Enum):
    """Whether a client is sent replies, as CLIENT REPLY has it."""

    ON = auto()
    SKIP = auto()
    """All but the next."""
    OFF = auto()


@final
@dataclass(frozen=True, slots=True)
class Local:
    """A reply that needs no log; it keeps its place among the replies of its connection.

    ``protocol`` switches the connection to RESP 2 or 3, from this reply on; ``close`` ends the connection after it.
    ``replying`` says whether those behind it are sent; it is not sent itself unless that is ``ON``.
    """

    reply: Nested
    protocol: int = 0
    close: bool = False
    replying: Replying | None = None


RESULT_OVERHEAD_BYTES = 16
NOTICE_OVERHEAD_BYTES = 64


def result_bytes(result: Result) -> int:
    """What a result takes, roughly, where it waits to be sent."""
    if type(result) is bytes:
        return RESULT_OVERHEAD_BYTES + len(result)
    if type(result) is list:
        return RESULT_OVERHEAD_BYTES + sum(map(result_bytes, result))
    return RESULT_OVERHEAD_BYTES


Nested = (
    Single
    | Raw
    | Verbatim
    | SetOf
    | EncodedList
    | Local
    | Push
    | Series
    | InPlace
    | Notice
    | Sequence["Nested"]
    | dict[bytes, "Nested"]
)
"""The result of a request that needs no log: a result, or lists and dicts of results. Every ``Result`` is one.

A ``Local`` is in it where an EXEC had a request that switches the protocol.
"""


@final
@dataclass(frozen=True, slots=True)
class LogRequest:
    """An entry that stands for more than the words of its own request.

    ``size`` is what it has of earlier requests, in bytes. With ``settle`` it holds its connection (``net.holding``):
    that is told what the entry was answered, and makes the reply of it. ``alone`` says that it is a read that may take
    long: its connection has nothing else under way meanwhile.
    """

    entry: Entry
    size: int = 0
    settle: Callable[[Nested], Local] | None = None
    alone: bool = False


@final
@dataclass(frozen=True, slots=True, eq=False)
class Awaited:
    """A reply that needs no log, and takes its time: it holds its connection meanwhile.

    ``begin`` is given what is called once it is time to make the reply, with the function that makes it. That one is
    not called if the client is gone by then.
    """

    begin: Callable[[Callable[[Callable[[], Local]], None]], None]


Meaning = Entry | Local | LogRequest | Awaited
"""What a request is to the session of its connection: an entry for the log, or a reply that needs no log."""
