"""The simulated network between nodes: two TCP connections for each pair, one dialled by each, as the mesh has them.

The dialler of a connection writes messages to it, and the other end reads them; both say Hello first, and give signs of
life. So while only one of the two connections can be made, messages pass one way only. The conclusions of each node
from its connections, of which it tells its host, are those of ``dkv.sim.dialling``.

A connection that ends may lose its tail, and messages that it still carries may arrive among those of the next one. An
end that hears nothing for as many ticks as the mesh allows gives the connection up. The production codec encodes and
decodes every message.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from random import Random
from typing import Any

from dkv.actor import Address
from dkv.routes import SPOKEN
from dkv.settings import Limits, Timings
from dkv.sim.dialling import Dialling, NetworkMember
from dkv.sim.past import PastLives
from dkv.sim.schedule import Schedule
from dkv.sim.simulated_connection import Side, SimulatedConnection
from dkv.sim.trace import Happening, Trace
from dkv.sim.wires import LOST, Read, Weather, Wires
from dkv.wire.codec import decode, encode


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
        self._trace = trace
        self._dialling = Dialling(schedule, random, timings, self.wires, self._carry, self._note)
        self._members = self._dialling.members
        self._deaf = self._dialling.deaf
        self._count = 0
        self._last_encoded: tuple[Any, bytes] = (None, b"")
        self.arrived_at: dict[tuple[int, int], float] = {}
        """When a message last arrived, by (from, to)."""

    @property
    def sides(self) -> Mapping[tuple[int, int], Side]:
        """A node's view of its connections with a peer, by their numbers."""
        return self._dialling.sides

    def add(self, member: NetworkMember) -> None:
        """Connect one node with those added before."""
        self._dialling.add(member)

    def began(self, member: NetworkMember) -> None:
        """A life of ``member`` has begun: it has no connections yet."""
        self._dialling.began(member)

    def gone(self, number: int) -> None:
        """The process of ``number`` has ended: sooner or later its peers find their connections closed."""
        self._dialling.gone(number)
        self.past.died(number, self._members[number].life)

    def peers_are(self, number: int, peers: Collection[int], leaving_seconds: float) -> None:
        """A node talks with ``peers`` from now on; with others no more, or only for so many seconds."""
        self._dialling.peers_are(number, peers, leaving_seconds)

    def pause_reading(self, number: int) -> None:
        """The node takes in no more messages."""
        self._deaf.add(number)
        self._note(number, "deaf", "reads no messages")

    def resume_reading(self, number: int) -> None:
        """The node takes messages in again, first those that came meanwhile."""
        self._deaf.discard(number)
        self._note(number, "hears", "reads messages again")
        for connection in list(self._dialling.connections):
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
        if self._dialling.is_current(connection, to):
            self._members[to].run(self._read, connection, to, call, arguments)
        else:
            self._dialling.reset(connection, to)

    def _read(self, connection: SimulatedConnection, to: int, call: Read, arguments: tuple[Any, ...]) -> None:
        end = connection.ends[to]
        if not self._dialling.is_current(connection, to):
            return
        if not end.open:
            self._dialling.reset(connection, to)
            if not connection.lingers:
                return
        if to in self._deaf and to == connection.acceptor and end.hello is not None:
            end.unread.append((call, arguments))
            return
        if end.open and end.hello is not None:
            self._dialling.hear(connection, to)
        call(connection, to, *arguments)

    def _note(self, node: int, kind: str, about: str) -> None:
        self._trace.add(Happening(self._schedule.now, node, kind, about))
