"""status, health, metrics, log and drop-rules against nodes that answer what a test says."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from typing import Any

from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.cli.drop_rules import Rule, parse_rules
from dkv.cli.metrics import samples
from dkv.client import survey
from tests.cli.commands import run
from tests.client.fakes import Answers, FakeNodes

Value = bytes | int | list[Any] | None
STAMP = 1_795_000_000_123


def resp(value: Value) -> bytes:
    """A reply as a node sends it."""
    if value is None:
        return b"$-1\r\n"
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, bytes):
        return b"$%d\r\n%b\r\n" % (len(value), value)
    return b"*%d\r\n%b" % (len(value), b"".join(map(resp, value)))


def status(node: int, applied: int = 9, **fields: object) -> bytes:
    """A DKV.STATUS of a node that is well."""
    document: dict[str, object] = {
        "node": node,
        "role": "leader" if node == 1 else "follower",
        "leader": 1,
        "leader_ballot": "4.1",
        "ballot": "4.1",
        "chosen_through": 9,
        "applied_through": applied,
        "ready": True,
        "conditions": {"voting": True, "disk": True},
    }
    return resp(json.dumps(document | fields).encode())


class LookTestCase(SynchronousTestCase):
    """Runs a command against the nodes that a test names, one after another instead of in threads."""

    def setUp(self) -> None:
        self.patch(survey, "in_parallel", lambda jobs: [job() for job in jobs])

    def run_at(self, words: list[str], **answers: Answers) -> Result:
        self.nodes = FakeNodes(self, **answers)
        self.patch(survey, "connect", self.nodes.connect)
        return run(words[0], "--endpoints", ",".join(f"{name}:1" for name in answers), *words[1:])

    def objects(self, result: Result) -> list[dict[str, Any]]:
        return [json.loads(line) for line in result.stdout.splitlines()]


class StatusTests(LookTestCase):
    """``dkv status``."""

    def test_differs(self) -> None:
        """A node that applied another log than its peers must not look like any other."""
        result = self.run_at(["status"], a=status(1, differs_from=[2, 3]), b=status(2, differs_from=[]))
        self.assertEqual(result.stdout.count("another log"), 1)
        self.assertIn("node 1 applied another log than nodes 2, 3", result.stdout)

    def test_another_state(self) -> None:
        """As above, where the logs are the same and what they came to is not."""
        check = {"slot": 7, "age_seconds": 3.5, "agrees_with": [], "differs_from": [2, 3]}
        result = self.run_at(["status"], a=status(1, state_check=check), b=status(2, state_check=[]), c=status(3))
        self.assertEqual(result.stdout.count("another state"), 1)
        self.assertIn("node 1 has another state than nodes 2, 3: see dkv compare", result.stdout)

    def test_table(self) -> None:
        """A row for each node, aligned, without an escape sequence where no terminal is."""
        stored = {
            "log_slots": 70,
            "log_bytes": 3 << 19,
            "state_bytes": 2 << 30,
            "state_keys": 1234,
            "free_bytes": 1 << 29,
        }
        first = status(1, commit_p99_ms=2.46, **stored)
        result = self.run_at(["status"], a=first, b=status(2, applied=4, ballot="5.2"))
        self.assertEqual(
            result.stdout,
            "NODE  ENDPOINT  ROLE      BALLOT  PROMISED  CHOSEN  APPLIED  LAG  LEADER  READY\n"
            "   1  a:1       leader    4.1     4.1            9        9    0       1  yes\n"
            "   2  b:1       follower  4.1     5.2            9        4    5       1  yes\n"
            "\n"
            "NODE  LOG SLOTS      LOG    STATE  KEYS     FREE  COMMIT P99\n"
            "   1         70  1.5 MiB  2.0 GiB  1234  512 MiB      2.5 ms\n"
            "   2          -        -        -     -        -           -\n",
        )
        self.assertEqual(result.exit_code, 0)

    def test_no_ballot(self) -> None:
        """A node that follows nobody and has promised nothing shows no ballot that was never there."""
        result = self.run_at(["status"], a=status(1, leader=0, leader_ballot=None, ballot="0.0"))
        self.assertEqual(result.stdout.splitlines()[1].split()[3:5], ["-", "-"])

    def test_some_answer(self) -> None:
        """1: a script sees that a node is missing, and the table says which and why."""
        result = self.run_at(["status"], a=status(1), b=None, c=b"-ERR unknown command\r\n", d=b"+OK\r\n")
        self.assertEqual(result.exit_code, 1)
        lines = result.stdout.splitlines()
        self.assertRegex(lines[2], r"\A +-  b:1       unreachable  -")
        self.assertIn("cannot connect to b:1: Connection refused", lines)
        self.assertIn("c:1: ERR unknown command", lines)
        self.assertIn("d:1 does not answer as a node of dkv would", lines)

    def test_why(self) -> None:
        """Whoever looks sees why a node does not serve, what it warns of, and which peers it misses."""
        peers = [{"node": 1, "problem": None}, {"node": 3, "problem": "connection refused", "problem_seconds": 7.5}]
        failing = {"served": "node 1, the leader, has not answered this node for 9.0 s"}
        warnings = [{"name": "open", "text": "its client port is open\nto everyone"}]
        ill = status(2, ready=False, failing=failing, peers=peers, warnings=warnings)
        lines = [
            "node 2 is not ready: node 1, the leader, has not answered this node for 9.0 s",
            "node 2 warns: its client port is open?to everyone",
            "node 2 has not reached node 3 for 7.5 s: connection refused",
        ]
        self.assertEqual(self.run_at(["status"], a=status(1, warnings=[]), b=ill).stdout.splitlines()[7:], lines)
        for strange in (status(1, peers=7, failing=[], warnings=7), status(1, peers=[7, {}], failing={}, warnings=[7])):
            self.assertEqual(len(self.run_at(["status"], a=strange).stdout.splitlines()), 5)

    def test_shortage(self) -> None:
        """Whoever reads MISCONF finds the disk that is short, once, although every node tells of it."""
        short: dict[str, Any] = {"writes_refused_for_space": [2]}
        result = self.run_at(["status"], a=status(1, **short), b=status(2, **short))
        self.assertEqual(
            result.stdout.splitlines()[7:],
            ["writes that grow data are refused everywhere, for want of space on the disk of node 2"],
        )

    def test_snapshots(self) -> None:
        """Whoever waits for a node to come back sees how far its snapshot is, and who sends it."""
        sends = {"receiving_from": None, "received_bytes": 9, "sending_to": [2, 3]}
        receives = {"receiving_from": 1, "received_bytes": 3 << 19, "sending_to": []}
        result = self.run_at(["status"], a=status(1, snapshot=sends), b=status(2, snapshot=receives))
        self.assertEqual(
            result.stdout.splitlines()[7:],
            ["node 1 sends a snapshot to node 2 and node 3", "node 2 receives a snapshot from node 1: 1.5 MiB so far"],
        )

    def test_nobody(self) -> None:
        """3, as in the other commands."""
        self.assertEqual(self.run_at(["status"], a=None, b=None).exit_code, 3)

    def test_json(self) -> None:
        """An object for each endpoint, the missing ones too, with the same keys."""
        result = self.run_at(["status", "--output", "json"], a=status(1), b=None)
        first, second = self.objects(result)
        self.assertEqual(
            (first["endpoint"], first["reachable"], first["lag"], first["ballot"]), ("a:1", True, 0, "4.1")
        )
        why = "cannot connect to b:1: Connection refused"
        self.assertEqual(second, {"endpoint": "b:1", "reachable": False, "error": why, "lag": None})

    def test_80_columns(self) -> None:
        """On a usual terminal the tables stay tables; whether a node serves must not be what is left out."""
        self.patch(sys.modules["dkv.cli.table"], "on_terminal", lambda: True)
        self.patch(sys.modules["dkv.cli.table"], "coloured", lambda: False)
        self.patch(shutil, "get_terminal_size", lambda: os.terminal_size((80, 24)))
        first = status(1, 1_234_567, chosen_through=1_234_567, log_slots=50_000, log_bytes=1 << 28, state_bytes=9 << 30)
        lines = self.run_at(["status"], **{"db1.example.org": first}).stdout.splitlines()
        head = "NODE  ENDPOINT           ROLE    BALLOT   CHOSEN  APPLIED  LAG  LEADER  READY"
        row = "   1  db1.example.org:1  leader  4.1     1234567  1234567    0       1  yes"
        self.assertEqual(lines[:3], [head, row, ""])
        self.assertEqual(len(lines), 5)
        self.assertLessEqual(max(map(len, lines)), 80)

    def test_narrow_terminal(self) -> None:
        """On 40 columns nothing is broken in the middle: a block for each node."""
        self.patch(sys.modules["dkv.cli.table"], "on_terminal", lambda: True)
        self.patch(shutil, "get_terminal_size", lambda: os.terminal_size((40, 20)))
        lines = self.run_at(["status"], a=status(1), b=status(2)).stdout.splitlines()
        self.assertEqual([line.split() for line in lines[:2]], [["NODE", "1"], ["ENDPOINT", "a:1"]])
        self.assertEqual(lines[10], "")
        self.assertEqual([line.split() for line in lines[11:13]], [["NODE", "2"], ["ENDPOINT", "b:1"]])

    def test_parallel(self) -> None:
        """A dead node does not keep the others waiting: each job waits here for the other."""
        self.patch(survey, "in_parallel", PARALLEL)
        both = threading.Barrier(2)
        self.assertEqual(survey.in_parallel([lambda: both.wait(10) >= 0, lambda: both.wait(10) >= 0]), [True, True])
        self.assertRaises(ZeroDivisionError, survey.in_parallel, [lambda: 1 // 0])


PARALLEL = survey.in_parallel


class HealthTests(LookTestCase):
    """``dkv health``."""

    def test_healthy(self) -> None:
        """0 only if a read is answered and all conditions hold."""
        result = self.run_at(["health"], a=(status(1), b"$-1\r\n"))
        self.assertEqual(result.exit_code, 0)
        self.assertRegex(result.stdout, r"\AENDPOINT  HEALTH   READ +WHY\na:1       healthy  [0-9.]+ ms +-\n\Z")
        self.assertIn(b"GET", self.nodes.requests[0])

    def test_unhealthy(self) -> None:
        """1, and what is wrong: a condition, or the read."""
        failing = status(1, conditions={"voting": True, "disk": False})
        result = self.run_at(
            ["health", "--output", "json"],
            a=(failing, b"$-1\r\n"),
            b=(status(2), b"-CLUSTERDOWN no quorum\r\n"),
            c=None,
        )
        self.assertEqual(result.exit_code, 1)
        first, second, third = self.objects(result)
        self.assertEqual((first["healthy"], first["failing"], first["error"]), (False, ["disk"], None))
        self.assertEqual((second["read_ms"], second["error"]), (None, "CLUSTERDOWN no quorum"))
        self.assertEqual((third["reachable"], third["healthy"]), (False, False))

    def test_nobody(self) -> None:
        """3: that is not one sick node."""
        self.assertEqual(self.run_at(["health"], a=None).exit_code, 3)


class MetricsTests(LookTestCase):
    """``dkv metrics``."""

    TEXT = b'# HELP a b\n# TYPE a counter\na_total 3\nb{s="x,\\"y\\"}",t="z"} 0.5\nc_bucket{le="+Inf"} +Inf\n'

    def test_text(self) -> None:
        """The text is the node's, of the first that answers."""
        result = self.run_at(["metrics"], a=None, b=resp(self.TEXT))
        self.assertEqual((result.exit_code, result.stdout_bytes), (0, self.TEXT))

    def test_json(self) -> None:
        """Labels with quotes and braces, and what is no number in JSON."""
        self.assertEqual(
            self.objects(self.run_at(["metrics", "--output", "json"], a=resp(self.TEXT))),
            [
                {"name": "a_total", "labels": {}, "value": 3},
                {"name": "b", "labels": {"s": 'x,"y"}', "t": "z"}, "value": 0.5},
                {"name": "c_bucket", "labels": {"le": "+Inf"}, "value": "+Inf"},
            ],
        )

    def test_failures(self) -> None:
        """3: nobody; 4: a node that cannot."""
        self.assertEqual(self.run_at(["metrics"], a=None).exit_code, 3)
        self.assertEqual(self.run_at(["metrics"], a=b"-ERR unknown\r\n", b=resp(b"")).exit_code, 4)
        self.assertEqual(self.run_at(["metrics"], a=b":1\r\n").exit_code, 4)

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """Each sample of any node is an object that JSON can hold."""
        for sample in samples(text):
            json.dumps(sample, allow_nan=False)


