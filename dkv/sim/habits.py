"""The behaviour of simulated clients: drawn by the seed, and the same for all clients of a run."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(slots=True)
class Habits:
    """The behaviour of clients; times in seconds, the rest mostly probabilities."""

    clients: int = 4
    keys: int = 2
    think: float = 0.02
    patience: float = 7.0
    pipeline_max: int = 1
    """The most requests in one message."""
    waiting_max: int = 1
    """While fewer requests than this wait for replies, another message may be sent."""
    writes: float = 0.6
    own: float = 0.0
    """That a request is for a key that no other client uses."""
    own_keys: int = 1
    echoes: float = 0.0
    """That a request is followed by an ECHO, which the node answers without the log."""
    retries: float = 0.0
    """That a client sends an unanswered request without a token again, to another node."""
    tokens: float = 0.0
    """That a write has a token."""
    producers: int = 1
    """How many producers each client has. It uses them in any order."""
    repeats: float = 0.0
    """That a client which gets an answer to a write with a token repeats such a write."""
    reuses: float = 0.0
    """That a write has, by mistake, the token of another one."""
    issued: bool = False
    """Whether producers get their names from IDMP NEW."""


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
