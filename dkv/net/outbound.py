"""The end of a connection between nodes that this node dialled: it writes messages and reads none."""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory
from zope.interface import implementer

from dkv.net.acquaintances import Objection
from dkv.net.link import REASON_CHARACTERS_MAX, Link, LinkOwner, Remote, mesh_frame
from dkv.net.peer_tls import stranger_by_certificate
from dkv.wire.codec import Alive, Challenge, Hello, PeerProof, Refused, RefusedForGood, Removed
from dkv.wire.packing import CodecError

POSTINGS_SHARE = 8
"""Messages that may be lost may take this part of ``peer_queue_bytes_max``."""


class OutboundOwner(LinkOwner, Protocol):
    """What an outbound link needs of its mesh."""

    @property
    def to_flush(self) -> list[Outbound]:
        """The links that hold what was sent and is not written yet."""

    postings_dropped: int
    """How many messages that may be lost were dropped so far, since a peer was slow to read."""

    def dialled(self, link: Outbound, hello: Hello) -> None:
        """A peer was dialled, has accepted this node's Hello, and has answered with a good one."""

    def told_removed(self, link: Outbound, removed: Removed) -> None:
        """A peer says that this node is no member any more."""

    def refused_for_good(self, link: Outbound, refusal: RefusedForGood) -> None:
        """A peer will never talk to this node."""


