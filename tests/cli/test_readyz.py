"""`dkv cluster` waits for nodes that serve, and not everyone is served by a node with users."""

from __future__ import annotations

import socket
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dkv.cli import nodes
from dkv.cli.nodes import NodeProcess
from dkv.cli.readyz import says_ready
from dkv.client.blocking import Endpoint, ServerError

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

    def test_nobody_listens(self) -> None:
        """The node has not begun yet."""
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            self.assertFalse(says_ready(Endpoint("127.0.0.1", bound.getsockname()[1]), 1.0))
