"""The mesh: a node's connections with every other member.

It promises little, as Paxos asks for little: what is sent to a peer arrives once, in order, unless a connection
is lost, and then it is lost too. What it does promise is who is talking: a message is delivered only from a node
of this cluster, of this mode, whose incarnation is the one this node knows it by, and whose directory remembers what
this node knows of its lives (``dkv.net.acquaintances``).
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any, Protocol

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall

from dkv.actor import Address
from dkv.identity import Acquaintance
from dkv.messages import SPOKEN
from dkv.net.acquaintances import Acquaintances, Objection
from dkv.net.dialler import Dialler
from dkv.net.door import Door
from dkv.net.event_log import EventLog
from dkv.net.fault_orders import FaultOrders
from dkv.net.links import ALIVE, TICKS_OF_SILENCE, Accepted, Dialled, Link, mesh_frame
from dkv.net.reach import LOST, Reach
from dkv.net.sending import SenderOf, by_write
from dkv.settings import Limits, Timings
from dkv.wire.codec import Hello, RefusedForGood, encode
from dkv.wire.frames import frame

STRANGERS_MAX = 64
"""Accepted connections beyond one per member: enough for reconnects, too few to use up file descriptors."""

LOGGED_MAX = 1024
"""Complaints remembered so as not to repeat them."""


class Inbox(Protocol):
    """What the mesh tells the host."""

    def deliver(self, to_role: str, sender: Address, message: Any) -> None:
        """``message`` of ``sender``, on another node, has arrived for the actor ``to_role`` of this one."""

    def peer_met(self, node: int, acquaintance: Acquaintance) -> None:
        """A Hello of a life of ``node`` that was not met before is accepted: to be kept. Said before all it says."""

    def fence(self, reason: str) -> None:
        """A peer says that this node's directory must never take part again."""

    def peer_up(self, node: int, incarnation: int, boot: int) -> None:
        """``node`` and this node have accepted each other: what is sent to it can arrive."""

    def peer_down(self, node: int) -> None:
        """A connection with ``node``, which was up, is lost: said once until it is up again."""

    def peer_heard(self, node: int) -> None:
        """Bytes of ``node`` have come in; said at most once in ``heartbeat_seconds``."""


class Peer:
    """What the mesh knows of one other member."""

    def __init__(self, node: int) -> None:
        self.node = node
        self.dialled: Dialled | None = None  # connected; usable once its ``peer`` is set
        self.accepted: Accepted | None = None  # the latest one whose Hello was accepted
        self.up = False
        self.heard_at = -1.0
        self.reach: Reach
        self.service: Dialler

    def living(self) -> list[Link]:
        """Its connections on which it was heard of late: whoever restarts a process closes those of the one before."""
        links = (self.dialled, self.accepted)
        return [link for link in links if link is not None and link.peer is not None and link.is_heard]

    def redial(self) -> None:
        """Dial now, whatever the connection dialled before or the wait for the next attempt was."""
        self.service.stopService()
        self.service.startService()
        if self.dialled is not None:
            self.dialled.abort()


class _DialledFactory(Factory):
    noisy = False

    def __init__(self, mesh: Mesh, peer: Peer) -> None:
        self._mesh = mesh
        self._peer = peer

    def buildProtocol(self, addr: object) -> Dialled:
        """A link to this factory's peer."""
        return Dialled(self._mesh, self._peer)


class _AcceptedFactory(Factory):
    noisy = False

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh

    def buildProtocol(self, addr: object) -> Accepted | None:
        """A link for whoever it is, or None, which closes the connection, if there are too many."""
        return Accepted(self._mesh) if self._mesh.has_room() else None


