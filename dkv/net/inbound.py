"""The end of a connection between nodes that was dialled by the other: it reads messages and writes none."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from twisted.internet.protocol import Factory

from dkv.actor import Address
from dkv.net.acquaintances import Acquaintances, Objection
from dkv.net.inbox import Inbox
from dkv.net.link import Link, LinkOwner, Remote, mesh_frame
from dkv.net.peer_proof import DialledProof
from dkv.net.peer_tls import TLS_HANDSHAKE, stranger_by_certificate
from dkv.net.securing import is_secured
from dkv.routes import VOTES
from dkv.wire.codec import Alive, Challenge, Hello, PeerProof, Refused, RefusedForGood, Removed
from dkv.wire.packing import CodecError


class InboundOwner(LinkOwner, Protocol):
    """What an inbound link needs of its mesh."""

    @property
    def peers(self) -> Mapping[int, Remote]:
        """All nodes that this one talks with, by number: those to whose Hellos there is no objection, at least."""

    @property
    def spoken(self) -> Collection[type]:
        """The classes of messages that nodes of this mode send."""

    @property
    def acquaintances(self) -> Acquaintances:
        """Keeps what messages say of their sender's disk."""

    @property
    def inbox(self) -> Inbox:
        """Takes the messages."""

    @property
    def behind_tls(self) -> Any:
        """The factory of connections that have turned out to begin with TLS."""

    @property
    def reading_paused(self) -> bool:
        """Whether this node reads nothing for now."""

    def refusal(self, objection: Objection) -> bytes:
        """The frame that a node is told instead of a Hello."""

    def is_open(self) -> bool:
        """Whether connections are accepted."""

    def accepted(self, link: Inbound, hello: Hello) -> None:
        """A peer has dialled, and its Hello is good."""


class Inbound(Link):
    """The end that listened."""

    _mesh: InboundOwner  # what it was made with

    def __init__(self, mesh: InboundOwner) -> None:
        super().__init__(mesh)
        self._begun = False  # a byte has come
        self._said: Hello | None = None  # by the other end, which has not proven that it may say so
        self._proof: DialledProof

    def begins_otherwise(self, data: bytes) -> bool:
        """The first byte may be that of a TLS handshake."""
        begun, self._begun = self._begun, True
        if begun or data[:1] != TLS_HANDSHAKE or is_secured(self.transport):
            return False
        self._begin_tls(data)
        return True

    def _begin_tls(self, data: bytes) -> None:
        """Hand the connection over to TLS. What comes through that is served by another link."""
        security = self._mesh.tls.security
        if security is None:
            me = self._mesh.me.node
            reason = (
                f'it dials with TLS, and node {me} has none for its peers: add [tls] with peers = "allow" to the'
                f" config file of node {me}"
            )
            # Not TLS, which is what the other end says of it.
            self._turn_away(Objection(reason))
            return
        self._closing = True
        self._mesh.lost(self)
        protocol = self._mesh.behind_tls.buildProtocol(self.transport.getPeer())
        self.transport.protocol = protocol
        protocol.makeConnection(self.transport)
        protocol.dataReceived(data)

    def message_received(self, from_role: str, to_role: str, message: Any) -> None:
        """Hello first, then a proof if there is a peer secret, then messages for this node's actors."""
        peer = self.peer
        if peer is None:
            self._introduced(message)
        elif isinstance(message, (Hello, Challenge, PeerProof, Refused, RefusedForGood, Removed)):
            if isinstance(message, Refused):
                # The dialler has seen who it has reached, and will not talk.
                self.told_refused(message)
                return
            # A connection does not change hands.
            raise CodecError(f"{type(message).__name__} after Hello")
        elif not isinstance(message, Alive):
            # No actor of this mode would know what to do with it.
            if type(message) not in self._mesh.spoken:
                raise CodecError(f"{type(message).__name__} is not said in this mode")
            # Before anybody counts a vote, this node must know of it: the peer's next life is asked about it (B34).
            if type(message) in VOTES:
                self._mesh.acquaintances.heard(peer.node, message)
            self._mesh.inbox.deliver(to_role, Address(peer.node, from_role), message)

    def _introduced(self, message: Any) -> None:
        """What comes before this node knows its peer. A vote of nobody is no vote: nothing else counts yet."""
        if self._said is None:
            if isinstance(message, Refused) and is_secured(self.transport):
                self.told_refused(message)  # The dialler has seen whose certificate this node has.
                return
            if not isinstance(message, Hello):
                raise CodecError(f"{type(message).__name__} before Hello")
            self._hello_received(message)
        elif not isinstance(message, PeerProof):
            raise CodecError(f"{type(message).__name__} in place of a PeerProof")
        else:
            self._proof_received(message, self._said)

    def _hello_received(self, hello: Hello) -> None:
        """A node wants to be heard here: challenge it if there is a secret. Until its proof nothing of it is kept."""
        self.node = hello.node
        self._proof = self._mesh.proofs.dialled(self._mesh.me, hello)
        reason = self._mesh.acquaintances.other_protocol(hello) or self._insecure(hello) or self._proof.missing
        if reason is not None:
            self._turn_away(Objection(reason))
            return
        challenge = self._proof.challenge()
        if challenge is None:
            self._judge(hello)
        else:
            self._said = hello
            self.write(mesh_frame(challenge))

    def _insecure(self, hello: Hello) -> str | None:
        """Why TLS, or the lack of it, keeps the sender of ``hello`` out; None if it does not."""
        me, they = self._mesh.me, f"node {hello.node}"
        if self._mesh.tls.required and not is_secured(self.transport):
            return (
                f'{they} dials without TLS, and node {me.node} requires it of its peers: set peers = "prefer" in'
                f" [tls] of the config file of {they}"
            )
        wrong = stranger_by_certificate(self.transport, me.cluster, hello.node)
        return None if wrong is None else f"{they} {wrong}"

    def _proof_received(self, proof: PeerProof, hello: Hello) -> None:
        """The sender of ``hello`` shows that it knows the secret: show the same, and only then judge its Hello."""
        answer = self._proof.answer(proof)
        if isinstance(answer, str):
            self._turn_away(Objection(answer))
            return
        self.write(mesh_frame(answer))
        self._judge(hello)

    def _turn_away(self, objection: Objection) -> None:
        """Say why, here and to the other end, and close."""
        self.refuse(objection)
        self.write(self._mesh.refusal(objection))
        self.close()

    def _judge(self, hello: Hello) -> None:
        """Answer with a Hello, or with the reason why not."""
        objection = self._mesh.objection(hello)
        if objection is not None:
            self._turn_away(objection)
            return
        self.write(mesh_frame(self._mesh.me))
        self.accept_hello(self._mesh.peers[hello.node], hello)
        self._mesh.accepted(self, hello)

    def crowded_out(self) -> None:
        """Too many have come and not said who they are, most of them from this address."""
        self.complain("crowded_out", "peer_strangers_ended")
        self.abort()

    def tick(self) -> None:
        """As for every link; but while this node reads nothing, silence says nothing about the peer."""
        if self._mesh.reading_paused:
            self._silent_ticks = self._unfinished_ticks = 0
        super().tick()


class InboundFactory(Factory):
    """Makes a link for each connection that is accepted."""

    noisy = False

    def __init__(self, mesh: InboundOwner) -> None:
        self._mesh = mesh

    def buildProtocol(self, addr: object) -> Inbound | None:
        """A link for whoever it is; None, which closes the connection, while there are to be none."""
        return Inbound(self._mesh) if self._mesh.is_open() else None
