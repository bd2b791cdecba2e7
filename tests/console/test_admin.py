"""The pages of the admin port, for a node that says what a test wants."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from dkv.console.admin import Refused, admin_site, readyz
from dkv.console.cautions import Caution
from dkv.console.inspection import Inspection
from dkv.console.readiness import Condition

OPEN = Caution("open", "the client port is open to everyone who reaches it")
ENDS = Caution("certificate", "the certificate ends in 3 days")


def node(conditions: list[Condition], *warnings: Caution) -> Inspection:
    """A node with these conditions and warnings, and no fault orders."""
    faults = SimpleNamespace(status=list)
    found: Any = SimpleNamespace(conditions=lambda: conditions, warnings=lambda: list(warnings), faults=faults)
    return cast(Inspection, found)


class ReadyzTests(SynchronousTestCase):
    WELL = Condition("voting", True, "")
    ILL = Condition("voting", False, "it has not met every other member yet")

    def test_a_warning_takes_no_node_out_of_service(self) -> None:
        """An operator sees what to mend, and the load balancer goes on sending clients to a node that serves."""
        self.assertEqual(readyz(node([self.WELL]), False)[0::2], (200, b"ok\n"))
        status, _, text = readyz(node([self.WELL], OPEN, ENDS), False)
        lines = [f"[!]{caution.name}: {caution.text}" for caution in (OPEN, ENDS)]
        self.assertEqual((status, text.decode().splitlines()), (200, [*lines, "ok"]))
        verbose = readyz(node([self.WELL], OPEN), True)[2].decode()
        self.assertEqual(verbose.splitlines(), ["[+]voting ok", lines[0], "ok"])

    def test_a_warning_makes_no_node_ready(self) -> None:
        """A node that serves nobody is not ready, whatever it warns of."""
        status, _, text = readyz(node([self.ILL], OPEN), False)
        self.assertEqual(status, 503)
        failed = "[-]voting failed: it has not met every other member yet"
        self.assertEqual(text.decode().splitlines(), [failed, f"[!]open: {OPEN.text}", "not ready"])


class GuardedTests(SynchronousTestCase):
    """The pages behind a guard that lets nobody pass."""

    WAYS = (
        *("GET /status", "HEAD /status", "TRACE /status", "POST /metrics", "GET /metrics", "GET /status?verbose"),
        *("GET //status", "GET http://x/status", "GET /%73tatus", "GET /./status", "GET /status/", "GET status"),
        *("GET /livez/../status", "GET /readyz/%2e%2e/metrics", "GET /STATUS", "OPTIONS *", "GET *", "CONNECT x:1"),
    )

    def ask(self, line: str) -> tuple[bytes, bytes]:
        """The first line of the answer, and all of it."""
        shown: Any = node([], OPEN)
        shown.status, shown.metrics = lambda: {"told": "hidden"}, lambda: b"hidden"
        clock = Clock()
        visit = admin_site(shown, clock, lambda _: Refused(401, "for operators")).buildProtocol(None)
        transport = StringTransport()
        visit.makeConnection(transport)
        visit.dataReceived(f"{line} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        self.assertTrue(transport.disconnecting, line)
        return transport.value().partition(b"\r\n")[0], transport.value()

    def test_no_way_around(self) -> None:
        """However the path is written, and whatever the method, nothing of the pages is shown, nor which there are."""
        for line in self.WAYS:
            _, answer = self.ask(line)
            self.assertNotIn(b"hidden", answer, line)
        for path in ("/status", "/metrics", "/nothing", "/"):
            first, answer = self.ask(f"GET {path}")
            self.assertEqual(first, b"HTTP/1.1 401 Unauthorized")
            self.assertTrue(answer.endswith(b"for operators\n"))

    def test_probes(self) -> None:
        """A probe has no token."""
        self.assertEqual(self.ask("GET /livez")[0], b"HTTP/1.1 200 OK")
        self.assertEqual(self.ask("GET /readyz?verbose")[0], b"HTTP/1.1 200 OK")


class WarningsTests(SynchronousTestCase):
    def test_every_part_may_warn(self) -> None:
        """What two parts of a node warn of is there as long as they say so, in the order in which they were added."""
        inspection = Inspection.__new__(Inspection)
        said: list[Caution] = [OPEN]
        inspection.cautions = [lambda: said, lambda: [ENDS]]
        self.assertEqual(inspection.warnings(), [OPEN, ENDS])
        said.clear()
        self.assertEqual(inspection.warnings(), [ENDS])
