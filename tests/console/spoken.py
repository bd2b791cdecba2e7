"""A session of a client, and what it answers to lines as people type them."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dkv.console.client_session import ClientSession
from dkv.console.comparison import HeldState
from dkv.console.inspection import Inspection
from dkv.console.logins import Logins
from dkv.console.sentinel_view import ClientAddress
from dkv.identity import Identity
from dkv.pubsub.exchange import Exchange
from dkv.replies import Error, Local, LogRequest, Meaning
from dkv.settings import Limits
from dkv.wire.inline import split_line


class Spoken(SynchronousTestCase):
    """One session, and what it says."""

    def setUp(self) -> None:
        node = Mock(spec=Inspection)
        node.info.return_value = {"Server": {"redis_version": "7.0.0"}, "Dkv": {"dkv_role": "leader"}}
        node.connections_max, node.notifications = 12, b""
        node.faults_allowed = False
        node.metrics.return_value = b"dkv_connections 1"
        node.status.return_value = {"node": 1}
        node.log.return_value = []
        node.identity, node.applied_through = Identity("c", 1, 9, 1), 0
        node.comparison = HeldState(1, lambda *letter: None, lambda: 0.0)
        node.member_view = Mock(kind="voter", quorum=2, **{"members.return_value": {}, "invitation.return_value": {}})
        node.sentinel = Mock(down=False, epoch=4, down_after_milliseconds=5000, quorum=2)
        node.sentinel.name = "c"
        node.sentinel.others.return_value = []
        node.sentinel.address_within = lambda local: ClientAddress("db1", 7379)
        node.logins = Logins(Clock(), None, lambda *_: False, b"key", Mock())
        node.client_connections.return_value = []
        node.exchange = Exchange(Limits(), lambda: None)
        self.node = node
        self.begin(Limits())

    def begin(self, limits: Limits) -> None:
        """A new session with these limits."""
        self.session = ClientSession(7, "192.0.2.1:4000", limits, self.node)

    def meaning(self, line: str) -> Meaning:
        """What ``line`` is to the session."""
        words = split_line(line.encode())
        assert words
        return self.session.interpret(words)

    def request(self, line: str) -> LogRequest:
        """What is asked in the log for ``line``."""
        request = self.meaning(line)
        assert type(request) is LogRequest, (line, request)
        return request

    def local(self, line: str) -> Local:
        """The reply to ``line``, which needs no log."""
        answer = self.meaning(line)
        assert type(answer) is Local, (line, answer)
        return answer

    def reply(self, line: str) -> Any:
        """The answer to ``line``; the connection goes on as it was."""
        answer = self.local(line)
        self.assertFalse(answer.close)
        return answer.reply

    def refusal(self, line: str) -> str:
        """The text with which ``line`` is refused."""
        reply = self.reply(line)
        assert isinstance(reply, Error), line
        return reply.text
