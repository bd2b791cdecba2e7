"""put, get, append and delete: what is sent, what is printed, and every exit status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import Result
from twisted.trial.unittest import SynchronousTestCase

from tests.cli.commands import run
from tests.client.fakes import FakeNodes


class DataTestCase(SynchronousTestCase):
    """Runs a command against node ``a``, or the nodes that a test names."""

    def run_against(self, answer: bytes | None, *words: str, stdin: bytes = b"") -> Result:
        self.nodes = FakeNodes(self, a=answer)
        return run(words[0], "--endpoints", "a:1", *words[1:], stdin=stdin)

    def assert_prints(self, result: Result, status: int, stdout: bytes, stderr: str = "") -> None:
        self.assertEqual((result.exit_code, result.stdout_bytes, result.stderr), (status, stdout, stderr))

    def as_json(self, answer: bytes | None, *words: str) -> tuple[int, Any]:
        """Status and the JSON printed."""
        result = self.run_against(answer, words[0], "--output", "json", *words[1:])
        return result.exit_code, json.loads(result.stdout)


class Done(DataTestCase):
    """Status 0."""

    def test_put(self) -> None:
        """A write says that it was done."""
        self.assert_prints(self.run_against(b"+OK\r\n", "put", "k", "v"), 0, b"OK\n")
        self.assertEqual(self.nodes.requests, [b"*3\r\n$3\r\nPUT\r\n$1\r\nk\r\n$1\r\nv\r\n"])
        self.assertEqual(self.as_json(b"+OK\r\n", "put", "k", "v"), (0, {"key": "k", "result": "OK"}))

    def test_get(self) -> None:
        """A value is printed byte for byte; as JSON in base64 if it is no text."""
        self.assert_prints(self.run_against(b"$3\r\n\xff\r\n\r\n", "get", "k"), 0, b"\xff\r\n\n")
        self.assertEqual(self.nodes.requests, [b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"])
        self.assertEqual(self.as_json(b"$1\r\n\xff\r\n", "get", "k"), (0, {"key": "k", "value_base64": "/w=="}))
        self.assertEqual(self.as_json(b"$2\r\n\xc3\xa9\r\n", "get", "k"), (0, {"key": "k", "value": "é"}))

    def test_get_empty(self) -> None:
        """An empty value is there."""
        self.assert_prints(self.run_against(b"$0\r\n\r\n", "get", "k"), 0, b"\n")

    def test_append(self) -> None:
        """The new length is printed."""
        self.assert_prints(self.run_against(b":7\r\n", "append", "k", "v"), 0, b"7\n")
        self.assertEqual(self.nodes.requests, [b"*3\r\n$6\r\nAPPEND\r\n$1\r\nk\r\n$1\r\nv\r\n"])
        self.assertEqual(self.as_json(b":7\r\n", "append", "k", "v"), (0, {"key": "k", "length": 7}))

    def test_delete(self) -> None:
        """How many keys there were is printed."""
        self.assert_prints(self.run_against(b":1\r\n", "delete", "k", "l"), 0, b"1\n")
        self.assertEqual(self.nodes.requests, [b"*3\r\n$6\r\nDELETE\r\n$1\r\nk\r\n$1\r\nl\r\n"])
        self.assertEqual(self.as_json(b":2\r\n", "delete", "k", "l"), (0, {"deleted": 2}))


class NotDone(DataTestCase):
    """The other statuses: a script decides by them."""

    def test_absent(self) -> None:
        """1: there is nothing, which is an answer."""
        self.assert_prints(self.run_against(b"$-1\r\n", "get", "k"), 1, b"", "dkv: there is no such key\n")
        self.assertEqual(self.as_json(b"$-1\r\n", "get", "k"), (1, {"key": "k", "value": None}))
        self.assert_prints(self.run_against(b":0\r\n", "delete", "k"), 1, b"0\n")

    def test_unreachable(self) -> None:
        """3: nobody there, so nothing happened."""
        why = "nobody reachable: cannot connect to a:1: Connection refused"
        for words in (["put", "k", "v"], ["get", "k"], ["append", "k", "v"], ["delete", "k"]):
            self.assert_prints(self.run_against(None, *words), 3, b"", f"dkv: {why}\n")
        expected = {"error": "UNREACHABLE", "message": why, "status": 3}
        self.assertEqual(self.as_json(None, "put", "k", "v"), (3, expected))

    def test_read_without_answer(self) -> None:
        """3 as well: a read changes nothing, so there is no outcome to wonder about."""
        self.assertEqual(self.run_against(b"", "get", "k").exit_code, 3)

    def test_refused(self) -> None:
        """4: not applied, and why."""
        for error in ("ERR value too long", "MISCONF disk full", "CLUSTERDOWN no quorum", "TRYAGAIN", "LOADING"):
            result = self.run_against(f"-{error}\r\n".encode(), "put", "k", "v")
            self.assert_prints(result, 4, b"", f"dkv: refused: {error}\n")
        expected = {"error": "TRYAGAIN", "message": "refused: TRYAGAIN later", "status": 4}
        self.assertEqual(self.as_json(b"-TRYAGAIN later\r\n", "put", "k", "v"), (4, expected))

    def test_uncertain(self) -> None:
        """5: it may or may not happen; nobody may take that for either."""
        result = self.run_against(b"-UNCERTAIN no decision\r\n", "delete", "k")
        self.assert_prints(result, 5, b"", "dkv: outcome unknown: UNCERTAIN no decision\n")
        status, document = self.as_json(b"-UNCERTAIN no decision\r\n", "put", "k", "v")
        self.assertEqual((status, document["error"], document["status"]), (5, "UNCERTAIN", 5))

    def test_write_without_answer(self) -> None:
        """5: the same when the node that was asked said nothing."""
        for words in (["put", "k", "v"], ["append", "k", "v"], ["delete", "k"]):
            result = self.run_against(b"", *words)
            self.assertEqual((result.exit_code, result.stdout_bytes), (5, b""))
            self.assertRegex(result.stderr, r"\Adkv: outcome unknown: no answer from [^\n]*\n\Z")
        status, document = self.as_json(b"", "put", "k", "v")
        self.assertEqual((status, document["error"], document["status"]), (5, "NO_ANSWER", 5))

    def test_other_program(self) -> None:
        """5: what another program did with the request is anyone's guess, and an odd answer is no success."""
        odd = ((b"$1\r\nx\r\n", ["put", "k", "v"]), (b"+OK\r\n", ["delete", "k"]), (b":1\r\n", ["get", "k"]))
        for answer, words in odd:
            self.assertEqual(self.run_against(answer, *words).exit_code, 5, words)


