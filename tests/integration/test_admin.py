"""What a node says of itself is true: over HTTP, by its DKV commands, and while a fault was ordered."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from http.client import HTTPConnection
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from tests.integration.processes import (
    HOST,
    RealCluster,
    RealNode,
    Refused,
    child_environment,
    shared_cluster,
    wait_until,
)

REQUEST_SECONDS = 1.5
CUT_SECONDS = 9
"""Long enough for an election, and for two requests that are given up."""


def fetch(node: RealNode, path: str, method: str = "GET", body: bytes | None = None) -> tuple[int, str]:
    """Status and body of one HTTP request."""
    connection = HTTPConnection(HOST, node.admin_port, timeout=10)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


GOES_UP_AND_DOWN = {"connections", "free_bytes", "clock_offset_ms"}
"""What /status may have differently in each of three looks."""


def status(node: RealNode) -> dict[str, Any]:
    """What DKV.STATUS says."""
    found = json.loads(node.call("DKV.STATUS"))
    assert isinstance(found, dict)
    return found


def without_ages(text: str | bytes) -> dict[str, Any]:
    """A status, with the same text in place of each age and duration."""
    found = json.loads(text, parse_float=lambda _: "an age")
    assert isinstance(found, dict)
    return found


def metrics(node: RealNode) -> dict[str, float]:
    """The samples without labels."""
    families = text_string_to_metric_families(fetch(node, "/metrics")[1])
    return {sample.name: sample.value for family in families for sample in family.samples if not sample.labels}


class AdminTestCase(SynchronousTestCase):
    settings = ""
    timings = ""

    def setUp(self) -> None:
        self.cluster = RealCluster(top=self.settings, settings=self.timings)
        self.addCleanup(self.cluster.close)
        self.cluster.start()

    def applied_everywhere(self) -> None:
        """Wait until every node that runs has applied all that is chosen."""

        def even() -> bool:
            found = [status(node) for node in self.cluster.nodes if node.process is not None]
            return len({(each["chosen_through"], each["applied_through"]) for each in found}) == 1

        wait_until(even, 10.0, "all nodes have applied the same")


class MetricsTest(AdminTestCase):
    """A dashboard lies if one of these fails."""

    def test_counters(self) -> None:
        """After so many commands every counter of every node says so."""
        one, two, three = self.cluster.nodes
        before = [metrics(node) for node in self.cluster.nodes]
        for number in range(25):
            one.call("PUT", f"k{number}", "v")
        for number in range(10):
            two.call("GET", f"k{number}")
        for number in range(5):
            three.call("DELETE", f"k{number}", "nothing")
        for node in self.cluster.nodes:
            node.call("IDMP", "p", 1, "APPEND", "k9", "x")
        self.assertRaises(Refused, one.call, "PUT", "k", "v" * (1 << 20) + "x")
        self.applied_everywhere()
        grown = [
            {name: value - then.get(name, 0) for name, value in metrics(node).items()}
            for node, then in zip(self.cluster.nodes, before, strict=True)
        ]
        self.assertEqual([each["dkv_applied_ops_total"] for each in grown], [31, 31, 31])
        self.assertEqual([each["dkv_duplicate_suppressed_total"] for each in grown], [0, 1, 1])
        self.assertEqual([each["dkv_batch_commands_sum"] for each in grown], [26, 1, 6])
        self.assertEqual({each["dkv_chosen_index"] for each in grown}, {33})
        self.assertEqual({each["dkv_last_applied_index"] for each in grown}, {33})
        leader = self.cluster.leader().number - 1
        self.assertEqual([each["dkv_paxos_propose_total"] for each in grown], [33 * (n == leader) for n in range(3)])
        self.assertGreaterEqual(grown[leader]["dkv_paxos_accept_total"], 99)
        self.assertEqual([each["dkv_catchup_entries_applied"] for each in grown], [0, 0, 0])
        self.assertTrue(all(each["dkv_commit_seconds_count"] > 0 for each in grown))
        self.assertEqual([metrics(node)["dkv_is_leader"] for node in self.cluster.nodes].count(1), 1)

    def test_caught_up(self) -> None:
        """A node that was down for fifty writes says that it fetched fifty."""
        one, two, three = self.cluster.nodes
        self.applied_everywhere()
        three.kill()
        for number in range(50):
            one.call("PUT", f"k{number}", "v")
        three.start()
        self.cluster.wait_ready()
        wait_until(lambda: three.call("GET", "k49") == b"v", 10.0, "it has all")
        self.assertEqual(metrics(three)["dkv_catchup_entries_applied"], 50)
        self.assertEqual(status(three)["catchup_entries_applied"], 50)
        self.assertEqual(metrics(two)["dkv_catchup_entries_applied"], 0)


class OwnPagesTest(AdminTestCase):
    """What a probe or a person is told, while nodes come and go, and from the first command on."""

    def test_ready(self) -> None:
        """A node is ready while it can serve: without a majority it is not, and says why; later it is again."""
        one, two, three = self.cluster.nodes
        wait_until(lambda: fetch(one, "/readyz")[0] == 200, 10.0, "ready")
        self.assertEqual(fetch(one, "/readyz"), (200, "ok\n"))
        verbose = fetch(one, "/readyz?verbose")[1]
        names = ("voting", "replayed", "leader_known", "quorum_heard", "served", "disk")
        self.assertIn("".join(f"[+]{name} ok\n" for name in names), verbose)
        two.kill()
        three.kill()
        wait_until(lambda: "[-]quorum_heard failed: " in fetch(one, "/readyz?verbose=1")[1], 10.0, "not ready")
        self.assertEqual(fetch(one, "/readyz")[0], 503)
        self.assertEqual(fetch(one, "/livez"), (200, "ok\n"))
        self.assertFalse(status(one)["ready"])
        two.start()
        wait_until(lambda: fetch(one, "/readyz")[0] == 200, 15.0, "ready again")

    def test_log(self) -> None:
        """The log shows what was done, in order, on every node; only the ballot is missing where a slot was fetched."""
        one = self.cluster.nodes[0]
        one.call("PUT", "x", "1")
        one.call("IDMP", "alice", 7, "APPEND", "x", "2" * 300)
        one.call("DEL", "x", "y")
        self.applied_everywhere()
        logs = [node.call("DKV.LOG", "1", "1000") for node in self.cluster.nodes]
        shown = [[(slot, state, batches, time) for slot, _, state, batches, time in log] for log in logs]
        self.assertEqual(shown, [shown[0]] * 3)
        for _, ballot, *_ in logs[0] + logs[1] + logs[2]:
            self.assertRegex(ballot or b"1.1", rb"\A\d+\.[123]\Z")
        commands = [command for _, _, _, batches, _ in logs[0] for _, batch in batches for command in batch]
        token = [b"IDMP", b"alice", b"7", b"APPEND", b"x", b"2" * 253 + b"..."]
        self.assertEqual(commands, [[b"PUT", b"x", b"1"], token, [b"DELETE", b"x", b"y"]])
        self.assertEqual({state for _, _, state, *_ in logs[0]}, {b"chosen"})
        self.assertEqual(one.call("DKV.LOG", "1000000"), [])
        last = one.call("DKV.LOG")
        self.assertEqual(last, logs[0][-10:])


class PagesTest(SynchronousTestCase):
    """What a probe or a person is told at any time."""

    def setUp(self) -> None:
        self.cluster = shared_cluster()

    def test_status(self) -> None:
        """The page and the command say the same; each node tells who it is."""
        for node in self.cluster.nodes:
            texts = node.call("DKV.STATUS"), fetch(node, "/status")[1], node.call("DKV.STATUS")
            before, page, after = map(without_ages, texts)
            self.assertEqual(page.keys(), after.keys())
            # Slots, times and counts move between two looks; what stood still must be the same on the page.
            still = {name for name in after if before[name] == after[name]} - GOES_UP_AND_DOWN
            self.assertLessEqual({"members", "peers", "conditions", "leader", "incarnation"}, still)
            self.assertEqual({name: page[name] for name in still}, {name: after[name] for name in still})
            self.assertEqual((page["node"], page["cluster"], page["mode"]), (node.number, "test", "leader"))
            self.assertEqual(page["admin"], f"{HOST}:{node.admin_port}")
        self.assertEqual(
            sorted(status(node)["role"] for node in self.cluster.nodes), ["follower", "follower", "leader"]
        )

    def test_others(self) -> None:
        """HEAD, other methods, other paths, and bodies that nobody asked for."""
        node = self.cluster.nodes[0]
        self.assertEqual(fetch(node, "/livez", "HEAD"), (200, ""))
        self.assertEqual(fetch(node, "/status", "POST", b"x" * 100)[0], 405)
        self.assertEqual(fetch(node, "/nothing")[0], 404)
        self.assertEqual(fetch(node, "/")[0], 404)
        self.assertEqual(fetch(node, "/livez/more")[0], 404)
        with self.assertRaises(OSError):
            fetch(node, "/status", "POST", b"x" * (8 << 20))
        self.assertEqual(fetch(node, "/livez")[0], 200)

    def test_a_crowd(self) -> None:
        """Visitors who connect and say little are in the way of neither clients nor probes."""
        node = self.cluster.nodes[0]
        crowd: list[socket.socket] = []
        self.addCleanup(lambda: list(map(socket.socket.close, crowd)))
        for _ in range(300):
            crowd.append(socket.create_connection((HOST, node.admin_port), 5))
            crowd[-1].sendall(b"GET /livez HTTP/1.1\r\nHost:")
        self.assertEqual(fetch(node, "/livez")[0], 200)
        self.assertEqual(node.call("PUT", "k", "v"), "OK")
        self.assertEqual(fetch(node, "/readyz")[0], 200)

    def test_the_log_again_and_again(self) -> None:
        """A client that asks for the log without end does not keep the node from leading."""
        leader = self.cluster.leader()
        for number in range(40):
            leader.call("PUT", f"long{number}", "v" * 1000)
        elections = len(leader.logged("leader_elected"))
        connection = leader.connect()
        for _ in range(500):
            connection.send("DKV.LOG", 1, 1000)
        answers = []
        for _ in range(500):
            try:
                answers.append(connection.read())
            except Refused as error:
                self.assertTrue(str(error).startswith("TRYAGAIN "))
        connection.close()
        self.assertGreaterEqual(len(answers), 1)
        self.assertEqual(leader.call("GET", "long1"), b"v" * 1000)
        self.assertEqual(len(leader.logged("leader_elected")), elections)

    def test_faults_are_not_allowed(self) -> None:
        """Nobody can cut a production node off by a word on its client port."""
        refusal = self.assertRaises(Refused, self.cluster.nodes[0].call, "DKV.FAULT", "DROP", "2", "1.0")
        self.assertIn("allow_faults = true", str(refusal))
        self.assertFalse(status(self.cluster.nodes[0])["faults_allowed"])


class FaultsTest(AdminTestCase):
    """What an operator tries out must look like the real thing, and end."""

    settings = "allow_faults = true\n"
    timings = f"[timings]\nrequest_seconds = {REQUEST_SECONDS}\n"

    def cut(self, lone: RealNode, seconds: int) -> None:
        """Drop all that passes between ``lone`` and the others."""
        for node in self.cluster.nodes:
            if node is not lone:
                lone.call("DKV.FAULT", "DROP", node.number, "1.0", "FOR", seconds)
                node.call("DKV.FAULT", "DROP", lone.number, "1.0", "FOR", seconds)

    def test_a_node_cut_off(self) -> None:
        """The others serve, the lone node refuses; when the order has had its time all is as before."""
        lone = self.cluster.leader()
        others = [node for node in self.cluster.nodes if node is not lone]
        self.cut(lone, CUT_SECONDS)
        wait_until(lambda: others[0].serves() and others[1].serves(), 10.0, "the others serve")
        self.assertEqual(others[0].call("PUT", "k", "majority"), "OK")
        for words in (("PUT", "k", "lone"), ("GET", "k")):
            refusal = self.assertRaises(Refused, lone.call, *words)
            self.assertRegex(str(refusal), "^(CLUSTERDOWN|TRYAGAIN|UNCERTAIN) ")
        self.assertEqual(len(status(lone)["faults"]), 2)
        self.assertIn("fault order for node", fetch(lone, "/readyz?verbose")[1])
        wait_until(lambda: status(lone)["faults"] == [], 15.0, "the orders have ended")
        wait_until(lone.serves, 15.0, "it serves again")
        self.assertIn(lone.call("GET", "k"), (b"majority", b"lone"))
        self.assertEqual(len(lone.wait_logged("fault_ended", 2)), 2)
        self.assertGreater(status(lone)["uptime_seconds"], CUT_SECONDS)

    def test_cleared(self) -> None:
        """CLEAR ends what was ordered, and metrics tell what it did."""
        lone = self.cluster.nodes[2]
        self.cut(lone, 3600)
        wait_until(lambda: not status(lone)["ready"], 10.0, "it is alone")
        for node in self.cluster.nodes:
            self.assertEqual(node.call("DKV.FAULT", "CLEAR"), "OK")
        wait_until(lone.serves, 15.0, "it serves again")
        self.assertIn('dkv_fault_dropped_messages_total{peer="1"}', fetch(lone, "/metrics")[1])

    def test_delay(self) -> None:
        """A slow network makes writes slow and loses none."""
        leader = self.cluster.leader()
        for node in self.cluster.nodes:
            for peer in self.cluster.nodes:
                if peer is not node:
                    node.call("DKV.FAULT", "DELAY", peer.number, "50")
        for number in range(5):
            self.assertEqual(leader.call("APPEND", "k", "x"), number + 1)
        for node in self.cluster.nodes:
            node.call("DKV.FAULT", "CLEAR")
        self.assertEqual(leader.call("GET", "k"), b"xxxxx")


class StoredTest(AdminTestCase):
    """What a node stores is known, and the log that an operator reads begins where it was compacted."""

    timings = "[limits]\nlog_tail_slots_max = 100\npoll_lag_slots_max = 100\n[timings]\nwrite_back_seconds = 0.1\n"

    def test_compacted(self) -> None:
        """The log stays short; a reader who begins too early is told what is missing, and gets the rest."""
        node = self.cluster.nodes[0]
        for number in range(300):
            node.call("PUT", f"k{number % 50}", "v" * 100)
        # As far as it goes: the tail is kept, and a part of a block more.
        wait_until(lambda: status(node)["log_slots"] <= 107, 10.0, lambda: f"it is short: {status(node)['log_slots']}")
        found = status(node)
        self.assertGreaterEqual(found["log_slots"], 100)
        self.assertEqual(found["log_slots"], found["chosen_through"] - found["compacted_through"])
        first = found["compacted_through"] + 1
        self.assertGreaterEqual(node.call("DKV.LOG", 1, 1)[0][0], first)
        command = [sys.executable, "-m", "dkv.cli.main", "log", "--follow", "--from", "1", "--to", str(first + 1)]
        words = [*command, "--endpoints", f"{HOST}:{node.port}", "--output", "json"]
        ended = subprocess.run(words, capture_output=True, text=True, timeout=30.0, env=child_environment())
        self.assertRegex(ended.stderr, r"\Adkv: slots 1 to \d+ were compacted before they could be shown\n\Z")
        self.assertEqual(ended.returncode, 0)
        slots = [json.loads(line)["slot"] for line in ended.stdout.splitlines()]
        self.assertEqual(slots, [first, first + 1])

    def test_counted(self) -> None:
        """Keys are counted soon, and the sizes are those of the disk."""
        node = self.cluster.nodes[1]
        for number in range(70):
            node.call("PUT", f"k{number % 35}", "v" * 100)
        wait_until(lambda: status(node)["state_keys"] == 35, 20.0, lambda: f"35 keys: {status(node)['state_keys']}")
        found, measured = status(node), metrics(node)
        self.assertGreater(found["state_live_bytes"], 35 * 100)
        self.assertGreater(found["state_bytes"], found["state_live_bytes"])
        on_disk = sum(path.stat().st_size for path in node.directory.rglob("*") if path.name != "reserve")
        self.assertLess(abs(found["log_bytes"] + found["state_bytes"] - on_disk), on_disk / 2)
        self.assertEqual(measured["dkv_state_keys"], 35)
        self.assertIn(b"dkv_state_keys:35\r\n", node.call("INFO", "dkv"))
