"""The simulated network between nodes: a session for each pair, as TCP connections both ways would make it.

Within a session what one side sends arrives in order, unless it is lost or repeated by a fault; a session that ends
may lose its tail, and what it still carries may arrive among what the next one brings. A cut direction holds bytes
back, as TCP does, and delivers them in a burst if the session lives until it is open again; a side that hears nothing
for ``silence_seconds`` ends the session. Every message is encoded and decoded by the production codec.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from dkv.actor import Address
from dkv.settings import Timings
from dkv.sim.schedule import Schedule
from dkv.sim.trace import Happening, Trace
from dkv.wire.codec import decode, encode

BEATS_OF_SILENCE = 4
"""Signs of life within ``silence_seconds``, as the mesh sends them."""


class Member(Protocol):
    """What the network needs of a node."""

    number: int
    boot: int
    incarnation: int
    up: bool
    mode: str

    @property
    def life(self) -> tuple[int, int]:
        """The incarnation and the boot: no other life, of whatever disk, has both."""

    def run(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Handle now, or when the node goes on after a pause."""

    def knows(self, node: int, incarnation: int) -> bool:
        """Whether this node takes ``incarnation`` for its peer ``node``."""

    def peer_up(self, node: int, incarnation: int, boot: int) -> None:
        """A session with ``node`` is open."""

    def peer_down(self, node: int) -> None:
        """It has ended."""

    def peer_heard(self, node: int) -> None:
        """Bytes came in."""

    def deliver(self, to_role: str, sender: Address, message: Any) -> None:
        """A message came in."""

    def sending(self, to: Address, message: Any) -> bool:
        """It is about to send: whether it still lives after being told."""


@dataclass(slots=True)
class Weather:
    """What the network does to messages; times in seconds."""

    delay: float = 0.0005
    spike_chance: float = 0.0
    spike: float = 0.0
    loss: float = 0.0
    repeat: float = 0.0


@dataclass(slots=True, eq=False)
class _End:
    """One node's end of a session: whether it holds it for open, and what it has heard."""

    open: bool = True
    heard_at: float = 0.0
    last_arrival: float = 0.0
    held: list[tuple[int, bytes]] = field(default_factory=list)
    """What was sent *to* this end and waits for its direction to be open."""


@dataclass(slots=True, eq=False)
class _Session:
    ends: dict[int, _End]
    lives: dict[int, tuple[int, int]]
    lingers: bool
    """Whether what is on its way when an end closes still arrives there."""


