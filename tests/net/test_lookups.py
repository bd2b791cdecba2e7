"""Look-ups of names while a DNS does not answer; once with real threads."""

from __future__ import annotations

import socket
from collections.abc import Callable
from threading import Event, current_thread
from typing import Any

from twisted.internet import reactor as real_reactor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.interfaces import IHostnameResolver, IHostResolution, IResolutionReceiver
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from dkv.net.lookups import PATIENCE_SECONDS, Lookups, host_name


@implementer(IResolutionReceiver)
class Receiver:
    """Somebody who asks."""

    def __init__(self) -> None:
        self.resolution: Any = None
        self.addresses: list[Any] = []
        self.completed: Deferred[list[str]] = Deferred()

    def resolutionBegan(self, resolution: Any) -> None:
        self.resolution = resolution

    def addressResolved(self, address: Any) -> None:
        self.addresses.append(address)

    def resolutionComplete(self) -> None:
        self.completed.callback([address.host for address in self.addresses])


def answer(*addresses: str) -> list[Any]:
    """What ``getaddrinfo`` returns."""
    return [
        (socket.AF_INET6, 1, 6, "", (each, 0, 0, 0)) if ":" in each else (socket.AF_INET, 1, 6, "", (each, 0))
        for each in addresses
    ]


class LookupsTests(SynchronousTestCase):
    """A DNS whose every answer a test gives, or does not."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.callFromThread = lambda call, *arguments: call(*arguments)  # type: ignore[attr-defined]  # by Clock
        self.threads: list[Callable[[], None]] = []
        self.asked: list[tuple[Any, ...]] = []
        self.says: Any = answer("10.0.0.2")
        self.lookups = Lookups(self.clock, self.getaddrinfo, self.threads.append)

    def getaddrinfo(self, *question: Any) -> list[Any]:
        self.asked.append(question)
        if isinstance(self.says, Exception):
            raise self.says
        return self.says  # type: ignore[no-any-return]  # whatever the test says

    def ask(self, name: str, *kinds: type) -> Receiver:
        receiver = Receiver()
        self.lookups.resolveHostName(receiver, name, 5101, kinds or None)
        return receiver

    def finish(self, says: Any) -> None:
        """The oldest look-up has an answer."""
        self.says = says
        self.threads.pop(0)()

    def test_found(self) -> None:
        """Addresses with the port that was asked for; of one kind if only that is wanted."""
        verifyObject(IHostnameResolver, self.lookups)
        receiver = self.ask("db2")
        verifyObject(IHostResolution, receiver.resolution)
        self.assertEqual(receiver.resolution.name, "db2")
        self.finish(answer("10.0.0.2", "fd00::2"))
        self.successResultOf(receiver.completed)
        expected = [IPv4Address("TCP", "10.0.0.2", 5101), IPv6Address("TCP", "fd00::2", 5101)]
        self.assertEqual(receiver.addresses, expected)
        self.ask("db2", IPv4Address)
        self.finish(answer("10.0.0.2"))
        families = [question[2] for question in self.asked]
        self.assertEqual(families, [socket.AF_UNSPEC, socket.AF_INET])

    def test_a_name_that_hangs_stops_no_other(self) -> None:
        """Twenty dials of a name take one thread, and another name is found meanwhile."""
        hanging = [self.ask("hangs") for _ in range(20)]
        self.assertEqual(len(self.threads), 1)
        other = self.ask("db2")
        self.threads.pop()()
        self.assertEqual(self.successResultOf(other.completed), ["10.0.0.2"])
        for receiver in hanging:
            self.assertNoResult(receiver.completed)
        self.assertEqual(self.lookups.trouble("hangs"), "the look-up of the name hangs is not answered")
        self.assertIsNone(self.lookups.trouble("db2"))
        self.finish(answer("10.0.0.9"))
        self.assertEqual(self.successResultOf(hanging[0].completed), ["10.0.0.9"])
        self.assertEqual(self.successResultOf(hanging[19].completed), ["10.0.0.9"])
        self.assertIsNone(self.lookups.trouble("hangs"))

    def test_the_last_good_address_meanwhile(self) -> None:
        """A connection that breaks while the DNS is away comes back."""
        self.ask("db2")
        self.finish(answer("10.0.0.2"))
        for _ in range(3):
            receiver = self.ask("db2")
            self.clock.advance(PATIENCE_SECONDS)
            self.assertEqual(self.successResultOf(receiver.completed), ["10.0.0.2"])
        self.assertEqual(len(self.threads), 1)
        self.assertIsNone(self.lookups.trouble("db2"))
        self.finish(answer("10.0.0.7"))
        receiver = self.ask("db2")
        self.finish(answer("10.0.0.8"))
        self.assertEqual(self.successResultOf(receiver.completed), ["10.0.0.8"], "a DNS that answers is believed")
        self.clock.advance(1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_the_last_good_address_of_a_name_that_is_gone(self) -> None:
        """Some DNS forgets a host that is down or not ready; who it is, its Hello will say."""
        self.ask("db2")
        self.finish(answer("10.0.0.2"))
        receiver = self.ask("db2")
        self.finish(socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
        self.assertEqual(self.successResultOf(receiver.completed), ["10.0.0.2"])

    def test_not_found(self) -> None:
        """No address, and words for the operator."""
        for failure, words in (
            (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Name or service not known"),
            (UnicodeError("label too long"), "label too long"),
        ):
            receiver = self.ask("db2")
            self.finish(failure)
            self.assertEqual(self.successResultOf(receiver.completed), [])
            self.assertEqual(self.lookups.trouble("db2"), f"the name db2 is not found: {words}")
        self.ask("db2")
        self.finish(answer())
        self.assertEqual(self.lookups.trouble("db2"), "the name db2 is not found: it has no address")

    def test_cancelled(self) -> None:
        """A receiver that has given up is told nothing."""
        receiver = self.ask("db2")
        receiver.resolution.cancel()
        self.finish(answer("10.0.0.2"))
        self.assertNoResult(receiver.completed)


class ThreadTests(TestCase):
    """The real reactor."""

    @inlineCallbacks
    def test_threads_of_their_own(self) -> Any:
        """Twenty names that hang leave Twisted's pool, and every other name, alone; none of them keeps the process."""
        hangs, threads = Event(), []
        self.addCleanup(hangs.set)

        def getaddrinfo(name: str, *_: Any) -> list[Any]:
            threads.append(current_thread())
            if name != "db2":
                hangs.wait(60)
            return answer("10.0.0.2")

        lookups = Lookups(real_reactor, getaddrinfo)
        waiting = [Receiver() for _ in range(20)]
        for number, receiver in enumerate(waiting):
            lookups.resolveHostName(receiver, f"hangs{number}")
        receiver = Receiver()
        lookups.resolveHostName(receiver, "db2")
        found = yield receiver.completed
        self.assertEqual(found, ["10.0.0.2"])
        self.assertEqual([thread.daemon for thread in threads], [True] * 21)
        hangs.set()
        for receiver in waiting:
            yield receiver.completed


