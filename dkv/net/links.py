"""The two ends of a connection between nodes: ``Dialled`` writes messages, ``Accepted`` reads them.

Between two nodes there are two connections, one dialled by each. On either the dialler says Hello first; the
acceptor checks it and answers with its own Hello, or with Refused. So a dialler that reads a valid Hello knows
that it was accepted. From then on the dialler writes messages and the acceptor none; both write Alive now and then,
and both end a connection on which nothing is heard.

Silence is counted in ticks of the mesh, not in seconds: a process that was stopped for a minute itself ticks once
when it goes on, and does not blame its peers for that minute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from dkv.actor import Address
from dkv.identity import NEVER
from dkv.messages import VOTES
from dkv.net.sockets import prepare_socket
from dkv.wire.codec import Alive, CodecError, Hello, Refused, RefusedForGood, decode, encode
from dkv.wire.frames import FrameError, FrameReader, frame

if TYPE_CHECKING:
    from dkv.net.peers import Mesh, Peer

TICKS_OF_SILENCE = 4
"""A connection is given up on after so many ticks without a byte; the mesh spreads them over silence_seconds."""

TICKS_OF_LIFE = 2
"""Whoever lives is heard within so many ticks, for each end says Alive at every tick."""

HELLO_BYTES_MAX = 4096
"""The longest frame that is read before a valid Hello, so that a stranger costs little memory."""

REASON_CHARACTERS_MAX = 500
"""Of a refusal as it is sent: it quotes the other's Hello and must fit ``HELLO_BYTES_MAX`` with room to spare."""

FRAME_SILENCES = 15
"""A frame that is not complete after so many times ``silence_seconds`` never will be: its length was damaged, and
everything that follows would be taken for a part of it."""


def mesh_frame(message: Hello | Refused | RefusedForGood | Alive) -> bytes:
    """The frame of what one mesh says to another."""
    return frame(encode(message))


ALIVE = mesh_frame(Alive())


class Link(Protocol):
    """What both ends share: frames, signs of life, and closing for a reason that is logged once."""

    transport: Any  # an ITCPTransport, or its like for another kind of endpoint; zope's interfaces are no types

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.peer: Peer | None = None  # whose connection this is, once its Hello is accepted
        self.start = NEVER  # of that Hello
        self.node: int | None = None  # whom this is with, as far as it is known or they say
        self.host = ""  # the other's address without its port, which differs each time
        self.trouble = ""  # why this node ended it, in words
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
        """Whether the other end has given a sign of life of late, as one does that lives; closing, it is not asked."""
        return not self._closing and self._silent_ticks < TICKS_OF_LIFE

    def connectionMade(self) -> None:
        """Prepare the transport."""
        address = self.transport.getPeer()
        self.host = str(getattr(address, "host", address))
        prepare_socket(self.transport)
        self._send = self.mesh.sender_of(self.transport)
        self.mesh.opened(self)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # Twisted's default is a value
        """Tell the mesh, whoever ended the connection."""
        self._closing = True
        self.mesh.lost(self)

    def dataReceived(self, data: bytes) -> None:
        """Hand on what is in the frames; what is not a frame or a message ends the connection."""
        if self._closing:
            return
        if self.peer is not None:
            self._silent_ticks = 0
            self.mesh.heard(self.peer)
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

    def message_received(self, from_role: str, to_role: str, message: Any) -> None:
        """React to one message; ``CodecError`` if it has no place here."""
        raise NotImplementedError

    def accept_hello(self, peer: Peer, hello: Hello) -> None:
        """The other end is ``peer``: from here on it may send frames as long as messages are."""
        self.peer = peer
        self.node = peer.node
        self.start = hello.start
        self._silent_ticks = 0
        self._reader.frame_bytes_max = self.mesh.limits.frame_bytes_max

    def write(self, data: bytes) -> None:
        """Write one frame."""
        if self.mesh.faults:
            self.mesh.faults.write(self, data)
        else:
            self._send(data)

    def tick(self) -> None:
        """Called ``TICKS_OF_SILENCE`` times in ``silence_seconds``; so three Alives can get lost in time."""
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
        self.mesh.log_once((self.host, self.node, what), event, address=self.host, peer=self.node, **fields)

    def close(self) -> None:
        """Read nothing more; end the connection when what was written is sent."""
        self._closing = True
        self.transport.loseConnection()

    def abort(self) -> None:
        """End the connection now; what was not sent is lost."""
        self._closing = True
        self.transport.abortConnection()