class Words(DataTestCase):
    """Keys and values as the user may give them."""

    def sent(self, *words: str, stdin: bytes = b"") -> bytes:
        """The value that is put for ``words`` of the command line."""
        result = self.run_against(b"+OK\r\n", "put", "k", *words, stdin=stdin)
        self.assertEqual(result.exit_code, 0, result.stderr)
        header, _, value = self.nodes.requests[0].removesuffix(b"\r\n").partition(b"$1\r\nk\r\n$")[2].partition(b"\r\n")
        self.assertEqual(int(header), len(value))
        return value

    def test_any_bytes(self) -> None:
        """The bytes that the shell passed are the bytes that are stored, text or not."""
        self.assertEqual(self.sent("é\udcff"), "é".encode() + b"\xff")
        self.run_against(b"$-1\r\n", "get", "\udcfe")
        self.assertIn(b"$1\r\n\xfe\r\n", self.nodes.requests[0])

    def test_empty(self) -> None:
        """An empty value is a value."""
        self.assertEqual(self.sent(""), b"")

    def test_stdin(self) -> None:
        """A program's output can be stored as it is."""
        self.assertEqual(self.sent("-", stdin=b"\x00a\r\n"), b"\x00a\r\n")

    def test_file(self) -> None:
        """So can a file."""
        path = Path(self.mktemp())
        path.write_bytes(b"\xff\n")
        self.assertEqual(self.sent(f"@{path}"), b"\xff\n")

    def test_literal_at_sign(self) -> None:
        """A value that begins with an at sign can be stored too."""
        self.assertEqual(self.sent("@@x"), b"@x")
        self.assertEqual(self.sent("@@@x"), b"@@x")

    def test_dash(self) -> None:
        """So can one that looks like an option."""
        self.assertEqual(self.sent("--", "-5"), b"-5")

    def test_unreadable_file(self) -> None:
        """A file that is not there is a mistake; nothing is sent."""
        result = self.run_against(b"+OK\r\n", "put", "k", "@/no/such")
        self.assertEqual((result.exit_code, self.nodes.asked), (2, []))
        self.assertIn("cannot read /no/such: No such file or directory", result.stderr)


class Endpoints(SynchronousTestCase):
    """Which nodes are asked."""

    def test_in_order(self) -> None:
        """The list is tried in the order in which it is given, spaces or not."""
        nodes = FakeNodes(self, a=None, b=b"-TRYAGAIN later\r\n", c=b"+OK\r\n")
        self.assertEqual(run("put", "k", "v", "--endpoints", "a:1, b:2,c:3").exit_code, 0)
        self.assertEqual(nodes.asked, ["a", "b", "c"])

    def test_environment(self) -> None:
        """A user sets the endpoints once; an option says otherwise."""
        nodes = FakeNodes(self, a=b"+OK\r\n", b=b"+OK\r\n")
        run("put", "k", "v", environment={"DKV_ENDPOINTS": "b:1"})
        run("put", "k", "v", "--endpoints", "a:1", environment={"DKV_ENDPOINTS": "b:1"})
        self.assertEqual(nodes.asked, ["b", "a"])

    def test_default(self) -> None:
        """Without either, it is the local cluster that ``dkv cluster`` runs."""
        nodes = FakeNodes(self, **{"127.0.0.1": None})
        result = run("get", "k")
        self.assertEqual(len(nodes.asked), 3)
        for port in (5001, 5002, 5003):
            self.assertIn(f"127.0.0.1:{port}", result.stderr)
