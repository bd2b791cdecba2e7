"""The network in memory is as kind and as unkind as it says: else the suites upon it prove little."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.protocol import ClientFactory, Factory, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.byte_level.sites import Net, Site
from tests.byte_level.streams import BUFFER_BYTES, End


class Listener(Protocol):
    """Remembers what it is told; a push producer for its transport, too."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.ended: type[BaseException] | None = None
        self.told: list[str] = []

    @property
    def end(self) -> End:
        """Its transport."""
        assert isinstance(self.transport, End)
        return self.transport

    def dataReceived(self, data: bytes) -> None:
        self.pieces.append(data)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # Twisted's default is a value
        self.ended = reason.type

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


class Dialling(ClientFactory):
    """Dials once."""

    def __init__(self) -> None:
        self.made = Listener()
        self.failed: type[BaseException] | None = None

    def buildProtocol(self, addr: Any) -> Listener:
        return self.made

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        self.failed = reason.type


class Accepting(Factory):
    """Accepts one."""

    noisy = False

    def __init__(self) -> None:
        self.made = Listener()

    def buildProtocol(self, addr: Any) -> Listener:
        return self.made


class StreamTests(SynchronousTestCase):
    """One connection from ``a`` to ``b``."""

    def joined(self, seed: int = 1) -> tuple[Net, Listener, Listener]:
        net = Net(seed)
        net.window_bytes, net.chunk_bytes_max, net.delay_seconds_max = 5_000, 50, 0.01
        accepting, dialling = Accepting(), Dialling()
        Site(net, "b").listenTCP(1, accepting)
        Site(net, "a").connectTCP("b", 1, dialling)
        net.run(1.0)
        return net, dialling.made, accepting.made

    def test_bytes_arrive_in_pieces(self) -> None:
        """All, in order, and cut elsewhere than they were written."""
        net, one, other = self.joined()
        data = net.random.randbytes(20_000)
        for start in range(0, len(data), 100):
            one.end.write(data[start : start + 100])
        net.run(1.0)
        self.assertEqual(b"".join(other.pieces), data)
        self.assertGreater(len({len(piece) for piece in other.pieces}), 20)

    def test_close_waits_for_what_is_unsent(self) -> None:
        """As Twisted's loseConnection."""
        net, one, other = self.joined()
        one.end.write(b"x" * 20_000)
        one.end.loseConnection()
        net.run(1.0)
        self.assertEqual(sum(map(len, other.pieces)), 20_000)
        self.assertEqual((one.ended, other.ended), (ConnectionDone, ConnectionDone))

    def test_abort_and_reset_lose_a_tail(self) -> None:
        """An abort is not a close."""
        arrived = []
        for seed in range(20):
            net, one, other = self.joined(seed)
            one.end.write(b"x" * 20_000)
            if seed % 2:
                one.end.abortConnection()
            else:
                net.reset((one.end, other.end))
            net.run(1.0)
            self.assertEqual(
                (one.ended, other.ended), (ConnectionAborted if seed % 2 else ConnectionLost, ConnectionLost)
            )
            arrived.append(sum(map(len, other.pieces)))
        self.assertLess(max(arrived), 20_000)

    def test_half_open(self) -> None:
        """One end is gone, the other hears nothing of that."""
        net, one, other = self.joined()
        net.half_open(one.end)
        other.end.write(b"hello?")
        net.run(100.0)
        self.assertEqual((one.ended, one.pieces, other.ended), (ConnectionLost, [], None))

    def test_held_bytes_come_in_a_burst(self) -> None:
        """A hole loses nothing, and what closes the connection waits in line."""
        net, one, other = self.joined()
        net.held.add(("a", "b"))
        one.end.write(b"1")
        net.run(1.0)
        one.end.write(b"2")
        one.end.loseConnection()
        net.run(1.0)
        self.assertEqual((other.pieces, other.ended), ([], None))
        net.release("a", "b")
        net.run(1.0)
        self.assertEqual((b"".join(other.pieces), other.ended), (b"12", ConnectionDone))

    def test_a_reader_that_pauses(self) -> None:
        """What it does not take fills the kernels, then the writer's buffer; the producer is told, then told again."""
        net, one, other = self.joined()
        one.end.registerProducer(one, True)
        other.end.pauseProducing()
        one.end.write(b"x" * (BUFFER_BYTES + 1))
        net.run(1.0)
        self.assertEqual((other.pieces, one.told), ([], ["pause"]))
        self.assertEqual(len(one.end.unsent), BUFFER_BYTES + 1 - net.window_bytes)
        other.end.resumeProducing()
        net.run(1.0)
        self.assertEqual((sum(map(len, other.pieces)), one.told), (BUFFER_BYTES + 1, ["pause", "resume"]))

    def test_dials(self) -> None:
        """Refused where nobody listens; without an answer from a host that hangs, until it hangs no more."""
        net, factory, hanging = Net(1), Dialling(), Dialling()
        site = Site(net, "a")
        site.connectTCP("b", 1, factory)
        net.run(1.0)
        self.assertEqual(factory.failed, ConnectionRefusedError)
        Site(net, "b").listenTCP(1, Accepting())
        net.hanging.add("b")
        site.connectTCP("b", 1, hanging)
        net.run(5.0)
        self.assertEqual((hanging.failed, hanging.made.connected), (None, 0))
        net.hanging.clear()
        net.run(1.0)
        self.assertEqual(hanging.made.connected, 1)

    def test_a_process_that_ends(self) -> None:
        """Killed, its kernel tells the other end; without power nobody does. It hears nothing itself."""
        for power, ended in ((False, ConnectionLost), (True, None)):
            net, one, other = self.joined()
            one.end.site.die(power)
            net.run(1.0)
            self.assertEqual((one.ended, other.ended), (None, ended))
