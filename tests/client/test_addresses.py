"""Clients find a cluster whose members have changed, as long as one of the old addresses answers."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from dkv.client import survey
from dkv.client.addresses import named, present
from dkv.client.admission import Admission, Tls
from dkv.client.blocking import Endpoint
from tests.cli.commands import run
from tests.client.fakes import Answers, FakeNodes


def members(*clients: str | None) -> bytes:
    """An answer to DKV.MEMBER LIST."""
    listed = [
        {"id": number, "kind": "voter", "becomes": None, "client": client} for number, client in enumerate(clients, 1)
    ]
    text = json.dumps({"members": listed}).encode()
    return b"$%d\r\n%b\r\n" % (len(text), text)


class AddressTests(SynchronousTestCase):
    def nodes(self, **answers: Answers) -> None:
        self.patch(survey, "in_parallel", lambda jobs: [job() for job in jobs])
        self.patch(survey, "connect", FakeNodes(self, **answers).connect)

    def test_present(self) -> None:
        """The old addresses first; nodes that are down, of an older version, or no nodes at all add nothing."""
        self.nodes(
            a=None, b=b"-ERR unknown command\r\n", c=members("c:1", "d:1", "", None, "no address"), e=b"$1\r\n[\r\n"
        )
        found = present([Endpoint(name, 1) for name in "abce"], 5.0)
        self.assertEqual([each.host for each in found], ["a", "b", "c", "e", "d"])

    def test_ports_with_tls(self) -> None:
        """A client goes on as it came, with TLS or without, and with what gets it in; also where TLS may be."""
        listed = [
            {"id": 1, "kind": "voter", "becomes": None, "client": "a:1", "client_tls": "a:2"},
            {"id": 2, "kind": "voter", "becomes": None, "client": "b:2", "client_tls": "b:2"},
            {"id": 3, "kind": "voter", "becomes": None, "client": "c:1", "client_tls": ""},
            {"id": 4, "kind": "voter", "becomes": None, "client": "d:1"},
        ]
        reply = json.dumps({"members": listed}).encode()
        for access, wanted in (
            (Admission(Tls("ca.pem"), b"app", b"secret"), ["a:2", "b:2", "c:1", "d:1"]),
            (Admission(None, b"app", b"secret"), ["a:1", "c:1", "d:1"]),
        ):
            found = named(reply, ("voter",), access)
            self.assertEqual([*map(str, found)], wanted)
            self.assertEqual({each.access for each in found}, {access})

    def test_commands_go_on_elsewhere(self) -> None:
        """The only address that was given is that of a node that was removed; it knows where the others are."""
        removed = b"-TRYAGAIN this node was removed from the cluster; the request was not applied\r\n"
        self.nodes(a=members("b:1"))
        FakeNodes(self, a=removed, b=b"$1\r\n7\r\n")
        result = run("get", "key", "--endpoints", "a:1")
        self.assertEqual((result.exit_code, result.stdout), (0, "7\n"))

    def test_nothing_else_is_known(self) -> None:
        """A refusal stays one."""
        self.nodes(a=members("a:1"))
        FakeNodes(self, a=b"-CLUSTERDOWN no majority\r\n")
        result = run("get", "key", "--endpoints", "a:1")
        self.assertEqual(result.exit_code, 4)
        self.assertIn("CLUSTERDOWN no majority", result.stderr)
