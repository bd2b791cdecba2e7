"""put, get, append and delete: what is sent, what is printed, and every exit status."""

from __future__ import annotations

import json
import os
import re
import socket
from pathlib import Path
from typing import Any

from click.testing import Result
from twisted.trial.unittest import SynchronousTestCase

from dkv.client import race, session
from dkv.client.blocking import Connection, Endpoint, connect
from tests.cli.commands import run
from tests.client.fakes import FakeNodes


class DataTestCase(SynchronousTestCase):
    """Runs a command against node ``a``, or the nodes that a test names."""

    def run_against(self, answer: bytes | None, *words: str, stdin: bytes = b"") -> Result:
        self.nodes = FakeNodes(self, a=answer)
        return run(words[0], "--endpoints", "a:1", *words[1:], stdin=stdin)

    def written(self) -> bytes:
        """The one write that was sent, without its token, which must be there."""
        (request,) = self.nodes.requests
        header = rb"\*[0-9]+\r\n\$4\r\nIDMP\r\n\$20\r\ndkv-[0-9a-f]{16}\r\n\$19\r\n[0-9]{19}\r\n"
        self.assertRegex(request, header)
        return re.sub(header, b"", request)

    def words_written(self) -> list[str]:
        """The words of that write."""
        return self.written().decode().split("\r\n")[1::2]

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
        self.assertEqual(self.written(), b"$3\r\nPUT\r\n$1\r\nk\r\n$1\r\nv\r\n")
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
        self.assert_prints(self.run_against(b"$0\r\n\r\n", "get", "k", "--raw"), 0, b"")

    def test_get_raw(self) -> None:
        """A file that was put can be got back, not a byte longer."""
        self.assert_prints(self.run_against(b"$3\r\n\xff\r\n\r\n", "get", "--raw", "k"), 0, b"\xff\r\n")
        self.assert_prints(self.run_against(b"$-1\r\n", "get", "--raw", "k"), 1, b"", "dkv: there is no such key\n")
        self.assertEqual(self.run_against(b"$1\r\nx\r\n", "get", "--raw", "k", "--output", "json").exit_code, 2)

    def test_append(self) -> None:
        """The new length is printed."""
        self.assert_prints(self.run_against(b":7\r\n", "append", "k", "v"), 0, b"7\n")
        self.assertEqual(self.written(), b"$6\r\nAPPEND\r\n$1\r\nk\r\n$1\r\nv\r\n")
        self.assertEqual(self.as_json(b":7\r\n", "append", "k", "v"), (0, {"key": "k", "length": 7}))

    def test_delete(self) -> None:
        """How many keys there were is printed."""
        self.assert_prints(self.run_against(b":1\r\n", "delete", "k", "l"), 0, b"1\n")
        self.assertEqual(self.written(), b"$6\r\nDELETE\r\n$1\r\nk\r\n$1\r\nl\r\n")
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
        self.assertEqual((result.exit_code, result.stdout_bytes), (5, b""))
        advice = r"; to send it again safely add --producer dkv-[0-9a-f]{16} --op [0-9]{19}\n"
        self.assertRegex(result.stderr, r"\Adkv: outcome unknown: UNCERTAIN no decision" + advice + r"\Z")
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


