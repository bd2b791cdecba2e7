"""``dkv leader transfer`` against nodes that answer what a test says."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from click.shell_completion import BashComplete
from click.testing import Result
from twisted.trial.unittest import SynchronousTestCase

from dkv.cli import leader
from dkv.cli.group import dkv
from dkv.client import survey
from dkv.client.blocking import Endpoint
from tests.cli.commands import run
from tests.client.fakes import FakeNodes

OK = b"+OK\r\n"


def status(node: int, leads: int, **fields: object) -> bytes:
    """A DKV.STATUS of ``node``, which takes ``leads`` for the leader."""
    role = "leader" if node == leads else "follower"
    ballot = f"{leads}.{leads}" if leads else None
    document = {"node": node, "mode": "leader", "role": role, "leader": leads, "leader_ballot": ballot, **fields}
    encoded = json.dumps(document).encode()
    return b"$%d\r\n%b\r\n" % (len(encoded), encoded)


class TransferTests(SynchronousTestCase):
    """Each connection gets its node's next answer."""

    def transfer(self, to: int, *options: str, **answers: list[bytes]) -> Result:
        """The command, at nodes whose connections get these answers in turn; the last one for ever."""

        def connect(endpoint: Any, first: float, second: float) -> Any:
            name = endpoint.host
            left = answers[name]
            nodes = FakeNodes(self, **{name: left.pop(0) if len(left) > 1 else left[0] if left else None})
            connection = nodes.connect(endpoint, first, second)
            self.nodes.append((name, nodes))
            return connection

        self.nodes: list[tuple[str, FakeNodes]] = []
        self.patch(survey, "connect", connect)
        self.patch(leader, "present", self.present)
        return run(
            "leader",
            "transfer",
            str(to),
            "--endpoints",
            ",".join(f"{name}:1" for name in self.listed or answers),
            *options,
        )

    def present(self, endpoints: Iterable[Endpoint], answer_seconds: float) -> tuple[Endpoint, ...]:
        """In place of ``dkv.client.addresses.present``."""
        return (*endpoints, *self.members)

    listed: Sequence[str] = ()
    """The nodes whose addresses the command is given; all, if there are none."""
    members: Sequence[Endpoint] = ()
    """Those whom any of these names besides."""

    def test_the_leader_is_found_by_one_address(self) -> None:
        """The node that leads may have joined after the list of addresses was written."""
        self.listed, self.members = ("b",), (Endpoint("e", 1),)
        answers = {"b": [status(2, 5), status(2, 2)], "e": [status(5, 5), OK, status(5, 2)]}
        result = self.transfer(2, **answers)
        self.assertEqual((result.exit_code, self.orders()), (0, ["e"]))

    def orders(self) -> list[str]:
        """Where orders went."""
        return [name for name, nodes in self.nodes if b"DKV.LEADER" in b"".join(nodes.requests)]

    def test_transfer(self) -> None:
        """The leader is found, asked once, and the command ends when a node says that the other one leads."""
        followers = {"b": [status(2, 1), status(2, 2)], "c": [status(3, 1), status(3, 1)]}
        result = self.transfer(2, a=[status(1, 1), OK, status(1, 1)], **followers)
        self.assertEqual(result.stdout, "node 2 leads in ballot 2.2; node 1 did before\n")
        self.assertEqual((result.exit_code, self.orders()), (0, ["a"]))

    def test_json(self) -> None:
        """The same, for a script."""
        result = self.transfer(2, "--output", "json", a=[status(1, 1), OK, status(1, 2)])
        found = json.loads(result.stdout)
        self.assertEqual(
            {name: found[name] for name in ("leader", "ballot", "before")}, {"leader": 2, "ballot": "2.2", "before": 1}
        )

    def test_it_leads_already(self) -> None:
        """A script may repeat it."""
        result = self.transfer(1, a=[status(1, 1)], b=[status(2, 1)])
        self.assertEqual((result.stdout, result.exit_code), ("node 1 leads already, in ballot 1.1\n", 0))
        self.assertEqual(self.orders(), [])

    def test_refused(self) -> None:
        """The leader's own words, and status 4."""
        result = self.transfer(7, a=[status(1, 1), b"-ERR node 7 is no voter\r\n"])
        self.assertEqual((result.exit_code, result.stderr), (4, "dkv: refused by a:1: ERR node 7 is no voter\n"))

    def test_nobody_to_ask(self) -> None:
        """Who leads is said if a node knows it; nothing is sent to a node that does not lead."""
        for answers, text in (
            ({"b": [status(2, 1)]}, "refused: node 1 leads, and does not answer: only a leader can hand over"),
            ({"b": [status(2, 0)]}, "refused: nobody leads at the moment; ask again"),
            ({"b": [status(2, 0, mode="classic", role="peer")]}, "refused: nobody leads in classic mode"),
        ):
            result = self.transfer(3, **answers)
            self.assertEqual((result.exit_code, result.stderr), (4, f"dkv: {text}\n"))
            self.assertEqual(self.orders(), [])

    def test_nobody_reachable(self) -> None:
        """3, as in the other commands."""
        self.assertEqual(self.transfer(2, a=[]).exit_code, 3)

    def test_an_earlier_leader(self) -> None:
        """Two nodes may say for a moment that they lead: the one with the higher ballot does."""
        result = self.transfer(3, a=[status(1, 1)], b=[status(2, 2), OK, status(2, 3)])
        self.assertEqual((result.exit_code, self.orders()), (0, ["b"]))

    def test_not_taken_over(self) -> None:
        """The order is sent again; in the end the command says that it did not help."""
        self.patch(leader, "TRANSFER_SECONDS", 0.2)
        self.patch(leader, "AGAIN_SECONDS", 0.05)
        self.patch(leader, "ask_one", self.ordered)
        self.sent = 0
        result = self.transfer(2, a=[status(1, 1)])
        self.assertEqual(result.exit_code, 1)
        self.assertEqual(result.stderr, "dkv: node 2 does not lead after 0.2 s: TRYAGAIN in a moment\n")
        self.assertGreater(self.sent, 1)

    def ordered(self, endpoint: Any, *_: object) -> list[Any]:
        """The leader cannot say more for the moment."""
        self.sent += 1
        return [survey.Answer(endpoint, True, None, "TRYAGAIN in a moment", 0.0)]

    def test_an_odd_answer(self) -> None:
        """A node of an earlier version does not know the order, and another server anything."""
        result = self.transfer(2, a=[status(1, 1), b"-ERR unknown command 'DKV.LEADER'\r\n"])
        self.assertEqual(result.exit_code, 4)
        self.assertIn("unknown command", result.stderr)
        self.assertEqual(self.transfer(2, a=[status(1, 1), b":7\r\n"]).exit_code, 4)

    def test_alone(self) -> None:
        """Without a subcommand it shows the help, and does nothing."""
        result = run("leader")
        self.assertEqual(result.exit_code, 2)
        self.assertIn("transfer", result.stdout)

    def test_completion(self) -> None:
        """A shell completes the subcommand like any other command."""
        complete = BashComplete(dkv, {}, "dkv", "_DKV_COMPLETE")
        self.assertEqual([each.value for each in complete.get_completions(["leader"], "t")], ["transfer"])
