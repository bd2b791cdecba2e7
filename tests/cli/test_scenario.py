"""A scenario fails when the cluster is wrong: each promise is broken here once, by a server that lies."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable
from typing import Any

from click.testing import Result
from twisted.trial.unittest import SynchronousTestCase

from dkv.replies import OK, Error
from dkv.settings import Limits
from dkv.wire.reply_encoder import ReplyEncoder
from dkv.wire.resp import RequestParser
from tests.cli.commands import run

Words = list[bytes]
SCENARIOS = (
    *("basic", "duplicates", "failover", "grow", "loadtest", "move", "partition"),
    *("recover", "recovery", "replace", "stuck-disk"),
)


class ListTests(SynchronousTestCase):
    """A person types this first to see the scenarios."""

    def test_without_a_name(self) -> None:
        """Each scenario with what it plays, in full, and no mistake; the same in the help."""
        result = run("scenario")
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        self.assertEqual([line.split()[0] for line in result.stdout.splitlines()], sorted(SCENARIOS))
        line = "failover    The leader is killed under load, and nothing acknowledged is lost."
        self.assertIn(line, result.stdout.splitlines())
        self.assertIn("nothing acknowledged is", run("scenario", "--help").stdout)

    def test_a_wrong_name(self) -> None:
        """A mistake like others: one line, status 2, also where click would write several."""
        for words in (("scenario", "nope"), ("scenario", "basic", "--nodes", "4"), ("completion",)):
            result = run(*words)
            self.assertEqual((result.exit_code, result.stdout, result.stderr.count("\n")), (2, "", 1))
            self.assertNotIn("?", result.stderr)


class Servers:
    """Three "nodes" over one dict, right in everything but what a test makes wrong.

    ``lie`` is given the node, the words of a request and the right answer, and returns what is answered.
    """

    def __init__(self, test: SynchronousTestCase, lie: Callable[[int, Words, Any], Any]) -> None:
        self.values: dict[bytes, bytes] = {}
        self.tokens: dict[tuple[bytes, bytes], Any] = {}
        self.suppressed = [0, 0, 0, 0]
        self.faults: set[tuple[int, bytes]] = set()
        self._lie = lie
        self._lock = threading.Lock()
        ports = []
        for number in (1, 2, 3):
            server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), self._handler(number))
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
            test.addCleanup(server.server_close)
            test.addCleanup(server.shutdown)
            ports.append(server.server_address[1])
        self.endpoints = ",".join(f"127.0.0.1:{port}" for port in ports)

    def _handler(self, number: int) -> type[socketserver.BaseRequestHandler]:
        servers = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                parser, encoder = RequestParser(Limits()), ReplyEncoder()
                while data := self.request.recv(65_536):
                    parser.feed(data)
                    for words, _ in parser.take(100):
                        with servers._lock:
                            answer = servers._lie(number, words, servers._answer(number, words))
                        self.request.sendall(encoder.encode([answer]))

        return Handler

    def _answer(self, number: int, words: Words) -> Any:
        match words:
            case [b"IDMP", producer, op, *write]:
                if (producer, op) in self.tokens:
                    self.suppressed[number] += 1
                else:
                    self.tokens[producer, op] = self._answer(number, write)
                return self.tokens[producer, op]
            case [b"PUT", key, value]:
                self.values[key] = value
                return OK
            case [b"GET", key]:
                return self.values.get(key)
            case [b"APPEND", key, value]:
                self.values[key] = self.values.get(key, b"") + value
                return len(self.values[key])
            case [b"DELETE", *keys]:
                return sum(self.values.pop(key, None) is not None for key in keys)
            case [b"DKV.STATUS"]:
                return json.dumps(self._status(number)).encode()
            case [b"DKV.FAULT", *_]:
                return OK
        raise AssertionError(words)

    def _status(self, number: int) -> dict[str, Any]:
        return {
            "node": number,
            "mode": "leader",
            "leader": 1,
            "chosen_through": 5,
            "applied_through": 5,
            "catchup_entries_applied": 0,
            "duplicates_suppressed": self.suppressed[number],
            "faults_allowed": True,
        }


def honest(number: int, words: Words, answer: Any) -> Any:
    """The answer of a correct server."""
    return answer


class ScenarioTests(SynchronousTestCase):
    """Against servers that are somebody's."""

    def play(self, lie: Callable[[int, Words, Any], Any], *words: str) -> tuple[Result, list[dict[str, Any]]]:
        self.servers = Servers(self, lie)
        result = run("scenario", *words, "--endpoints", self.servers.endpoints, "--output", "json")
        return result, [json.loads(line) for line in result.stdout.splitlines()]

    def fails(self, lie: Callable[[int, Words, Any], Any], *words: str) -> str:
        """The step at which a scenario fails."""
        result, lines = self.play(lie, *words)
        self.assertEqual((result.exit_code, lines[-1]["result"]), (1, "FAIL"), lines)
        steps = [line["step"] for line in lines[:-1] if not line["ok"]]
        self.assertEqual(len(steps), 1)
        self.assertEqual(self.servers.values, {}, "what it wrote is deleted")
        return str(steps[0])

    def test_passes(self) -> None:
        """A right server passes, so it is the lie that fails below."""
        for words in (("basic",), ("duplicates",), ("loadtest", "--seconds", "0.3", "--clients", "3", "--keys", "9")):
            result, lines = self.play(honest, *words)
            self.assertEqual((result.exit_code, lines[-1]["result"]), (0, "PASS"), lines)
            self.assertEqual(self.servers.values, {})

    def test_stale_read(self) -> None:
        """A node that shows the past."""

        def stale(number: int, words: Words, answer: Any) -> Any:
            return b"1" if number == 3 and words[0] == b"GET" and answer == b"2" else answer

        self.assertIn("GET x on node 3: expected 2, seen 1", self.fails(stale, "basic"))

    def test_lost_write(self) -> None:
        """A write that is acknowledged and not there."""

        def forgetful(number: int, words: Words, answer: Any) -> Any:
            return None if words[0] == b"GET" and answer == b"234" else answer

        self.assertIn("expected 234, seen (nil)", self.fails(forgetful, "basic"))

    def test_executed_twice(self) -> None:
        """A repeat that happens again."""

        def twice(number: int, words: Words, answer: Any) -> Any:
            repeat = words[0] == b"IDMP" and self.servers.suppressed[2] > 3 and number == 2
            return 2 if repeat else answer

        self.assertIn("their answers", self.fails(twice, "duplicates"))

    def test_not_counted(self) -> None:
        """A repeat that no metric shows."""

        def silent(number: int, words: Words, answer: Any) -> Any:
            return answer.replace(b'_suppressed": ', b'_suppressed": 1') if words[0] == b"DKV.STATUS" else answer

        self.assertIn("counted as suppressed: expected 99", self.fails(silent, "duplicates"))

    def test_a_lone_node_that_answers(self) -> None:
        """A node that acknowledges writes though it hears nobody."""
        self.assertIn("on the lone node is refused: no, answered 'OK'", self.fails(honest, "partition"))

    def test_not_linearizable(self) -> None:
        """Reads that go back in time."""
        seen: dict[bytes, bytes] = {}

        def backwards(number: int, words: Words, answer: Any) -> Any:
            if words[0] == b"GET" and number == 2 and words[1].endswith(b"k0"):
                return seen.setdefault(words[1], answer)
            return answer

        words = ("loadtest", "--seconds", "0.5", "--clients", "3", "--keys", "1")
        step = self.fails(backwards, *words)
        self.assertTrue("not linearizable" in step or "nodes disagree" in step, step)

    def test_nodes_that_disagree(self) -> None:
        """Replicas that drifted apart."""

        def drifted(number: int, words: Words, answer: Any) -> Any:
            last = words[0] == b"GET" and words[1].endswith(b"k1") and number == 3
            return b"other" if last else answer

        step = self.fails(drifted, "loadtest", "--seconds", "0.3", "--clients", "2", "--keys", "2")
        self.assertIn("those that nodes disagree on: expected [], seen ['scenario-", step)

    def test_nonsense(self) -> None:
        """Another program behind the port: a FAIL that says so, no traceback."""

        def odd(number: int, words: Words, answer: Any) -> Any:
            return b"{}" if words[0] == b"DKV.STATUS" else answer

        self.assertIn("answers DKV.STATUS with b'{}'", self.fails(odd, "duplicates"))
        self.assertIn("answers DKV.STATUS with", self.fails(odd, "partition"))

    def test_refused(self) -> None:
        """An error where none should be."""

        def refuses(number: int, words: Words, answer: Any) -> Any:
            return Error("TRYAGAIN no leader") if words[0] == b"APPEND" else answer

        self.assertIn("a node did not answer as it should: TRYAGAIN no leader", self.fails(refuses, "basic"))