class Accepted(Link):
    """The end that listened: it reads messages and writes none."""

    def message_received(self, from_role: str, to_role: str, message: Any) -> None:
        """Hello first, then messages for this node's actors."""
        if self.peer is None:
            if not isinstance(message, Hello):
                raise CodecError(f"{type(message).__name__} before Hello")
            self._hello_received(message)
        elif isinstance(message, (Hello, Refused, RefusedForGood)):
            raise CodecError(f"{type(message).__name__} after Hello")
        elif not isinstance(message, Alive):
            if type(message) not in self.mesh.spoken:
                raise CodecError(f"{type(message).__name__} is not said in this mode")
            if type(message) in VOTES:
                self.mesh.acquaintances.heard(self.peer.node, message)
            self.mesh.inbox.deliver(to_role, Address(self.peer.node, from_role), message)

    def _hello_received(self, hello: Hello) -> None:
        self.node = hello.node
        objection = self.mesh.objection(hello)
        if objection is not None:
            reason = objection.reason
            self.complain(reason, "peer_refused", reason=reason, for_good=objection.for_good)
            told = reason[:REASON_CHARACTERS_MAX]
            self.write(mesh_frame(RefusedForGood(told, self.mesh.me) if objection.for_good else Refused(told)))
            self.close()
            return
        self.write(self.mesh.hello)
        self.accept_hello(self.mesh.peers[hello.node], hello)
        self.mesh.accepted(self, hello)

    def tick(self) -> None:
        """While the node does not read, nothing can be heard."""
        if self.mesh.reading_paused:
            self._silent_ticks = self._unfinished_ticks = 0
        super().tick()


@implementer(IPushProducer)
class Dialled(Link):
    """The end that dialled ``target``: it writes messages and reads none.

    It is registered with its transport as a producer only to learn when the transport's buffer fills and empties.
    """

    def __init__(self, mesh: Mesh, target: Peer) -> None:
        super().__init__(mesh)
        self.target = target
        self.node = target.node
        self._blocked = False  # the transport's buffer is not empty
        self._unsent_bytes = 0  # written since it filled: all it holds, but for what it takes to call it full
        self._frames: list[bytes] = []  # for the next flush
        self._frames_bytes = 0
        self._dropping = False

    def connectionMade(self) -> None:
        """Say Hello at once."""
        super().connectionMade()
        self.transport.registerProducer(self, True)
        self.write(self.mesh.hello)

    def message_received(self, from_role: str, to_role: str, message: Any) -> None:
        """Hello or Refused first, then signs of life only."""
        if self.peer is not None:
            if not isinstance(message, Alive):
                raise CodecError(f"{type(message).__name__} on a connection that carries messages the other way")
        elif isinstance(message, Hello):
            self._hello_received(message)
        elif isinstance(message, (Refused, RefusedForGood)):
            reason = message.reason
            self.complain(reason, "refused_by_peer", reason=reason, for_good=isinstance(message, RefusedForGood))
            self.abort()
            if isinstance(message, RefusedForGood):
                self.mesh.refused_for_good(self, message)
        else:
            raise CodecError(f"{type(message).__name__} before Hello")

    def _hello_received(self, hello: Hello) -> None:
        objection = self.mesh.objection(hello, self.target)
        if objection is not None:
            reason = objection.reason
            self.complain(reason, "peer_refused", reason=reason, for_good=objection.for_good)
            self.abort()
            return
        self.accept_hello(self.target, hello)
        self.mesh.dialled(self, hello)

    def send(self, data: bytes) -> None:
        """Take one message's frame to be written at the next ``flush``; drop it if the peer reads too slowly."""
        if self._closing:
            return
        if self._unsent_bytes + self._frames_bytes + len(data) > self.mesh.limits.peer_queue_bytes_max:
            if not self._dropping:
                self._dropping = True
                self.mesh.log.warning("peer_slow", peer=self.target.node, unsent_bytes=self._unsent_bytes)
            return
        if not self._frames:
            self.mesh.to_flush.append(self)
        self._frames.append(data)
        self._frames_bytes += len(data)

    def flush(self) -> None:
        """Write what was sent since the last time, all at once and now: one system call, and one for the peer."""
        frames, self._frames, self._frames_bytes = self._frames, [], 0
        if self._closing or not frames:
            return
        if self.mesh.faults:
            for data in frames:
                self.write(data)
        else:
            self._send(b"".join(frames))
        if self._blocked:
            self._unsent_bytes += sum(map(len, frames))
        else:
            self._drop_no_more()

    def close(self) -> None:
        """As for every link; a transport with a producer would wait for what it produces next, and never close."""
        self.flush()
        self.transport.unregisterProducer()
        super().close()

    def pauseProducing(self) -> None:
        """The transport's buffer has filled."""
        self._blocked = True

    def resumeProducing(self) -> None:
        """The transport's buffer is empty again."""
        self._blocked = False
        self._unsent_bytes = 0
        self._drop_no_more()

    def _drop_no_more(self) -> None:
        if self._dropping:
            self._dropping = False
            self.mesh.log.info("peer_slow_no_more", peer=self.target.node)

    def stopProducing(self) -> None:
        """The transport is gone, which ``connectionLost`` says too."""
