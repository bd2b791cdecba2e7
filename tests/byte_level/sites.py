"""A network of processes in memory, the same for a seed: time, connections and the faults on them.

A ``Net`` is the clock and all connections. A ``Site`` is what one process has of it: the reactor that a mesh is
given.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import CannotListenError, ConnectionLost, ConnectionRefusedError, TimeoutError, UserError
from twisted.internet.interfaces import IReactorTCP, IReactorTime
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.byte_level.streams import End, Way

SYN_RETRY_SECONDS = 0.2
"""How often a dial that gets no answer is tried again, below what the dialler sees."""

OVERHEARD_MAX = 50
"""How many connections somebody on the network remembers."""


class Net:
    """Every connection between sites, the faults on them, and time.

    ``held`` are pairs of hosts: nothing passes from the first to the second, and what was sent waits. Hosts in
    ``refusing`` refuse to be dialled, dials of those in ``hanging`` get no answer.
    """

    def __init__(self, seed: int) -> None:
        self.clock = Clock()
        self.random = Random(seed)
        self.chunk_bytes_max = self.random.choice((1, 3, 50, 1460, 20_000, 65536))
        self.window_bytes = self.random.choice((500, 5_000, 65536, 200_000))
        self.delay_seconds_max = self.random.choice((0.0, 0.001, 0.01, 0.05))
        self.ports: dict[tuple[str, int], Port] = {}
        self.held: set[tuple[str, str]] = set()
        self.refusing: set[str] = set()
        self.hanging: set[str] = set()
        self.dials = 0
        self.overheard: list[tuple[End, End]] = []
        """(dialler, acceptor) of the latest connections, those that have ended, too."""
        self._connections: list[tuple[End, End]] = []

    def delay(self) -> float:
        """How long something takes to arrive, in seconds."""
        return self.random.uniform(0.0, self.delay_seconds_max)

    def connections(self, one: str = "", other: str = "") -> list[tuple[End, End]]:
        """(dialler, acceptor) of those whose ends are both open, dialled by ``one`` at ``other`` if they are given."""
        self._connections = [pair for pair in self._connections if pair[0].open or pair[1].open]
        return [
            (dialler, acceptor)
            for dialler, acceptor in self._connections
            if dialler.open and acceptor.open and one in ("", dialler.host) and other in ("", acceptor.host)
        ]

    def join(self, dialler: End, acceptor: End) -> None:
        """They are the two ends of a connection."""
        for end, other in ((dialler, acceptor), (acceptor, dialler)):
            end.other = other
            end.way = Way(self, end, other)
        self._connections.append((dialler, acceptor))
        self.overheard = [*self.overheard[1 - OVERHEARD_MAX :], (dialler, acceptor)]

    def release(self, one: str, other: str) -> None:
        """What was held back from ``one`` to ``other`` arrives in a burst."""
        self.held.discard((one, other))
        for pair in self._connections:
            for end in pair:
                if (end.host, end.other.host) == (one, other):
                    end.way.release()

    def reset(self, connection: tuple[End, End]) -> None:
        """Both ends lose the connection, each at a moment of its own, and with it what was on its way."""
        for end in connection:
            end.way.reset()

    def half_open(self, gone: End) -> None:
        """``gone`` loses the connection, of which the other end does not hear: it waits, and what it sends is lost."""
        gone.way.lose()
        gone.other.way.lose()
        gone.lose(ConnectionLost())

    # --- time ---

    def step(self, until: float) -> bool:
        """Go to the next call that is due by ``until``, and make it; False if there is none."""
        due = min((call.getTime() for call in self.clock.getDelayedCalls()), default=until + 1.0)
        if due > until:
            return False
        self.clock.rightNow = max(self.clock.rightNow, due)
        self.clock.advance(0)
        return True

    def run(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        until = self.clock.seconds() + seconds
        while self.step(until):
            pass
        self.clock.rightNow = until

    def until(self, condition: Callable[[], bool], seconds: float, what: str) -> float:
        """Run until ``condition()``; how long it took. AssertionError, which says ``what``, after ``seconds``."""
        began = self.clock.seconds()
        while not condition():
            if not self.step(began + seconds):
                raise AssertionError(f"not within {seconds} simulated seconds: {what}")
        return self.clock.seconds() - began


@implementer(IReactorTime, IReactorTCP)
class Site:  # type: ignore[misc]  # only those methods that endpoints and services use
    """A process on ``host``: its timers, ports and ends of connections. A new life is a new site."""

    def __init__(self, net: Net, host: str) -> None:
        self.net = net
        self.host = host
        self.alive = True
        self.ends: list[End] = []

    def seconds(self) -> float:
        return self.net.clock.seconds()

    def callLater(self, delay: float, callable: Callable[..., Any], *args: object, **kwargs: object) -> Any:
        def live() -> None:
            if self.alive:
                callable(*args, **kwargs)

        return self.net.clock.callLater(delay, live)

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        where = (self.host, port)
        if where in self.net.ports:
            raise CannotListenError(interface, port, OSError("in use"))
        self.net.ports[where] = Port(self, port, factory)
        return self.net.ports[where]

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: Any,
        timeout: float = 30,
        bindAddress: Any = None,  # noqa: N803 - Twisted's name
    ) -> Any:
        dial = Dial(self, IPv4Address("TCP", host, port), factory, timeout)
        factory.startedConnecting(dial)
        return dial

    def end(self, there: IPv4Address) -> End:
        """A new end of a connection on this site."""
        self.ends = [end for end in self.ends if end.open]
        self.ends.append(End(self, there))
        return self.ends[-1]

    def die(self, power: bool) -> None:
        """The process ends as it is. Its kernel resets its connections; if ``power`` is lost, nobody is told."""
        self.alive = False
        for where in [where for where, port in self.net.ports.items() if port.site is self]:
            del self.net.ports[where]
        for end in self.ends:
            if end.open:
                end.open = False
                if power:
                    end.way.lose()
                    end.other.way.lose()
                else:
                    end.way.reset()


class Port:
    """What listens."""

    def __init__(self, site: Site, number: int, factory: Any) -> None:
        self.site = site
        self.number = number
        self._factory = factory

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", self.site.host, self.number)

    def stopListening(self) -> None:
        self.site.net.ports.pop((self.site.host, self.number), None)

    def accept(self, end: End) -> None:
        """The process takes over a connection that its kernel has made."""
        if not end.open:
            return
        protocol = self._factory.buildProtocol(end.getPeer())
        if protocol is None:
            end.open = False
            end.way.reset()
        else:
            end.begin(protocol)


class Dial:
    """An attempt to connect; Twisted calls it a connector."""

    def __init__(self, site: Site, there: IPv4Address, factory: Any, timeout_seconds: float) -> None:
        self._site = site
        self._there = there
        self._factory = factory
        self._timeout = site.callLater(timeout_seconds, self._fail, TimeoutError())
        self._attempt = site.callLater(site.net.delay(), self._try)
        site.net.dials += 1

    def getDestination(self) -> IPv4Address:
        return self._there

    def stopConnecting(self) -> None:
        self._fail(UserError())

    def _fail(self, reason: Exception) -> None:
        self._stop_timers()
        self._factory.clientConnectionFailed(self, Failure(reason))

    def _stop_timers(self) -> None:
        for call in (self._timeout, self._attempt):
            if call.active():
                call.cancel()

    def _try(self) -> None:
        net, here, there = self._site.net, self._site.host, self._there.host
        if there in net.hanging or {(here, there), (there, here)} & net.held:
            self._attempt = self._site.callLater(SYN_RETRY_SECONDS, self._try)
            return
        port = net.ports.get((there, self._there.port))
        if port is None or there in net.refusing:
            self._fail(ConnectionRefusedError())
            return
        self._stop_timers()
        end = self._site.end(self._there)
        accepted = port.site.end(IPv4Address("TCP", here, net.random.randrange(32768, 61000)))
        net.join(end, accepted)
        port.site.callLater(net.delay(), port.accept, accepted)
        end.begin(self._factory.buildProtocol(self._there))
