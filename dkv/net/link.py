"""A connection between two nodes: what its two ends have in common.

Between two nodes there are two connections, one dialled by each. On either the dialler says Hello first. The node that
accepted the connection checks this Hello, and answers with its own Hello or with Refused. So a dialler that reads a
valid Hello knows that it was accepted. Where there is a peer secret, both ends prove first that they know it, and until
then neither end believes the other a word (``dkv.net.peer_proof``). From then on the dialler writes messages
(``Outbound``) and the other end reads them (``Inbound``); it writes none. Both ends write Alive now and then, and both
end a connection on which they hear nothing.

Silence is counted in ticks of the mesh and not in seconds. A process that was itself stopped for a minute ticks once
when it goes on, and does not blame its peers for that minute.
"""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure

from dkv.identity import NEVER
from dkv.net.acquaintances import Objection
from dkv.net.event_log import EventLog
from dkv.net.fault_orders import FaultOrders
from dkv.net.once_log import OnceLog
from dkv.net.peer_proof import PeerProofs
from dkv.net.peer_tls import PeerTls
from dkv.net.securing import SecuringFailed
from dkv.net.sending import SenderOf
from dkv.net.sockets import prepare_socket
from dkv.settings import Limits
from dkv.wire.codec import Alive, Challenge, Hello, PeerProof, Refused, RefusedForGood, Removed, decode, encode
from dkv.wire.frames import FrameError, FrameReader, frame
from dkv.wire.packing import CodecError

TICKS_OF_SILENCE = 4
"""A connection ends after this many ticks without a byte. The mesh spreads them over ``silence_seconds``."""

TICKS_OF_LIFE = 2
"""Each end says Alive at every tick. So whoever lives is heard within this many ticks."""

HELLO_BYTES_MAX = 4096
"""The longest frame that is read before a valid Hello, so that a stranger costs little memory."""

REASON_CHARACTERS_MAX = 500
"""How much of a refusal is sent. It quotes the other's Hello, and must fit ``HELLO_BYTES_MAX`` with room to spare."""

FRAME_SILENCES = 15
"""How many times ``silence_seconds`` a frame may take to arrive. One that takes longer never ends: its length was
damaged, and everything that follows would be taken for a part of it."""


def mesh_frame(message: Hello | Challenge | PeerProof | Refused | RefusedForGood | Removed | Alive) -> bytes:
    """The frame of what one mesh says to another."""
    return frame(encode(message))


ALIVE = mesh_frame(Alive())


class Remote(Protocol):
    """The node at the other end, as far as its link is concerned."""

    @property
    def node(self) -> int:
        """Its number."""

    def heard(self) -> None:
        """Bytes of it have come in."""


class LinkOwner(Protocol):
    """What every link needs of the mesh that it is a part of."""

    @property
    def me(self) -> Hello:
        """What this node says of itself."""

    @property
    def proofs(self) -> PeerProofs:
        """How this node and others show each other that they know the peer secret."""

    @property
    def tls(self) -> PeerTls:
        """Whether this node speaks TLS with others."""

    @property
    def sender_of(self) -> SenderOf:
        """How to send through a transport."""

    @property
    def limits(self) -> Limits:
        """How long frames and queues may be."""

    @property
    def faults(self) -> FaultOrders:
        """Takes over what is written, while there are any orders."""

    @property
    def log(self) -> EventLog:
        """For what is logged each time."""

    @property
    def complaints(self) -> OnceLog:
        """For what is logged once."""

    def objection(self, hello: Hello, target: int | None = None) -> Objection | None:
        """Why this node will not talk to the sender of ``hello``; ``target`` is the node that it meant to dial."""

    def opened(self, link: Link) -> None:
        """A connection is made. Nothing is known of the other end."""

    def lost(self, link: Link) -> None:
        """A connection has ended."""


