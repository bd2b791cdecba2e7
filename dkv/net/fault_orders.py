"""Faults on order: what this node writes to a peer is dropped or delayed, for a limited time.

All that is written is treated alike, also Hellos and signs of life. So two nodes that drop all that they write to each
other are as good as disconnected. They still make connections, and give them up when they hear nothing on them.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from dkv.net.event_log import EventLog

FAULT_SECONDS = 60.0
"""How long an order holds, unless it says how long."""
FAULT_SECONDS_MAX = 3_600.0
DELAY_SECONDS_MAX = 10.0
DELAYED_BYTES_MAX = 64 << 20
"""How much may be held back in all. What is beyond is dropped."""


class Writer(Protocol):
    """A connection, as far as faults are concerned."""

    transport: Any
    node: int | None

    @property
    def is_closing(self) -> bool:
        """Whether nothing more is to be written."""


@dataclass(slots=True)
class _Rule:
    """What happens to what is written to one peer. Each of the two ends at its time, in monotonic seconds."""

    drop: float = 0.0
    drop_until: float = 0.0
    delay: float = 0.0
    delay_until: float = 0.0


class FaultOrders:
    """The orders of one node about its ``peers``; falsy while there are none."""

    def __init__(self, reactor: Any, peers: Iterable[int], log: EventLog, random: Random) -> None:
        self.peers = frozenset(peers)
        self.dropped: Counter[int] = Counter()
        """How many frames were dropped, by peer."""
        self.delayed: Counter[int] = Counter()
        """How many frames were delayed, by peer."""
        self._reactor = reactor
        self._log = log
        self._random = random
        self._rules: dict[int, _Rule] = {}
        self._held: dict[Writer, deque[tuple[float, bytes]]] = {}
        self._held_bytes = 0
        self._expiry: Any = None

    def __bool__(self) -> bool:
        return bool(self._rules or self._held)

    # --- orders ---

    def drop(self, node: int, rate: float, seconds: float) -> None:
        """Drop what is written to ``node`` with probability ``rate``."""
        rule = self._rules.setdefault(node, _Rule())
        rule.drop, rule.drop_until = rate, self._reactor.seconds() + seconds
        self._log.warning("fault_set", peer=node, drop=rate, seconds=seconds)
        self._expire()

    def delay(self, node: int, delay_seconds: float, seconds: float) -> None:
        """Delay what is written to ``node`` by ``delay_seconds``. It keeps its order."""
        rule = self._rules.setdefault(node, _Rule())
        rule.delay, rule.delay_until = delay_seconds, self._reactor.seconds() + seconds
        self._log.warning("fault_set", peer=node, delay_ms=round(delay_seconds * 1000, 3), seconds=seconds)
        self._expire()

    def clear(self, node: int | None) -> None:
        """Forget the orders about ``node``, or all of them. What is held back is still written at its time."""
        for peer in [peer for peer in self._rules if node in (None, peer)]:
            del self._rules[peer]
            self._log.info("fault_cleared", peer=peer)
        self._expire()

    def peers_are(self, peers: Iterable[int]) -> None:
        """These are the peers from now on: forget the orders about others."""
        self.peers = frozenset(peers)
        for node in self._rules.keys() - self.peers:
            self.clear(node)

    def stop(self) -> None:
        """The node stops: forget all orders."""
        self._rules.clear()
        self._expire()

    def status(self) -> list[dict[str, Any]]:
        """The orders that hold, for people."""
        now = self._reactor.seconds()
        return [
            {
                "node": node,
                "drop": rule.drop,
                "delay_ms": round(rule.delay * 1000, 3),
                "seconds_left": round(max(rule.drop_until, rule.delay_until) - now, 1),
            }
            for node, rule in sorted(self._rules.items())
        ]

    def _expire(self) -> None:
        """End what has had its time, and look again when the next order has had its own."""
        now = self._reactor.seconds()
        if self._expiry is not None and self._expiry.active():
            self._expiry.cancel()
        self._expiry = None
        for node, rule in list(self._rules.items()):
            if rule.drop_until <= now:
                rule.drop = 0.0
            if rule.delay_until <= now:
                rule.delay = 0.0
            if not (rule.drop or rule.delay):
                del self._rules[node]
                self._log.info("fault_ended", peer=node)
        ends = [end for rule in self._rules.values() for end in (rule.drop_until, rule.delay_until) if end > now]
        if ends:
            self._expiry = self._reactor.callLater(min(ends) - now, self._expire)

    # --- what is written ---

    def write(self, link: Writer, data: bytes) -> None:
        """Write a frame to a link's transport, or drop it, or hold it back."""
        rule = self._rules.get(link.node) if link.node is not None else None
        if rule is not None and link.node is not None and rule.drop and self._random.random() < rule.drop:
            self.dropped[link.node] += 1
            return
        held = self._held.get(link)
        if held is None and (rule is None or not rule.delay):
            link.transport.write(data)
            return
        self._hold(link, held, data, rule.delay if rule is not None else 0.0)

    def _hold(self, link: Writer, held: deque[tuple[float, bytes]] | None, data: bytes, delay: float) -> None:
        assert link.node is not None
        if self._held_bytes + len(data) > DELAYED_BYTES_MAX:
            self.dropped[link.node] += 1
            return
        self.delayed[link.node] += 1
        self._held_bytes += len(data)
        due = self._reactor.seconds() + delay
        if held is None:
            held = self._held[link] = deque()
            self._reactor.callLater(delay, self._let_go, link)
        held.append((max(due, held[-1][0]) if held else due, data))

    def _let_go(self, link: Writer) -> None:
        """Write what is due, in order."""
        held, now = self._held[link], self._reactor.seconds()
        while held and (held[0][0] <= now or link.is_closing):
            _, data = held.popleft()
            self._held_bytes -= len(data)
            if not link.is_closing:
                link.transport.write(data)
        if held:
            self._reactor.callLater(held[0][0] - now, self._let_go, link)
        else:
            del self._held[link]
