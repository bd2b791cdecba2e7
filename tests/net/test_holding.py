"""A connection that is held: a client may write WATCH, MULTI, its commands and EXEC at once, cut anywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from dkv.client_events import ClientGone
from dkv.kv.codes import GET, PUT
from dkv.net.holding import Hold
from dkv.replies import OK, Error, Local, LogRequest, Meaning, Nested, Result, Simple
from dkv.settings import KIB, MIB, Limits
from tests.net.client_port import Port, Transport, encoded


class Holder:
    """What requests mean to a connection here: ``hold k`` reads ``k`` and holds, ``large n`` stands for n bytes more.

    ``heard`` has the requests that were interpreted, and what was seen of those that held.
    """

    reads: Set[int] = frozenset({GET})

    def __init__(self) -> None:
        self.heard: list[object] = []
        self.is_gone = False

    @property
    def interpret(self) -> Callable[[list[bytes]], Meaning]:
        """Looked up again where it may have become another one."""
        return self._interpret

    def _interpret(self, words: list[bytes]) -> Meaning:
        self.heard.append(words[0])
        match words:
            case [b"hold", key]:
                return LogRequest([GET, key], 0, self._seen)
            case [b"large", size]:
                return LogRequest([PUT, b"k", b"v"], int(size))
            case [b"long", key]:
                return LogRequest([GET, key], alone=True)
            case [b"put", key]:
                return [PUT, key, b"v"]
            case [b"quit"]:
                return Local(OK, close=True)
        return Local(Simple(words[0].decode()))

    def _seen(self, result: Nested) -> Local:
        self.heard.append(result)
        return Local(result if type(result) is Error else Simple("SEEN"))

    listens = is_unnamed = False
    containers: Set[bytes] = frozenset()

    def proved(self, names: Sequence[str]) -> None:
        """It makes no difference."""

    def gone(self) -> None:
        """The connection has ended."""
        self.is_gone = True


STREAM = encoded(b"put", b"a") + encoded(b"hold", b"b") + encoded(b"local") + encoded(b"put", b"c")


class HoldingTests(SynchronousTestCase):
    """One connection."""

    def setUp(self) -> None:
        self.begin()

    def begin(self, limits: Limits | None = None) -> None:
        """A connection, with an interpreter that holds it."""
        self.holder = Holder()
        self.port = Port(limits, new_interpreter=lambda connection, peer: self.holder)
        self.connection, self.transport = self.port.connect()

    def answer(self, *results: Result | Local) -> None:
        """Answer what the gateway got first."""
        self.port.reply(self.port.requests(), list(results))

    def check(self, transport: Transport) -> None:
        """All of ``STREAM`` was answered in its order, and nothing was interpreted too early."""
        self.assertEqual(transport.value(), b"+OK\r\n+SEEN\r\n+local\r\n+OK\r\n")
        self.assertEqual(self.holder.heard, [b"put", b"hold", b"value", b"local", b"put"])

    def test_alone(self) -> None:
        """A read that may take long is handed on by itself: the gateway keeps it apart from what comes with it."""
        self.connection.dataReceived(encoded(b"put", b"a") + encoded(b"long", b"b") + encoded(b"put", b"c"))
        passed_on = [self.port.requests() for _ in range(3)]
        self.assertEqual([(each.items, each.reads, each.alone) for each in passed_on], [
            ([[PUT, b"a", b"v"]], 0, False), ([[GET, b"b"]], 1, True), ([[PUT, b"c", b"v"]], 0, False),
        ])  # fmt: skip

    def test_nothing_behind_is_interpreted(self) -> None:
        """What comes behind in one piece waits until the session has seen the result. Then it goes on by itself."""
        self.connection.dataReceived(STREAM)
        self.assertEqual(self.holder.heard, [b"put", b"hold"])
        self.assertEqual(self.transport.producerState, "paused")
        self.answer(OK)
        self.assertEqual(self.holder.heard, [b"put", b"hold"])
        self.answer(b"value")
        self.assertEqual(self.holder.heard, [b"put", b"hold", b"value", b"local", b"put"])
        self.port.answer_all()
        self.check(self.transport)
        self.assertEqual(self.transport.producerState, "producing")

    def test_cut_anywhere(self) -> None:
        """The same, wherever the client's bytes were cut, and whenever the gateway answers."""
        for place in range(len(STREAM) + 1):
            for answers_between in (False, True):
                self.begin()
                self.connection.dataReceived(STREAM[:place])
                if answers_between:
                    self.port.answer_all()
                self.connection.dataReceived(STREAM[place:])
                self.port.answer_all()
                self.check(self.transport)

    def test_byte_by_byte(self) -> None:
        """A slow line changes nothing."""
        for byte in STREAM:
            self.connection.dataReceived(bytes((byte,)))
        self.port.answer_all()
        self.check(self.transport)

    def test_many_in_a_row(self) -> None:
        """Requests that hold may follow each other: each waits for the one before."""
        self.connection.dataReceived(encoded(b"hold", b"a") * 300 + encoded(b"last"))
        for number in range(1, 301):
            self.assertEqual(self.holder.heard.count(b"hold"), number)
            self.port.answer()
        self.assertEqual(self.transport.value(), b"+SEEN\r\n" * 300 + b"+last\r\n")

    def test_answered_together(self) -> None:
        """The gateway may answer all that is outstanding in one message, with something behind what held."""
        hold = Hold(lambda result: Local([result]), 2, [])
        self.assertEqual(hold.see([OK, 7, Local(OK)]), [OK, Local([7]), Local(OK)])
        self.assertTrue(hold.is_over)

    def test_refused(self) -> None:
        """What the gateway refused itself, before anything got a number, the session sees like any other error."""
        refusal = Error("MISCONF no room")
        self.connection.dataReceived(STREAM)
        self.answer(OK)
        self.answer(Local(refusal))
        self.assertEqual(self.holder.heard[2], refusal)
        self.assertTrue(self.transport.value().startswith(b"+OK\r\n-MISCONF no room\r\n"))

    def test_gone_while_held(self) -> None:
        """A client that goes away meanwhile leaves nothing behind, and nothing behind it is interpreted any more."""
        self.connection.dataReceived(STREAM)
        self.port.requests()
        message = self.port.requests()
        self.connection.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(list(self.port.messages), [ClientGone(self.connection.number)])
        self.port.reply(message, [b"value"])
        self.assertEqual(self.holder.heard, [b"put", b"hold"])
        self.assertTrue(self.holder.is_gone)
        self.assertEqual((self.port.clients.connections, self.port.clients.inflight_bytes), (0, 0))

    def test_half_closed_while_held(self) -> None:
        """``printf 'WATCH k\\nMULTI\\n...' | nc -N`` gets all replies, and then the connection closes."""
        self.connection.dataReceived(STREAM)
        self.connection.readConnectionLost()
        self.assertFalse(self.transport.disconnecting)
        self.port.answer_all()
        self.check(self.transport)
        self.assertTrue(self.transport.disconnecting)

    def test_half_closed_before_it_is_held(self) -> None:
        """So does one that had sent all, and closed, before the node took it in."""
        self.port.clients.pause_reading()
        self.connection.dataReceived(STREAM)
        self.connection.readConnectionLost()
        self.port.clients.resume_reading()
        self.port.answer_all()
        self.check(self.transport)
        self.assertTrue(self.transport.disconnecting)

    def test_stopped_while_held(self) -> None:
        """A node that stops answers what it has taken in, and interprets nothing more."""
        self.connection.dataReceived(STREAM)
        self.port.clients.drain(1.0)
        self.port.answer_all()
        self.assertEqual(self.transport.value(), b"+OK\r\n+SEEN\r\n")
        self.assertEqual(self.holder.heard, [b"put", b"hold", b"value"])
        self.assertTrue(self.transport.disconnecting)

    def test_quit_behind(self) -> None:
        """QUIT waits for its turn."""
        self.connection.dataReceived(STREAM + b"quit\r\n" + STREAM)
        self.assertFalse(self.transport.disconnecting)
        self.port.answer_all()
        self.assertEqual(self.transport.value(), b"+OK\r\n+SEEN\r\n+local\r\n+OK\r\n+OK\r\n")
        self.assertTrue(self.transport.disconnecting)

    def test_protocol_error_behind(self) -> None:
        """What is no request is refused behind everything that came before it."""
        self.connection.dataReceived(STREAM + b"*x\r\n")
        self.assertFalse(self.port.log.lines)
        self.port.answer_all()
        self.assertEqual(
            self.transport.value(),
            b"+OK\r\n+SEEN\r\n+local\r\n+OK\r\n-ERR Protocol error: invalid multibulk length\r\n",
        )

    def test_given_up_while_held(self) -> None:
        """An error that ends the connection takes its place behind the reply that is still due."""
        self.connection.dataReceived(STREAM)
        self.connection.give_up("TRYAGAIN too slow")
        self.port.answer_all()
        self.assertEqual(self.transport.value(), b"+OK\r\n+SEEN\r\n-TRYAGAIN too slow\r\n")
        self.assertEqual(self.holder.heard, [b"put", b"hold", b"value"])

    def test_node_full_while_held(self) -> None:
        """What was parsed waits on while the node as a whole takes in nothing."""
        self.connection.dataReceived(STREAM)
        self.port.clients.pause_reading()
        self.answer(OK)
        self.answer(b"value")
        self.assertEqual(self.holder.heard[-1], b"value")
        self.port.clients.resume_reading()
        self.port.answer_all()
        self.check(self.transport)

    def test_unread_while_held(self) -> None:
        """A client that does not read its replies has nothing more interpreted before it does."""
        self.connection.dataReceived(STREAM)
        self.connection.pauseProducing()
        self.port.answer_all()
        self.assertEqual(self.holder.heard[-1], b"value")
        self.connection.resumeProducing()
        self.port.answer_all()
        self.check(self.transport)

    def test_size_of_what_was_gathered(self) -> None:
        """An entry that was gathered from many requests counts with all its bytes, alone in its message."""
        self.connection.dataReceived(
            encoded(b"put", b"a") + encoded(b"large", b"%d" % (5 * MIB)) + encoded(b"put", b"b")
        )
        sizes = [self.port.requests().size for _ in range(3)]
        self.assertTrue(sizes[1] > 5 * MIB and sizes[0] + sizes[2] < KIB, sizes)
        self.assertEqual(self.port.clients.inflight_bytes, sum(sizes))
