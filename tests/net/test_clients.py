"""The port as a whole: the cap on connections, the node's own limits, and how it stops."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.tcp import Server
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from dkv.client_events import RepliesUnread
from dkv.net.throttled_log import MINUTE_SECONDS
from dkv.net.unread_replies import UNREAD_SECONDS
from dkv.settings import MIB, Limits
from tests.net.client_port import Port, Transport, encoded

PUT_X = encoded(b"PUT", b"x", b"1")


def lost(connection: object) -> None:
    """The connection's transport says that it is closed."""
    connection.connectionLost(Failure(ConnectionDone()))  # type: ignore[attr-defined]


class SocketServer(Server):
    """The transport of a plain TCP connection, and its socket: reading it gives, or raises, ``said``."""

    def __init__(self, said: bytes | OSError) -> None:
        self.said = said
        self.sent = b""
        self.read = self.closed = False

    def getHandle(self) -> Any:
        return self

    def send(self, data: bytes) -> None:
        self.sent += data

    def recv(self, size: int) -> bytes:
        self.read = True
        if isinstance(self.said, OSError):
            raise self.said
        return self.said

    def connectionLost(self, reason: Failure) -> None:
        self.closed = True


class CapTests(SynchronousTestCase):
    """Connections beyond the cap."""

    def test_refused_politely(self) -> None:
        """A client too many reads why, and the others are served on; a place that gets free is given away."""
        port = Port(connections_max=2)
        first, transport = port.connect()
        port.connect()
        _, refused = port.connect("192.0.2.9")
        self.assertEqual(refused.value(), b"-ERR max number of clients reached\r\n")
        self.assertTrue(refused.disconnecting)
        self.assertEqual(port.clients.connections_refused, 1)
        first.dataReceived(b"PING\r\n")
        self.assertEqual(transport.value(), b"+PONG\r\n")
        lost(first)
        again, transport = port.connect()
        again.dataReceived(b"PING\r\n")
        self.assertEqual(transport.value(), b"+PONG\r\n")

    def test_refused_at_once(self) -> None:
        """A storm of clients takes no descriptors from LevelDB, and those who said HELLO can read why they go."""
        for said, told in ((b"HELLO 3\r\n", b"-ERR max number"), (BlockingIOError(), b"-ERR max number")):
            server = SocketServer(said)
            Port(connections_max=0).clients.buildProtocol(None).makeConnection(server)
            self.assertTrue(server.sent.startswith(told))
            self.assertTrue(server.read)
            self.assertTrue(server.closed)

    def test_refused_and_gone(self) -> None:
        """A client that has left before it was refused harms nobody."""
        server = SocketServer(ConnectionResetError())
        Port(connections_max=0).clients.buildProtocol(None).makeConnection(server)
        self.assertTrue(server.closed)

    def test_logged_once_a_minute(self) -> None:
        """A thousand refused connections make a line, not a full disk."""
        port = Port(connections_max=0)
        for _ in range(1_000):
            port.connect()
        self.assertEqual([fields["count"] for _, fields in port.log.lines], [1])
        port.clock.advance(MINUTE_SECONDS)
        port.connect()
        self.assertEqual([fields["count"] for _, fields in port.log.lines], [1, 1_000])
        self.assertEqual(port.clients.connections_refused, 1_001)


