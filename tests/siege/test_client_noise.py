"""What strangers may send to a client port whose clients have to say who they are."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from twisted.trial.unittest import SynchronousTestCase

from dkv.client_events import Requests
from dkv.net.unnamed_clients import SECONDS_MAX
from dkv.settings import KIB
from tests.console.logins import LoginPort
from tests.net.client_port import Transport, encoded
from tests.siege.noise import endless, most_held, streams

GOOD = (
    encoded(b"AUTH", b"app", b"a wrong password"),
    encoded(b"HELLO", b"3", b"AUTH", b"root", b"another one", b"SETNAME", b"me"),
    b"AUTH app wrong\r\nGET app:1\r\nRESET\r\nPING\r\n",
    encoded(b"MULTI") + encoded(b"SET", b"app:1", b"x") + encoded(b"EXEC"),
    encoded(b"IDMP", b"producer", b"1", b"SET", b"app:1", b"x"),
    encoded(b"SUBSCRIBE", b"news"),
    b"*3\r\n$4\r\nAUTH\r\n$3\r\napp\r\n$16000\r\n" + b"p" * 300,
    b"x" * 300,
)
HELD_MAX = 128 * KIB
"""What Python may hold for one stranger: a request of 16 KiB, copied a few times."""


class ClientNoiseTest(SynchronousTestCase):
    """A stranger gets in without a password, ends a user's node, or stays for ever, if one of these fails."""

    def begin(self) -> tuple[Any, Transport]:
        """A stranger at a port that nobody has connected to."""
        self.port = LoginPort()
        return self.port.connect()

    def feed(self, connection: Any, transport: Transport, piece: bytes) -> None:
        """It sends a piece, if the node reads; all passwords that are in it are tried."""
        if transport.producerState == "producing" and not (transport.aborted or transport.disconnecting):
            connection.dataReceived(piece)
            self.port.checks.end_all()

    @given(streams(*GOOD))
    @settings(max_examples=300)
    def test_noise(self, pieces: list[bytes]) -> None:
        """Nothing raises, nothing reaches the gateway, and nobody is let in; the connection is over before long."""
        connection, transport = self.begin()
        for piece in pieces:
            self.feed(connection, transport, piece)
        self.assertFalse([each for each in self.port.messages if isinstance(each, Requests)])
        for _ in range(10):
            self.feed(connection, transport, b"PING\r\n")  # Dripping on buys no time.
            self.port.clock.advance(SECONDS_MAX / 5)
        self.assertTrue(transport.aborted or transport.disconnecting)
        self.assertTrue(connection.interpreter.is_unnamed)

    def test_memory(self) -> None:
        """Whatever comes and however long: no stranger costs more than a request of what it may send."""
        long_words = b"*10\r\n" + b"$16000\r\n" + b"x" * 4_000
        for piece in (*GOOD, b"\0", b"*", b"$", b"\r\n", b"*10\r\n", b"$0\r\n\r\n", long_words):

            def feed(piece: bytes = piece) -> None:
                connection, transport = self.begin()
                for each in endless(piece, 300_000):
                    self.feed(connection, transport, each)
                    transport.clear()

            feed()  # once to fill caches
            self.assertLess(most_held(feed), HELD_MAX, piece[:20])

    def test_the_noise_could_get_in(self) -> None:
        """With the right password the same stranger is served: the port is not just closed."""
        connection, transport = self.begin()
        self.feed(connection, transport, encoded(b"AUTH", b"app", b"secret") + encoded(b"GET", b"app:1"))
        self.assertTrue([each for each in self.port.messages if isinstance(each, Requests)])
        self.assertFalse(connection.interpreter.is_unnamed)
