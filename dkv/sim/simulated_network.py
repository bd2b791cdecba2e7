"""The simulated network between nodes: two TCP connections for each pair, one dialled by each, as the mesh has them.

The dialler of a connection writes messages to it, and the other end reads them; both say Hello first, and give signs of
life. So while only one of the two connections can be made, messages pass one way only. The conclusions of each node
from its connections, of which it tells its host, follow the rules of ``dkv.net.mesh``.

A connection that ends may lose its tail, and messages that it still carries may arrive among those of the next one. An
end that hears nothing for as many ticks as the mesh allows gives the connection up. The production codec encodes and
decodes every message.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Protocol

from dkv.actor import Address
from dkv.identity import Start
from dkv.net.acquaintances import Objection
from dkv.net.link import TICKS_OF_SILENCE
from dkv.routes import SPOKEN
from dkv.settings import Limits, Timings
from dkv.sim.past import PastLives
from dkv.sim.schedule import NodeClock, Schedule
from dkv.sim.simulated_connection import Life, Side, SimulatedConnection
from dkv.sim.trace import Happening, Trace
from dkv.sim.wires import LOST, Read, Weather, Wires
from dkv.wire.codec import Hello, decode, encode


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


class SimulatedNetwork:
    """The network of the members added, over ``wires``."""

    def __init__(
        self,
        schedule: Schedule,
        random: Random,
        limits: Limits,
        timings: Timings,
        trace: Trace,
        weather: Weather,
    ) -> None:
        self.wires = Wires(schedule, random, weather, self._note)
        self.past = PastLives(schedule, random, self._say_again)
        self._schedule = schedule
        self._random = random
        self._limits = limits
        self._timings = timings
        self._trace = trace
        self._members: dict[int, NetworkMember] = {}
        self.sides: dict[tuple[int, int], Side] = {}
        """A node's view of its connections with a peer, by their numbers."""
        self._connections: dict[SimulatedConnection, None] = {}  # in order, so that a run can be repeated
        self._deaf: set[int] = set()
        self._count = 0
        self._last_encoded: tuple[Any, bytes] = (None, b"")
        self.arrived_at: dict[tuple[int, int], float] = {}
        """When a message last arrived, by (from, to)."""

    def add(self, member: NetworkMember) -> None:
        """Connect one node with those added before."""
        for other in self._members:
            for pair in ((other, member.number), (member.number, other)):
                self.sides[pair] = Side()
                self._schedule.after(0.0, self._go_on_dialling, *pair)
        self._members[member.number] = member

    def began(self, member: NetworkMember) -> None:
        """A life of ``member`` has begun: it has no connections yet."""
        for pair in self.sides:
            if pair[0] == member.number:
                self.sides[pair] = Side()
        self._deaf.discard(member.number)
        self._tick_later(member)

    def gone(self, number: int) -> None:
        """The process of ``number`` has ended: sooner or later its peers find their connections closed."""
        for connection in list(self._connections):
            if number in connection.ends:
                self._end(connection, number)
        self.past.died(number, self._members[number].life)

    def pause_reading(self, number: int) -> None:
        """The node takes in no more messages."""
        self._deaf.add(number)
        self._note(number, "deaf", "reads no messages")

    def resume_reading(self, number: int) -> None:
        """The node takes messages in again, first those that came meanwhile."""
        self._deaf.discard(number)
        self._note(number, "hears", "reads messages again")
        for connection in list(self._connections):
            if connection.acceptor == number:
                end = connection.ends[number]
                unread, end.unread = end.unread, []
                for call, arguments in unread:
                    self._read(connection, number, call, arguments)

    # --- messages ---

    def send(self, sender: NetworkMember, to: Address, message: Any) -> None:
        """Send if the connection that ``sender`` dialled is usable and the messages that wait there leave room."""
        body = self._encoded(message)
        if not sender.sending(to, message, len(body)):
            return
        self._count += 1
        number, pair = self._count, (sender.number, to.node)
        connection = self.sides[pair].dialled
        late = self.wires.lateness(to.node, message)
        lost = self.wires.loses(*pair) or late == LOST
        if connection is None or not connection.usable or lost or self._is_full(connection, body):
            self._trace.add(Happening(self._schedule.now, sender.number, "drop", message, number, to.node))
            return
        self._trace.add(Happening(self._schedule.now, sender.number, "send", message, number, to.node))
        self.wires.stall(connection, to.node, late)
        for _ in range(2 if self.wires.repeats() else 1):
            connection.queued_bytes += len(body)
            self._carry(connection, to.node, self._arrive, number, body)
        self.past.said(*pair, connection.lives, message, body, self.wires.weather.delay)

    def _encoded(self, message: Any) -> bytes:
        """The encoded message; a message that goes to several peers, one after the other, is encoded once."""
        last, body = self._last_encoded
        if message is not last:
            body = encode(message)
            self._last_encoded = (message, body)
        return body

    def _is_full(self, connection: SimulatedConnection, body: bytes) -> bool:
        return connection.queued_bytes + len(body) > self._limits.peer_queue_bytes_max

    def _arrive(self, connection: SimulatedConnection, to: int, number: int, body: bytes) -> None:
        connection.queued_bytes -= len(body)
        role, to_role, message = decode(body)
        self._trace.add(Happening(self._schedule.now, to, "arrive", message, number, connection.dialler))
        self.arrived_at[connection.dialler, to] = self._schedule.now
        self._members[to].deliver(to_role, Address(connection.dialler, role), message)

    def _say_again(self, sender: int, to: int, body: bytes) -> None:
        """A message of a life that is over reaches ``to``, if that has accepted the present life of the sender."""
        if self.sides[to, sender].accepted is not None:
            self._members[to].run(self._arrive_again, sender, to, body)

    def _arrive_again(self, sender: int, to: int, body: bytes) -> None:
        role, to_role, message = decode(body)
        member = self._members[to]
        if type(message) in SPOKEN[member.hello().mode]:
            self._trace.add(Happening(self._schedule.now, to, "arrive", message, 0, sender))
            member.deliver(to_role, Address(sender, role), message)

    # --- bytes that come in ---

    def _carry(self, connection: SimulatedConnection, to: int, call: Read, *arguments: Any) -> None:
        """Let ``call(connection, to, *arguments)`` read, at the end of ``to``, something that is sent now."""
        self.wires.carry(connection, to, self._reach, call, arguments)

    def _reach(self, connection: SimulatedConnection, to: int, call: Read, arguments: tuple[Any, ...]) -> None:
        """The bytes are at the machine; its process reads them when it runs."""
        if self._is_current(connection, to):
            self._members[to].run(self._read, connection, to, call, arguments)
        else:
            self._reset(connection, to)

    def _read(self, connection: SimulatedConnection, to: int, call: Read, arguments: tuple[Any, ...]) -> None:
        end = connection.ends[to]
        if not self._is_current(connection, to):
            return
        if not end.open:
            self._reset(connection, to)
            if not connection.lingers:
                return
        if to in self._deaf and to == connection.acceptor and end.hello is not None:
            end.unread.append((call, arguments))
            return
        if end.open and end.hello is not None:
            self._hear(connection, to)
        call(connection, to, *arguments)

    def _reset(self, connection: SimulatedConnection, number: int) -> None:
        """The end of ``number`` was closed before: its machine tells that to a sender."""
        other = connection.beyond(number)
        if connection.ends[other].open and self.wires.passes(connection, other):
            self._schedule.after(self.wires.delay(), self._members[other].run, self._closed, connection, other)

    def _is_current(self, connection: SimulatedConnection, number: int) -> bool:
        """Whether the life that had this end of the connection still runs."""
        member = self._members[number]
        return member.up and member.life == connection.ends[number].life

    # --- connections: what dkv.net.mesh and dkv.net.peer do ---

    def _go_on_dialling(self, dialler: int, acceptor: int) -> None:
        wait = self._random.uniform(0.02, self._timings.reconnect_seconds_max)
        self._schedule.after(wait, self._go_on_dialling, dialler, acceptor)
        self._members[dialler].run(self._dial, dialler, acceptor)

    def _dial(self, dialler: int, acceptor: int) -> None:
        """Say Hello over a new connection, if there is none and the other node can be reached and can answer."""
        side, one, other = self.sides[dialler, acceptor], self._members[dialler], self._members[acceptor]
        if side.dialled is not None or not other.up or self._random.random() < self.wires.weather.loss:
            return
        connection = SimulatedConnection(dialler, one.life, acceptor, other.life, self._random.random() < 0.5)
        if self.wires.passes(connection, dialler) and self.wires.passes(connection, acceptor):
            side.dialled = connection
            self._connections[connection] = None
            self._carry(connection, acceptor, self._hello_received, one.hello())

    def _hello_received(self, connection: SimulatedConnection, number: int, hello: Hello) -> None:
        """The Hello of the dialler, or the answer of the other end."""
        end, member = connection.ends[number], self._members[number]
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
        return self._members[number].objection(hello, target, living)

    def _refused(self, connection: SimulatedConnection, number: int, objection: Objection, by: Hello) -> None:
        """The other end refuses this node. A refusal for good is believed from a node that this one would talk to."""
        if objection.for_good and self._objection(connection, number, by) is None:
            self._members[number].refused_for_good(objection.reason)

    def _accepted(self, connection: SimulatedConnection, hello: Hello) -> None:
        """A peer has dialled and its Hello is good, so it can be dialled."""
        number, peer = connection.acceptor, connection.dialler
        side = self.sides[number, peer]
        older, side.accepted = side.accepted, connection
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
            self._members[number].peer_up(hello.node, hello.incarnation, hello.start.boot)

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
            del self._connections[connection]
        elif self.wires.passes(connection, other):
            tail = end.last_arrival - self._schedule.now
            wait = max(tail, 0.0) + self.wires.delay() if self._random.random() < 0.5 else self.wires.delay()
            self._schedule.after(wait, self._members[other].run, self._closed, connection, other)

    def _closed(self, connection: SimulatedConnection, number: int) -> None:
        """The other end has closed."""
        if connection.ends[number].open and self._is_current(connection, number):
            connection.ends[number].open = False
            del self._connections[connection]
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
            self._members[number].peer_down(peer)

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
        end.silent_ticks = 0 if number in self._deaf and number == connection.acceptor else end.silent_ticks + 1
        if end.silent_ticks > TICKS_OF_SILENCE:
            self._note(number, "silent", f"connection with node {peer}")
            self._abort(connection, number)
        elif end.hello is not None and not connection.ends[peer].held:  # held messages are a sign themselves
            self._carry(connection, peer, self._alive)

    def _alive(self, connection: SimulatedConnection, number: int) -> None:
        """A sign of life says only that bytes came."""

    def _hear(self, connection: SimulatedConnection, number: int) -> None:
        peer, member = connection.beyond(number), self._members[number]
        connection.ends[number].silent_ticks = 0
        side, now = self.sides[number, peer], member.clock.seconds()
        if now - side.heard_at >= self._timings.heartbeat_seconds:
            side.heard_at = now
            member.peer_heard(peer)

    def _note(self, node: int, kind: str, about: str) -> None:
        self._trace.add(Happening(self._schedule.now, node, kind, about))
