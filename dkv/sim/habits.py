"""How simulated clients behave: drawn by the seed, the same for all clients of a run."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(slots=True)
class Habits:
    """How clients behave; times in seconds."""

    clients: int = 4
    keys: int = 2
    think: float = 0.02
    patience: float = 7.0
    pipeline_max: int = 1
    """So many requests may be sent in one message."""
    waiting_max: int = 1
    """While fewer wait for their replies another message may be sent."""
    writes: float = 0.6
    own: float = 0.0
    """How likely a request is for a key that nobody else uses."""
    own_keys: int = 1
    echoes: float = 0.0
    """How likely a request is followed by an ECHO, which the node answers without the log."""
    retries: float = 0.0
    """How likely a client sends again, elsewhere, what was not answered and has no token."""
    tokens: float = 0.0
    """How likely a write has a token."""
    producers: int = 1
    """So many producers each client has, and uses in any order."""
    repeats: float = 0.0
    """How likely the answer to a write with a token makes a client send such a one once more."""
    reuses: float = 0.0
    """How likely a write has the token of another one, by mistake."""
    issued: bool = False
    """Whether producers are those that IDMP NEW issues."""


def draw_habits(random: Random) -> Habits:
    """The habits of a run."""
    return Habits(
        clients=random.choice((1, 3, 6, 10)),
        keys=random.choice((1, 2, 4)),
        think=random.choice((0.01, 0.05, 0.2)),
        patience=random.choice((1.0, 9.0)),
        pipeline_max=random.choice((1, 1, 3)),
        waiting_max=random.choice((1, 4, 12)),
        writes=random.choice((0.3, 0.6, 0.9)),
        own=random.choice((0.0, 0.3, 0.7)),
        own_keys=random.choice((1, 2)),
        echoes=random.choice((0.0, 0.1)),
        retries=random.choice((0.0, 0.5)),
        tokens=random.choice((0.0, 0.5, 1.0, 1.0)),
        producers=random.choice((1, 3)),
        repeats=random.choice((0.0, 0.2, 0.4)),
        reuses=random.choice((0.0, 0.1)),
        issued=random.random() < 0.5,
    )
