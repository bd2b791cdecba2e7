"""What a node tells clients that listen for the news of a Sentinel: that they had better go to another node.

A Redis Sentinel publishes such news to channels of its own, and libraries subscribe to them on each address that they
take for a sentinel: ioredis to ``+switch-master``, node-redis to ``+sdown`` and the like. Each node tells them to its
own subscribers alone.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred

from dkv.client_events import PublishHere
from dkv.console.sentinel_view import ClientAddress, Other, SentinelView
from dkv.host.seams import Call, Clock

LOOK_SECONDS = 0.25
"""How often the node looks whether something has changed. Nobody tells when it serves nothing: it is a matter of time.
"""

FAREWELL_SECONDS = 0.05
"""How long a message takes at most from here to the connections of subscribers, which are about to be closed."""

Publish = Callable[[PublishHere], None]
"""Takes the news for subscribers of this node."""


class SentinelNews:
    """Publishes what changes in ``view``."""

    def __init__(self, clock: Clock, view: SentinelView, publish: Publish) -> None:
        self._clock = clock
        self._view = view
        self._publish = publish
        self._down = True  # as a node is that has just started; that is no news
        self._gone: frozenset[int] = frozenset()
        self._next: Call | None = None

    def start(self) -> None:
        """Begin to look."""
        self._gone = frozenset(other.node for other in self._view.others())
        self._next = self._clock.callLater(LOOK_SECONDS, self._look_again)

    def leave(self) -> Deferred[None]:
        """The node is about to stop: let clients go to another one in good time. Fires when they were told."""
        self._look()  # perhaps it has served for less than the time between two looks
        self._view.leave()
        self._look()
        told: Deferred[None] = Deferred()
        self._clock.callLater(FAREWELL_SECONDS, told.callback, None)
        return told

    def stop(self) -> None:
        """Look no more."""
        if self._next is not None and self._next.active():
            self._next.cancel()

    def _look_again(self) -> None:
        self._look()
        self._next = self._clock.callLater(LOOK_SECONDS, self._look_again)

    def _look(self) -> None:
        """Tell what has changed since the last look. Nobody could follow a node without an address for clients."""
        view = self._view
        address, others, down = view.address, view.others(), view.down
        if address is None:
            return
        self._tell_of_others(address, others)
        if down != self._down:
            self._down = down
            self._tell("sdown", down, f"master {view.name} {_spaced(address)}")
            if down and others:
                heir = _next_of(others, view.node)
                self._say("+switch-master", f"{view.name} {_spaced(address)} {_spaced(heir.address)}")

    def _tell_of_others(self, address: ClientAddress, others: list[Other]) -> None:
        gone = frozenset(other.node for other in others if other.silent_seconds is None)
        behind = f"@ {self._view.name} {_spaced(address)}"
        for other in others:
            is_gone = other.node in gone
            if is_gone != (other.node in self._gone):
                self._tell("sdown", is_gone, f"slave {other.address} {_spaced(other.address)} {behind}")
                name = self._view.run_id(other.node)
                self._tell("sdown", is_gone, f"sentinel {name} {_spaced(other.address)} {behind}")
        self._gone = gone

    def _tell(self, event: str, is_so: bool, message: str) -> None:
        self._say(f"{'+' if is_so else '-'}{event}", message)

    def _say(self, channel: str, message: str) -> None:
        self._publish(PublishHere(channel.encode(), message.encode()))


def _spaced(address: ClientAddress) -> str:
    return f"{address.host} {address.port}"


def _next_of(others: list[Other], node: int) -> Other:
    """The voter whose turn it is behind ``node``: one that is reached, if any is."""
    reached = [other for other in others if other.silent_seconds is not None] or others
    return next((other for other in reached if other.node > node), reached[0])
