"""Actors and turns: the only way in which a part of a node acts on anything.

An actor is a plain object. It receives one message at a time, runs to completion, and touches no clock, socket, disk
or global randomness. It asks its ``Turn`` for everything that it wants done, and the host carries it out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from random import Random
from sys import maxsize
from typing import Any, Generic, Literal, NamedTuple, ParamSpec, Protocol

ACCEPTOR = "acceptor"
CATCHUP = "catchup"
CHECKER = "checker"
CLIENTS = "clients"
COMPARISON = "comparison"
DONOR = "donor"
ELECTOR = "elector"
GATEWAY = "gateway"
LEARNER = "learner"
PROPOSER = "proposer"
PUBSUB = "pubsub"
RECEIVER = "receiver"
ROSTER = "roster"
SURVEYOR = "surveyor"

ROLES = (
    ACCEPTOR,
    CATCHUP,
    CHECKER,
    CLIENTS,
    COMPARISON,
    DONOR,
    ELECTOR,
    GATEWAY,
    LEARNER,
    PROPOSER,
    PUBSUB,
    RECEIVER,
    ROSTER,
    SURVEYOR,
)

HOST = "host"
"""Notes things too, and is no actor."""

Level = Literal["info", "warning", "error"]
NoteFields = ParamSpec("NoteFields")
"""The names and types of a note's fields, for mypy."""


class Note(Generic[NoteFields]):
    """One kind of thing that actors note, such as an election; ``dkv.noted`` is the table of all.

    It is noted ``by`` actors of these roles; ``meaning`` is a sentence. ``level`` is that of its line in the log. A
    *measure* has none (None) and no line: it is noted for metrics alone.
    """

    __slots__ = ("by", "level", "meaning", "name")

    def __init__(self, name: str, level: Level | None, by: tuple[str, ...], meaning: str) -> None:
        self.name = name
        self.level = level
        self.by = by
        self.meaning = meaning

    def to(self, taker: Callable[NoteFields, None]) -> tuple[Note[...], Callable[..., None]]:
        """An item of ``Takers``: mypy compares the fields that ``taker`` is called with."""
        return self, taker


Takers = dict[Note[...], Callable[..., None]]
"""For each kind of note, the function that takes its fields."""


class TakesNotes(Protocol):
    """The function that receives all notes of a node: those of its actors, and the host's own."""

    def __call__(
        self, actor: str, event: Note[NoteFields], /, *_: NoteFields.args, **fields: NoteFields.kwargs
    ) -> None:
        """The actor of this role noted an event, with its fields."""


class Address(NamedTuple):
    """Where an actor lives: the node's id and the actor's role on it."""

    node: int
    role: str


class Fenced(Exception):
    """The node's directory must never take part again. An actor raises it in a turn, and the process ends for good.

    The text is the reason, in one line. The host delivers nothing that was sent in that turn or later. The reason is
    written into the directory, which is refused from then on (``dkv.storage.fence``).
    """


class StateView(Protocol):
    """The durable state of the node at one moment, however long it is read: a snapshot of its database."""

    @property
    def applied_through(self) -> int:
        """The slot after which the state was like this."""

    def get(self, key: bytes) -> bytes | None:
        """The value that the key had."""

    def read(self, after: bytes, bytes_max: int) -> list[tuple[bytes, bytes]]:
        """The pairs behind key ``after`` in key order, up to ``bytes_max`` bytes, one at least; none at the end."""

    def close(self) -> None:
        """Let the database forget what only this view still needs; a second call does nothing."""


class States(Protocol):
    """The generations of a node's state. One is in force; a snapshot of a peer is written into a new one beside it."""

    def view(self) -> StateView:
        """The durable state in force. Whoever asks closes it."""

    def capture(self, role: str) -> bool:
        """Let the actor of ``role`` hear ``Captured``, with a view of the state as it is now, once that is on disk.

        The view has what was staged by now and nothing that is staged later. False if it cannot be had: too much waits
        for the disk. Nothing comes of it either if another generation is put in force meanwhile.
        """

    def begin(self) -> int:
        """Make a new, empty generation. Its number is above that of every generation that the disk ever named."""

    def write(self, generation: int, pairs: Mapping[bytes, bytes]) -> None:
        """Write into a generation that is not in force; this actor hears ``StateWritten`` when that is on disk."""

    def install(self, generation: int) -> None:
        """Put a generation in force, durably with what this turn persists: ``load`` and ``scan`` read it from now on.

        Writes that were staged for the old state are dropped. The old state is erased when the switch is on disk.
        """

    def abandon(self, generation: int) -> None:
        """Erase a generation that is not in force."""


