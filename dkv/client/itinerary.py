"""Which node a client asks next, and when: the policy of its connections. It does no I/O and reads no clock."""

from __future__ import annotations

from collections.abc import Iterable

from dkv.client.blocking import Endpoint

CONNECT_SECONDS = 1.0
"""How long a node has to take a connection."""

LOGIN_SECONDS = 3.0
"""How long a node may take to check a password: it does so slowly where many wrong ones have come from."""

PATIENCE_SECONDS = 1.0
"""How long a node may say nothing while it owes an answer. Then another one is asked. Doubles each time, as the
request may be one that takes long."""

PATIENCE_SECONDS_MAX = 16.0

PAUSE_SECONDS = 0.05
"""How long to wait when all nodes were asked in vain. Doubles each time."""

PAUSE_SECONDS_MAX = 1.0

LEARN_SECONDS = 60.0
"""How often a client asks who the members are, at most, while it stays where it is."""

MOVED_SECONDS = 1.0
"""How often it does so while it has to go to other nodes."""


def login_seconds(endpoint: Endpoint) -> float:
    """How long a node may take to let a client in once it is connected."""
    return CONNECT_SECONDS if endpoint.access.password is None else LOGIN_SECONDS


class Itinerary:
    """The nodes of a cluster, those that were given first and those that they tell of; the next one to ask is first."""

    def __init__(self, given: Iterable[Endpoint]) -> None:
        self._given = tuple(dict.fromkeys(given))
        if not self._given:
            raise ValueError("a client needs the address of one node at least")
        self._endpoints = list(self._given)
        self._tried = 0
        self._learned_at: float | None = None
        self.patience = PATIENCE_SECONDS

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The nodes, the next one first."""
        return tuple(self._endpoints)

    def next(self) -> tuple[Endpoint, float]:
        """The node to connect to, and the seconds to wait before that."""
        rounds, place = divmod(self._tried, len(self._endpoints))
        self._tried += 1
        endpoint = self._endpoints.pop(0)
        self._endpoints.append(endpoint)
        waits = rounds > 0 and place == 0
        return endpoint, min(PAUSE_SECONDS * 2 ** min(rounds - 1, 10), PAUSE_SECONDS_MAX) if waits else 0.0

    def served(self) -> None:
        """A node has given an answer that counts."""
        self._tried = 0
        self.patience = PATIENCE_SECONDS

    def was_silent(self) -> None:
        """A node was given up because it said nothing."""
        self.patience = min(2 * self.patience, PATIENCE_SECONDS_MAX)

    def is_to_learn(self, now: float, *, moved: bool) -> bool:
        """Whether the node that is connected is to be asked who the members are; it is asked then."""
        pause = MOVED_SECONDS if moved else LEARN_SECONDS
        if self._learned_at is not None and now - self._learned_at < pause:
            return False
        self._learned_at = now
        return True

    def learn(self, told: Iterable[Endpoint]) -> None:
        """Know the nodes that were given and those that a node has told of, in place of what was told before."""
        wanted = dict.fromkeys((*self._given, *told))
        kept = [each for each in self._endpoints if each in wanted]
        self._endpoints = [*kept, *(each for each in wanted if each not in kept)]
