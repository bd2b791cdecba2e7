"""Endpoint strings, as they come from a configuration."""

from __future__ import annotations

from twisted.internet.error import ConnectingCancelledError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from dkv.net.endpoints import DiallingEndpoint, listening_endpoint


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
        """What the operator wrote is what runs, by name or by position."""
        self.assertEqual(self.backlog_of("tcp:5001:backlog=7"), 7)
        self.assertEqual(self.backlog_of("tcp:5001:127.0.0.1:7"), 7)

    def unix_mode_of(self, text: str) -> int:
        reactor = MemoryReactorClock()
        self.successResultOf(listening_endpoint(reactor, text).listen(Factory()))
        _, _, backlog, mode, _ = reactor.unixServers[0]
        self.assertEqual(backlog, 7 if "backlog" in text else 1024)
        return int(mode)

    def test_sockets_of_the_file_system_are_private(self) -> None:
        """Whoever may connect may do everything: not every user of the machine, unless the operator says so."""
        self.assertEqual(self.unix_mode_of("unix:/run/dkv.socket"), 0o600)
        self.assertEqual(self.unix_mode_of("unix:address=/run/dkv.socket:backlog=7"), 0o600)
        self.assertEqual(self.unix_mode_of("unix:/run/a\\:mode\\=1/dkv.socket"), 0o600)
        self.assertEqual(self.unix_mode_of("haproxy:unix:/run/dkv.socket"), 0o600)
        self.assertEqual(self.unix_mode_of("unix:/run/dkv.socket:mode=660"), 0o660)
        self.assertEqual(self.unix_mode_of("unix:/run/dkv.socket:660"), 0o660)

    def test_unknown_kind(self) -> None:
        """A slip in an endpoint string is an error where it is read."""
        self.assertRaises(ValueError, listening_endpoint, MemoryReactorClock(), "tpc:5001")


class Dialling(SynchronousTestCase):
    """``DiallingEndpoint``."""

    def test_connects(self) -> None:
        """It dials where the string says."""
        reactor = MemoryReactorClock()
        endpoint = DiallingEndpoint(reactor, "tcp:host=127.0.0.1:port=5101", 2.0)
        connecting = endpoint.connect(Factory.forProtocol(Protocol))
        self.assertEqual(reactor.tcpClients[0][:2], ("127.0.0.1", 5101))
        self.assertNoResult(connecting)

    def test_gives_up(self) -> None:
        """A host that was cut off and is back is reached by the next attempt, not after this one's 30 seconds."""
        reactor = MemoryReactorClock()
        endpoint = DiallingEndpoint(reactor, "tcp:127.0.0.1:5101", 2.0)
        connecting = endpoint.connect(Factory.forProtocol(Protocol))
        reactor.advance(2.1)
        self.failureResultOf(connecting, ConnectingCancelledError)
        self.assertTrue(reactor.connectors[0].stoppedConnecting)
