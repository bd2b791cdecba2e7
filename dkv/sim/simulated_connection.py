"""One simulated TCP connection between two nodes, and a node's view of its connections with one peer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dkv.identity import Start
from dkv.net.link import TICKS_OF_LIFE
from dkv.wire.codec import Hello

Life = tuple[int, int]
"""The incarnation of a node and the random number of its start: no other life has both, whatever its disk."""

Bytes = tuple[Callable[..., None], tuple[Any, ...]]
"""Something on its way: the call that reads it, and the rest of that call's arguments."""


@dataclass(slots=True, eq=False)
class End:
    """One node's end of a connection: whether the node takes it for open, and all that is on its way to it."""

    life: Life
    open: bool = True
    hello: Hello | None = None
    """The Hello of the other end, once it has come and was accepted."""
    silent_ticks: int = 0
    last_arrival: float = 0.0
    held: list[Bytes] = field(default_factory=list)
    """Things sent *to* this end while nothing passes."""
    unread: list[Bytes] = field(default_factory=list)
    """Things that have come while the node reads nothing."""

    @property
    def heard_life(self) -> Start | None:
        """The life at the other end, if it was accepted and gave a sign of life lately."""
        lives = self.open and self.hello is not None and self.silent_ticks < TICKS_OF_LIFE
        return self.hello.start if self.hello is not None and lives else None


class SimulatedConnection:
    """A connection from ``dialler`` to ``acceptor``: messages go that way only, Hellos and signs of life both ways."""

    __slots__ = ("acceptor", "dialler", "ends", "lingers", "queued_bytes")

    def __init__(self, dialler: int, dialler_life: Life, acceptor: int, acceptor_life: Life, lingers: bool) -> None:
        self.dialler = dialler
        self.acceptor = acceptor
        self.ends = {dialler: End(dialler_life), acceptor: End(acceptor_life)}
        self.lingers = lingers
        """Whether things on their way still arrive after an end has closed."""
        self.queued_bytes = 0
        """The size of the messages that the acceptor has not read yet."""

    def beyond(self, number: int) -> int:
        """The node at the other end."""
        return self.acceptor if number == self.dialler else self.dialler

    @property
    def lives(self) -> tuple[Life, Life]:
        """The lives of its dialler and its acceptor."""
        return self.ends[self.dialler].life, self.ends[self.acceptor].life

    @property
    def usable(self) -> bool:
        """Whether its dialler may write messages."""
        end = self.ends[self.dialler]
        return end.open and end.hello is not None

    @property
    def over(self) -> bool:
        """Whether both ends are closed."""
        return not any(end.open for end in self.ends.values())


@dataclass(slots=True, eq=False)
class Side:
    """What one life of a node knows of one peer, as ``dkv.net.peer.Peer`` does."""

    dialled: SimulatedConnection | None = None
    accepted: SimulatedConnection | None = None
    """The latest life whose Hello was accepted."""
    up: bool = False
    rests: bool = False
    """Whether the peer said that this node was removed: it is not dialled, unless it dials."""
    heard_at: float = 0.0

    @property
    def reaches(self) -> bool:
        """Whether a message sent now leaves, if nothing else is in its way."""
        return self.dialled is not None and self.dialled.usable
