"""Members that come and go, with real processes: who waits to be let in, who was removed, and what a file may say."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.membership import ADD, NAME, PROMOTE, REMOVE
from tests.integration.processes import HOST, RealCluster, RealNode, Refused, child_environment, free_ports, wait_until

CHANGING = """
import json
from dkv.kv.codes import MEMBERS
from dkv.kv.commands import COMMANDS
from dkv.kv.registry import NO_KEYS, LogCommand

def packed(item):
    if isinstance(item, list):
        return [packed(each) for each in item]
    return item.encode() if isinstance(item, str) else item

def entry(words, context):
    return [MEMBERS, *packed(json.loads(words[1]))]

COMMANDS[b"test.members"] = LogCommand(
    name="test.members",
    arity=2,
    keys=NO_KEYS,
    category="admin",
    flags=("write",),
    group="dkv",
    since="0.1.0",
    arguments="json",
    summary="Change the members.",
    codes=(MEMBERS,),
    build=entry,
)
from twisted.scripts.twistd import run
run()
"""
"""A node that takes a change of members as a command: it is not checked, as that of an operator would be."""

SECONDS = 20.0


class ChangingCluster(SynchronousTestCase):
    """``size`` nodes that run, and others that are to join."""

    size = 3

    def setUp(self) -> None:
        self.cluster = RealCluster(self.size)
        self.addCleanup(self.cluster.close)
        for node in self.cluster.nodes:
            node.twistd = [sys.executable, "-c", CHANGING]
        self.cluster.start()

    def new_node(self, number: int) -> RealNode:
        """A node that has no directory yet."""
        client, peer, admin = free_ports(3)
        node = RealNode(self.cluster, number, client, peer, admin)
        node.twistd = [sys.executable, "-c", CHANGING]
        self.addCleanup(node.kill)
        return node

    def list_nodes(self, node: RealNode, *listed: RealNode) -> None:
        """Give a node a config file of its own, which lists these."""
        tables = [
            f'[[node]]\nid = {each.number}\nclient = "{HOST}:{each.port}"\npeer = "{HOST}:{each.peer_port}"\n'
            for each in listed
        ]
        node.config_path = self.cluster.directory / f"cluster{node.number}.toml"
        node.config_path.write_text("\n".join(['cluster = "test"', *tables]))

    def init(self, node: RealNode, member: RealNode) -> subprocess.CompletedProcess[str]:
        """``dkv init --join``."""
        command = [*node.init_command(), "--join", f"{HOST}:{member.port}"]
        return subprocess.run(command, capture_output=True, text=True, env=child_environment(), timeout=30)

    def status(self, node: RealNode) -> dict[str, Any]:
        fields: dict[str, Any] = json.loads(node.call("DKV.STATUS"))
        return fields

    def change(self, node: RealNode, *operations: list[Any]) -> None:
        """Change the members, by the newest ones that ``node`` knows, and wait until that has taken force there."""
        answer = node.call("TEST.MEMBERS", json.dumps([self.status(node)["membership_slot"], *operations]))
        self.assertRegex(answer, r"OK \d+")
        self.until(lambda: self.status(node)["pending_from_slot"] is None, "the change takes force")

    def add(self, node: RealNode, by: RealNode) -> None:
        """Add a node as a standby; the first change also names the incarnations of the first members."""
        members = self.status(by)
        named = [[NAME, each["id"], int(each["incarnation"], 16)] for each in members["members"]]
        incarnation = int(self.status(node)["incarnation"], 16)
        added = [ADD, node.number, incarnation, f"{HOST}:{node.peer_port}", f"{HOST}:{node.port}"]
        self.change(by, *([] if members["membership_slot"] else named), added)

    def until(self, condition: Callable[[], Any], what: str) -> None:
        wait_until(condition, SECONDS, what)


class JoiningTest(ChangingCluster):
    """Nodes 1, 2 and 3, and node 4, which is to join."""

    def setUp(self) -> None:
        super().setUp()
        self.one, self.two, self.three = self.cluster.nodes
        self.four = self.new_node(4)
        self.list_nodes(self.four, *self.cluster.nodes, self.four)

    def add_four(self) -> None:
        self.add(self.four, self.one)

    def test_a_new_node_waits_joins_and_takes_the_place_of_another(self) -> None:
        """From its first start to its vote, while the others serve; the node that leaves knows it, and is quiet."""
        self.assertEqual(self.one.call("PUT", "before", "1"), "OK")
        self.four.make_directory_by(self.two)
        self.four.start()
        self.until(lambda: len(self.four.logged("refused_by_peer")) == 3, "its peers do not know it yet")
        for line in self.four.logged("refused_by_peer"):
            self.assertIn("node 4 is not known to node", line["reason"])
        status = self.status(self.four)
        self.assertEqual((status["member"], status["ready"], "member" in status["failing"]), ("unknown", False, True))
        self.assertRaises(Refused, self.four.call, "GET", "before")

        self.add_four()
        self.until(lambda: self.status(self.four)["member"] == "standby", "node 4 is a standby")
        self.until(self.four.serves, "a standby serves its clients")
        self.assertEqual(self.four.call("GET", "before"), b"1")
        self.assertEqual(self.four.call("PUT", "by four", "4"), "OK")
        self.change(self.one, [PROMOTE, 4], [REMOVE, 3])
        self.until(lambda: self.status(self.four)["member"] == "voter", "node 4 votes")

        self.until(lambda: self.status(self.three)["member"] == "removed", "node 3 knows that it was removed")
        self.until(lambda: not any(each["connected"] for each in self.status(self.three)["peers"]), "it is left alone")
        self.assertFalse(self.status(self.three)["ready"])
        self.two.stop()
        self.until(self.four.serves, "nodes 1 and 4 are a majority")
        self.assertEqual(self.four.call("GET", "by four"), b"4")
        self.assertEqual(self.one.call("PUT", "after", "1"), "OK")

    def test_a_node_that_was_down_while_it_was_removed(self) -> None:
        """Its own log does not say so: a member does, with an address for its clients."""
        self.assertEqual(self.init(self.four, self.one).returncode, 0)
        self.four.start()
        self.until(self.four.serves, "node 4 serves")
        self.three.stop()
        self.change(self.one, [PROMOTE, 4], [REMOVE, 3])
        self.three.start()
        self.until(lambda: self.three.logged("removed"), "node 3 is told")
        status = self.status(self.three)
        self.assertEqual((status["member"], status["ready"]), ("removed", False))
        self.assertIn(f"{HOST}:{self.four.port}", status["members_at"])
        refused = self.assertRaises(Refused, self.three.call, "GET", "x")
        self.assertRegex(str(refused), rf"removed from the cluster.*{HOST}:{self.four.port}")
        self.assertEqual(self.three.logged("fenced"), [])
        reasons = [line["reason"] for line in self.three.logged("refused_by_peer")]
        self.assertIn("its id is never used again", reasons[-1])

    def test_init_adds_the_node(self) -> None:
        """It is a standby before its first start, and again is nothing; a standby that is not up harms nobody."""
        for _ in range(2):
            made = self.init(self.four, self.two)
            self.assertEqual((made.returncode, made.stderr), (0, ""))
            fields = self.status(self.one)
            self.assertEqual([(each["id"], each["kind"]) for each in fields["members"]][3:], [(4, "standby")])
        self.assertIn("nothing to change", made.stdout)
        self.assertEqual(self.one.call("PUT", "x", "1"), "OK")
        self.four.start()
        self.until(self.four.serves, "a standby serves its clients")
        self.assertEqual(self.four.call("GET", "x"), b"1")

    def test_the_habit_of_init_with_an_old_id(self) -> None:
        """A lost disk is no reason to use its id again, and the message says what is."""
        self.three.directory = self.cluster.directory / "new"
        refused = self.init(self.three, self.one)
        self.assertEqual(refused.returncode, 2)
        self.assertIn("`dkv replace 3`", refused.stderr)


class FirstMembersGoneTest(ChangingCluster):
    size = 1

    def test_a_node_joins_a_cluster_whose_first_members_are_gone(self) -> None:
        """By its directory the only member is one that nobody reaches: the nodes of its file have the log."""
        (one,) = self.cluster.nodes
        two, three = self.new_node(2), self.new_node(3)
        self.list_nodes(two, one, two)
        self.list_nodes(three, two, three)
        for node, member in ((two, one), (three, two)):
            made = self.init(node, member)
            self.assertEqual((made.returncode, made.stderr), (0, ""))
            node.start()
            self.until(node.serves, f"node {node.number} serves")
            if node is two:
                self.change(one, [PROMOTE, 2], [REMOVE, 1])
                self.until(lambda: two.serves() and self.status(two)["member"] == "voter", "node 2 is the cluster")
                one.stop()
        self.assertEqual(three.call("PUT", "x", "1"), "OK")
        self.assertEqual(two.call("GET", "x"), b"1")
        self.assertEqual([each["id"] for each in self.status(three)["members"]], [2, 3])


class ConfigFileTest(ChangingCluster):
    def test_b33_a_file_that_lists_other_nodes(self) -> None:
        """A node that was down during a change starts with the new file; one that did not change with an old one."""
        three = self.cluster.nodes[2]
        three.stop()
        self.list_nodes(three, *self.cluster.nodes, self.new_node(4))
        three.start()
        self.until(three.serves, "node 3 serves")
        (line,) = three.wait_logged("config_differs")
        self.assertIn("lists the nodes 1, 2, 3, 4, and the members are 1, 2, 3", line["reason"])
        status = self.status(three)
        self.assertEqual([each["id"] for each in status["members"]], [1, 2, 3])
        self.assertEqual([each["node"] for each in status["peers"]], [1, 2, 4])  # node 4 may have replaced others
        self.assertEqual(status["config_differs"], line["reason"])


class AllReplacedTest(ChangingCluster):
    def test_the_new_voters_are_behind_and_only_removed_nodes_have_the_log(self) -> None:
        """Three for three at once, while two of the new ones are down. The third one dies before they have anything.

        What was written before the change is on the disks of removed nodes alone, and one of these was restarted.
        """
        one, two, _ = self.cluster.nodes
        new = [self.new_node(number) for number in (4, 5, 6)]
        for node in new:
            self.list_nodes(node, *self.cluster.nodes, *new)
            self.assertEqual(self.init(node, one).returncode, 0)
            node.start()
            self.until(node.serves, f"node {node.number} serves")
        four, five, six = new
        five.kill()
        six.kill()
        for number in range(30):
            self.assertEqual(one.call("PUT", f"key {number}", str(number)), "OK")
        leaves = [[REMOVE, node.number] for node in self.cluster.nodes]
        comes = [[PROMOTE, node.number] for node in new]
        self.change(one, *leaves, *comes)
        old = self.cluster.nodes
        self.until(lambda: {self.status(each)["member"] for each in old} == {"removed"}, "the old ones know it")
        four.kill()
        two.kill()
        two.start()

        five.start()
        six.start()
        self.until(lambda: five.serves() and six.serves(), "two of the three new voters serve")
        self.assertEqual(six.call("GET", "key 29"), b"29")
        self.assertEqual(five.call("PUT", "after", "1"), "OK")
        four.start()
        self.until(lambda: not any(map(self.connected, old)), "the old ones are left alone")
        for node in old:
            self.assertRaises(Refused, node.call, "GET", "after")

    def connected(self, node: RealNode) -> list[int]:
        """The members with which a removed node is connected."""
        return [each["node"] for each in self.status(node)["peers"] if each["connected"] and each["node"] > 3]
