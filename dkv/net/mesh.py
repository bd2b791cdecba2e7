"""The mesh: a node's connections with every other member.

It promises little, as Paxos asks for little. What is sent to a peer arrives once and in order, unless a connection is
lost; then it is lost too. What the mesh does promise is who is talking. It delivers a message only from a node of this
cluster and of this mode, whose incarnation is the one that this node knows, and whose directory remembers what this
node knows of its lives (``dkv.net.acquaintances``).

Peers come, move and go while it runs (``members_are``). A link may outlive its peer: it is looked up, never indexed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from random import Random
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import LoopingCall

from dkv.actor import Address
from dkv.configurations import Configurations
from dkv.identity import Acquaintance
from dkv.net.acquaintances import Acquaintances, Objection
from dkv.net.door import Door
from dkv.net.event_log import EventLog
from dkv.net.fault_orders import FaultOrders
from dkv.net.inbound import Inbound, InboundFactory
from dkv.net.inbox import Inbox
from dkv.net.link import ALIVE, REASON_CHARACTERS_MAX, TICKS_OF_SILENCE, Link, mesh_frame
from dkv.net.once_log import OnceLog
from dkv.net.outbound import Outbound
from dkv.net.peer import Peer
from dkv.net.peer_proof import PeerProofs
from dkv.net.peer_tls import NO_TLS, PeerTls
from dkv.net.securing import PEERS
from dkv.net.sending import SenderOf, by_write
from dkv.net.strangers import Strangers
from dkv.routes import MAY_BE_LOST, SPOKEN
from dkv.settings import Limits, Timings
from dkv.wire.codec import Hello, Refused, RefusedForGood, Removed, encode
from dkv.wire.frames import frame

LEAVING_SECONDS = 10.0
"""How long a node that is no member any more is still talked with: it hears the last slots that concern it, if it can.
Then its links are closed, and when it dials again it is told that it was removed."""

ADDRESSES_TOLD = 4
"""How many addresses of members a node that was removed is told: the frame must fit ``HELLO_BYTES_MAX``."""

STRANGERS_MAX = 128
"""Accepted connections without a good Hello: enough for reconnects, too few to use up file descriptors."""


class Mesh(MultiService):
    """Connections to and from all peers, kept up from ``startService`` to ``stopService``.

    ``me`` is what this node says of itself. Peers come in through ``door``, which is opened here and closed by
    ``stopService``. ``peers`` maps every other member to the client endpoint string at which it is dialled, until
    ``members_are`` says more. ``known`` is what the disk keeps of members met before. The mesh knows any other member
    from its first accepted Hello on, until the process ends; it tells the acceptor by ``peer_met``, which stores it.
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
        proofs: PeerProofs,
        sender_of: SenderOf = by_write,
        tls: PeerTls = NO_TLS,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._reactor = reactor
        self.door = door
        self._timings = timings
        self.limits = limits
        self.sender_of = sender_of
        self.inbox = inbox
        self.log = log
        self.complaints = OnceLog(reactor, log)
        self.me = me
        self.proofs = proofs
        self.tls = tls
        self.acquaintances = Acquaintances(me, peers, known)
        self.spoken = SPOKEN[me.mode]
        self.reading_paused = False
        self.peers: dict[int, Peer] = {}
        """The nodes that this one talks with: the other members, and those that have just left."""
        for node, address in peers.items():
            self._add_peer(node, address)
        self._client_addresses: tuple[str, ...] = ()
        self.faults = FaultOrders(reactor, peers, log, Random())
        """Orders to drop or delay what is written to peers."""
        self._links: dict[Link, None] = {}  # in order, so that a simulation can be repeated
        self._strangers = Strangers(STRANGERS_MAX)
        self._links_gone: Deferred[None] | None = None  # waited for by stopService
        self._ticks = LoopingCall(self._tick)
        self._ticks.clock = reactor
        self._last_sent: tuple[Any, bytes] = (None, b"")
        self.to_flush: list[Outbound] = []
        """Links that hold what was sent and is not written yet."""
        self.postings_dropped = 0
        """How many messages with postings were dropped so far, since a peer was slow to read."""
        accepting = InboundFactory(self)
        self.behind_tls: Any = tls.security.listening(accepting, PEERS) if tls.security is not None else None
        """The factory of connections that have turned out to begin with TLS."""
        door.open(accepting)

    @property
    def connected(self) -> frozenset[int]:
        """The peers that what is sent now may reach."""
        return frozenset(node for node, peer in self.peers.items() if peer.is_connected)

    def status(self) -> list[dict[str, Any]]:
        """What is known of each peer, for people and JSON. A peer that is about to be let go is none any more."""
        return [peer.status() for _, peer in sorted(self.peers.items()) if peer.leaves_at is None]

    def silence(self, node: int) -> float | None:
        """For how many seconds nothing of a node has come in; None if it is not reached."""
        peer = self.peers.get(node)
        return None if peer is None else peer.silent_seconds

    # --- peers come, move and go ---

    def members_are(
        self, configurations: Configurations, applied: int, peers: Mapping[int, str], clients: Iterable[str] = ()
    ) -> None:
        """The members by the log up to slot ``applied``. ``peers`` are to be talked with: ids and endpoint strings.

        ``clients`` are the addresses at which clients find members. A node that is no peer any more is let go: at once
        before the start, and ``LEAVING_SECONDS`` later afterwards.
        """
        self.acquaintances.members_are(configurations, applied, peers)
        self._client_addresses = tuple(clients)
        for node, address in peers.items():
            if node in self.peers:
                self.peers[node].readdress(address)
                self.peers[node].leaves_at = None  # the config file may name it before the log does: it is back
            else:
                self._add_peer(node, address)
        for node in self.peers.keys() - peers.keys():
            if not self.running:
                self._let_go(node)
            elif self.peers[node].leaves_at is None:
                self.peers[node].leaves_at = self._reactor.seconds() + LEAVING_SECONDS
        self.faults.peers_are(self.peers)

    def _add_peer(self, node: int, address: str) -> None:
        peer = self.peers[node] = Peer(self, node, address, self._reactor, self._timings, self.inbox, self.log)
        peer.dialler.setServiceParent(self)  # type: ignore[no-untyped-call]

    def _let_go(self, node: int) -> None:
        """Close the links of a peer, and dial it no more."""
        peer = self.peers.pop(node)
        peer.leave()
        peer.dialler.disownServiceParent()  # type: ignore[no-untyped-call]
        self.faults.peers_are(self.peers)

    def refusal(self, objection: Objection) -> bytes:
        """The frame that a node is told instead of a Hello."""
        reason = objection.reason[:REASON_CHARACTERS_MAX]
        if objection.removed_at is not None:
            addresses = self._client_addresses[:ADDRESSES_TOLD]
            return mesh_frame(Removed(reason, objection.removed_at, addresses, self.me))
        return mesh_frame(RefusedForGood(reason, self.me) if objection.for_good else Refused(reason))

    # --- from start to stop ---

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
        for peer in self.peers.values():
            peer.stop()
        waits: list[Deferred[Any]] = [super().stopService(), self.door.close()]  # type: ignore[no-untyped-call]
        if self._links:
            self._links_gone = Deferred()
            waits.append(self._links_gone)
        late = self._reactor.callLater(self._timings.drain_seconds, self.abort)
        for link in list(self._links):
            link.close()

        def closed(result: Any) -> None:
            if late.active():
                late.cancel()

        return DeferredList(waits, consumeErrors=True).addCallback(closed)

    def abort(self) -> None:
        """End every connection now, in the middle of what is being sent. ``stopService`` must follow, or is at it."""
        self.to_flush.clear()
        for link in list(self._links):
            link.abort()

    # --- what the host asks for ---

    def send(self, to: Address, sender: Address, message: Any) -> None:
        """Send to an actor of another node at the next ``flush``, if that node is connected.

        No trouble of the network makes this raise. One message that goes to several peers, one after the other, is
        encoded once.
        """
        peer = self.peers.get(to.node)
        if peer is None or peer.outbound is None or peer.outbound.peer is None:
            return
        last_message, data = self._last_sent
        if message is not last_message:
            body = encode(message)
            if len(body) > self.limits.frame_bytes_max:
                # Sent, it would end the connection. The order of the limits rules it out, but for a bug.
                self.log.warning("message_too_large", message=type(message).__name__, bytes=len(body))
                return
            data = frame(body)
            self._last_sent = (message, data)
        if type(message) in MAY_BE_LOST:
            peer.outbound.send_if_it_reads(data)
        else:
            peer.outbound.send(data)

    def flush(self) -> None:
        """Write what was sent since the last time."""
        links, self.to_flush = self.to_flush, []
        for link in links:
            link.flush()

    def pause_reading(self) -> None:
        """Take in no more messages until ``resume_reading``. What is read already may still be delivered."""
        self.reading_paused = True
        for link in self._links:
            if isinstance(link, Inbound):
                link.transport.pauseProducing()

    def resume_reading(self) -> None:
        """Take in messages again."""
        self.reading_paused = False
        for link in self._links:
            if isinstance(link, Inbound):
                link.transport.resumeProducing()

    # --- what links ask and report ---

    def objection(self, hello: Hello, target: int | None = None) -> Objection | None:
        """Why this node will not talk to the sender of ``hello``; ``target`` is the node that it meant to dial."""
        peer = self.peers.get(hello.node)
        living = [link for link in peer.living() if hello.starts[-1:] != (link.start,)] if peer is not None else []
        for link in living:
            link.write(ALIVE)  # Does that life still run? The machine of one that lost power answers with a reset.
        return self.acquaintances.objection(hello, target, [link.start for link in living])

    def is_open(self) -> bool:
        """Whether connections are accepted: none before the start or after the end."""
        return bool(self.running)

    def opened(self, link: Link) -> None:
        """A connection is made. Nothing is known of the other end."""
        self._links[link] = None
        if isinstance(link, Outbound):
            peer = self._peer_of(link)
            if peer is None:
                link.abort()
            else:
                peer.outbound = link
        elif isinstance(link, Inbound):
            if self.reading_paused:
                link.transport.pauseProducing()  # A reconnect is no way around the pause.
            self._strangers.add(link)

    def accepted(self, link: Inbound, hello: Hello) -> None:
        """A peer has dialled, and its Hello is good: the connection is with the life that the Hello names."""
        self._strangers.remove(link)
        self._meet(hello)
        peer = self.peers.get(hello.node)
        if peer is not None:
            peer.accepted(link, hello)

    def dialled(self, link: Outbound, hello: Hello) -> None:
        """A peer was dialled, has accepted this node's Hello, and has answered with a good one."""
        self._meet(hello)
        self.complaints.forget(link.host)
        peer = self._peer_of(link)
        if peer is not None:
            peer.dialled(link, hello)

    def _peer_of(self, link: Outbound) -> Peer | None:
        """The peer that a link was dialled for; None if it is none any more."""
        peer = self.peers.get(link.target.node)
        return peer if peer is link.target else None

    def told_removed(self, link: Outbound, removed: Removed) -> None:
        """A peer says that this node is no member any more: that peer needs nothing of it.

        Others may, which have not come as far. Only a peer of this node's own cluster, to which it would talk itself,
        is believed.
        """
        if self.objection(removed.by, link.target.node) is None:
            self.inbox.removed(removed.slot, removed.addresses)
            peer = self._peer_of(link)
            if peer is not None:
                peer.rest()

    def refused_for_good(self, link: Outbound, refusal: RefusedForGood) -> None:
        """A peer will never talk to this node: this directory has forgotten something (B34).

        Only a peer of this node's own cluster, to which it would talk itself, is believed.
        """
        if self.objection(refusal.by, link.target.node) is None:
            self.inbox.fence(refusal.reason)

    def lost(self, link: Link) -> None:
        """A connection has ended."""
        self._links.pop(link, None)
        if isinstance(link, Inbound):
            self._strangers.remove(link)
        if link.node in self.peers:
            self.peers[link.node].lost(link)
        if self._links_gone is not None and not self._links:
            gone, self._links_gone = self._links_gone, None
            gone.callback(None)

    def _meet(self, hello: Hello) -> None:
        met = self.acquaintances.meet(hello)
        if met is not None:
            self.inbox.peer_met(hello.node, met)

    def _tick(self) -> None:
        for link in list(self._links):
            link.tick()
        now = self._reactor.seconds()
        for node in [node for node, peer in self.peers.items() if peer.leaves_at is not None and peer.leaves_at <= now]:
            self._let_go(node)
