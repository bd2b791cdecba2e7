"""AUTH over the byte-level network: cut anywhere, with requests before and behind it, and whatever befalls the node.

What each request is answered follows from what its client sent before, and from nothing else: not from how long a
password is checked, from what is under way, or from where the stream is cut.
"""

from __future__ import annotations

import tomllib
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from random import Random
from typing import Any
from unittest.mock import Mock, patch

from twisted.internet.protocol import ClientFactory, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import GATEWAY, Address
from dkv.client_events import ClientReplies, ClientRequests, Replies
from dkv.console.client_session import ClientSession
from dkv.console.inspection import Inspection
from dkv.console.logins import Logins
from dkv.net.client_connection import ClientConnection
from dkv.net.clients import Clients
from dkv.net.flow_control import FlowControl
from dkv.records import Entry
from dkv.replies import Local
from dkv.security.passwords import PasswordHash
from dkv.security.users import parse_users
from dkv.settings import Limits
from tests.byte_level.sites import Net, Site
from tests.console.logins import NOAUTH, USERS, WRONG
from tests.net.client_port import Log, encoded
from tests.turns import FakeTurn

SEEDS = 60
CLIENTS = 6
REQUESTS = 25
PORT = 5000
SECONDS = 60.0
STOPPING = b"-TRYAGAIN this node is shutting down\r\n"
DENIED = b"-NOPERM No permissions to access a key\r\n"


class Server:
    """The client port of a node with users, a gateway that takes its time, and a check of passwords that does."""

    def __init__(self, net: Net) -> None:
        self.site = Site(net, "node")
        self._random = net.random
        self._under_way: defaultdict[int, deque[Replies]] = defaultdict(deque)
        clients = self.clients = Clients(self.site, Limits(), 100, self._deliver, self._wake, self._new_session, Log())
        self.logins = Logins(
            self.site, parse_users(tomllib.loads(USERS)), self._try_password, b"k" * 32, clients.complaints
        )
        self.site.listenTCP(PORT, clients)

    def _wake(self) -> None:
        self.site.callLater(0, self.clients.collect)

    def _new_session(self, connection: int, peer: str) -> ClientSession:
        node = Mock(spec=Inspection, connections_max=100, applied_through=0)
        node.exchange, node.notifications, node.logins = self.clients.deliveries.exchange, b"", self.logins
        node.named.side_effect = self._named
        session = ClientSession(connection, peer, self.clients.limits, node)
        session.begin_as(self.logins.users)
        return session

    def _named(self, number: int, is_named: bool) -> None:
        found = self.clients.connection(number)
        if found is not None:
            (found.welcome if is_named else found.forget_name)()

    def _try_password(
        self,
        hashes: Sequence[PasswordHash],
        password: bytes,
        then: Callable[[bool | None], None],
        is_wanted: Callable[[], bool],
    ) -> bool:
        def end() -> None:
            then(any(each.matches(password) for each in hashes) if is_wanted() else None)

        self.site.callLater(self._random.choice((0.0, 0.01, 0.3)), end)
        return True

    def _deliver(self, message: Any) -> None:
        """The gateway: it answers a read with the key, each connection's requests in their order."""
        for requests in message.requests if isinstance(message, ClientRequests) else ():
            replies = [each if isinstance(each, Local) else _first_key(each) for each in requests.items]
            self._under_way[requests.connection].append(Replies(requests.connection, replies, requests.size))
            self.site.callLater(self._random.choice((0.0, 0.1)), self._answer, requests.connection)

    def _answer(self, connection: int) -> None:
        answer = ClientReplies([self._under_way[connection].popleft()])
        self.clients.receive(FakeTurn(), Address(1, GATEWAY), answer)


def _first_key(entry: Entry) -> bytes:
    return next(field for field in entry if isinstance(field, bytes))


def conversation(random: Random) -> list[tuple[bytes, bytes]]:
    """Requests of one client, and what each of them has to be answered."""
    user, wrong, said = "", 0, []
    for number in range(REQUESTS):
        match random.choice(("auth", "wrong", "reset", "own", "own", "own", "other", "ping", "hello", "many")):
            case "auth":
                said.append((encoded(b"AUTH", b"app", b"secret"), b"+OK\r\n"))
                user = "app"
            case "wrong" if wrong < 4:  # more of them would make it slow
                wrong += 1
                said.append((encoded(b"AUTH", b"app", b"wrong%d" % random.randrange(3)), WRONG))
            case "hello":
                said.append((encoded(b"HELLO", b"2", b"AUTH", b"root", b"old"), b"*14\r\n"))
                user = "root"
            case "reset":
                said.append((b"RESET\r\n", b"+RESET\r\n"))
                user = ""
            case "ping":
                said.append((b"PING\r\n", b"+PONG\r\n" if user else NOAUTH))
            case "many" if user:  # more words than a client without a name may send
                said.append((encoded(b"MGET", *[b"app:m1"] * 12), b"$6\r\napp:m1\r\n"))
            case "other":
                said.append((encoded(b"GET", b"other:1"), {"": NOAUTH, "app": DENIED}.get(user, b"$7\r\nother:1\r\n")))
            case _:
                key = b"app:%d" % (10 + number)
                said.append((encoded(b"GET", key), b"$6\r\n%b\r\n" % key if user else NOAUTH))
    return said