class LogTests(LookTestCase):
    """``dkv log``."""

    SLOTS = (
        [
            7,
            b"4.1",
            b"chosen",
            [[b"node 2 boot 1 seq 7", [[b"PUT", b"x", b"a b"], [b"GET", b"\xff"]]]],
            STAMP,
        ],
        [8, b"4.1", b"accepted", [], 0],
    )

    def test_text(self) -> None:
        """A line for each slot, its first command as one could type it; a no-op says so."""
        result = self.run_at(["log"], a=resp(list(self.SLOTS)))
        self.assertEqual(
            result.stdout,
            "SLOT  BALLOT  STATE     TIME          ORIGIN               COMMAND\n"
            '   7  4.1     chosen    11:06:40.123  node 2 boot 1 seq 7  PUT x "a b" ... and 1 more\n'
            "   8  4.1     accepted  -             -                    NOOP\n",
        )
        self.assertEqual(self.nodes.requests, [b"*1\r\n$7\r\nDKV.LOG\r\n"])

    def test_many(self) -> None:
        """Two hundred and fifty commands of two batches are one line; what came by catch-up has no ballot."""
        batches = [[b"node 2 boot 1 seq 7", [[b"PUT", b"x", b"1"]] * 100], [b"node 3 boot 1 seq 2", [[b"DEL"]] * 150]]
        result = self.run_at(["log"], a=resp([[7, None, b"chosen", batches, 0], [8, None, b"chosen", [], 0]]))
        self.assertEqual(
            result.stdout,
            "SLOT  BALLOT  STATE   TIME  ORIGIN                              COMMAND\n"
            "   7  -       chosen  -     node 2 boot 1 seq 7 ... and 1 more  PUT x 1 ... and 249 more\n"
            "   8  -       chosen  -     -                                   NOOP\n",
        )
        reply = resp([[7, None, b"chosen", batches, 0]] * 2)
        (first, _) = self.objects(self.run_at(["log", "--output", "json"], a=reply))
        self.assertEqual((first["ballot"], sum(len(each["commands"]) for each in first["batches"])), (None, 250))

    def test_many_on_a_terminal(self) -> None:
        """How many more there are is left where the command itself has no room."""
        self.patch(sys.modules["dkv.cli.table"], "on_terminal", lambda: True)
        self.patch(shutil, "get_terminal_size", lambda: os.terminal_size((75, 20)))
        self.patch(sys.modules["dkv.cli.table"], "coloured", lambda: False)
        batch = [b"node 2 boot 1 seq 7", [[b"PUT", b"x", b"1" * 99]] * 250]
        result = self.run_at(["log"], a=resp([[7, b"4.1", b"chosen", [batch], 0]]))
        self.assertEqual(
            result.stdout.splitlines()[1], "   7  4.1     chosen  -     node 2 boot 1 seq 7  PUT x 111 ... and 249 more"
        )

    def test_json(self) -> None:
        """An object for each slot; bytes stay bytes."""
        first, second = self.objects(self.run_at(["log", "--output", "json"], a=resp(list(self.SLOTS))))
        commands = [["PUT", "x", "a b"], ["GET", {"base64": "/w=="}]]
        self.assertEqual(first["batches"], [{"origin": "node 2 boot 1 seq 7", "commands": commands}])
        self.assertEqual((second["slot"], second["state"], second["noop"]), (8, "accepted", True))
        self.assertEqual((first["time_ms"], second["time_ms"]), (STAMP, None))

    def test_range(self) -> None:
        """Both ends are included, and nothing behind them is shown; the node is asked until it has no more."""
        result = self.run_at(["log", "--from", "7", "--to", "7", "--output", "json"], a=resp(list(self.SLOTS)))
        self.assertEqual([each["slot"] for each in self.objects(result)], [7])
        self.assertEqual(self.nodes.requests, [b"*3\r\n$7\r\nDKV.LOG\r\n$1\r\n7\r\n$1\r\n1\r\n"])
        self.run_at(["log", "--to", "20"], a=b"*0\r\n")
        self.assertIn(b"$2\r\n11\r\n$2\r\n10\r\n", self.nodes.requests[0])
        result = self.run_at(["log", "--from", "7"], a=resp(list(self.SLOTS)))
        self.assertEqual([b"$1\r\n7\r\n" in each for each in self.nodes.requests], [True, False])

    def test_mistakes(self) -> None:
        """2 before anything is sent; 4 for what is no log."""
        self.assertEqual(self.run_at(["log", "--from", "3", "--to", "2"], a=None).exit_code, 2)
        for odd in (b":1\r\n", resp([1]), resp([[1, 2, 3, 4]]), resp([[b"1", b"b", b"s", []]])):
            self.assertEqual(self.run_at(["log"], a=odd).exit_code, 4)


