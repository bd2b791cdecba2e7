"""dkv member and dkv replace: the plan, what is refused, and what is safe to repeat, against a cluster in memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from click.testing import Result
from twisted.trial.unittest import SynchronousTestCase

from dkv.cli import change_run, member
from dkv.cli.change_plan import seen
from dkv.client.blocking import Endpoint, NoAnswer, Reply, ServerError
from dkv.client.survey import Answer
from dkv.configurations import ALPHA
from tests.cli.commands import run

CHANGE, CHECK = b"CHANGE", b"CHECK"


class Cluster:
    """Answers as the nodes of a cluster do. ``wrong`` are errors for the next orders, one after another;
    ``meanwhile`` is a change that somebody else asks for before the first."""

    def __init__(self) -> None:
        self.slot, self.pending = 100, 0
        self.voters, self.standbys = {1, 2, 3}, {4, 5}
        self.gone: set[int] = set()
        self.held = 1_000
        self.wrong: list[BaseException] = []
        self.orders: list[tuple[bytes, ...]] = []
        self.meanwhile: list[str] = []

    def present(self, endpoints: Iterable[Endpoint], answer_seconds: float) -> tuple[Endpoint, ...]:
        """In place of ``dkv.client.addresses.present``."""
        return tuple(Endpoint(f"node{node}", 1) for node in (1, 2, 3, 4, 5))

    def ask_all(
        self, endpoints: Iterable[Endpoint], requests: list[tuple[bytes, ...]], answer_seconds: float
    ) -> list[list[Answer]]:
        """In place of ``dkv.client.survey.ask_all``; each look lets time pass."""
        if self.pending:
            self.pending -= 1
        answers = [
            Answer(each, True, json.dumps(self._status(int(each.host[4:]))).encode(), "", 0) for each in endpoints
        ]
        return [[each] for each in answers]

    def ask_where(
        self, endpoints: Iterable[Endpoint], words: Sequence[bytes], answer_seconds: float
    ) -> tuple[Endpoint, Reply]:
        """In place of ``dkv.client.any_node.ask_where``."""
        self.orders.append(tuple(words[1:]))
        if self.meanwhile:
            self._change(self.meanwhile)
            raise ServerError("ERR they were changed since")
        error = self.wrong.pop(0) if self.wrong else None
        if error is None or isinstance(error, NoAnswer):
            if words[1] == CHANGE:
                self._change([word.decode() for word in words[3:]])
        if error is not None:
            raise error
        return next(iter(endpoints)), f"OK {self.slot}"

    def _change(self, words: list[str]) -> None:
        self.slot, self.pending, self.held = self.slot + 64, 3, 0
        while words:
            word, node = words.pop(0), int(words.pop(0))
            if word == "PROMOTE":
                self.voters.add(node)
                self.standbys.remove(node)
            else:
                self.voters.discard(node)
                self.standbys.discard(node)
                self.gone.add(node)

    def _status(self, node: int) -> dict[str, Any]:
        if not self.pending:
            self.held += 50
        members = [
            {"id": each, "kind": kind, "becomes": None, "peer": "h:1", "client": "h:2", "incarnation": "0" * 16}
            for kind, nodes in (("voter", self.voters), ("standby", self.standbys))
            for each in sorted(nodes)
        ]
        return {
            "node": node,
            "leader": 1,
            "applied_through": 500,
            "membership_slot": self.slot,
            "pending_from_slot": self.slot + ALPHA if self.pending else None,
            "ids_through": 5,
            "held_through": self.held,
            "members": members,
            "behind": {"2": 0, "3": 0, "4": 7, "5": None},
        }


class MemberTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = Cluster()
        for name in ("present", "ask_all", "ask_where"):
            self.patch(change_run, name, getattr(self.cluster, name))
        self.patch(change_run, "pause", lambda seconds: None)

    def run_ok(self, *words: str) -> str:
        result = self.done(*words)
        self.assertEqual(result.exit_code, 0, result.output)
        return result.stdout

    def done(self, *words: str) -> Result:
        return run(*words, "--endpoints", "node1:1")

    def test_list(self) -> None:
        """Who votes, who is behind, and what the cluster survives."""
        lines = self.run_ok("member", "list").splitlines()
        self.assertEqual([line.split()[:3] for line in lines[1:3]], [["1", "voter", "leader"], ["2", "voter", "-"]])
        self.assertEqual(lines[4].split()[:4], ["4", "standby", "-", "7"])
        self.assertEqual(lines[-1], "the cluster survives 1 failure; the next new node is 6 or higher")
        fields = json.loads(self.run_ok("member", "list", "--output", "json"))
        self.assertEqual((fields["voters"], fields["standbys"], fields["leader"]), ([1, 2, 3], [4, 5], 1))

    def test_replace(self) -> None:
        """One entry; the node may be switched off when the others have everything, and not before."""
        lines = self.run_ok("replace", "3", "--with", "4").splitlines()
        self.assertEqual(self.cluster.orders, [(CHANGE, b"100", b"REMOVE", b"3", b"PROMOTE", b"4")])
        self.assertEqual(lines[0], "now:        voters 1 2 3 (the cluster survives 1 failure), standbys 4 5")
        self.assertEqual(lines[3], "afterwards: voters 1 2 4 (the cluster survives 1 failure), standbys 5")
        self.assertEqual(lines[4], "taken into the log at slot 164")
        self.assertEqual(lines[-2], "complete: a majority of the voters has the whole log")
        self.assertEqual(lines[-1], "you may switch off node 3; its directory is of no more use")
        self.assertIn("waiting: the change takes force at slot 228", lines)
        self.assertGreaterEqual(self.cluster.held, 100 + 64 + ALPHA - 1)

    def test_replace_by_the_only_standby(self) -> None:
        """Nobody has to name it. Given again, the command promotes nobody else."""
        self.cluster.standbys = {5}
        for _ in range(2):
            self.assertIn("you may switch off node 3", self.run_ok("replace", "3"))
        self.assertEqual(self.cluster.orders, [(CHANGE, b"100", b"REMOVE", b"3", b"PROMOTE", b"5")])
        self.cluster.standbys = {4}
        self.run_ok("replace", "3")
        self.assertEqual((len(self.cluster.orders), self.cluster.voters), (1, {1, 2, 5}))

    def test_replace_several_by_all_standbys(self) -> None:
        """As many as leave; one that leaves itself takes no place."""
        self.run_ok("replace", "2", "3")
        self.assertEqual(
            self.cluster.orders,
            [(CHANGE, b"100", b"REMOVE", b"2", b"REMOVE", b"3", b"PROMOTE", b"4", b"PROMOTE", b"5")],
        )

    def test_replace_by_whom(self) -> None:
        """Which standbys there are, if it is not clear which one is meant."""
        for standbys, words, reason in (
            ({4, 5}, ("3",), "each of the standbys 4 5 could take the place of node 3: say --with ID"),
            (set(), ("3",), "too few standbys to take the place of node 3: there is none; `dkv init --join`"),
            ({4}, ("2", "3"), "too few standbys to take the place of 2 nodes: the only one is 4;"),
            ({4, 5}, ("3", "3"), "a node is named twice"),
        ):
            self.cluster.standbys = standbys
            result = self.done("replace", *words)
            self.assertEqual((result.exit_code, self.cluster.orders), (4, []), words)
            self.assertIn(reason, result.stderr)

    def test_again(self) -> None:
        """What is done is left out, and nothing is asked for."""
        self.run_ok("replace", "3", "--with", "4")
        lines = self.run_ok("replace", "3", "--with", "4").splitlines()
        self.assertEqual(len(self.cluster.orders), 1)
        self.assertEqual(lines[0], "nothing to change: it is done already")
        self.assertIn("you may switch off node 3", lines[-1])
        self.run_ok("member", "remove", "3", "2", "1", "--yes")
        self.assertEqual(self.cluster.orders[1], (CHANGE, b"164", b"REMOVE", b"2", b"REMOVE", b"1"))

    def test_outcome_unknown(self) -> None:
        """An answer that is lost is found out by a look at the members."""
        self.cluster.wrong = [NoAnswer("no answer from node1")]
        self.assertIn("you may switch off node 3", self.run_ok("replace", "3", "--with", "4"))
        self.cluster.wrong = [NoAnswer("no answer from node1")]
        self.patch(self.cluster, "_change", lambda words: None)
        result = self.done("member", "remove", "5")
        self.assertEqual(result.exit_code, 5)
        self.assertIn("give the same command again", result.stderr)

    def test_somebody_else_asks_for_the_same(self) -> None:
        """An earlier command whose node died with the request on its way, or another operator: it is done."""
        for others, status in ((["PROMOTE", "4", "REMOVE", "3"], 0), (["PROMOTE", "5", "REMOVE", "3"], 4)):
            self.setUp()
            self.cluster.meanwhile = others
            result = self.done("replace", "3", "--with", "4")
            self.assertEqual(result.exit_code, status, result.output)
            self.assertEqual(len(self.cluster.orders), 1)
        self.assertIn("refused: they were changed since", result.stderr)

    def test_waits_for_a_new_node(self) -> None:
        """A node that catches up is waited for, a refusal for good is not."""
        self.cluster.wrong = [ServerError("TRYAGAIN node 4 is 900 slots behind")] * 2
        self.assertIn("node 4 is 900 slots behind", self.run_ok("replace", "3", "--with", "4"))
        self.assertEqual(len(self.cluster.orders), 3)
        self.cluster.wrong = [ServerError("ERR the request rests on the members of slot 100")]
        result = self.done("member", "remove", "5")
        self.assertEqual((result.exit_code, len(self.cluster.orders)), (4, 4))

    def test_does_not_wait_for_ever(self) -> None:
        """A standby that never arrives."""
        self.cluster.wrong = [ServerError("TRYAGAIN node 4 is not connected")] * 100_000
        result = self.done("replace", "3", "--with", "4", "--wait", "0.01")
        self.assertEqual(result.exit_code, 4)
        self.assertIn("refused: node 4 is not connected", result.stderr)
        self.assertEqual(self.cluster.voters, {1, 2, 3})

    def test_dry_run(self) -> None:
        """The plan, and whether it would be taken; nothing is changed."""
        self.assertIn("nothing was changed (--dry-run)", self.run_ok("replace", "3", "--with", "4", "--dry-run"))
        self.assertEqual([order[0] for order in self.cluster.orders], [CHECK])
        self.cluster.wrong = [ServerError("TRYAGAIN node 4 is not connected")]
        self.assertEqual(self.done("replace", "3", "--with", "4", "--dry-run").exit_code, 4)

    def test_refused_before_it_is_asked_for(self) -> None:
        """With the reason, and what to do."""
        for words, reason in (
            (("member", "promote", "4"), "with 4 voters the cluster survives 1 failure, as with 3"),
            (("member", "remove", "1", "2", "3", "--yes"), "no voter would be left"),
            (("member", "remove", "9"), "node 9 is no member; the members are 1 2 3 4 5"),
            (("member", "promote", "9"), "`dkv init --join` makes a new node a standby first"),
            (("replace", "1", "2", "--with", "4"), "2 nodes leave and 1 take their place"),
            (("replace", "4", "--with", "4"), "node 4 cannot take its own place"),
        ):
            result = self.done(*words)
            self.assertEqual((result.exit_code, self.cluster.orders), (4, []), words)
            self.assertIn(reason, result.stderr)
        self.cluster.pending = 9
        self.assertIn("another change is under way", self.done("member", "remove", "5").stderr)

    def test_no_address(self) -> None:
        """It would be in the log, and nobody could reach the node."""
        result = self.done("member", "move", "2", "--peer", "x", "--client", "h:3")
        self.assertEqual((result.exit_code, self.cluster.orders), (2, []))
        self.assertIn("'x' is not host:port", result.stderr)

    def test_interrupted(self) -> None:
        """What is under way goes on, and the command given again finds it."""
        self.cluster.wrong = [KeyboardInterrupt()]
        result = self.done("replace", "3", "--with", "4")
        self.assertEqual(result.exit_code, 130)
        self.assertIn("interrupted; give the same command again", result.stderr)

    def test_another_node_with_the_same_id(self) -> None:
        """A node of another cluster is not the member that has its id here."""
        for incarnation, said in (("0" * 16, "nothing to change"), ("f" * 16, "id 4 was used before")):
            own = {"node": 4, "incarnation": incarnation, "advertised": {"peer": "h:8", "client": "h:9"}}
            answer = Answer(Endpoint("h", 9), True, json.dumps(own).encode(), "", 0)
            self.patch(member, "ask_one", lambda *_, answer=answer: [answer])
            self.assertIn(said, self.done("member", "add", "h:9").output)
        self.assertEqual(self.cluster.orders, [])

    def test_an_even_number_by_force(self) -> None:
        """``--yes`` takes it."""
        self.run_ok("member", "promote", "4", "--yes")
        self.assertEqual(self.cluster.voters, {1, 2, 3, 4})

    def test_not_complete_in_time(self) -> None:
        """Nobody is told to switch off a node while the others lack what it has."""
        self.patch(
            self.cluster, "_status", lambda node, status=self.cluster._status: status(node) | {"held_through": 7}
        )
        result = self.done("replace", "3", "--with", "4", "--wait", "0.01")
        self.assertEqual(result.exit_code, 5)
        self.assertIn("give the command again to wait on", result.stderr)
        self.assertNotIn("switch off", result.stdout)


class SeenTest(SynchronousTestCase):
    def test_nodes_that_left_are_not_asked(self) -> None:
        """They run until they are switched off, and know the members of the day on which they left."""
        nodes = [
            (Endpoint(f"node{node}", 1), {**fields(slot, members), "node": node})
            for node, slot, members in ((1, 50, (1, 2, 3)), (2, 100, (2, 3, 4)), (4, 100, (2, 3, 4)))
        ]
        now = seen(nodes)
        assert now is not None
        self.assertEqual(now.whom_to_ask(), [Endpoint("node2", 1), Endpoint("node4", 1)])


def fields(slot: int, members: Sequence[int]) -> dict[str, Any]:
    """The status of a node that knows these voters, where nobody leads."""
    voters = [{"id": node, "kind": "voter", "becomes": None} for node in members]
    applied: dict[str, Any] = {"leader": 0, "applied_through": 500, "pending_from_slot": None, "behind": {}}
    return {**applied, "membership_slot": slot, "ids_through": 4, "members": voters}
