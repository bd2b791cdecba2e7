"""A client port whose clients are users, and checks of passwords that end when a test says so."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import Mock

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from dkv.console.client_session import ClientSession
from dkv.console.inspection import Inspection
from dkv.console.logins import Logins
from dkv.security.passwords import Cost, PasswordHash, hash_of
from dkv.security.users import Users, parse_users
from tests.net.client_port import Port, Transport

CHEAP = Cost(log_n=1, block=1)
WRONG = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
NOAUTH = b"-NOAUTH Authentication required.\r\n"


def hashed(password: str) -> str:
    """A hash that costs nothing."""
    return hash_of(password.encode(), b"0123456789abcdef", CHEAP).text


USERS = f"""
[user.app]
password = "{hashed("secret")}"
may = ["read", "write", "pubsub"]
keys = ["app:*"]
channels = ["news"]

[user.root]
password = ["{hashed("old")}", "{hashed("new")}"]
certificate = "boss"
may = ["all"]
keys = ["*"]
channels = ["*"]
"""


class Checks:
    """Takes passwords to try, and tells what came of the oldest when told to."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Sequence[PasswordHash], bytes, Callable[[bool | None], None], Callable[[], bool]]] = []
        self.computed = 0
        self.count = 0
        self.full = False

    def try_password(
        self,
        hashes: Sequence[PasswordHash],
        password: bytes,
        then: Callable[[bool | None], None],
        is_wanted: Callable[[], bool],
    ) -> bool:
        if self.full:
            return False
        self.count += 1
        self.waiting.append((hashes, password, then, is_wanted))
        return True

    def end_one(self) -> None:
        """The oldest check ends."""
        hashes, password, then, is_wanted = self.waiting.pop(0)
        if not is_wanted():
            then(None)
            return
        self.computed += 1
        then(any(each.matches(password) for each in hashes))

    def end_all(self) -> None:
        """All end, one after the other."""
        while self.waiting:
            self.end_one()


class LoginPort(Port):
    """A client port whose clients are users of a file with this text, or everybody if that is None."""

    def __init__(self, text: str | None = USERS, **more: Any) -> None:
        super().__init__(new_interpreter=self._new_session, **more)
        self.checks = Checks()
        users = None if text is None else parse_users(tomllib.loads(text))
        self.logins = Logins(self.clock, users, self.checks.try_password, b"k" * 32, self.clients.complaints)

    def _new_session(self, connection: int, peer: str) -> ClientSession:
        node = Mock(spec=Inspection, connections_max=100, applied_through=0)
        node.exchange, node.notifications, node.logins = self.clients.deliveries.exchange, b"", self.logins
        node.client_connections.side_effect = self.clients.connected

        def named(number: int, is_named: bool) -> None:
            found = self.clients.connection(number)
            if found is not None:
                (found.welcome if is_named else found.forget_name)()

        node.named.side_effect = named
        session = ClientSession(connection, peer, self.limits, node)
        session.begin_as(self.logins.users)
        return session

    def reload(self, text: str) -> Users:
        """The users of another file are in force."""
        users = parse_users(tomllib.loads(text))
        self.logins.replace(users)
        return users


def lines(*requests: str) -> bytes:
    """Requests as they are typed."""
    return "".join(request + "\r\n" for request in requests).encode()


class LoginCase(SynchronousTestCase):
    """One connection after the other."""

    def setUp(self) -> None:
        self.begin(USERS)

    def begin(self, text: str | None) -> None:
        """A port with these users, and a client."""
        self.port = LoginPort(text)
        self.connection, self.transport = self.port.connect()

    def call(self, *requests: str, to: tuple[Any, Transport] | None = None) -> bytes:
        """What these requests are answered when the password checks have ended, and the gateway has answered."""
        connection, transport = to or (self.connection, self.transport)
        transport.clear()
        connection.dataReceived(lines(*requests))
        while self.port.checks.waiting or self.port.messages:
            self.port.checks.end_all()
            self.port.answer_all()
        written: bytes = transport.value()
        return written

    def lose(self) -> None:
        """The client is gone."""
        self.connection.connectionLost(Failure(ConnectionDone()))
