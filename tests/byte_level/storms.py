"""Everything that a network does to connections, in random order, and an end to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.byte_level.members import BLOB_BYTES_MAX, Meeting, host_of
from tests.byte_level.sites import Net

LARGE_WINDOW_BYTES = 65536
"""A network that is slower than this per round trip is spared large messages: they would take minutes."""


class Storm:
    """Faults on the connections of ``hosts``, one about every ``fault_seconds`` until ``heal``."""

    def __init__(self, net: Net, hosts: list[str], fault_seconds: float) -> None:
        self._net = net
        self._hosts = hosts
        self._fault_seconds = fault_seconds
        self._on = True
        self._heals: list[Callable[[], Any]] = []
        self.faults: list[Callable[[], None]] = [self._reset, self._half_open, self._stall, self._hold]
        self.faults += [self._refuse, self._hang]
        self._next()

    def heal(self) -> None:
        """Everything works from now on; connections that are half-open stay so."""
        self._on = False
        heals, self._heals = self._heals, []
        for heal in heals:
            heal()

    def later(self, heal: Callable[[], Any]) -> None:
        """Call ``heal`` after a while, or when the storm ends if that is before."""
        self._heals.append(heal)

        def now() -> None:
            if heal in self._heals:
                self._heals.remove(heal)
                heal()

        self._net.clock.callLater(self._net.random.choice((0.05, 0.5, 3.0)) * self._net.random.random(), now)

    def _next(self) -> None:
        self._net.clock.callLater(self._net.random.expovariate(1 / self._fault_seconds), self._strike)

    def _strike(self) -> None:
        if self._on:
            self._net.random.choice(self.faults)()
            self._next()

    def _reset(self) -> None:
        connections = self._net.connections()
        if connections:
            self._net.reset(self._net.random.choice(connections))

    def _half_open(self) -> None:
        connections = self._net.connections()
        if connections:
            self._net.half_open(self._net.random.choice(self._net.random.choice(connections)))

    def _stall(self) -> None:
        """One connection stops in both directions, and others may overtake it."""
        connections = self._net.connections()
        if connections:
            for end in self._net.random.choice(connections):
                end.way.stalled = True
                self.later(end.way.release)

    def _hold(self) -> None:
        """Of one pair of hosts, in one direction or both."""
        one, other = self._net.random.sample(self._hosts, 2)
        for pair in [(one, other), (other, one)][: self._net.random.randint(1, 2)]:
            self._net.held.add(pair)
            self.later(lambda pair=pair: self._net.release(*pair))  # type: ignore[misc]  # a default has no type

    def _refuse(self) -> None:
        host = self._net.random.choice(self._hosts)
        self._net.refusing.add(host)
        self.later(lambda: self._net.refusing.discard(host))

    def _hang(self) -> None:
        host = self._net.random.choice(self._hosts)
        self._net.hanging.add(host)
        self.later(lambda: self._net.hanging.discard(host))


class MeshStorm(Storm):
    """Faults of the nodes themselves too, and messages all the while."""

    def __init__(self, meeting: Meeting) -> None:
        self._meeting = meeting
        random = meeting.net.random
        super().__init__(meeting.net, [host_of(node) for node in meeting.numbers], random.choice((0.1, 0.3, 1.0)))
        self.faults += [self._restart, self._pause, self._damage]
        self._talk()

    def _restart(self) -> None:
        member = self._meeting.members[self._net.random.choice(self._meeting.numbers)]
        if member.alive:
            member.site.die(power=self._net.random.random() < 0.5)
            self.later(member.start)

    def _pause(self) -> None:
        member = self._meeting.members[self._net.random.choice(self._meeting.numbers)]
        if member.alive:
            member.mesh.pause_reading()
            mesh = member.mesh
            self.later(mesh.resume_reading)

    def _damage(self) -> None:
        """A byte of the body or its checksum; a damaged length is another matter."""
        connections = self._net.connections()
        if connections:
            end = self._net.random.choice(self._net.random.choice(connections))
            end.damage = (self._net.random.randint(4, 8), 1 << self._net.random.randrange(8))

    def _talk(self) -> None:
        random = self._net.random
        if not self._on:
            return
        one, other = random.choice(self._meeting.pairs())
        if one.alive:
            large = self._net.window_bytes >= LARGE_WINDOW_BYTES <= self._net.chunk_bytes_max * 50
            sizes = (0, 1, 200, 3000, 70_000, BLOB_BYTES_MAX) if large else (0, 1, 20, 200)
            for _ in range(random.randint(1, 5)):
                one.send(other.node, random.randint(0, random.choice(sizes)))
        self._net.clock.callLater(random.expovariate(20), self._talk)
