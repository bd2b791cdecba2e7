"""Connections of the simulated network: they are dialled, begin with Hellos, live by signs of life, and end.

This does what ``dkv.net.mesh`` and ``dkv.net.peer`` do, and draws the conclusions that they draw.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from random import Random
from typing import Any, Protocol

from dkv.actor import Address
from dkv.identity import Start
from dkv.net.acquaintances import Objection
from dkv.net.link import TICKS_OF_SILENCE
from dkv.settings import Timings
from dkv.sim.schedule import NodeClock, Schedule
from dkv.sim.simulated_connection import Life, Side, SimulatedConnection
from dkv.sim.wires import Wires
from dkv.wire.codec import Hello

Carry = Callable[..., None]
"""``carry(connection, to, call, *arguments)`` lets the end of ``to`` read something that is sent now."""


class NetworkMember(Protocol):
    """A node, as the network needs it."""

    number: int

    @property
    def up(self) -> bool:
        """Whether its process runs."""

    @property
    def clock(self) -> NodeClock:
        """Those of its present life."""

    @property
    def life(self) -> Life:
        """The running process, told apart from all others of that node."""

    def run(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Handle now, or when the node goes on after a pause."""

    def hello(self) -> Hello:
        """The Hello that it says at the beginning of a connection."""

    def objection(self, hello: Hello, target: int | None, living: list[Start]) -> Objection | None:
        """Why it refuses the sender of ``hello``; ``target`` was dialled, ``living`` lives of the sender are heard."""

    def meet(self, hello: Hello) -> None:
        """It takes the sender for its peer."""

    def refused_for_good(self, reason: str) -> None:
        """A peer says that its directory must never take part again."""

    def told_removed(self, slot: int) -> None:
        """A peer says that it is no member any more."""

    def peer_up(self, node: int, incarnation: int, boot: int) -> None:
        """``node`` and this node have accepted each other."""

    def peer_down(self, node: int) -> None:
        """A connection with ``node``, which was up, is lost."""

    def peer_heard(self, node: int) -> None:
        """Bytes came in."""

    def deliver(self, to_role: str, sender: Address, message: Any) -> None:
        """A message came in."""

    def sending(self, to: Address, message: Any, size: int) -> bool:
        """It is about to send so many bytes; whether it still lives after it was told."""


