"""Endpoint strings, as they come from a configuration."""

from __future__ import annotations

from socket import AF_INET, AF_INET6
from typing import Any

from twisted.internet.error import DNSLookupError
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from dkv.net.listening import listening_endpoint
from dkv.net.lookups import Lookups


class Listening(SynchronousTestCase):
    """``listening_endpoint``."""

    def backlog_of(self, text: str) -> int:
        reactor = MemoryReactorClock()
        self.successResultOf(listening_endpoint(reactor, text).listen(Factory()))
        servers = reactor.tcpServers or reactor.unixServers
        return servers[0][2]

    def test_backlog(self) -> None:
        """A thousand clients that connect at once are all served, whatever kind of endpoint it is."""
        self.assertEqual(self.backlog_of("tcp:5001"), 1024)
        self.assertEqual(self.backlog_of("tcp:5001:interface=127.0.0.1"), 1024)
        self.assertEqual(self.backlog_of("tcp6:5001:interface=\\:\\:1"), 1024)
        self.assertEqual(self.backlog_of("unix:/run/dkv.socket"), 1024)

    def test_backlog_of_the_operators_choice(self) -> None:
        """The endpoint is the one that the operator wrote, by name or by position."""
        self.assertEqual(self.backlog_of("tcp:5001:backlog=7"), 7)
        self.assertEqual(self.backlog_of("tcp:5001:127.0.0.1:7"), 7)

    def unix_mode_of(self, text: str) -> int:
        reactor = MemoryReactorClock()
        self.successResultOf(listening_endpoint(reactor, text).listen(Factory()))
        _, _, backlog, mode, _ = reactor.unixServers[0]
        self.assertEqual(backlog, 7 if "backlog" in text else 1024)
        return int(mode)

    def test_sockets_of_the_file_system_are_private(self) -> None:
        """A client that may connect may do everything. By default, only the owner may connect."""
        self.assertEqual(self.unix_mode_of("unix:/run/dkv.socket"), 0o600)
        self.assertEqual(self.unix_mode_of("unix:address=/run/dkv.socket:backlog=7"), 0o600)
        self.assertEqual(self.unix_mode_of("unix:/run/a\\:mode\\=1/dkv.socket"), 0o600)
        self.assertEqual(self.unix_mode_of("haproxy:unix:/run/dkv.socket"), 0o600)
        self.assertEqual(self.unix_mode_of("unix:/run/dkv.socket:mode=660"), 0o660)
        self.assertEqual(self.unix_mode_of("unix:/run/dkv.socket:660"), 0o660)

    def test_unknown_kind(self) -> None:
        """A slip in an endpoint string is an error where it is read."""
        self.assertRaises(ValueError, listening_endpoint, MemoryReactorClock(), "tpc:5001")

    def test_a_name_is_looked_up_beside_the_reactor(self) -> None:
        """A DNS that does not answer must not keep the node from its signals: bind would look it up there."""
        for text, port, address in (
            ("tcp:5101:interface=db1", 5101, "10.0.0.1"),
            ("tcp:5101:db1:7", 5101, "10.0.0.1"),
            ("tcp6:5101:interface=db1", 5101, "fd00::1"),
        ):
            reactor: Any = MemoryReactorClock()
            questions: list[Any] = []
            addresses = [(AF_INET, 1, 6, "", ("10.0.0.1", 0)), (AF_INET6, 1, 6, "", ("fd00::1", 0, 0, 0))]

            def answer(name: str, port: object, family: int, kind: int, addresses: Any = addresses) -> Any:
                return [each for each in addresses if each[0] == family]

            reactor.callFromThread = lambda call, *arguments: call(*arguments)
            reactor.nameResolver = Lookups(reactor, answer, questions.append)
            listening = listening_endpoint(reactor, text).listen(Factory())
            self.assertNoResult(listening)
            self.assertEqual(reactor.tcpServers, [])
            questions.pop()()
            self.successResultOf(listening)
            self.assertEqual((reactor.tcpServers[0][0], reactor.tcpServers[0][3]), (port, address))

    def test_a_name_that_is_not_found(self) -> None:
        """The start fails with a line that says so."""
        reactor: Any = MemoryReactorClock()
        questions: list[Any] = []
        reactor.callFromThread = lambda call, *arguments: call(*arguments)
        reactor.nameResolver = Lookups(reactor, lambda *_: [], questions.append)
        listening = listening_endpoint(reactor, "tcp:5101:interface=db9").listen(Factory())
        questions.pop()()
        self.assertEqual(self.failureResultOf(listening, DNSLookupError).value.args, ("the name db9 is not found",))