class Network:
    """The network of ``members``; ``weather`` and the cuts may change at any time."""

    def __init__(self, schedule: Schedule, random: Random, timings: Timings, trace: Trace, weather: Weather) -> None:
        self.weather = weather
        self._schedule = schedule
        self._random = random
        self._timings = timings
        self._trace = trace
        self._members: dict[int, Member] = {}
        self._sessions: dict[tuple[int, int], _Session] = {}
        self._cut: set[tuple[int, int]] = set()
        self._held: defaultdict[tuple[int, int], list[_Session]] = defaultdict(list)
        """The sessions that hold something back for a direction that is cut."""
        self._lossy: dict[tuple[int, int], float] = {}
        self._count = 0
        self.arrived_at: dict[tuple[int, int], float] = {}
        """When a message last arrived, by (from, to)."""

    def add(self, member: Member) -> None:
        """Connect one node with those added before."""
        for other in self._members:
            pair = (other, member.number)
            self._schedule.after(0.0, self._dial, pair)
            self._schedule.after(self._beat_seconds(), self._beat, pair)
        self._members[member.number] = member

    # --- faults ---

    def cut(self, one: int, other: int) -> None:
        """Let nothing pass from ``one`` to ``other``."""
        if (one, other) not in self._cut:
            self._cut.add((one, other))
            self._note(one, "cut", f"to node {other}")

    def mend(self, one: int, other: int) -> None:
        """Let everything pass again, what was held back first."""
        if (one, other) not in self._cut:
            return
        self._cut.discard((one, other))
        self._note(one, "mend", f"to node {other}")
        for session in self._held.pop((one, other), ()):
            held, session.ends[other].held = session.ends[other].held, []
            for number, body in held:
                self._carry(session, one, other, number, body)

    def lose(self, one: int, other: int, chance: float) -> None:
        """Lose messages from ``one`` to ``other`` with this chance, until it is 0."""
        self._lossy[one, other] = chance
        self._note(one, "lossy", f"to node {other}, {chance:.0%}")

    def mend_all(self) -> None:
        """Every direction is open."""
        for one, other in sorted(self._cut):
            self.mend(one, other)

    def calm(self) -> None:
        """Nothing is lost, repeated or late any more."""
        self.weather.loss = self.weather.repeat = self.weather.spike_chance = 0.0
        self._lossy.clear()

    def gone(self, number: int) -> None:
        """The process of ``number`` has ended: its peers find their connections closed, sooner or later."""
        for pair, session in list(self._sessions.items()):
            if number in pair:
                self._end(session, pair, number)

    # --- messages ---

    def send(self, sender: Member, to: Address, message: Any) -> None:
        """Send if a session is open at the sender's end."""
        if not sender.sending(to, message):
            return
        self._count += 1
        number = self._count
        session = self._sessions.get(_pair(sender.number, to.node))
        lost = self._random.random() < max(self.weather.loss, self._lossy.get((sender.number, to.node), 0.0))
        if session is None or not session.ends[sender.number].open or lost:
            self._trace.add(Happening(self._schedule.now, sender.number, "drop", message, number, to.node))
            return
        self._trace.add(Happening(self._schedule.now, sender.number, "send", message, number, to.node))
        body = encode(message)
        self._carry(session, sender.number, to.node, number, body)
        if self._random.random() < self.weather.repeat:
            self._carry(session, sender.number, to.node, number, body)

    def _carry(self, session: _Session, sender: int, to: int, number: int, body: bytes) -> None:
        end = session.ends[to]
        if (sender, to) in self._cut:
            end.held.append((number, body))
            if session not in self._held[sender, to]:
                self._held[sender, to].append(session)
            return
        end.last_arrival = max(end.last_arrival, self._schedule.now + self._delay())
        self._schedule.after(end.last_arrival - self._schedule.now, self._reach, session, sender, to, number, body)

    def _delay(self) -> float:
        weather = self.weather
        spike = weather.spike if self._random.random() < weather.spike_chance else 0.0
        return self._random.uniform(0.2, 1.8) * weather.delay + self._random.random() * spike

    def _reach(self, session: _Session, sender: int, to: int, number: int, body: bytes) -> None:
        """The bytes are at the machine; its process reads them when it runs."""
        receiver = self._members[to]
        if receiver.life == session.lives[to]:
            receiver.run(self._arrive, session, sender, to, number, body)

    def _arrive(self, session: _Session, sender: int, to: int, number: int, body: bytes) -> None:
        end = session.ends[to]
        if not (end.open or session.lingers) or self._members[to].life != session.lives[to]:
            return
        role, to_role, message = decode(body)
        self._trace.add(Happening(self._schedule.now, to, "arrive", message, number, sender))
        self._hear(session, sender, to)
        self.arrived_at[sender, to] = self._schedule.now
        self._members[to].deliver(to_role, Address(sender, role), message)

    # --- sessions ---

    def _dial(self, pair: tuple[int, int]) -> None:
        """Open a session if both nodes could; try again later."""
        one, other = (self._members[number] for number in pair)
        self._schedule.after(self._random.uniform(0.02, self._timings.reconnect_seconds_max), self._dial, pair)
        session = self._sessions.get(pair)
        if session is not None and all(end.open for end in session.ends.values()):
            return
        reachable = pair not in self._cut and pair[::-1] not in self._cut and self._random.random() >= self.weather.loss
        known = one.knows(other.number, other.incarnation) and other.knows(one.number, one.incarnation)
        if one.up and other.up and reachable and known and one.mode == other.mode:
            if session is not None:
                for node, peer in ((one, other), (other, one)):  # whoever had not noticed that it is over does so now
                    node.run(self._closed, session, node.number, peer.number)
            ends = {number: _End(heard_at=self._schedule.now) for number in pair}
            session = _Session(ends, {one.number: one.life, other.number: other.life}, self._random.random() < 0.5)
            self._sessions[pair] = session
            for node, peer in ((one, other), (other, one)):
                arguments = (session, node.number, peer.number, peer.incarnation, peer.boot)
                self._schedule.after(self._delay(), node.run, self._opened, *arguments)

    def _opened(self, session: _Session, node: int, peer: int, incarnation: int, boot: int) -> None:
        if session.ends[node].open and self._members[node].life == session.lives[node]:
            self._note(node, "open", f"session with node {peer}")
            session.ends[node].heard_at = self._schedule.now
            self._members[node].peer_up(peer, incarnation, boot)

    def _end(self, session: _Session, pair: tuple[int, int], number: int) -> None:
        """``number`` ends its side; the other finds out if it is told, and may lose what was on its way."""
        if not session.ends[number].open:
            return
        session.ends[number].open = False
        other = pair[0] if pair[1] == number else pair[1]
        end = session.ends[other]
        if not session.lingers:
            end.held.clear()
        if not end.open or (number, other) in self._cut:
            return
        tail = end.last_arrival - self._schedule.now
        wait = max(tail, 0.0) + self._delay() if self._random.random() < 0.5 else self._delay()
        self._schedule.after(wait, self._members[other].run, self._closed, session, other, number)

    def _closed(self, session: _Session, number: int, peer: int) -> None:
        if session.ends[number].open and self._members[number].life == session.lives[number]:
            session.ends[number].open = False
            self._note(number, "closed", f"session with node {peer}")
            self._members[number].peer_down(peer)

    # --- signs of life ---

    def _beat_seconds(self) -> float:
        return self._timings.silence_seconds / BEATS_OF_SILENCE

    def _beat(self, pair: tuple[int, int]) -> None:
        self._schedule.after(self._beat_seconds(), self._beat, pair)
        session = self._sessions.get(pair)
        if session is None:
            return
        for sender, to in (pair, pair[::-1]):
            if session.ends[sender].open and (sender, to) not in self._cut:
                self._members[sender].run(self._sign, session, sender, to)
            self._members[to].run(self._listen, session, sender, to)

    def _sign(self, session: _Session, sender: int, to: int) -> None:
        if self._members[sender].life == session.lives[sender] and (sender, to) not in self._cut:
            self._schedule.after(self._delay(), self._members[to].run, self._hear, session, sender, to)

    def _hear(self, session: _Session, sender: int, to: int) -> None:
        end = session.ends[to]
        if end.open and self._members[to].life == session.lives[to]:
            end.heard_at = self._schedule.now
            self._members[to].peer_heard(sender)

    def _listen(self, session: _Session, sender: int, to: int) -> None:
        """End a session that has been silent for too long."""
        end = session.ends[to]
        if not end.open or self._members[to].life != session.lives[to]:
            return
        if self._schedule.now - end.heard_at > self._timings.silence_seconds:
            self._note(to, "silent", f"session with node {sender}")
            self._end(session, _pair(sender, to), to)
            self._members[to].peer_down(sender)

    def _note(self, node: int, kind: str, about: str) -> None:
        self._trace.add(Happening(self._schedule.now, node, kind, about))


def _pair(one: int, other: int) -> tuple[int, int]:
    return (one, other) if one < other else (other, one)