class Dialling:
    """The connections between the members added, over ``wires``."""

    def __init__(
        self,
        schedule: Schedule,
        random: Random,
        timings: Timings,
        wires: Wires,
        carry: Carry,
        note: Callable[[int, str, str], None],
    ) -> None:
        self.members: dict[int, NetworkMember] = {}
        self.sides: dict[tuple[int, int], Side] = {}
        """A node's view of its connections with a peer, by their numbers."""
        self.connections: dict[SimulatedConnection, None] = {}  # in order, so that a run can be repeated
        self.deaf: set[int] = set()
        """The nodes that take in no messages."""
        self._peers: dict[int, set[int]] = {}
        """The nodes that each node talks with; a node that has said nothing about it talks with everybody."""
        self._schedule = schedule
        self._random = random
        self._timings = timings
        self._wires = wires
        self._carry = carry
        self._note = note

    def add(self, member: NetworkMember) -> None:
        """Connect one node with those added before."""
        for other in self.members:
            for pair in ((other, member.number), (member.number, other)):
                self.sides[pair] = Side()
                self._schedule.after(0.0, self._go_on_dialling, *pair)
        self.members[member.number] = member

    def began(self, member: NetworkMember) -> None:
        """A life of ``member`` has begun: it has no connections yet."""
        for pair in self.sides:
            if pair[0] == member.number:
                self.sides[pair] = Side()
        self._peers.pop(member.number, None)
        self.deaf.discard(member.number)
        self._tick_later(member)

    def peers_are(self, number: int, peers: Collection[int], leaving_seconds: float) -> None:
        """A node talks with ``peers`` from now on; with others no more, or only for so many seconds."""
        talks = self._peers.setdefault(number, set(peers))
        for peer in sorted(talks - set(peers)):
            self._schedule.after(leaving_seconds, self._let_go, number, peer, self.members[number].life)
        talks.update(peers)

    def _let_go(self, number: int, peer: int, life: Life) -> None:
        """A node's peer has left: the node closes their connections, if it is still in that life."""
        if self.members[number].life == life:
            self._peers[number].discard(peer)
            side = self.sides[number, peer]
            for connection in (side.dialled, side.accepted):
                if connection is not None:
                    self._abort(connection, number)

    def gone(self, number: int) -> None:
        """The process of ``number`` has ended: sooner or later its peers find their connections closed."""
        for connection in list(self.connections):
            if number in connection.ends:
                self._end(connection, number)

    def is_current(self, connection: SimulatedConnection, number: int) -> bool:
        """Whether the life that had this end of the connection still runs."""
        member = self.members[number]
        return member.up and member.life == connection.ends[number].life

    def reset(self, connection: SimulatedConnection, number: int) -> None:
        """The end of ``number`` was closed before: its machine tells that to a sender."""
        other = connection.beyond(number)
        if connection.ends[other].open and self._wires.passes(connection, other):
            self._schedule.after(self._wires.delay(), self.members[other].run, self._closed, connection, other)

    # --- dialling, and Hellos ---

    def _go_on_dialling(self, dialler: int, acceptor: int) -> None:
        wait = self._random.uniform(0.02, self._timings.reconnect_seconds_max)
        self._schedule.after(wait, self._go_on_dialling, dialler, acceptor)
        if not self.sides[dialler, acceptor].rests:
            self.members[dialler].run(self._dial, dialler, acceptor)

    def _dial(self, dialler: int, acceptor: int) -> None:
        """Say Hello over a new connection, if there is none and the other node can be reached and can answer."""
        if acceptor not in self._peers.get(dialler, self.members):
            return
        side, one, other = self.sides[dialler, acceptor], self.members[dialler], self.members[acceptor]
        if side.dialled is not None or not other.up or self._random.random() < self._wires.weather.loss:
            return
        connection = SimulatedConnection(dialler, one.life, acceptor, other.life, self._random.random() < 0.5)
        if self._wires.passes(connection, dialler) and self._wires.passes(connection, acceptor):
            side.dialled = connection
            self.connections[connection] = None
            self._carry(connection, acceptor, self._hello_received, one.hello())

    def _hello_received(self, connection: SimulatedConnection, number: int, hello: Hello) -> None:
        """The Hello of the dialler, or the answer of the other end."""
        end, member = connection.ends[number], self.members[number]
        if not end.open:
            return
        objection = self._objection(connection, number, hello)
        if objection is not None:
            self._note(number, "refused", f"node {hello.node}: {objection.reason}")
            if number == connection.acceptor:
                self._carry(connection, connection.dialler, self._refused, objection, member.hello())
            self._abort(connection, number)
            return
        end.hello, end.silent_ticks = hello, 0
        member.meet(hello)
        if number == connection.dialler:
            side, peer = self.sides[number, hello.node], hello.node
            accepted = side.accepted
            if accepted is not None and accepted.ends[peer].life != connection.ends[peer].life:
                side.accepted = None
                self._abort(accepted, number)
            self._up(number, hello)
        else:
            self._carry(connection, connection.dialler, self._hello_received, member.hello())
            self._accepted(connection, hello)

    def _objection(self, connection: SimulatedConnection, number: int, hello: Hello) -> Objection | None:
        """The node's objection to a Hello, if any; before that it asks another life that it hears for a sign."""
        side, living = self.sides[number, connection.beyond(number)], list[Start]()
        for each in (side.dialled, side.accepted):
            life = None if each is None else each.ends[number].heard_life
            if each is not None and life is not None and life != hello.starts[-1]:
                living.append(life)
                self._carry(each, connection.beyond(number), self._alive)
        target = connection.acceptor if number == connection.dialler else None
        return self.members[number].objection(hello, target, living)

    def _refused(self, connection: SimulatedConnection, number: int, objection: Objection, by: Hello) -> None:
        """The other end refuses this node: for good, or because it was removed.

        That is believed from a node that this one would talk to.
        """
        final = objection.for_good or objection.removed_at is not None
        if final and self._objection(connection, number, by) is None:
            if objection.removed_at is None:
                self.members[number].refused_for_good(objection.reason)
            else:
                self.sides[number, connection.acceptor].rests = True
                self.members[number].told_removed(objection.removed_at)

    def _accepted(self, connection: SimulatedConnection, hello: Hello) -> None:
        """A peer has dialled and its Hello is good, so it can be dialled."""
        number, peer = connection.acceptor, connection.dialler
        side = self.sides[number, peer]
        older, side.accepted, side.rests = side.accepted, connection, False
        if older is not None:
            self._abort(older, number)
        dialled = side.dialled
        if dialled is None:
            self._dial(number, peer)
        elif dialled.usable and dialled.ends[peer].life != connection.ends[peer].life:
            self._abort(dialled, number)  # with a process that no longer exists
            self._dial(number, peer)
        elif dialled.usable:
            self._up(number, hello)

    def _up(self, number: int, hello: Hello) -> None:
        side = self.sides[number, hello.node]
        if not side.up:
            side.up = True
            self._note(number, "open", f"connected with node {hello.node}")
            self.members[number].peer_up(hello.node, hello.incarnation, hello.start.boot)

    def _abort(self, connection: SimulatedConnection, number: int) -> None:
        """``number`` ends the connection."""
        if connection.ends[number].open:
            self._end(connection, number)
            self._lost(connection, number)

    def _end(self, connection: SimulatedConnection, number: int) -> None:
        """The end of ``number`` closes. The other end finds out if it is told, and may lose what was on its way."""
        if not connection.ends[number].open:
            return
        connection.ends[number].open = False
        other = connection.beyond(number)
        end = connection.ends[other]
        if not connection.lingers:
            end.held.clear()
        if connection.over:
            del self.connections[connection]
        elif self._wires.passes(connection, other):
            tail = end.last_arrival - self._schedule.now
            wait = max(tail, 0.0) + self._wires.delay() if self._random.random() < 0.5 else self._wires.delay()
            self._schedule.after(wait, self.members[other].run, self._closed, connection, other)

    def _closed(self, connection: SimulatedConnection, number: int) -> None:
        """The other end has closed."""
        if connection.ends[number].open and self.is_current(connection, number):
            connection.ends[number].open = False
            del self.connections[connection]
            self._note(number, "closed", f"connection with node {connection.beyond(number)}")
            self._lost(connection, number)

    def _lost(self, connection: SimulatedConnection, number: int) -> None:
        peer = connection.beyond(number)
        side = self.sides[number, peer]
        if side.dialled is connection:
            side.dialled = None
        elif side.accepted is connection:
            side.accepted = None
        else:
            return
        if side.up:
            side.up = False
            self.members[number].peer_down(peer)

    # --- signs of life ---

    def _tick_later(self, member: NetworkMember) -> None:
        member.clock.callLater(self._timings.silence_seconds / TICKS_OF_SILENCE, self._tick, member)

    def _tick(self, member: NetworkMember) -> None:
        """Give a sign of life, and count silence in ticks of the node, which stand still while the node does."""
        self._tick_later(member)
        for (number, _), side in self.sides.items():
            if number == member.number:
                for connection in (side.dialled, side.accepted):
                    if connection is not None:
                        self._tick_end(connection, number)

    def _tick_end(self, connection: SimulatedConnection, number: int) -> None:
        end, peer = connection.ends[number], connection.beyond(number)
        end.silent_ticks = 0 if number in self.deaf and number == connection.acceptor else end.silent_ticks + 1
        if end.silent_ticks > TICKS_OF_SILENCE:
            self._note(number, "silent", f"connection with node {peer}")
            self._abort(connection, number)
        elif end.hello is not None and not connection.ends[peer].held:  # held messages are a sign themselves
            self._carry(connection, peer, self._alive)

    def _alive(self, connection: SimulatedConnection, number: int) -> None:
        """A sign of life says only that bytes came."""

    def hear(self, connection: SimulatedConnection, number: int) -> None:
        """Bytes came in at the end of ``number``."""
        peer, member = connection.beyond(number), self.members[number]
        connection.ends[number].silent_ticks = 0
        side, now = self.sides[number, peer], member.clock.seconds()
        if now - side.heard_at >= self._timings.heartbeat_seconds:
            side.heard_at = now
            member.peer_heard(peer)