class ConclusionTests(DataTestCase):
    """B35: what a command says after several nodes had the request."""

    def test_b35_unknown_and_refused(self) -> None:
        """5: the write of a node that died may have been executed, whatever the next one refuses."""
        for first in (b"", b"-UNCERTAIN no decision\r\n", b"+O", b"?\r\n"):
            for last in (b"-ERR max number of clients reached\r\n", b"-ERR no\r\n", b"-LOADING\r\n", None):
                for words in (["put", "k", "v"], ["append", "k", "v"], ["delete", "k"]):
                    FakeNodes(self, a=first, b=last)
                    result = run(*words, "--endpoints", "a:1,b:1")
                    self.assertEqual((result.exit_code, result.stdout), (5, ""), (first, last))
                    self.assertIn("to send it again safely add --producer dkv-", result.stderr)

    def test_full(self) -> None:
        """A node without room for one more client is no reason to give up."""
        nodes = FakeNodes(self, a=b"-ERR max number of clients reached\r\n", b=b":1\r\n")
        self.assertEqual(run("append", "k", "v", "--endpoints", "a:1,b:1").exit_code, 0)
        self.assertEqual(nodes.asked, ["a", "b"])

    def test_advice_for_any_name(self) -> None:
        """The message can be pasted into a shell, whatever bytes the producer has."""
        for name, word in (("a b", "'a b'"), ("\udcff'", r"$'\xff\x27'"), ("é", "'é'")):
            result = self.run_against(b"", "put", "k", "v", "--producer", name, "--op", "7")
            self.assertTrue(result.stderr.endswith(f" add --producer {word} --op 7\n"), result.stderr)


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

    def test_database(self) -> None:
        """Named by an option or in a URL; both at once must agree, as keys would land in the wrong one."""
        for words in (
            ["--db", "3", "--endpoints", "a:1"],
            ["--endpoints", "redis://a:1/3"],
            ["--endpoints", "a:1/3", "--db=3"],
        ):
            nodes = FakeNodes(self, a=(b"+OK\r\n", b"$1\r\nv\r\n"))
            self.assertEqual(run("get", "k", *words).stdout, "v\n", words)
            self.assertEqual(nodes.requests, [b"*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"])
        for words in (["--db", "3", "--endpoints", "a:1/0"], ["--db", "16"], ["--endpoints", "a:1/16"]):
            self.assertEqual(run("get", "k", *words).exit_code, 2, words)

    def test_default(self) -> None:
        """Without either, it is the local cluster that ``dkv cluster`` runs."""
        nodes = FakeNodes(self, **{"127.0.0.1": None})
        result = run("get", "k")
        self.assertEqual(len(nodes.asked), 3)
        for port in (5001, 5002, 5003):
            self.assertIn(f"127.0.0.1:{port}", result.stderr)


class SilentTests(DataTestCase):
    """An endpoint that takes a connection, as the kernel of a frozen node does, and says nothing."""

    def silent(self) -> str:
        """Such an endpoint."""
        stream = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(stream.close)
        return f"127.0.0.1:{stream.getsockname()[1]}"

    def test_asked_once(self) -> None:
        """The first command is answered by the next endpoint after a moment; the following ones ask that one first."""
        nodes = FakeNodes(self, b=b":1\r\n")
        fake = nodes.connect

        def either(endpoint: Endpoint, *seconds: float) -> Connection:
            if endpoint.host == "b":
                return fake(endpoint, *seconds)
            nodes.asked.append("silent")
            return connect(endpoint, *seconds)

        for module in (race, session):
            self.patch(module, "connect", either)
        self.patch(race, "MOMENT_SECONDS", 0.01)
        state = {"XDG_STATE_HOME": os.path.abspath(self.mktemp())}
        endpoints = ["--endpoints", f"{self.silent()},b:1"]
        for words, asked in (
            (["append", "k", "v"], ["silent", "b"]),
            (["append", "k", "v"], ["b"]),
            (["delete", "k"], ["b"]),
            (["repl"], ["b"]),
        ):
            result = run(*words, *endpoints, environment=state, stdin=b"DELETE k\n")
            self.assertEqual((result.exit_code, result.stdout), (0, "1\n"), words)
            self.assertEqual(nodes.asked, asked, words)
            nodes.asked.clear()
            self.patch(race, "MOMENT_SECONDS", 60.0)  # whoever is asked first answers, however busy the machine is

    def test_alone(self) -> None:
        """Where there is no other, it costs the time that the user allows, and a write is uncertain."""
        endpoint = self.silent()
        for words, status in ((["get", "k"], 3), (["put", "k", "v"], 5)):
            self.assertEqual(run(*words, "--endpoints", endpoint, "--timeout", "0.2").exit_code, status)