class Link(TwistedProtocol):
    """What both ends share: frames, signs of life, and an end for a reason that is logged once."""

    transport: Any  # an ITCPTransport, or its like for another kind of endpoint; zope's interfaces are no types

    def __init__(self, mesh: LinkOwner) -> None:
        self.peer: Remote | None = None  # the node at the other end, once its Hello is accepted
        self.start = NEVER  # of that Hello
        self.node: int | None = None  # the other end's number, as far as it is known or as it claims
        self.host = ""  # the other end's address, without its port, which differs each time
        self.trouble = ""  # why this node ended the connection, in words
        self._mesh = mesh
        self._reader = FrameReader(HELLO_BYTES_MAX)
        self._silent_ticks = 0
        self._unfinished_ticks = 0
        self._closing = False

    @property
    def is_closing(self) -> bool:
        """Whether nothing more is to be written."""
        return self._closing

    @property
    def is_heard(self) -> bool:
        """Whether the other end has given a sign of life of late. A link that closes does not count."""
        return not self._closing and self._silent_ticks < TICKS_OF_LIFE

    # --- the transport ---

    def connectionMade(self) -> None:
        """The other end is there, whoever it is: prepare the transport."""
        address = self.transport.getPeer()
        self.host = str(getattr(address, "host", address))
        prepare_socket(self.transport)
        self._send = self._mesh.sender_of(self.transport)
        self._mesh.opened(self)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # Twisted's default is a value
        """The connection has ended, whichever end closed it: the mesh must not write to it any more."""
        if isinstance(reason.value, SecuringFailed) and self.peer is None and not self._closing:
            # The end that dialled is done with its handshake before the other one has judged its certificate.
            self.complain(str(reason.value), "refused_by_peer", reason=str(reason.value))
        self._closing = True
        self._mesh.lost(self)

    def dataReceived(self, data: bytes) -> None:
        """Bytes have come in: hand on the messages in them. A frame or message that is none ends the connection."""
        if self._closing:
            return  # What a refused peer sends behind its Hello must not open the door.
        if self.peer is not None:
            self._silent_ticks = 0
            self.peer.heard()
        elif self.begins_otherwise(data):
            return
        try:
            bodies = self._reader.feed(data)
            if bodies:
                self._unfinished_ticks = 0
            for body in bodies:
                self.message_received(*decode(body))
                if self._closing:
                    return
        except (FrameError, CodecError) as error:
            self.complain(type(error).__name__, "peer_input_refused", reason=str(error))
            self.abort()

    def begins_otherwise(self, data: bytes) -> bool:
        """Whether ``data``, which comes before the other end is known, is no part of frames, and was dealt with."""
        return False

    def message_received(self, from_role: str, to_role: str, message: Any) -> None:
        """React to one message; ``CodecError`` if it has no place here."""
        raise NotImplementedError

    # --- what links do ---

    def told_refused(self, refusal: Refused | RefusedForGood | Removed) -> None:
        """The other end will not talk with this node: its operator has to read why."""
        for_good = isinstance(refusal, RefusedForGood)
        self.complain(refusal.reason, "refused_by_peer", reason=refusal.reason, for_good=for_good)
        self.abort()

    def accept_hello(self, peer: Remote, hello: Hello) -> None:
        """The other end is ``peer``: from here on it may send frames as long as messages are."""
        self.peer = peer
        self.node = peer.node
        self.start = hello.start
        self._silent_ticks = 0
        self._reader.frame_bytes_max = self._mesh.limits.frame_bytes_max

    def refuse(self, objection: Objection) -> None:
        """Log why this node will not talk to the sender of a Hello."""
        reason = objection.reason
        self.complain(reason, "peer_refused", reason=reason, for_good=objection.for_good)

    def write(self, data: bytes) -> None:
        """Write one frame."""
        if self._mesh.faults:
            self._mesh.faults.write(self, data)
        else:
            self._send(data)

    def tick(self) -> None:
        """A fourth of ``silence_seconds`` has passed: give up on an end that is silent, else tell it that we live.

        The mesh calls this ``TICKS_OF_SILENCE`` times in ``silence_seconds``. So three Alives in a row may get lost.
        """
        self._silent_ticks += 1
        self._unfinished_ticks = self._unfinished_ticks + 1 if self._reader.unfinished else 0
        if self._silent_ticks > TICKS_OF_SILENCE:
            self.complain("silent", "peer_silent")
            self.abort()
        elif self._unfinished_ticks > FRAME_SILENCES * TICKS_OF_SILENCE:
            self.complain("unfinished", "peer_frame_unfinished")
            self.abort()
        elif self.peer is not None:
            self.write(ALIVE)

    def complain(self, what: str, event: str, **fields: Any) -> None:
        """Log ``event``, unless this node did so already for the same ``what`` of the same peer."""
        self.trouble = fields.get("reason") or f"connected, and {what}"
        self._mesh.complaints.warn((self.host, self.node, what), event, address=self.host, peer=self.node, **fields)

    def close(self) -> None:
        """Read nothing more; end the connection when what was written is sent."""
        self._closing = True
        self.transport.loseConnection()

    def abort(self) -> None:
        """End the connection now; what was not sent is lost."""
        self._closing = True
        self.transport.abortConnection()
