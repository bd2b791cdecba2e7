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
from dkv.kv.commands import COMMANDS, MEMBERS, Command

def packed(item):
    if isinstance(item, list):
        return [packed(each) for each in item]
    return item.encode() if isinstance(item, str) else item

def entry(words, limits):
    return [MEMBERS, *packed(json.loads(words[1]))]

COMMANDS[b"test.members"] = Command("test.members", 2, 0, "json", "Change the members.", entry)
from twisted.scripts.twistd import run
run()
"""
"""A node that takes a change of members as a command: it is not checked, as that of an operator would be."""

SECONDS = 20.0


class ChangingCluster(SynchronousTestCase):
    """Nodes 1, 2 and 3, and node 4, which is to join."""

    def setUp(self) -> None:
        self.cluster = RealCluster()
        self.addCleanup(self.cluster.close)
        self.one, self.two, self.three = self.cluster.nodes
        client, peer, admin = free_ports(3)
        self.four = RealNode(self.cluster, 4, client, peer, admin)
        self.addCleanup(self.four.kill)
        for node in (*self.cluster.nodes, self.four):
            node.twistd = [sys.executable, "-c", CHANGING]
        self.cluster.start()
        self.list_four(self.four)

    def list_four(self, node: RealNode) -> None:
        """Let the config file of a node list node 4 as well."""
        node.config_path = self.cluster.directory / f"cluster{node.number}.toml"
        table = f'[[node]]\nid = 4\nclient = "{HOST}:{self.four.port}"\npeer = "{HOST}:{self.four.peer_port}"\n'
        node.config_path.write_text(self.cluster.config_path.read_text() + table)

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

    def add_four(self) -> None:
        """Node 4 is added as a standby; the first change also names the incarnations of the first members."""
        named = [[NAME, each["id"], int(each["incarnation"], 16)] for each in self.status(self.one)["members"]]
        incarnation = int(self.status(self.four)["incarnation"], 16)
        addresses = [f"{HOST}:{self.four.peer_port}", f"{HOST}:{self.four.port}"]
        self.change(self.one, *named, [ADD, 4, incarnation, *addresses])

    def until(self, condition: Callable[[], Any], what: str) -> None:
        def tail() -> str:
            return f"{what}; the last of node 4's log: {self.cluster.tail(self.four)}"

        wait_until(condition, SECONDS, tail)


class JoiningTest(ChangingCluster):
    def test_a_new_node_waits_joins_and_takes_the_place_of_another(self) -> None:
        """From `dkv init --join` to its vote, while the others serve; the node that leaves knows it, and is quiet."""
        self.assertEqual(self.one.call("PUT", "before", "1"), "OK")
        made = self.init(self.four, self.two)
        self.assertEqual((made.returncode, made.stderr), (0, ""))
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
        self.until(lambda: not self.status(self.three)["peers"], "node 3 talks with nobody")
        self.assertFalse(self.status(self.three)["ready"])
        self.two.stop()
        self.until(self.four.serves, "nodes 1 and 4 are a majority")
        self.assertEqual(self.four.call("GET", "by four"), b"4")
        self.assertEqual(self.one.call("PUT", "after", "1"), "OK")

    def test_a_node_that_was_down_while_it_was_removed(self) -> None:
        """Its own log does not say so: a member does, with an address for its clients."""
        self.assertEqual(self.init(self.four, self.one).returncode, 0)
        self.four.start()
        self.four.wait_logged("started")
        self.add_four()
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

    def test_the_habit_of_init_with_an_old_id(self) -> None:
        """A lost disk is no reason to use its id again, and the message says what is."""
        self.list_four(self.three)
        self.three.directory = self.cluster.directory / "new"
        refused = self.init(self.three, self.one)
        self.assertEqual(refused.returncode, 2)
        self.assertIn("`dkv replace 3`", refused.stderr)


class ConfigFileTest(ChangingCluster):
    def test_b33_a_file_that_lists_other_nodes(self) -> None:
        """A node that was down during a change starts with the new file; one that did not change with an old one."""
        self.three.stop()
        self.list_four(self.three)
        self.three.start()
        self.until(self.three.serves, "node 3 serves")
        (line,) = self.three.wait_logged("config_differs")
        self.assertIn("lists the nodes 1, 2, 3, 4, and the members are 1, 2, 3", line["reason"])
        status = self.status(self.three)
        self.assertEqual([each["id"] for each in status["members"]], [1, 2, 3])
        self.assertEqual([each["node"] for each in status["peers"]], [1, 2])
        self.assertEqual(status["config_differs"], line["reason"])