class HostNameTests(SynchronousTestCase):
    """``host_name``."""

    def test_names(self) -> None:
        """A name is found by its keyword or its place, and replaced by an address."""
        kinds = ("tcp", "tls")
        for text, name, replaced in (
            ("tcp:host=db2:port=5101", "db2", "tcp:host=fd00\\:\\:2:port=5101"),
            ("tcp:db2:5101", "db2", "tcp:fd00\\:\\:2:5101"),
            ("tls:db2.example:5101:timeout=3", "db2.example", "tls:fd00\\:\\:2:5101:timeout=3"),
        ):
            found = host_name(text, "host", kinds, 1)
            assert found is not None
            self.assertEqual((found.name, found.replaced("fd00::2")), (name, replaced))

    def test_none(self) -> None:
        """Addresses need no look-up, and some endpoints have no host."""
        for text in ("tcp:host=10.0.0.2:port=1", "tcp:host=fd00\\:\\:2:port=1", "unix:/run/dkv", "tcp:port=5101"):
            self.assertIsNone(host_name(text, "host", ("tcp",), 1), text)
        for text in ("tcp:5101", "tcp:5101:interface=", "tcp:5101:backlog=7", "tcp6:1:interface=fe80\\:\\:1%eth0"):
            self.assertIsNone(host_name(text, "interface", ("tcp", "tcp6"), 2), text)
