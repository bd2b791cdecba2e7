"""One other member: the two connections with it, and whether it is up."""

from __future__ import annotations

from typing import Any

from dkv.net.dialler import Dialler
from dkv.net.event_log import EventLog
from dkv.net.inbound import Inbound
from dkv.net.inbox import Inbox
from dkv.net.link import Link
from dkv.net.outbound import Outbound, OutboundFactory, OutboundOwner
from dkv.net.reach import LOST, Reach
from dkv.net.securing import is_secured
from dkv.settings import Timings
from dkv.wire.codec import Hello


class Peer:
    """What the mesh knows of the node ``node``, which is dialled at the endpoint string ``address``.

    Once it has left, its links are still those of this object, until they are closed.
    """

    def __init__(
        self, mesh: OutboundOwner, node: int, address: str, reactor: Any, timings: Timings, inbox: Inbox, log: EventLog
    ) -> None:
        self.node = node
        self.outbound: Outbound | None = None
        """The connection dialled to it; usable once its ``peer`` is set."""
        self.inbound: Inbound | None = None
        """The latest connection from it whose Hello was accepted."""
        self.reach = Reach(node, address, reactor, log)
        self.dialler = Dialler(
            reactor,
            address,
            OutboundFactory(mesh, self),
            timings.silence_seconds,
            timings.reconnect_seconds_max,
            self.reach.failed,
            mesh.tls.dialling,
        )
        self.leaves_at: float | None = None
        """When it is let go, as it is no member any more."""
        self._clock = reactor
        self._heartbeat_seconds = timings.heartbeat_seconds
        self._inbox = inbox
        self._log = log
        self._up = False
        self._heard_at = -1.0
        self._stopped = False

    @property
    def is_connected(self) -> bool:
        """Whether what is sent now may reach it."""
        return self.outbound is not None and self.outbound.peer is not None

    def living(self) -> list[Link]:
        """Its connections on which it was heard of late. A process that starts anew closes those of the one before."""
        links = (self.outbound, self.inbound)
        return [link for link in links if link is not None and link.peer is not None and link.is_heard]

    def status(self) -> dict[str, Any]:
        """For people and JSON: whether this node reaches it, and over TLS (None: it does not), whether it reaches this
        node, and what the problem is."""
        ways = {"connected": self.is_connected, "accepted": self.inbound is not None}
        return {"node": self.node} | ways | {"tls": self._dialled_over_tls} | self.reach.status()

    @property
    def _dialled_over_tls(self) -> bool | None:
        """Whether the connection that was dialled to it has TLS; None without such a connection."""
        return is_secured(self.outbound.transport) if self.outbound is not None and self.is_connected else None

    @property
    def silent_seconds(self) -> float | None:
        """For how long nothing of it has come in, to about a heartbeat; None if there is no connection with it."""
        return self._clock.seconds() - self._heard_at if self._up else None

    def readdress(self, address: str) -> None:
        """Dial it at ``address`` from now on. A connection that it has at the old one may last."""
        if address == self.dialler.endpoint.text:
            return
        self._log.info("peer_moved", peer=self.node, address=address)
        self.dialler.endpoint.readdress(address)
        self.reach.readdress(address)

    def rest(self) -> None:
        """It says that this node was removed: dial it no more, unless it dials. It may start anew and know less."""
        self.dialler.stopService()

    def leave(self) -> None:
        """It is no peer any more: close its connections. If it dials again, it is told why."""
        for link in (self.inbound, self.outbound):
            if link is not None:
                link.close()
        self._go_down()

    def stop(self) -> None:
        """From now on, the inbox hears no more of its coming and going."""
        self._stopped = True

    # --- what the mesh and the links report ---

    def heard(self) -> None:
        """Bytes of it have come in: failure detection wants to know, but not of each message."""
        now = self._clock.seconds()
        if now - self._heard_at >= self._heartbeat_seconds:
            self._heard_at = now
            self._inbox.peer_heard(self.node)

    def accepted(self, link: Inbound, hello: Hello) -> None:
        """It has dialled, and its Hello is good. So it is there to be dialled."""
        older, self.inbound = self.inbound, link
        if older is not None:
            older.abort()  # A peer that redials must not be heard twice.
        outbound = self.outbound
        if outbound is None or (outbound.peer is not None and outbound.start != hello.start):
            self._redial()  # There is no connection, or it is with a process that is no more.
        elif outbound.peer is not None:
            self._come_up(hello)

    def dialled(self, link: Outbound, hello: Hello) -> None:
        """It was dialled, has accepted this node's Hello, and has answered with a good one."""
        inbound = self.inbound
        if inbound is not None and inbound.start != hello.start:
            # That connection is with a process that is no more. Its last words may still be in there.
            self.inbound = None
            inbound.abort()
        self.dialler.attempts = 0
        self.reach.reached()
        self._come_up(hello)

    def lost(self, link: Link) -> None:
        """A connection with it has ended; nothing follows if a newer one has taken its place."""
        if link is self.outbound:
            self.outbound = None
            self.reach.lost(link.trouble or LOST)
            self._go_down()
        elif link is self.inbound:
            self.inbound = None
            self._go_down()

    def _redial(self) -> None:
        """Dial now, whatever became of the connection dialled before, and however long the wait would be."""
        self.dialler.stopService()
        self.dialler.startService()
        if self.outbound is not None:
            self.outbound.abort()

    def _come_up(self, hello: Hello) -> None:
        if not self._up:
            self._up = True
            tls = bool(self._dialled_over_tls)
            self._log.info("peer_found", peer=self.node, boot=hello.start.boot, tls=tls)
            self._inbox.peer_up(self.node, hello.incarnation, hello.start.boot)

    def _go_down(self) -> None:
        if self._up:
            self._up = False
            if not self._stopped:
                self._log.info("peer_lost", peer=self.node)
                self._inbox.peer_down(self.node)