class DropRulesTests(LookTestCase):
    """``dkv drop-rules``."""

    def test_rules(self) -> None:
        """One order for each rule, with its end."""
        result = self.run_at(["drop-rules", "2:1.0, 3:0.5", "--for", "9"], a=b"+OK\r\n")
        self.assertEqual(
            result.stdout,
            "a:1 loses 100 % of its messages to node 2 for 9 s\na:1 loses 50 % of its messages to node 3 for 9 s\n",
        )
        self.assertIn(b"DROP\r\n$1\r\n2\r\n$1\r\n1\r\n$3\r\nFOR\r\n$1\r\n9\r\n", self.nodes.requests[0])
        result = self.run_at(["drop-rules", "2:0.0000001", "--for", "0.001"], a=b"+OK\r\n")
        self.assertIn(b"\r\n0.0000001\r\n$3\r\nFOR\r\n$5\r\n0.001\r\n", self.nodes.requests[0])
        result = self.run_at(["drop-rules", "clear", "--output", "json"], a=b"+OK\r\n")
        self.assertEqual(self.objects(result), [{"endpoint": "a:1", "cleared": True}])

    def test_one_node(self) -> None:
        """2: the first of several endpoints that answers is nobody's choice."""
        result = self.run_at(["drop-rules", "2:1"], a=b"+OK\r\n", b=b"+OK\r\n")
        self.assertEqual((result.exit_code, self.nodes.asked), (2, []))
        self.assertIn("say which node", result.stderr)

    def test_refused(self) -> None:
        """4 and the node's own line; bad rules are 2, before anything is sent."""
        line = "ERR fault orders are not allowed here: allow_faults = true in the config file allows them"
        result = self.run_at(["drop-rules", "2:1"], a=f"-{line}\r\n".encode())
        self.assertEqual((result.exit_code, result.stderr), (4, f"dkv: refused: {line}\n"))
        for bad in (
            "",
            "2",
            "2:",
            ":1",
            "2:1.1",
            "2:-1",
            "2:nan",
            "0:1",
            "2:1,2:0",
            "2:1,,3:1",
            "x:1",
            "2:1e9",
            "\u0662:1",
        ):
            self.assertEqual(self.run_at(["drop-rules", bad], a=b"+OK\r\n").exit_code, 2, bad)
            self.assertEqual(self.nodes.asked, [])

    @given(st.dictionaries(st.integers(1, 999_999_999), st.floats(0, 1).map(lambda rate: round(rate, 6)), min_size=1))
    def test_every_rule_is_read(self, rules: dict[int, float]) -> None:
        """The order that is sent is the one that was typed."""
        text = ",".join(f"{node}:{rate:f}" for node, rate in rules.items())
        self.assertEqual(parse_rules(text), [Rule(node, rate) for node, rate in rules.items()])

    @given(st.text(alphabet="0123456789:.,- x"))
    def test_any_text(self, text: str) -> None:
        """Anything else is a mistake in words, and never a rate beyond 0 to 1."""
        try:
            self.assertTrue(all(0 <= rule.rate <= 1 and rule.node >= 1 for rule in parse_rules(text)))
        except ValueError as error:
            self.assertTrue(str(error))