class Mesh(MultiService):
    """Connections to and from all ``peers``, kept up from ``startService`` to ``stopService``.

    ``me`` is what this node says of itself, ``door`` where peers come in, opened here and closed by ``stopService``;
    ``peers`` maps every other member to the client endpoint string it is dialled at; ``known`` is what the disk keeps
    of members met before. Whoever is not in there is known from its first accepted Hello on, until the process ends;
    the acceptor, told by ``peer_met``, is who stores it.
    """

    def __init__(
        self,
        reactor: Any,
        me: Hello,
        door: Door,
        peers: Mapping[int, str],
        known: Mapping[int, Acquaintance],
        limits: Limits,
        timings: Timings,
        inbox: Inbox,
        log: EventLog,
        sender_of: SenderOf = by_write,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._reactor = reactor
        self.door = door
        self._timings = timings
        self.limits = limits
        self.sender_of = sender_of
        self.inbox = inbox
        self.log = log
        self.me = me
        self.hello = mesh_frame(me)
        self.acquaintances = Acquaintances(me, peers, known)
        self.spoken = SPOKEN[me.mode]
        self.reading_paused = False
        self.peers = {node: Peer(node) for node in peers}
        for node, peer in self.peers.items():
            peer.reach = Reach(node, peers[node], reactor, log)
            factory, silence, wait = _DialledFactory(self, peer), timings.silence_seconds, timings.reconnect_seconds_max
            peer.service = Dialler(reactor, peers[node], factory, silence, wait, peer.reach.failed)
            peer.service.setServiceParent(self)  # type: ignore[no-untyped-call]
        self.faults = FaultOrders(reactor, peers, log, Random())
        """Orders to drop or delay what is written to peers."""
        self._links: dict[Link, None] = {}  # in order, so that a simulation can be repeated
        self._links_gone: Deferred[None] | None = None  # waited for by stopService
        self._ticks = LoopingCall(self._tick)
        self._ticks.clock = reactor
        self._logged: set[tuple[str, int | None, str]] = set()
        self._last_sent: tuple[Any, bytes] = (None, b"")
        self.to_flush: list[Dialled] = []
        """Links that hold what was sent and not written yet."""
        door.open(_AcceptedFactory(self))

    @property
    def connected(self) -> frozenset[int]:
        """The peers that what is sent now may reach."""
        return frozenset(node for node, peer in self.peers.items() if peer.dialled and peer.dialled.peer)

    def status(self) -> list[dict[str, Any]]:
        """Of each peer: whether this node reaches it, whether it reaches this node, and what the trouble is."""
        connected = self.connected
        return [
            {"node": node, "connected": node in connected, "accepted": peer.accepted is not None} | peer.reach.status()
            for node, peer in sorted(self.peers.items())
        ]

    def startService(self) -> None:
        """Begin to dial."""
        super().startService()  # type: ignore[no-untyped-call]
        self._ticks.start(self._timings.silence_seconds / TICKS_OF_SILENCE, now=False)

    def stopService(self) -> Deferred[Any]:
        """End every connection, when what was written is sent or ``drain_seconds`` have passed; listen no more.

        Nothing is told to the inbox from here on. The Deferred fires when all is closed, and does not fail.
        """
        if self._ticks.running:
            self._ticks.stop()
        self.faults.stop()
        waits: list[Deferred[Any]] = [super().stopService(), self.door.close()]  # type: ignore[no-untyped-call]
        if self._links:
            self._links_gone = Deferred()
            waits.append(self._links_gone)
        late = self._reactor.callLater(self._timings.drain_seconds, self._abort_all)
        for link in list(self._links):
            link.close()

        def closed(result: Any) -> None:
            if late.active():
                late.cancel()

        return DeferredList(waits, consumeErrors=True).addCallback(closed)

    def _abort_all(self) -> None:
        for link in list(self._links):
            link.abort()

    def send(self, to: Address, sender: Address, message: Any) -> None:
        """Send to an actor of another node at the next ``flush``, if it is connected; no network makes it raise.

        One message that goes to several peers, one after the other, is encoded once.
        """
        peer = self.peers.get(to.node)
        if peer is None or peer.dialled is None or peer.dialled.peer is None:
            return
        last_message, data = self._last_sent
        if message is not last_message:
            body = encode(message)
            if len(body) > self.limits.frame_bytes_max:
                # Sent, it would end the connection; the limits' order rules it out but for a bug.
                self.log.warning("message_too_large", message=type(message).__name__, bytes=len(body))
                return
            data = frame(body)
            self._last_sent = (message, data)
        peer.dialled.send(data)

    def flush(self) -> None:
        """Write what was sent since the last time."""
        links, self.to_flush = self.to_flush, []
        for link in links:
            link.flush()

    def pause_reading(self) -> None:
        """Take in no more messages until ``resume_reading``; what is read already may still be delivered."""
        self.reading_paused = True
        for link in self._links:
            if isinstance(link, Accepted):
                link.transport.pauseProducing()

    def resume_reading(self) -> None:
        """Take in messages again."""
        self.reading_paused = False
        for link in self._links:
            if isinstance(link, Accepted):
                link.transport.resumeProducing()

    def objection(self, hello: Hello, target: Peer | None = None) -> Objection | None:
        """Why this node will not talk to the sender of ``hello``; ``target`` is whom it meant to dial."""
        peer = self.peers.get(hello.node)
        living = [link for link in peer.living() if hello.starts[-1:] != (link.start,)] if peer is not None else []
        for link in living:
            link.write(ALIVE)  # Is it? The machine of one that lost power answers with a reset.
        target_node = None if target is None else target.node
        return self.acquaintances.objection(hello, target_node, [link.start for link in living])

    # --- What links report -------------------------------------------------------------------------------------

    def has_room(self) -> bool:
        """Whether one more connection may be accepted: not too many, and none before the start or after the end."""
        accepted = sum(isinstance(link, Accepted) for link in self._links)
        return bool(self.running) and accepted < len(self.peers) + STRANGERS_MAX

    def opened(self, link: Link) -> None:
        """A connection is made; nothing is known of the other end."""
        self._links[link] = None
        if isinstance(link, Dialled):
            link.target.dialled = link
        elif self.reading_paused:
            link.transport.pauseProducing()

    def accepted(self, link: Accepted, hello: Hello) -> None:
        """A peer has dialled and its Hello is good, so it is there to be dialled."""
        peer = self.peers[hello.node]
        self._meet(hello)
        older, peer.accepted = peer.accepted, link
        if older is not None:
            older.abort()
        dialled = peer.dialled
        if dialled is None or (dialled.peer is not None and dialled.start != hello.start):
            peer.redial()  # not connected, or with a process that is no more
        elif dialled.peer is not None:
            self._up(peer, hello)

    def dialled(self, link: Dialled, hello: Hello) -> None:
        """A peer was dialled, has accepted this node's Hello and answered with a good one."""
        peer = link.target
        self._meet(hello)
        accepted = peer.accepted
        if accepted is not None and accepted.start != hello.start:
            peer.accepted = None
            accepted.abort()  # with a process that is no more, whose last words may be in there still
        peer.service.attempts = 0
        peer.reach.reached()
        self._logged = {key for key in self._logged if key[0] != link.host}
        self._up(peer, hello)

    def refused_for_good(self, link: Dialled, refusal: RefusedForGood) -> None:
        """A peer will never talk to this node. Only one of its own cluster, whom it would talk to, is believed."""
        if self.objection(refusal.by, link.target) is None:
            self.inbox.fence(refusal.reason)

    def lost(self, link: Link) -> None:
        """A connection has ended."""
        self._links.pop(link, None)
        if isinstance(link, Dialled) and link.target.dialled is link:
            link.target.dialled = None
            link.target.reach.lost(link.trouble or LOST)
            self._down(link.target)
        elif link.peer is not None and link.peer.accepted is link:
            link.peer.accepted = None
            self._down(link.peer)
        if self._links_gone is not None and not self._links:
            gone, self._links_gone = self._links_gone, None
            gone.callback(None)

    def heard(self, peer: Peer) -> None:
        """Bytes have come in from ``peer``."""
        now = self._reactor.seconds()
        if now - peer.heard_at >= self._timings.heartbeat_seconds:
            peer.heard_at = now
            self.inbox.peer_heard(peer.node)

    def log_once(self, key: tuple[str, int | None, str], event: str, **fields: Any) -> None:
        """Warn, unless it was done for ``key`` (address, node, what) since a dial to that address went well."""
        if key not in self._logged:
            if len(self._logged) >= LOGGED_MAX:
                self._logged.clear()
            self._logged.add(key)
            self.log.warning(event, **fields)

    def _meet(self, hello: Hello) -> None:
        met = self.acquaintances.meet(hello)
        if met is not None:
            self.inbox.peer_met(hello.node, met)

    def _up(self, peer: Peer, hello: Hello) -> None:
        if not peer.up:
            peer.up = True
            self.log.info("peer_found", peer=peer.node, boot=hello.start.boot)
            self.inbox.peer_up(peer.node, hello.incarnation, hello.start.boot)

    def _down(self, peer: Peer) -> None:
        if peer.up:
            peer.up = False
            if self.running:
                self.log.info("peer_lost", peer=peer.node)
                self.inbox.peer_down(peer.node)

    def _tick(self) -> None:
        for link in list(self._links):
            link.tick()