class Talker(Protocol):
    """A client that sends its requests in pieces, and remembers what it is told."""

    def __init__(self, net: Net, host: str) -> None:
        self._net = net
        self._site = Site(net, host)
        self.said = conversation(net.random)
        self.heard = b""
        self.ended = False
        self._left = b"".join(request for request, _ in self.said)
        factory = ClientFactory()
        factory.noisy = False
        factory.buildProtocol = lambda _: self  # type: ignore[method-assign, assignment]
        self._site.connectTCP("node", PORT, factory)

    def connectionMade(self) -> None:
        self._send()

    def _send(self) -> None:
        random = self._net.random
        size = random.choice((1, 5, 40, 300, len(self._left)))
        piece, self._left = self._left[:size], self._left[size:]
        if piece and not self.ended:
            assert self.transport is not None
            self.transport.write(piece)
            self._site.callLater(random.choice((0.0, 0.0, 0.001, 0.05)), self._send)

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # Twisted's default is a value
        self.ended = True

    def wrong(self, whole: bool) -> str:
        """What is wrong with what it has heard, which must be all of it if ``whole`` says so; "" if nothing is."""
        left = self.heard
        if not whole and left and STOPPING.startswith(left):
            return ""  # It has come too late.
        for request, reply in self.said:
            if not left and not whole:
                return ""
            if not left.startswith(reply):
                cut = reply.startswith(left) and not whole
                return "" if cut else f"{request!r} is answered {left[:60]!r}, and not {reply!r}"
            left = left[len(reply) :]
            if reply == b"*14\r\n":  # the facts that HELLO tells
                left = left[left.find(b"*0\r\n") + 4 :] if b"*0\r\n" in left else b""
        return f"more than was asked for: {left!r}" if left else ""


def wrong_at(seed: int, trouble: str = "") -> list[str]:
    """What is wrong after a run with this seed, in which this happens to the connections or the node."""
    net = Net(seed)
    server = Server(net)
    talkers = [Talker(net, f"client{number}") for number in range(CLIENTS)]
    net.run(net.random.choice((0.01, 0.1, 0.5)))
    if trouble == "reset":
        for pair in net.connections():
            net.reset(pair)
    elif trouble == "stop":
        server.clients.drain(5.0)
    net.run(SECONDS)
    wrong = [f"seed {seed}: {error}" for each in talkers if (error := each.wrong(whole=not trouble))]
    there = sum(not each.ended for each in talkers)
    if server.clients.connections != there or (trouble == "stop" and there):
        wrong.append(f"seed {seed}: {server.clients.connections} connections, of which {there} are there")
    return wrong


class LoginStreamTests(SynchronousTestCase):
    """Many clients at once, over networks that cut and delay."""

    def test_each_request_is_judged_by_what_came_before_it(self) -> None:
        """All is answered, in order, as the user that the client was at that place of its stream."""
        for seed in range(SEEDS):
            self.assertEqual(wrong_at(seed), [])

    def test_connections_that_are_lost(self) -> None:
        """A connection may be lost while its password is checked: nobody is served for it."""
        for seed in range(SEEDS):
            self.assertEqual(wrong_at(seed, "reset"), [])

    def test_a_node_that_stops(self) -> None:
        """A node that stops while passwords are checked answers in order as far as it goes, and closes."""
        for seed in range(SEEDS):
            self.assertEqual(wrong_at(seed, "stop"), [])

    def test_mistakes_are_found(self) -> None:
        """Did requests behind AUTH not wait for it, or did a reply overtake others, it would be seen here."""

        def go_on_at_once(connection: ClientConnection, awaited: Any, make: Callable[[], Local]) -> None:
            """A reply that does not go behind those that are under way."""
            behind = awaited.behind
            if connection._hold is awaited:
                connection._hold, connection._behind = None, behind
                connection.flow.let_go()
                connection.flow.answered(1, 0, connection._reply([make()]))
                connection.proceed()

        for mistake in (
            patch.object(FlowControl, "hold", lambda flow: None),
            patch.object(ClientConnection, "_go_on", go_on_at_once),
            patch.object(FlowControl, "one_at_a_time", lambda flow, wanted: None),
        ):
            with mistake:
                found = []
                for seed in range(SEEDS):
                    try:
                        found += wrong_at(seed)
                    except AssertionError as error:
                        found.append(str(error))
                self.assertTrue(found, mistake.attribute)
