"""A client port without sockets: transports that record, and a gateway that answers when told to."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from zope.interface import implementer

from dkv.actor import GATEWAY, Address
from dkv.client_events import ClientReplies, ClientRequests, Posted, Replies, Requests
from dkv.console.client_session import ClientSession
from dkv.console.inspection import Inspection
from dkv.console.logins import Logins
from dkv.kv.codes import GET
from dkv.net.clients import Clients
from dkv.net.interpreter import Interpreter
from dkv.net.sending import SenderOf, by_write
from dkv.replies import OK, Local
from dkv.settings import Limits
from tests.turns import FakeTurn


@implementer(ITCPTransport)
class Transport(StringTransport):
    """The transport of a client at ``peer``; remembers what was asked of it."""

    def __init__(self, peer: str = "192.0.2.1") -> None:
        super().__init__(peerAddress=IPv4Address("TCP", peer, 4000))
        self.aborted = False
        self.half_closed = False
        self.no_delay = False

    def getTcpNoDelay(self) -> bool:
        return self.no_delay

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def getTcpKeepAlive(self) -> bool:
        return False

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Nothing to see."""

    def loseWriteConnection(self) -> None:
        self.half_closed = True

    def abortConnection(self) -> None:
        self.aborted = True


class Log:
    """Remembers what was logged."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def warning(self, event: str, **fields: Any) -> None:
        self.lines.append((event, fields))

    info = warning


class Port:
    """A port with ``limits``, and its gateway: ``answer`` replies to the oldest message it got."""

    def __init__(
        self,
        limits: Limits | None = None,
        connections_max: int = 100,
        idle_seconds_max: float = 0.0,
        sender_of: SenderOf = by_write,
        new_interpreter: Callable[[int, str], Interpreter] | None = None,
    ) -> None:
        self.clock = Clock()
        self.log = Log()
        self.limits = limits or Limits()
        self._messages: deque[Any] = deque()
        self.posted: list[Posted] = []
        """What the relay got."""
        self.clients = Clients(
            self.clock,
            self.limits,
            connections_max,
            self._take,
            lambda: None,
            new_interpreter or self._session,
            self.log,
            idle_seconds_max,
            sender_of,
        )

    def _session(self, connection: int, peer: str) -> ClientSession:
        node = Mock(spec=Inspection, connections_max=100, applied_through=0, member_view=Mock(quorum=2))
        node.exchange = self.clients.deliveries.exchange
        node.notifications = b""
        node.client_connections.side_effect = self.clients.connected
        node.info.return_value = {}
        node.logins = Logins(self.clock, None, lambda *_: False, b"key", self.clients.complaints)
        node.sentinel = Mock(down=False, **{"others.return_value": [], "address_within.return_value": None})
        return ClientSession(connection, peer, self.limits, node)

    def _take(self, message: Any) -> None:
        if isinstance(message, Posted):
            self.posted.append(message)
            return
        self._messages.extend(message.requests if isinstance(message, ClientRequests) else [message])

    @property
    def messages(self) -> deque[Any]:
        """The messages that the gateway got and has not answered: ``Requests``, ``ClientGone``, ``RepliesUnread``."""
        self.clients.collect()
        return self._messages

    def connect(self, peer: str = "192.0.2.1") -> tuple[Any, Transport]:
        """A new connection."""
        transport = Transport(peer)
        connection = self.clients.buildProtocol(transport.getPeer())
        connection.makeConnection(transport)
        return connection, transport

    def requests(self) -> Requests:
        """The oldest message that was not answered, taken."""
        message: Requests = self.messages.popleft()
        return message

    def answer(self, read: Any = b"value") -> Requests:
        """Answer the oldest message: OK for writes, ``read`` for reads."""
        message = self.requests()
        replies = [item if isinstance(item, Local) else read if item[0] == GET else OK for item in message.items]
        self.reply(message, replies)
        return message

    def answer_all(self, read: Any = b"value") -> int:
        """Answer until nothing waits; how many requests that were."""
        answered = 0
        while self.messages:
            answered += len(self.answer(read).items)
        return answered

    def reply(self, message: Requests, replies: list[Any]) -> None:
        """Answer ``message``."""
        answer = Replies(message.connection, replies, message.size)
        self.clients.receive(FakeTurn(), Address(1, GATEWAY), ClientReplies([answer]))


def encoded(*arguments: bytes) -> bytes:
    """A request in RESP."""
    return b"*%d\r\n" % len(arguments) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in arguments)
