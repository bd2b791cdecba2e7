"""Subscribers at the client port: what they are written, and what becomes of those that do not read."""

from __future__ import annotations

from itertools import pairwise

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import PUBSUB, Address
from dkv.client_events import CountsElsewhere, Deliver, Posted
from dkv.net import deliveries
from dkv.net.client_connection import ClientConnection
from dkv.net.deliveries import WRITTEN_TO_AT_ONCE, WRITTEN_TO_TOGETHER
from dkv.pubsub_messages import CHANNEL, PATTERN
from dkv.replies import ABORTED, Notice
from dkv.settings import KIB, Limits
from tests.net.client_port import Port, Transport
from tests.turns import FakeTurn

RELAY = Address(1, PUBSUB)


def message(channel: bytes, text: bytes) -> bytes:
    """The bytes of a message, in RESP 2."""
    return b"*3\r\n$7\r\nmessage\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(channel), channel, len(text), text)


class DeliveryTests(SynchronousTestCase):
    """A port with subscribers; everybody subscribes to one channel."""

    def begin(self, limits: Limits | None = None, subscribers: int = 2) -> None:
        """Let so many subscribe."""
        self.port = Port(limits, connections_max=1000)
        self.subscribers = [self.port.connect() for _ in range(subscribers)]
        for connection, _ in self.subscribers:
            connection.dataReceived(b"SUBSCRIBE c\r\n")
        self.turn()
        for _, transport in self.subscribers:
            transport.clear()

    def turn(self) -> None:
        """The host drains."""
        self.port.clients.collect()

    def publish(self, text: bytes) -> Transport:
        """Somebody publishes, on a connection of its own; what that was answered."""
        connection, transport = self.port.connect()
        connection.dataReceived(b"*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$%d\r\n%b\r\n" % (len(text), text))
        return transport

    def test_once_per_turn(self) -> None:
        """A subscriber is written to once for all that was published in a turn, and the relay hears of it once."""
        self.begin()
        self.port.posted.clear()
        answers = [self.publish(text).value() for text in (b"one", b"two")]
        self.assertEqual(answers, [b":2\r\n"] * 2)
        for _, transport in self.subscribers:
            self.assertEqual(transport.value(), b"")
        self.turn()
        for _, transport in self.subscribers:
            self.assertEqual(transport.value(), message(b"c", b"one") + message(b"c", b"two"))
        self.assertEqual(self.port.posted, [Posted(((CHANNEL, b"c", b"one"), (CHANNEL, b"c", b"two")), ())])

    def test_from_the_relay(self) -> None:
        """What other nodes have is delivered, and counted in answers."""
        self.begin()
        self.port.clients.receive(FakeTurn(), RELAY, Deliver(((CHANNEL, b"c", b"x"), (CHANNEL, b"d", b"y"))))
        self.port.clients.receive(FakeTurn(), RELAY, CountsElsewhere(2, True, ((CHANNEL, b"c", 5), (PATTERN, b"?", 1))))
        self.turn()
        self.assertEqual(self.subscribers[0][1].value(), message(b"c", b"x"))
        self.assertEqual(self.publish(b"x").value(), b":8\r\n")

    def test_many(self) -> None:
        """Peers and other clients have their turn before the last of a thousand subscribers is written to."""
        self.begin(subscribers=WRITTEN_TO_AT_ONCE + 3)
        self.publish(b"x")
        self.turn()
        written = [bool(transport.value()) for _, transport in self.subscribers]
        self.assertEqual(written, [True] * WRITTEN_TO_AT_ONCE + [False] * 3)
        self.turn()
        self.assertTrue(all(transport.value() for _, transport in self.subscribers))

    def test_one_that_does_not_read(self) -> None:
        """It is cut off at its limit, its neighbour reads on, and the log says so."""
        self.begin(Limits(subscriber_bytes_max=64 * KIB))
        slow = self.subscribers[0][0]
        slow.pauseProducing()
        texts = [b"%d" % number * KIB for number in range(70)]
        for text in texts:
            self.publish(text)
            self.turn()
        self.assertTrue(self.subscribers[0][1].aborted)
        self.assertFalse(self.subscribers[1][1].aborted)
        self.assertEqual(self.subscribers[1][1].value(), b"".join(message(b"c", text) for text in texts))
        events = [fields for event, fields in self.port.log.lines if event == "subscriber_cut_off"]
        self.assertEqual(len(events), 1)
        self.assertIn("limits.subscriber_bytes_max is 65536", events[0]["reason"])
        self.assertEqual(self.port.clients.deliveries.cut_off, 1)
        self.assertLess(len(self.subscribers[0][1].value()), 80 * KIB)

    def test_one_that_has_read(self) -> None:
        """What it has read is not counted against it."""
        self.begin(Limits(subscriber_bytes_max=64 * KIB), subscribers=1)
        slow, transport = self.subscribers[0]
        for _ in range(5):
            slow.pauseProducing()
            self.publish(b"x" * 50 * KIB)
            self.turn()
            self.assertGreater(self.port.clients.deliveries.unread_bytes, 50 * KIB)
            slow.resumeProducing()
        self.assertFalse(transport.aborted)
        self.assertEqual(self.port.clients.deliveries.unread_bytes, 0)

    def test_all_together(self) -> None:
        """Many slow subscribers, each within its limit, take no more than all clients may: the slowest goes first."""
        self.begin(Limits(subscriber_bytes_max=64 * KIB, node_replies_bytes_max=100 * KIB), subscribers=3)
        for connection, _ in self.subscribers:
            connection.pauseProducing()
        first = self.subscribers[0][0]
        first.flow.pushed(10 * KIB)
        self.publish(b"x" * 40 * KIB)
        self.turn()
        self.assertEqual([transport.aborted for _, transport in self.subscribers], [True, False, False])

    def test_many_that_do_not_read(self) -> None:
        """What is written to all of them in one turn is never held together, beyond a part of what they may leave."""
        self.begin(Limits(subscriber_bytes_max=64 * KIB, node_replies_bytes_max=128 * KIB), subscribers=100)
        for connection, _ in self.subscribers:
            connection.pauseProducing()
        self.publish(b"x" * 60 * KIB)
        most = 0
        push = type(self.subscribers[0][0]).push

        def watched(connection: ClientConnection, notices: list[Notice]) -> None:
            nonlocal most
            push(connection, notices)
            held = [transport for _, transport in self.subscribers if transport.value() and not transport.aborted]
            most = max(most, len(held))

        self.patch(ClientConnection, "push", watched)
        self.turn()
        self.assertLess(most, 2 * WRITTEN_TO_TOGETHER)
        self.assertLess(self.port.clients.deliveries.unread_bytes, 128 * KIB)
        self.assertEqual(self.port.clients.deliveries.cut_off, 98)

    def test_flood(self) -> None:
        """Whoever publishes without end to many holds nobody up: peers and other clients have their turn in between."""
        self.patch(deliveries, "WORK_AT_ONCE", 100)
        self.begin(subscribers=10)
        connection, transport = self.port.connect()
        connection.dataReceived(b"PUBLISH c x\r\n" * 1000)
        answered = []
        while transport.value().count(b"\n") < 1000:
            answered.append(transport.value().count(b"\n"))
            self.assertLess(len(answered), 200)
            self.turn()
        self.assertLessEqual(answered[0], deliveries.CALM)
        self.assertLessEqual(max(later - earlier for earlier, later in pairwise(answered)), 2 * deliveries.BUSY)
        self.turn()
        self.assertEqual(transport.value(), b":10\r\n" * 1000)
        for _, each in self.subscribers:
            self.assertEqual(each.value(), message(b"c", b"x") * 1000)
        connection.dataReceived(b"PUBLISH c x\r\n" * 1000)
        connection.connectionLost()
        self.turn()
        transport.clear()
        self.turn()
        self.assertEqual(transport.value(), b"")

    def test_others_in_a_flood(self) -> None:
        """Patterns that are compared count, too; and a client that comes into a flood is served within a few turns."""
        self.patch(deliveries, "WORK_AT_ONCE", 100)
        self.begin(subscribers=1)
        self.subscribers[0][0].dataReceived(b"PSUBSCRIBE *a *b *c\r\n")
        connection, transport = self.port.connect()
        connection.dataReceived(b"PUBLISH d x\r\n" * 1000)
        self.assertLess(transport.value().count(b"\n"), 1000)
        other, answers = self.port.connect()
        other.dataReceived(b"PING\r\n")
        self.assertEqual(answers.value(), b"")
        for _ in range(3):
            self.turn()
        self.assertEqual(answers.value(), b"+PONG\r\n")
        self.assertLess(transport.value().count(b"\n"), 1000)

    def test_gone(self) -> None:
        """A connection that has ended gets nothing, is counted nowhere, and gives its room back."""
        self.begin()
        exchange = self.port.clients.deliveries.exchange
        self.assertEqual(exchange.weight, 2)
        self.publish(b"x")
        self.subscribers[0][0].connectionLost()
        self.turn()
        self.assertEqual(self.subscribers[0][1].value(), b"")
        self.assertEqual((exchange.weight, exchange.subscribers), (1, 1))
        self.assertEqual(self.publish(b"x").value(), b":1\r\n")

    def test_not_idle(self) -> None:
        """Who listens says nothing for hours, and is not taken for idle."""
        self.begin()
        connection = self.subscribers[0][0]
        self.assertTrue(connection.is_busy)
        connection.dataReceived(b"UNSUBSCRIBE\r\n")
        self.assertFalse(connection.is_busy)

    def test_behind_quit(self) -> None:
        """A client that has said QUIT reads the answer last."""
        self.begin(subscribers=1)
        connection, transport = self.subscribers[0]
        self.publish(b"x")
        connection.dataReceived(b"QUIT\r\n")
        self.turn()
        self.assertEqual(transport.value(), b"+OK\r\n")

    def test_before_reset(self) -> None:
        """What was published before a client leaves by RESET is not lost: it comes before the confirmation."""
        self.begin(subscribers=1)
        connection, transport = self.subscribers[0]
        self.publish(b"x")
        connection.dataReceived(b"RESET\r\n")
        self.turn()
        self.assertEqual(transport.value(), message(b"c", b"x") + b"+RESET\r\n")
        connection.dataReceived(b"HELLO 3\r\nSUBSCRIBE c\r\n")
        self.publish(b"x")
        transport.clear()
        connection.dataReceived(b"RESET\r\nSUBSCRIBE c\r\n")
        pushed, reset, confirmed = transport.value().partition(b"+RESET\r\n")
        self.assertEqual(pushed, b">" + message(b"c", b"x")[1:])
        self.assertTrue(reset)
        self.assertEqual(confirmed[:4], b"*3\r\n")

    def test_in_place(self) -> None:
        """A PUBLISH behind a write takes effect when the write is answered."""
        self.begin(subscribers=1)
        connection, transport = self.port.connect()
        connection.dataReceived(b"SET k v\r\nPUBLISH c x\r\nPUBLISH c y\r\n")
        self.turn()
        self.assertEqual((self.subscribers[0][1].value(), transport.value()), (b"", b""))
        self.port.answer()
        self.turn()
        self.assertEqual(transport.value(), b"+OK\r\n:1\r\n:1\r\n")
        self.assertEqual(self.subscribers[0][1].value(), message(b"c", b"x") + message(b"c", b"y"))

    def test_in_the_place_of_its_transaction(self) -> None:
        """celery publishes within a transaction: when that was executed, and not if it was not."""
        for result, published in (([b"v"], True), (None, False)):
            self.begin(subscribers=1)
            connection, transport = self.port.connect()
            connection.dataReceived(b"MULTI\r\nGET k\r\nPUBLISH c x\r\nEXEC\r\n")
            self.turn()
            self.assertEqual(self.subscribers[0][1].value(), b"")
            requests = self.port.requests()
            answer = ABORTED if result is None else result
            self.port.reply(requests, [*requests.items[:-1], answer] if len(requests.items) > 1 else [answer])
            self.turn()
            self.assertEqual(bool(self.subscribers[0][1].value()), published)
            self.assertTrue(transport.value().endswith(b"*2\r\n$1\r\nv\r\n:1\r\n" if published else b"*-1\r\n"))
