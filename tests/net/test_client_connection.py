"""One client's connection: order, back-pressure and every way in which it ends."""

from __future__ import annotations

import gc
import weakref

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from dkv.client_events import ClientGone
from dkv.console.client_session import ClientSession
from dkv.kv.codes import GET, PUT
from dkv.net.flow_control import REQUESTS_PER_MESSAGE
from dkv.net.lingering import LINGER_SECONDS
from dkv.replies import OK, Error, Local, Simple
from dkv.settings import KIB, MIB, Limits
from tests.net.client_port import Port, encoded

PUT_X = encoded(b"PUT", b"x", b"1")


class RequestTests(SynchronousTestCase):
    """Requests in, replies out."""

    def setUp(self) -> None:
        self.port = Port()
        self.connection, self.transport = self.port.connect()

    def test_local_at_once(self) -> None:
        """PING tells that the node is there even while there is no leader."""
        self.connection.dataReceived(b"PING\r\n" + encoded(b"ECHO", b"x"))
        self.assertEqual(self.transport.value(), b"+PONG\r\n$1\r\nx\r\n")
        self.assertFalse(self.port.messages)
        self.assertTrue(self.transport.no_delay)

    def test_one_message_for_a_pipeline(self) -> None:
        """Pipelined requests share one message, one write, one batch: that is what makes them fast."""
        stream = PUT_X + encoded(b"GET", b"x") + b"PING\r\n" + PUT_X
        self.connection.dataReceived(stream)
        (message,) = self.port.messages
        self.assertEqual(message.items, [[PUT, b"x", b"1"], [GET, b"x"], Local(Simple("PONG")), [PUT, b"x", b"1"]])
        self.assertEqual((message.writes, message.reads, message.size), (2, 1, len(stream)))
        self.port.answer()
        self.assertEqual(self.transport.value(), b"+OK\r\n$5\r\nvalue\r\n+PONG\r\n+OK\r\n")

    def test_ping_waits_behind_a_write(self) -> None:
        """A PING after a PUT is answered after it, however the two were sent."""
        self.connection.dataReceived(PUT_X)
        self.connection.dataReceived(b"PING\r\n")
        self.assertEqual(self.transport.value(), b"")
        first, second = self.port.requests(), self.port.requests()
        self.assertEqual((second.items, second.writes, second.reads), ([Local(Simple("PONG"))], 0, 0))
        self.port.reply(first, [OK])
        self.port.reply(second, second.items)
        self.assertEqual(self.transport.value(), b"+OK\r\n+PONG\r\n")
        self.connection.dataReceived(b"PING\r\n")
        self.assertEqual(self.transport.value(), b"+OK\r\n+PONG\r\n+PONG\r\n", "nothing is outstanding any more")

    def test_hello_in_a_pipeline(self) -> None:
        """Replies before HELLO 3 are in RESP 2, those after it in RESP 3."""
        self.connection.dataReceived(encoded(b"GET", b"x") + encoded(b"HELLO", b"3") + encoded(b"GET", b"x"))
        self.port.answer(read=None)
        before, _, rest = self.transport.value().partition(b"%7\r\n")
        self.assertEqual(before, b"$-1\r\n")
        self.assertTrue(rest.endswith(b"*0\r\n_\r\n"))

    def test_quit_in_a_pipeline(self) -> None:
        """Requests before QUIT are answered, and so is QUIT. What comes after it is not even parsed."""
        self.connection.dataReceived(PUT_X + b"QUIT\r\n" + PUT_X + b"*x\r\n")
        self.connection.dataReceived(PUT_X)
        self.assertEqual(len(self.port.messages), 1)
        self.assertFalse(self.transport.disconnecting)
        self.port.answer()
        self.assertEqual(self.transport.value(), b"+OK\r\n+OK\r\n")
        self.assertTrue(self.transport.disconnecting)

    def test_large_pipelines_go_in_parts(self) -> None:
        """A message to the gateway stays small enough for a batch, and keeps the order."""
        self.connection.dataReceived(b"".join(encoded(b"PUT", b"%d" % number, b"") for number in range(200)))
        messages = [self.port.requests() for _ in range(2)]
        self.assertEqual([len(message.items) for message in messages], [REQUESTS_PER_MESSAGE, 72])
        keys = [item[1] for message in messages for item in message.items if isinstance(item, list)]
        self.assertEqual(keys, [b"%d" % number for number in range(200)])
        for message in messages:
            self.port.reply(message, [OK] * len(message.items))
        self.connection.dataReceived(encoded(b"PUT", b"k", b"x" * 400 * KIB) * 5)
        self.assertEqual([len(self.port.requests().items) for _ in range(3)], [2, 2, 1])

    def test_value_too_long(self) -> None:
        """A value of 1.5 MiB is refused in its place, and the connection goes on."""
        stream = PUT_X + encoded(b"PUT", b"x", b"v" * (MIB + MIB // 2)) + PUT_X
        for start in range(0, len(stream), 64 * KIB):
            self.connection.dataReceived(stream[start : start + 64 * KIB])
            self.port.answer_all()
        self.assertEqual(
            self.transport.value(),
            b"+OK\r\n-ERR the value has 1572864 bytes, limits.value_bytes_max is 1048576\r\n+OK\r\n",
        )
        self.assertFalse(self.transport.disconnecting)


class EndTests(SynchronousTestCase):
    """How connections end."""

    def setUp(self) -> None:
        self.port = Port()
        self.connection, self.transport = self.port.connect()

    def test_protocol_error(self) -> None:
        """An error closes the connection behind the replies due, and the operator learns who sent it."""
        self.connection.dataReceived(PUT_X + b"*x\r\n" + PUT_X)
        self.port.answer()
        self.assertFalse(self.transport.half_closed)
        self.port.answer()
        self.assertEqual(self.transport.value(), b"+OK\r\n-ERR Protocol error: invalid multibulk length\r\n")
        self.assertTrue(self.transport.half_closed)
        ((event, fields),) = self.port.log.lines
        self.assertEqual((event, fields["peer"]), ("input_refused", "192.0.2.1:4000"))
        self.assertIn("invalid multibulk length", fields["reason"])

    def test_error_is_not_lost_in_a_reset(self) -> None:
        """A client in the middle of sending gets to read why it was refused: it is listened to until it closes."""
        self.connection.dataReceived(b"x" * 70_000)
        self.assertIn(b"-ERR Protocol error: too big inline request", self.transport.value())
        self.assertTrue(self.transport.half_closed)
        self.assertEqual(self.transport.producerState, "producing")
        self.assertFalse(self.transport.disconnecting)
        self.connection.dataReceived(b"x" * 70_000)
        self.connection.readConnectionLost()
        self.assertTrue(self.transport.disconnecting)

    def test_error_where_nothing_can_be_half_closed(self) -> None:
        """A client on a socket of the file system reads why it was refused too; such a socket closes as a whole."""
        transport = StringTransport()
        connection = self.port.clients.buildProtocol(transport.getPeer())
        connection.makeConnection(transport)
        connection.dataReceived(b"*x\r\n")
        self.assertEqual(transport.value(), b"-ERR Protocol error: invalid multibulk length\r\n")
        self.assertTrue(transport.disconnecting)

    def test_lingering_ends(self) -> None:
        """A client that neither reads nor closes does not keep its connection for ever."""
        self.connection.dataReceived(b"QUIT\r\n")
        self.port.clock.advance(LINGER_SECONDS)
        self.assertTrue(self.transport.aborted)
        connection, transport = self.port.connect()
        connection.dataReceived(b"QUIT\r\n")
        connection.connectionLost(Failure(ConnectionDone()))
        self.port.clock.advance(LINGER_SECONDS)
        self.assertFalse(transport.aborted)

    def test_endless_line(self) -> None:
        """A line of 10 MB is refused when it passes the limit, and held no longer."""
        for _ in range(160):
            self.connection.dataReceived(b"x" * 64 * KIB)
            self.assertLessEqual(self.connection._parser.held, 64 * KIB)
        self.assertIn(b"limits.inline_bytes_max is 65536", self.transport.value())
        self.assertEqual(len(self.port.log.lines), 1)

    def test_half_closed(self) -> None:
        """``printf 'PUT x 1\\nGET x\\n' | nc -N`` prints the replies."""
        self.connection.dataReceived(b"PUT x 1\nGET x\n")
        self.connection.readConnectionLost()
        self.assertFalse(self.transport.disconnecting)
        self.port.answer()
        self.assertEqual(self.transport.value(), b"+OK\r\n$5\r\nvalue\r\n")
        self.assertTrue(self.transport.disconnecting)

    def test_half_closed_and_idle(self) -> None:
        """A client that has hung up is let go at once."""
        self.connection.dataReceived(b"PUT x")
        self.connection.readConnectionLost()
        self.assertTrue(self.transport.disconnecting)

    def test_gone(self) -> None:
        """The gateway learns that nobody waits, and late replies harm nobody."""
        self.connection.dataReceived(PUT_X)
        message = self.port.requests()
        self.connection.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(list(self.port.messages), [ClientGone(self.connection.number)])
        self.port.reply(message, [OK])
        self.assertEqual(self.transport.value(), b"")
        self.assertEqual(self.port.clients.connections, 0)

    def test_gone_while_idle(self) -> None:
        """A connection with nothing outstanding leaves no trace, and its session hears that it is over."""
        gone: list[ClientSession] = []
        self.patch(ClientSession, "gone", lambda session: gone.append(session))
        self.connection.dataReceived(PUT_X)
        self.port.answer()
        self.connection.connectionLost(Failure(ConnectionDone()))
        self.assertFalse(self.port.messages)
        self.assertEqual(len(gone), 1)

    def test_http(self) -> None:
        """A browser, or curl, gets nothing done, however its requests are cut; the operator learns who sent them."""
        for method in (b"PUT", b"post", b"DELETE", b"GET"):
            port = Port()
            connection, transport = port.connect()
            request = method + b" /x HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\nPUT x 1\r\n\r\n"
            for piece in (request[:6], request[6:30], request[30:] + PUT_X):
                connection.dataReceived(piece)
            self.assertEqual(transport.value(), b"-ERR this is not an HTTP server\r\n")
            self.assertTrue(transport.half_closed)
            self.assertFalse(port.messages)
            self.assertEqual([event for event, _ in port.log.lines], ["input_refused"])

    def test_http_behind_requests(self) -> None:
        """Requests before an HTTP request are answered. The connection ends behind them."""
        self.connection.dataReceived(PUT_X + b"DELETE /x HTTP/1.0\nPUT x 2\n")
        self.port.answer()
        self.assertEqual(self.port.requests().items, [Local(Error("ERR this is not an HTTP server"), close=True)])
        self.assertFalse(self.port.messages)


class MemoryTests(SynchronousTestCase):
    def test_nothing_is_left(self) -> None:
        """The memory of a connection is free when it ends: a node looks for cycles rarely, and a hundred thousand that
        stopped in the middle of an AUTH took 97 MiB meanwhile."""
        port = Port()
        gc.disable()
        self.addCleanup(gc.enable)
        for data in (b"", PUT_X[:5], b"PING\r\n", b"MULTI\r\n" + PUT_X, b"SUBSCRIBE x\r\n", b"*-5\r\n"):
            connection, transport = port.connect()
            if data:
                connection.dataReceived(data)
            connection.connectionLost(Failure(ConnectionDone()))
            if transport.producer is not None:
                transport.unregisterProducer()  # as Twisted's own do
            self.assertFalse(hasattr(connection.interpreter.interpret, "__self__"), "a session holds itself")
            gone = weakref.ref(connection)
            del connection, transport
            self.assertIsNone(gone(), data)


class TelnetTests(SynchronousTestCase):
    """A person whose telnet says more than was typed."""

    def test_ctrl_c(self) -> None:
        """Ctrl-C is answered behind the replies due, for telnet hides everything up to then; the line is forgotten."""
        port = Port()
        connection, transport = port.connect()
        connection.dataReceived(b"GET x\r\nDEL x")
        connection.dataReceived(b"\xff\xf4\xff\xfd\x06")
        connection.dataReceived(b"PING\r\n")
        self.assertEqual(transport.value(), b"")
        self.assertEqual(port.answer_all(), 3)
        self.assertEqual(transport.value(), b"$5\r\nvalue\r\n\xff\xfb\x06+PONG\r\n")
        connection.dataReceived(b"\xff\xfd\x06")
        self.assertTrue(transport.value().endswith(b"+PONG\r\n\xff\xfb\x06"), "at once, with no line's end")


class BackPressureTests(SynchronousTestCase):
    """A client can send faster than it is served, or not read: the node's memory stays bounded."""

    def test_requests_in_flight(self) -> None:
        """Beyond the limit the node stops reading, and goes on below half of it, in order."""
        port = Port(Limits(connection_inflight_bytes_max=16 * MIB))
        connection, transport = port.connect()
        request = encoded(b"PUT", b"k", b"v" * MIB)
        sent = 0
        while transport.producerState == "producing":
            connection.dataReceived(request)
            sent += 1
            self.assertLessEqual(sent, 17)
        self.assertGreaterEqual(sent, 14)
        resumed_after = 0
        while transport.producerState != "producing":
            port.answer()
            resumed_after += 1
        self.assertLess(abs(resumed_after - sent // 2), 3)
        port.answer_all()
        self.assertEqual(transport.value(), b"+OK\r\n" * sent)

    def test_client_that_does_not_read(self) -> None:
        """A client that sends GETs and reads nothing is not read either, until it does."""
        port = Port()
        connection, transport = port.connect()
        connection.dataReceived(encoded(b"GET", b"k"))
        self.assertIs(transport.producer, connection)
        self.assertTrue(transport.streaming)
        connection.pauseProducing()
        self.assertEqual(transport.producerState, "paused")
        port.answer()
        connection.dataReceived(encoded(b"GET", b"k") * 5)
        self.assertFalse(port.messages, "what was read already waits in the parser")
        connection.resumeProducing()
        self.assertEqual(transport.producerState, "producing")
        self.assertEqual(port.answer_all(), 5)

    def test_replies_expected(self) -> None:
        """A few bytes of GETs cannot ask for gigabytes of replies at once: what replies took is reckoned with."""
        port = Port(Limits(connection_inflight_bytes_max=16 * MIB))
        connection, transport = port.connect()
        connection.dataReceived(encoded(b"GET", b"k"))
        port.answer(read=b"v" * MIB)
        connection.dataReceived(encoded(b"GET", b"k") * 1_000)
        waiting = sum(len(message.items) for message in port.messages)
        self.assertTrue(10 <= waiting <= 17, waiting)
        self.assertEqual(transport.producerState, "paused")
        while port.messages:
            port.answer(read=b"v" * MIB)
            transport.clear()
            self.assertLessEqual(sum(len(message.items) for message in port.messages), 17)
        self.assertEqual(transport.producerState, "producing")

    def test_unfinished_pieces_are_read_on(self) -> None:
        """A paused connection keeps what it had read, and loses no request when it goes on."""
        port = Port()
        connection, transport = port.connect()
        port.clients.pause_reading()
        stream = PUT_X * 1_000
        for start in range(0, len(stream), 7):
            connection.dataReceived(stream[start : start + 7])
        self.assertFalse(port.messages)
        port.clients.resume_reading()
        self.assertEqual(port.answer_all(), 1_000)
        self.assertEqual(transport.value(), b"+OK\r\n" * 1_000)

    def test_error_while_waiting(self) -> None:
        """A protocol error behind paused requests is found when their turn comes."""
        port = Port()
        connection, _ = port.connect()
        port.clients.pause_reading()
        connection.dataReceived(PUT_X + b"*x\r\n")
        port.clients.resume_reading()
        first, second = port.requests(), port.requests()
        self.assertEqual(first.items, [[PUT, b"x", b"1"]])
        error = Error("ERR Protocol error: invalid multibulk length")
        self.assertEqual(second.items, [Local(error, close=True)])
