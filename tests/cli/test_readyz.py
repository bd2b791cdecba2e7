"""`dkv cluster` waits for nodes that serve, and not everyone is served by a node with users."""

from __future__ import annotations

import socket
from pathlib import Path
from unittest.mock import Mock

from twisted.trial.unittest import SynchronousTestCase

from dkv.cli import nodes, readyz
from dkv.cli.nodes import NodeProcess
from dkv.cli.readyz import says_ready
from dkv.client.admission import Admission, Tls
from dkv.client.blocking import Endpoint, ServerError
from tests.certificates import Certificates

NODE, OPERATORS = Endpoint("127.0.0.1", 1), Endpoint("127.0.0.1", 2)


class ReadinessTests(SynchronousTestCase):
    def serves(self, refusal: str, ready: bool, operators: Endpoint | None = OPERATORS) -> bool:
        """Whether a node serves that refuses the read, and says that it is ``ready`` to operators."""

        def connect(*_: object) -> None:
            raise ServerError(refusal)

        self.patch(nodes, "connect", connect)
        self.patch(nodes, "says_ready", lambda endpoint, _: endpoint == OPERATORS and ready)
        return NodeProcess(1, [], Path(self.mktemp()), NODE, operators).serves()

    def test_users(self) -> None:
        """This command is none of them: the port for operators tells everyone; without one an answer has to do."""
        for refusal in ("NOAUTH Authentication required.", "NOPERM No permissions to access a key"):
            self.assertTrue(self.serves(refusal, ready=True))
            self.assertFalse(self.serves(refusal, ready=False))
            self.assertTrue(self.serves(refusal, ready=False, operators=None))

    def test_other_refusals(self) -> None:
        """A node that cannot serve now does not, whatever it says to operators."""
        self.assertFalse(self.serves("CLUSTERDOWN no majority", ready=True))

    def test_over_tls(self) -> None:
        """The CA of the cluster is believed, and no other one."""
        made = Mock()
        self.patch(readyz, "HTTPSConnection", made)
        made.return_value.getresponse.return_value.status = 200
        tls = Tls(str(Certificates(Path(self.mktemp())).ca))
        self.assertTrue(says_ready(OPERATORS.admitting(Admission(tls)), 1.0))
        context = made.call_args.kwargs["context"]
        self.assertTrue(context.check_hostname)
        self.assertEqual(context.get_ca_certs(), tls.context().get_ca_certs())

    def test_nobody_listens(self) -> None:
        """The node has not begun yet."""
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            self.assertFalse(says_ready(Endpoint("127.0.0.1", bound.getsockname()[1]), 1.0))