class NodeLimitTests(SynchronousTestCase):
    """Limits that connections share."""

    def test_in_flight(self) -> None:
        """Many clients together cannot fill the node's memory: beyond the limit nobody is read, then all are."""
        port = Port(Limits(connection_inflight_bytes_max=16 * MIB, node_inflight_bytes_max=20 * MIB))
        pairs = [port.connect() for _ in range(40)]
        request = encoded(b"PUT", b"k", b"v" * MIB)
        for connection, transport in pairs:
            if transport.producerState == "producing":
                connection.dataReceived(request)
        self.assertEqual(len(port.messages), 20)
        self.assertEqual({transport.producerState for _, transport in pairs}, {"paused"})
        _, newcomer = port.connect()
        self.assertEqual(newcomer.producerState, "paused")
        while port.clients.paused:
            port.answer()
        self.assertEqual(len(port.messages), 9)
        self.assertEqual({transport.producerState for _, transport in pairs}, {"producing"})
        self.assertEqual(newcomer.producerState, "producing")

    def test_who_does_not_read_is_cut_off(self) -> None:
        """Replies that nobody reads cannot fill the memory: no more are made, and those who keep it full have to go."""
        port = Port(Limits(node_replies_bytes_max=7 * MIB // 2))
        pairs = [port.connect(f"192.0.2.{number}") for number in range(3)]
        for number, (connection, _) in enumerate(pairs):
            connection.dataReceived(encoded(b"GET", b"k") * 2)
            connection.pauseProducing()
            port.answer(b"v" * (MIB // 2 * (number + 1)))
        self.assertEqual(port.messages.popleft(), RepliesUnread(True))
        port.clock.advance(UNREAD_SECONDS)
        self.assertEqual([transport.aborted for _, transport in pairs], [False, False, True])
        lost(pairs[2][0])
        port.clock.advance(1.0)
        self.assertEqual([transport.aborted for _, transport in pairs], [False, True, True], "to half of the limit")
        pairs[0][0].resumeProducing()
        lost(pairs[1][0])
        self.assertEqual(list(port.messages), [RepliesUnread(False)])
        self.assertEqual([fields["peer"] for _, fields in port.log.lines], ["192.0.2.2:4000", "192.0.2.1:4000"])

    def test_gone_clients_hold_nothing(self) -> None:
        """Clients that leave with requests under way give their share back."""
        port = Port(Limits(connection_inflight_bytes_max=16 * MIB, node_inflight_bytes_max=20 * MIB))
        pairs = [port.connect() for _ in range(20)]
        for connection, _ in pairs:
            connection.dataReceived(encoded(b"PUT", b"k", b"v" * MIB))
        self.assertTrue(port.clients.paused)
        for connection, _ in pairs:
            lost(connection)
        self.assertFalse(port.clients.paused)

    def test_turns_are_fair(self) -> None:
        """When all are read again only to be stopped at once, it is not always the same ones that get on."""
        port = Port(Limits(connection_inflight_bytes_max=8 * MIB, node_inflight_bytes_max=8 * MIB))
        port.clients.pause_reading()
        connections = {connection.number: connection for connection, _ in (port.connect() for _ in range(24))}
        requests = encoded(b"PUT", b"k", b"v" * MIB) * 2
        for connection in connections.values():
            connection.dataReceived(requests)
        port.clients.resume_reading()
        served = set()
        for _ in range(100):
            number = port.answer().connection
            served.add(number)
            connections[number].dataReceived(requests)  # it always has more to ask
        self.assertEqual(served, set(connections))

    def test_host_back_pressure(self) -> None:
        """While the disk lags behind, no more is taken in, also from those who come new."""
        port = Port()
        _, transport = port.connect()
        port.clients.pause_reading()
        _, newcomer = port.connect()
        self.assertEqual((transport.producerState, newcomer.producerState), ("paused", "paused"))
        port.clients.resume_reading()
        self.assertEqual((transport.producerState, newcomer.producerState), ("producing", "producing"))


class DrainTests(SynchronousTestCase):
    """A node that is stopped in an orderly way."""

    def test_answers_what_is_under_way(self) -> None:
        """Stopping a node costs no client the answer to what it had asked."""
        port = Port()
        busy, transport = port.connect()
        idle, idle_transport = port.connect()
        busy.dataReceived(PUT_X)
        drained = port.clients.drain(2.0)
        self.assertTrue(idle_transport.disconnecting)
        self.assertFalse(transport.disconnecting)
        busy.dataReceived(PUT_X)
        self.assertEqual(len(port.messages), 1, "no more is taken in")
        port.answer()
        self.assertEqual(transport.value(), b"+OK\r\n")
        self.assertTrue(transport.disconnecting)
        self.assertNoResult(drained)
        lost(idle)
        lost(busy)
        self.successResultOf(drained)
        self.assertFalse(port.clock.getDelayedCalls())

    def test_nobody_there(self) -> None:
        """An idle node stops at once."""
        self.successResultOf(Port().clients.drain(2.0))

    def test_deadline(self) -> None:
        """A client that does not read, or a request without a quorum, does not keep the node from stopping."""
        port = Port()
        busy, transport = port.connect()
        busy.dataReceived(PUT_X)
        drained = port.clients.drain(2.0)
        port.clock.advance(1.9)
        self.assertNoResult(drained)
        port.clock.advance(0.2)
        self.assertTrue(transport.aborted)
        self.assertNoResult(drained)
        lost(busy)
        self.successResultOf(drained)

    def test_abort(self) -> None:
        """A node that has failed says nothing more to anybody, and its owner hears of it when all of that is over."""
        port = Port()
        self.successResultOf(Port().clients.abort())
        busy, transport = port.connect()
        idle, idle_transport = port.connect()
        busy.dataReceived(PUT_X)
        drained, aborted = port.clients.drain(2.0), port.clients.abort()
        self.assertIs(drained, aborted)
        self.assertTrue(transport.aborted and idle_transport.aborted)
        lost(idle)
        self.assertNoResult(aborted)
        lost(busy)
        self.successResultOf(aborted)
        self.assertFalse(port.clock.getDelayedCalls())

    def test_where_a_client_has_connected_to(self) -> None:
        """A client that asks for the master is sent where it came from, if nobody says more; or nowhere, once gone."""
        port = Port()
        connection, _ = port.connect()
        self.assertEqual(port.clients.local_address(connection.number), connection.local)
        self.assertNotEqual(connection.local, "")
        connection.connectionLost(None)
        self.assertEqual(port.clients.local_address(connection.number), "")

    def test_newcomers(self) -> None:
        """A client that comes while the node stops is told to try another."""
        port = Port()
        port.connect()
        port.clients.drain(2.0)
        transport = Transport()
        port.clients.buildProtocol(transport.getPeer()).makeConnection(transport)
        self.assertEqual(transport.value(), b"-TRYAGAIN this node is shutting down\r\n")
        self.assertTrue(transport.disconnecting)