class Turn(Protocol):
    """Everything that an actor may ask for while it handles one message."""

    @property
    def now(self) -> float:
        """Monotonic seconds, the same throughout the turn and the turns that are run with it."""

    @property
    def wall_ms(self) -> int:
        """The time of day by this machine's clock, in milliseconds since 1970. It was read when ``now`` was.

        It may be wrong by hours, and jump both ways. Only those use it that agree on the cluster's time: what it says
        must reach the state through the log alone.
        """

    @property
    def woke_at(self) -> float:
        """When this node last went on after its process had stood still, in the seconds of ``now``; -inf if never.

        A message that comes soon after this moment may be old: it may have waited in a socket all the while.
        """

    @property
    def random(self) -> Random:
        """The node's seeded generator."""

    @property
    def states(self) -> States:
        """The generations of the node's state."""

    def send(self, to: Address, message: Any) -> None:
        """Deliver once all this actor has persisted is on disk. To this node reliably, in order; to a peer perhaps."""

    def send_early(self, to: Address, message: Any) -> None:
        """Deliver without waiting for the disk: only for messages that claim nothing about it (ADR 0001)."""

    def persist(self, key: bytes, value: bytes) -> None:
        """Write before any message that this actor sends in this turn or later is delivered to anyone."""

    def persist_erase(self, key: bytes) -> None:
        """Erase a key, under the same promise."""

    def stage(self, key: bytes, value: bytes) -> None:
        """Write with a later commit that the host chooses; no message waits for it."""

    def stage_all(self, pairs: Mapping[bytes, bytes]) -> None:
        """Write all these keys of the state, under the same terms."""

    def stage_erase(self, key: bytes) -> None:
        """Erase a key, under the same terms."""

    def begin_trial(self) -> None:
        """Begin a trial: writes of the state that follow can be taken back. It ends, or is undone, in this turn."""

    def end_trial(self) -> None:
        """End the trial: its writes stay staged."""

    def undo_trial(self) -> Iterable[bytes]:
        """Take back the writes of the trial: ``load`` gives what it gave before. Returns the keys of these writes."""

    def load(self, key: bytes) -> bytes | None:
        """The value that this actor last wrote for the key."""

    def find(self, keys: Iterable[bytes]) -> Iterator[tuple[bytes, bytes | None]]:
        """Each of these keys of the state, which differ, with what ``load`` gives for it, in any order.

        It is for many keys that no client has asked for. Only one value at a time is in memory. While the pairs are
        taken, none of these keys may be written.
        """

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """This actor's keys, as last written, that begin with ``prefix`` and are not below ``start``, in order."""

    def scan_page(self, prefix: bytes, after: bytes, count: int, bytes_max: int = maxsize) -> list[tuple[bytes, bytes]]:
        """The next ``count`` pairs of the state, as last written, behind key ``after``, whose keys have ``prefix``.

        Fewer come only at the end, or if they have ``bytes_max`` bytes already; ``after`` may be empty. For every turn,
        as its cost is that of the pairs. But erased keys that are on disk still are passed one by one: let ``after`` be
        behind those that are known.
        """

    def set_timer(self, name: str, seconds: float) -> None:
        """Send this actor ``TimerFired(name)`` after ``seconds``; replaces a timer of the same name."""

    def cancel_timer(self, name: str) -> None:
        """Cancel the timer; nothing happens if there is none."""

    def note(self, event: Note[NoteFields], /, *_: NoteFields.args, **fields: NoteFields.kwargs) -> None:
        """Something worth a log line or a metric happened: one of ``dkv.noted``, with its fields."""


class Actor(Protocol):
    """A role of a node. The host calls ``start`` once, before anything else, then ``receive`` for each message."""

    def start(self, turn: Turn) -> None:
        """Load the state from disk, set the first timers."""

    def receive(self, turn: Turn, sender: Address, message: Any) -> None:
        """React to one message."""
