"""Transactions as clients write them: all at once, cut anywhere, and many in a row."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from dkv.client_events import ClientGone
from dkv.kv.codes import EXEC, GET, PUT, WATCH
from dkv.replies import OK, Error, Local, Watched
from dkv.settings import MIB
from tests.net.client_port import Port, encoded

PUT_X = encoded(b"PUT", b"x", b"1")


class TransactionTests(SynchronousTestCase):
    """A transaction on its way through a connection, with the session of production."""

    WATCHED = encoded(b"WATCH", b"k") + encoded(b"GET", b"k")
    STREAM = PUT_X + WATCHED + encoded(b"MULTI") + PUT_X + encoded(b"PING") + encoded(b"EXEC") + encoded(b"GET", b"x")
    REPLIES = b"+OK\r\n+OK\r\n$5\r\nvalue\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n+PONG\r\n$5\r\nvalue\r\n"
    EXECUTED = (EXEC, 0, MIB, [[0, b"k", 3, 1, 7]], [[PUT, b"x", b"1"]])

    def serve(self, port: Port) -> list[Any]:
        """Answer all that the gateway gets, until nothing waits: the entries."""
        entries: list[Any] = []
        while port.messages:
            message = port.requests()
            entries += [item for item in message.items if isinstance(item, list)]
            port.reply(message, [self.answer(item) for item in message.items])
        return entries

    def answer(self, item: Any) -> Any:
        """What an entry is answered."""
        if isinstance(item, Local):
            return item
        match item[0]:
            case code if code == WATCH:
                return Watched(7, tuple((3, 1) for _ in item[3:]))
            case code if code == EXEC:
                return [self.answer(entry) for entry in item[4]]
        return b"value" if item[0] == GET else OK

    def test_in_one_write_cut_anywhere(self) -> None:
        """Clients write WATCH, MULTI, the commands and EXEC at once. Each place gets its reply, however TCP cuts it."""
        places = range(len(self.STREAM))
        for pieces in ([self.STREAM], *([self.STREAM[:place], self.STREAM[place:]] for place in places)):
            port = Port()
            connection, transport = port.connect()
            entries = []
            for piece in pieces:
                connection.dataReceived(piece)
                entries += self.serve(port)
            self.assertEqual(transport.value(), self.REPLIES)
            self.assertIn([*self.EXECUTED], entries)
            self.assertEqual(len(entries), 5)

    def test_byte_by_byte(self) -> None:
        """So it is for a client that types."""
        port = Port()
        connection, transport = port.connect()
        for byte in self.STREAM:
            connection.dataReceived(bytes((byte,)))
        self.serve(port)
        self.assertEqual(transport.value(), self.REPLIES)

    def test_nothing_is_known_before_the_revisions_are(self) -> None:
        """While WATCH is not answered, nothing behind it is even interpreted."""
        port = Port()
        connection, transport = port.connect()
        connection.dataReceived(self.WATCHED + encoded(b"MULTI") + PUT_X + encoded(b"EXEC"))
        watch = port.requests()
        self.assertEqual((watch.items, watch.reads, watch.writes), ([[WATCH, 0, MIB, b"k"]], 1, 0))
        self.assertFalse(port.messages)
        self.assertEqual(transport.value(), b"")
        port.reply(watch, [Error("TRYAGAIN no leader")])
        self.serve(port)
        aborted = b"-EXECABORT Transaction discarded because of previous errors.\r\n"
        self.assertEqual(transport.value(), b"-TRYAGAIN no leader\r\n$5\r\nvalue\r\n+OK\r\n+QUEUED\r\n" + aborted)

    def test_gone_while_it_is_watched(self) -> None:
        """A client that goes away meanwhile has nothing executed, and leaves nothing behind."""
        port = Port()
        connection, _ = port.connect()
        connection.dataReceived(self.WATCHED + encoded(b"MULTI") + PUT_X + encoded(b"EXEC"))
        watch = port.requests()
        connection.connectionLost(Failure(ConnectionDone()))
        port.reply(watch, [Watched(7, ((3, 1),))])
        self.assertEqual(list(port.messages), [ClientGone(connection.number)])
        self.assertEqual(port.clients.inflight_bytes, 0)

    def test_pipelined(self) -> None:
        """Transactions of entries alone follow each other without a wait between them."""
        port = Port()
        connection, transport = port.connect()
        connection.dataReceived((encoded(b"MULTI") + PUT_X + encoded(b"EXEC")) * 3)
        self.assertEqual(len(port.messages), 5, "three transactions, and what is answered between them")
        entries = self.serve(port)
        self.assertEqual(entries, [[EXEC, 0, MIB, [], [[PUT, b"x", b"1"]]]] * 3)
        self.assertEqual(transport.value(), b"+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n" * 3)

    def test_large(self) -> None:
        """A transaction of 10,000 requests and megabytes is one message, which counts with all its bytes."""
        port = Port()
        connection, transport = port.connect()
        put = encoded(b"SET", b"k", b"v" * 500)
        for piece in (encoded(b"MULTI"), *[put] * 9_999, encoded(b"PING") + encoded(b"EXEC")):
            connection.dataReceived(piece)
        (message,) = port.messages
        self.assertEqual(len(message.items[0][4]), 9_999)
        self.assertGreater(message.size, 9_999 * 500)
        self.assertEqual(port.clients.inflight_bytes, message.size)
        self.serve(port)
        self.assertEqual(transport.value().count(b"+OK\r\n"), 10_000)
        self.assertTrue(transport.value().endswith(b"+OK\r\n+PONG\r\n"))

    def test_others_know_nothing(self) -> None:
        """Requests of other connections are executed meanwhile."""
        port = Port()
        (connection, _), (other, _) = port.connect(), port.connect()
        connection.dataReceived(encoded(b"MULTI") + PUT_X)
        other.dataReceived(PUT_X)
        self.assertEqual(self.serve(port), [[PUT, b"x", b"1"]])