@implementer(IPushProducer)
class Outbound(Link):
    """The end that dialled ``target``.

    It is registered with its transport as a producer only to learn when the transport's buffer fills and empties.
    """

    _mesh: OutboundOwner  # what it was made with

    def __init__(self, mesh: OutboundOwner, target: Remote) -> None:
        super().__init__(mesh)
        self.target = target
        self.node = target.node
        self._proof = mesh.proofs.dialling(mesh.me, target.node)
        self._blocked = False  # the transport's buffer is not empty
        self._unsent_bytes = 0  # written since it filled: all that it holds, but for what made it full
        self._frames: list[bytes] = []  # for the next flush
        self._frames_bytes = 0
        self._dropping = False
        self._postings_bytes = 0  # of what may be lost, since the transport's buffer was empty
        self._losing = False

    # --- the handshake ---

    def connectionMade(self) -> None:
        """The peer's port is open: say Hello at once; but with TLS only to the node that was meant to be dialled."""
        super().connectionMade()
        if self.is_closing:
            return  # It is no peer any more, since a moment ago.
        self.transport.registerProducer(self, True)
        wrong = stranger_by_certificate(self.transport, self._mesh.me.cluster, self.target.node)
        if wrong is not None:
            self._turn_away(Objection(f"the node at the address of node {self.target.node} {wrong}"))
            return
        self.write(mesh_frame(self._proof.hello))

    def message_received(self, from_role: str, to_role: str, message: Any) -> None:
        """Hello or a refusal first, and proofs before it if there is a secret; then signs of life only."""
        if self.peer is not None:
            # If messages came on both connections, they could be heard twice, and out of order.
            if not isinstance(message, Alive):
                raise CodecError(f"{type(message).__name__} on a connection that carries messages the other way")
        elif isinstance(message, Hello):
            self._hello_received(message)
        elif isinstance(message, (Refused, RefusedForGood, Removed)):
            self._refused(message)
        elif isinstance(message, Challenge):
            self.write(mesh_frame(self._proof.challenged(message)))
        elif isinstance(message, PeerProof):
            self._proof.proof_received(message)
        else:
            raise CodecError(f"{type(message).__name__} before Hello")

    def _hello_received(self, hello: Hello) -> None:
        """The peer has let this node in; now this node judges the peer, and tells it what is wrong."""
        doubt = self._proof.doubt(hello)
        objection = self._mesh.objection(hello, self.target.node) if doubt is None else Objection(doubt)
        if objection is not None:
            self._turn_away(objection)
            return
        self.accept_hello(self.target, hello)
        self._mesh.dialled(self, hello)

    def _turn_away(self, objection: Objection) -> None:
        """Say why, here and to the other end, and close."""
        self.refuse(objection)
        self.write(mesh_frame(Refused(objection.reason[:REASON_CHARACTERS_MAX])))
        self.close()

    def _refused(self, message: Refused | RefusedForGood | Removed) -> None:
        """The peer will not hear this node. What follows from that follows only if it is shown to be the peer."""
        doubt = None if isinstance(message, Refused) else self._proof.doubt(message.by)
        if doubt is not None:
            self.refuse(Objection(doubt))
            self.abort()
            return
        self.told_refused(message)
        if isinstance(message, RefusedForGood):
            self._mesh.refused_for_good(self, message)
        elif isinstance(message, Removed):
            self._mesh.told_removed(self, message)

    # --- messages out ---

    def send(self, data: bytes) -> None:
        """Take one message's frame, to be written at the next ``flush``; drop it if the peer reads too slowly."""
        if self._closing:
            return
        if self._unsent_bytes + self._frames_bytes + len(data) > self._mesh.limits.peer_queue_bytes_max:
            if not self._dropping:
                self._dropping = True
                self._mesh.log.warning("peer_slow", peer=self.target.node, unsent_bytes=self._unsent_bytes)
            return
        if not self._frames:
            self._mesh.to_flush.append(self)
        self._frames.append(data)
        self._frames_bytes += len(data)

    def send_if_it_reads(self, data: bytes) -> None:
        """As ``send``, for a message that may be lost: such messages may take a small part of the queue only.

        However much is published, votes and signs of life are not dropped for it, nor do they wait long behind it.
        """
        if self._postings_bytes + len(data) > self._mesh.limits.peer_queue_bytes_max // POSTINGS_SHARE:
            self._mesh.postings_dropped += 1
            if not self._losing:
                self._losing = True
                self._mesh.log.warning("peer_misses_postings", peer=self.target.node, bytes=self._postings_bytes)
            return
        self._postings_bytes += len(data)
        self.send(data)

    def flush(self) -> None:
        """Write all that was sent since the last time, at once: one system call here, and mostly one at the peer."""
        frames, self._frames, self._frames_bytes = self._frames, [], 0
        if self._closing or not frames:
            return
        if self._mesh.faults:
            for data in frames:
                self.write(data)
        else:
            self._send(b"".join(frames))
        if self._blocked:
            self._unsent_bytes += sum(map(len, frames))
        else:
            self._postings_bytes = 0
            self._drop_no_more()

    def close(self) -> None:
        """As for every link. A transport that has a producer would wait for what it produces next, and never close."""
        self.flush()
        self.transport.unregisterProducer()
        super().close()

    # --- a producer for the transport ---

    def pauseProducing(self) -> None:
        """The transport's buffer has filled: the peer reads slower than this node writes. Count what is behind it."""
        self._blocked = True

    def resumeProducing(self) -> None:
        """The transport's buffer is empty again: the peer has caught up, and nothing needs to be dropped."""
        self._blocked = False
        self._unsent_bytes = self._postings_bytes = 0
        self._drop_no_more()

    def _drop_no_more(self) -> None:
        if self._dropping:
            self._dropping = False
            self._mesh.log.info("peer_slow_no_more", peer=self.target.node)
        if self._losing:
            self._losing = False
            self._mesh.log.info("peer_misses_postings_no_more", peer=self.target.node)

    def stopProducing(self) -> None:
        """The transport is gone. ``connectionLost`` says so too."""


class OutboundFactory(Factory):
    """Makes a link each time that ``target`` was dialled."""

    noisy = False

    def __init__(self, mesh: OutboundOwner, target: Remote) -> None:
        self._mesh = mesh
        self._target = target

    def buildProtocol(self, addr: object) -> Outbound:
        """A link to this factory's peer."""
        return Outbound(self._mesh, self._target)
