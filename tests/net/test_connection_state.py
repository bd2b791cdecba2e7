"""The table of a connection's life: whole, and the one that real connections follow."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from random import Random
from unittest.mock import patch

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from dkv.net import client_connection
from dkv.net.connection_state import TAKES_IN, TRANSITIONS, ConnectionInput, ConnectionState, after
from dkv.net.lingering import LINGER_SECONDS
from dkv.settings import KIB, Limits
from tests.net.client_port import Port, encoded

IMPOSSIBLE = {
    "nothing is answered as the last as long as more is taken in": [
        (ConnectionState.OPEN, ConnectionInput.ANSWERED),
        (ConnectionState.HALF_CLOSED, ConnectionInput.ANSWERED),
    ],
    "what is not looked at any more is not refused": [
        (ConnectionState.ENDING, ConnectionInput.REFUSE),
        (ConnectionState.REFUSING, ConnectionInput.REFUSE),
        (ConnectionState.LINGERING, ConnectionInput.REFUSE),
        (ConnectionState.CLOSING, ConnectionInput.REFUSE),
    ],
    "the last reply is written once": [
        (ConnectionState.LINGERING, ConnectionInput.ANSWERED),
        (ConnectionState.CLOSING, ConnectionInput.ANSWERED),
    ],
    "nothing happens after the end": [(ConnectionState.CLOSED, happened) for happened in ConnectionInput],
}
GET_X = encoded(b"GET", b"x")
LARGE = encoded(b"PUT", b"x", b"v" * 128 * KIB)
WALKS = 400
STEPS = 25


class TableTests(SynchronousTestCase):
    def test_every_pair(self) -> None:
        """What a state does not expect is found by a test, and not by a client whose connection hangs."""
        impossible = {pair for pairs in IMPOSSIBLE.values() for pair in pairs}
        self.assertEqual(impossible & TRANSITIONS.keys(), set())
        self.assertEqual(impossible | TRANSITIONS.keys(), set(product(ConnectionState, ConnectionInput)))
        for state, happened in impossible:
            with self.assertRaises(AssertionError):
                after(state, happened)
        for (state, happened), following in TRANSITIONS.items():
            self.assertIs(after(state, happened), following)

    def test_every_life_ends(self) -> None:
        """Once a connection takes in nothing more it never does again, and it can always be lost."""
        order = list(ConnectionState)
        for (state, happened), following in TRANSITIONS.items():
            takes_in = following in TAKES_IN
            self.assertFalse(takes_in and state not in TAKES_IN, f"{state} {happened}")
            self.assertTrue(following in (state, ConnectionState.ENDING) or order.index(following) > order.index(state))
        lost = {state for state, happened in TRANSITIONS if happened is ConnectionInput.LOST}
        self.assertEqual(lost, set(ConnectionState) - {ConnectionState.CLOSED})


class Walk:
    """One connection to which things happen at random, in any order that a transport can bring about."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.port = Port(Limits(connection_inflight_bytes_max=8 << 20, node_inflight_bytes_max=8 << 20))
        self.connection, self.transport = self.port.connect()
        self.connection._is_tcp = random.random() < 0.9
        self.alive, self.sends = True, True

    def step(self) -> None:
        """Let something happen."""
        steps: list[Callable[[], object]] = [self.connection.finish, self.lose] if self.random.random() < 0.1 else []
        if self.transport.aborted:
            steps = [self.lose]
        elif not steps:
            steps = [self.answer, self.slow, self.pause, self.wait, self.give_up]
            steps += [self.say, self.say, self.hang_up] if self.sends else []
        self.random.choice(steps)()

    def say(self) -> None:
        words = (GET_X, GET_X * 3, b"PING\r\n", GET_X[:9], LARGE[: 70 * KIB], b"*x\r\n", b"QUIT\r\n")
        self.connection.dataReceived(self.random.choice(words))

    def hang_up(self) -> None:
        self.sends = False
        self.connection.readConnectionLost()

    def answer(self) -> None:
        if self.port.messages:
            self.port.answer()

    def slow(self) -> None:
        if self.transport.producer is not None:
            self.random.choice((self.connection.pauseProducing, self.connection.resumeProducing))()

    def pause(self) -> None:
        self.random.choice((self.port.clients.pause_reading, self.port.clients.resume_reading))()

    def wait(self) -> None:
        self.port.clock.advance(self.random.choice((0.1, LINGER_SECONDS)))

    def give_up(self) -> None:
        if self.random.random() < 0.2:
            self.connection.give_up("TRYAGAIN too slow")

    def lose(self) -> None:
        self.alive = False
        self.connection.connectionLost(Failure(ConnectionDone()))


class WalkTests(SynchronousTestCase):
    def test_real_connections_follow_the_table(self) -> None:
        """Every row is one that a connection really takes, and none is missing, whatever clients do."""
        seen: set[tuple[ConnectionState, ConnectionInput]] = set()

        def remembering(state: ConnectionState, happened: ConnectionInput) -> ConnectionState:
            seen.add((state, happened))
            return after(state, happened)

        with patch.object(client_connection, "after", remembering):
            for seed in range(WALKS):
                walk = Walk(Random(seed))
                for _ in range(STEPS):
                    walk.step()
                    if not walk.alive:
                        break
                    self.check(walk, seed)
        self.assertEqual(TRANSITIONS.keys() - seen, {(ConnectionState.HALF_CLOSED, ConnectionInput.HALF_CLOSE)})

    def check(self, walk: Walk, seed: int) -> None:
        """What is read is passed on: nothing that is complete waits in a connection that waits for more."""
        connection = walk.connection
        if connection._state is ConnectionState.OPEN:
            self.assertEqual(connection._reading, walk.transport.producerState == "producing", seed)
            if connection._reading:
                self.assertEqual(connection._parser.take(1), [], seed)