class Tokens(DataTestCase):
    """A write happens once, however often it is sent."""

    def token(self, *words: str, environment: dict[str, str] | None = None) -> tuple[bytes, int]:
        """The token that a put sends."""
        nodes = FakeNodes(self, a=b"+OK\r\n")
        result = run("put", "--endpoints", "a:1", "k", "v", *words, environment=environment)
        self.assertEqual(result.exit_code, 0, result.stderr)
        found = re.match(rb"\*6\r\n\$4\r\nIDMP\r\n\$[0-9]+\r\n(.*)\r\n\$[0-9]+\r\n(.*)\r\n", nodes.requests[0])
        assert found is not None
        return found[1], int(found[2])

    def test_a_token_each(self) -> None:
        """Two writes of a user are two, by one producer: nodes remember producers, and not for ever."""
        (one, first), (two, second) = self.token(), self.token()
        self.assertEqual(one, two)
        self.assertGreater(second, first)

    def test_the_same_token_everywhere(self) -> None:
        """The next node is sent the same bytes, so it knows what the first one has executed."""
        nodes = FakeNodes(self, a=b"", b=b"-UNCERTAIN no decision\r\n", c=b"+OK\r\n")
        self.assertEqual(run("put", "--endpoints", "a:1,b:1,c:1", "k", "v").exit_code, 0)
        self.assertEqual(nodes.asked, ["a", "b", "c"])
        self.assertEqual(len(set(nodes.requests)), 1)

    def test_given(self) -> None:
        """A script that retries by itself names the token."""
        self.assertEqual(self.token("--producer", "é", "--op", "7"), ("é".encode(), 7))
        self.assertEqual(self.token("--producer", "#12.0", "--op", "1"), (b"#12.0", 1))
        name, op = self.token("--producer", "alice")
        self.assertEqual(name, b"alice")
        self.assertGreater(self.token("--producer", "alice")[1], op)

    def test_given_wrongly(self) -> None:
        """A value that no node would take is refused before anything is sent."""
        for words in (["--op", "7"], ["--producer", "p", "--op", "0"], ["--producer", ""], ["--producer", "#p"]):
            result = self.run_against(b"+OK\r\n", "put", "k", "v", *words)
            self.assertEqual((result.exit_code, self.nodes.asked), (2, []), words)

    def test_advice(self) -> None:
        """The options in the message of an unknown outcome send the very same request."""
        nodes = FakeNodes(self, a=b"")
        result = run("append", "--endpoints", "a:1", "k", "v")
        words = result.stderr.rpartition("safely add ")[2].split()
        again = FakeNodes(self, a=b":1\r\n")
        self.assertEqual(run("append", "--endpoints", "a:1", "k", "v", *words).exit_code, 0)
        self.assertEqual(again.requests, nodes.requests)

    def test_forgotten_producer(self) -> None:
        """A producer of whom nodes know better ops, because its file was copied, is replaced: the write is done."""
        before = self.token()[0]
        nodes = FakeNodes(self, a=b"-IDMPOLD too old\r\n")
        result = run("put", "--endpoints", "a:1", "k", "v")
        self.assert_prints(result, 4, b"", "dkv: refused: IDMPOLD too old\n")
        self.assertEqual(nodes.asked, ["a", "a"])
        self.assertNotIn(self.token()[0], (before, b""))

    def test_used_for_another_write(self) -> None:
        """A token of ours that somebody else has used is replaced as well: this write was never sent before."""
        nodes = FakeNodes(self, a=b"-IDMPMISMATCH used for another write\r\n")
        result = run("put", "--endpoints", "a:1", "k", "v")
        self.assert_prints(result, 4, b"", "dkv: refused: IDMPMISMATCH used for another write\n")
        first, second = nodes.requests
        self.assertNotEqual(first, second)

    def test_a_given_one_is_not_replaced(self) -> None:
        """A token that the user named is sent as it is, or not at all."""
        for error, words, status in (
            # It was used for another write, so this one was not executed, and never will be.
            ("IDMPMISMATCH used for another write", ["--op", "1"], 4),
            ("IDMPMISMATCH used for another write", [], 4),
            # A user who names an op may repeat it, and nobody remembers whether it was executed the first time.
            ("IDMPOLD too old", ["--op", "1"], 5),
            # An op of ours is new.
            ("IDMPOLD too old", [], 4),
        ):
            nodes = FakeNodes(self, a=f"-{error}\r\n".encode())
            result = run("put", "--endpoints", "a:1", "k", "v", "--producer", "p", *words)
            self.assertEqual((result.exit_code, nodes.asked), (status, ["a"]), (error, words))

    def test_b35_replaced_only_if_nobody_can_have_executed_it(self) -> None:
        """A write that a node may have executed under its token is not sent under another one."""
        nodes = FakeNodes(self, a=b"", b=b"-IDMPMISMATCH other\r\n", c=b"-IDMPOLD too old\r\n")
        self.assertEqual(run("append", "--endpoints", "a:1,b:1,c:1", "k", "v").exit_code, 5)
        self.assertEqual(len(set(nodes.requests)), 1)

    def test_no_place_to_keep_it(self) -> None:
        """A user without a writable home can write all the same."""
        name = self.token(environment={"XDG_STATE_HOME": "/dev/null"})[0]
        self.assertNotEqual(self.token(environment={"XDG_STATE_HOME": "/dev/null"})[0], name)
