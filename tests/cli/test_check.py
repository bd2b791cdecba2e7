"""``dkv check``: the verdict on a file, as text, as JSON and as a status."""

from __future__ import annotations

import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dkv.cli import check as command
from dkv.sim.linearize import Verdict
from tests.cli.commands import run

PUT = b'{"client": 1, "kind": "put", "key": "x", "arguments": ["1"], "called": 5, "returned": 6}\n'
READ = b'{"client": 2, "kind": "get", "key": "x", "called": 7, "returned": 8.5, "result": "1"}\n'
LOST = b'{"client": 2, "kind": "get", "key": "x", "called": 7, "returned": 8.5, "result": null}\n'


class Check(SynchronousTestCase):
    """One history."""

    def test_linearizable(self) -> None:
        """0, and how much was checked."""
        path = Path(self.mktemp())
        path.write_bytes(PUT + READ)
        result = run("check", str(path))
        self.assertEqual((result.exit_code, result.stdout), (0, "linearizable: yes (2 operations, 1 key)\n"))

    def test_not_linearizable(self) -> None:
        """1, and the operations that show it."""
        result = run("check", "-", stdin=PUT + LOST)
        self.assertEqual(result.exit_code, 1)
        self.assertEqual(
            result.stdout.splitlines(),
            [
                'linearizable: no; key "x", times from 5.0 on:',
                "called  returned  client",
                '    +0        +1       1  put "1" -> ok',
                "    +2      +3.5       2  get -> null",
                "No order of these explains what client 2 was told at +3.5, whatever the key held before.",
            ],
        )

    def test_undecided(self) -> None:
        """6: nobody takes a search that was given up for a verdict."""
        calls = [b'{"kind": "append", "key": "x", "arguments": ["%d"], "called": 0}\n' % at for at in range(30)]
        result = run("check", "--steps", "5000", "-", stdin=b"".join(calls) + READ.replace(b'"1"', b'"x"'))
        self.assertEqual((result.exit_code, result.stdout), (6, "linearizable: undecided\n"))
        why = 'undecided: no order for key "x" was found or ruled out in 5000 steps'
        self.assertEqual(result.stderr, f"dkv: {why}\n")

    def test_unseen(self) -> None:
        """Writes of which nobody knows anything, however many, keep nobody from an answer."""
        calls = [b'{"kind": "append", "key": "x", "arguments": ["%d"], "called": 0}\n' % at for at in range(30)]
        result = run("check", "--steps", "5000", "-", stdin=b"".join(calls) + READ)
        self.assertEqual((result.exit_code, result.stdout), (0, "linearizable: yes (31 operations, 1 key)\n"))

    def test_several_keys(self) -> None:
        """A DELETE of several keys is judged by how many it says that it found."""
        put = PUT.replace(b'"x"', b'"y"')
        delete = b'{"kind": "delete", "key": "x", "arguments": ["y", "z"], "called": 7, "returned": 8, "result": %d}\n'
        result = run("check", "-", stdin=PUT + put + delete % 2)
        self.assertEqual((result.exit_code, result.stdout), (0, "linearizable: yes (3 operations, 3 keys)\n"))
        result = run("check", "-", stdin=PUT + put + delete % 1)
        why = 'Client 0 deleted the keys "x", "y", "z" and was told that 1 of them existed; it must have been 2.'
        self.assertEqual((result.exit_code, result.stdout), (1, f"linearizable: no; {why}\n"))
        result = run("check", "--output", "json", "-", stdin=PUT + put + delete % 1)
        document = json.loads(result.stdout)
        self.assertEqual((document["message"], document["window"][0]["arguments"]), (why, ["y", "z"]))

    def test_deadline(self) -> None:
        """A lock that is lost early is found; the clocks may be off by as much as the user says."""
        lock = {
            "kind": "set",
            "key": "x",
            "arguments": ["me", "absent", 10],
            "called": 0,
            "returned": 1,
            "result": True,
        }
        other = lock | {"arguments": ["you", "absent", 10], "called": 8, "returned": 9}
        both = b"".join(json.dumps(each).encode() + b"\n" for each in (lock, other))
        result = run("check", "-", stdin=both)
        self.assertEqual(result.exit_code, 1)
        self.assertEqual(
            result.stdout.splitlines(),
            [
                'linearizable: no; key "x", times from 0.0 on:',
                "called  returned  client",
                '    +0        +1       0  set "me" "absent" 10.0 false -> true',
                '    +8        +9       0  set "you" "absent" 10.0 false -> true',
                "No order of these explains what client 0 was told at +9, the key being absent at first.",
            ],
        )
        self.assertEqual(run("check", "--early", "1", "-", stdin=both).exit_code, 0)
        late = json.dumps({"kind": "get", "key": "x", "called": 13, "returned": 14, "result": "me"}).encode()
        held = both.splitlines(keepends=True)[0] + late
        self.assertEqual([run("check", "--late", each, "-", stdin=held).exit_code for each in ("1", "2")], [1, 0])

    def test_transaction(self) -> None:
        """All keys are named, and each operation with its own."""
        write = {"kind": "atomic", "arguments": [["put", "x", "1"], ["put", "y", "1"]], "called": 0, "returned": 1}
        reads = (
            {"kind": "get", "key": key, "called": 2, "returned": 3, "result": value}
            for key, value in (("x", "1"), ("y", None))
        )
        lines = (write | {"result": ["ok", "ok"]}, *reads)
        result = run("check", "-", stdin=b"".join(json.dumps(each).encode() + b"\n" for each in lines))
        self.assertEqual(result.exit_code, 1)
        self.assertEqual(
            result.stdout.splitlines(),
            [
                'linearizable: no; keys "x", "y", times from 0.0 on:',
                "called  returned  client",
                '    +0        +1       0  atomic ["put", "x", "1"] ["put", "y", "1"] -> [null, null]',
                '    +2        +3       0  "y": get -> null',
                "No order of these explains what client 0 was told at +3, all keys being absent at first.",
            ],
        )

    def test_json(self) -> None:
        """A program reads the same, and may check the operations again."""
        self.assertEqual(
            json.loads(run("check", "--output", "json", "-", stdin=PUT + READ).stdout),
            {"linearizable": True, "operations": 2, "keys": 1},
        )
        result = run("check", "--output", "json", "-", stdin=PUT + LOST)
        document = json.loads(result.stdout)
        self.assertEqual((result.exit_code, document["linearizable"], document["key"]), (1, False, "x"))
        self.assertIn("client 2 was told at +3.5", document["message"])
        again = b"".join(json.dumps(each).encode() + b"\n" for each in document["window"])
        self.assertEqual(run("check", "-", stdin=again).exit_code, 1)
        self.patch(command, "judge", lambda *_: Verdict(False, undecided=True, key=b"\xff"))
        result = run("check", "--output", "json", "-", stdin=PUT)
        expected = {"linearizable": None, "key_base64": "/w==", "operations": 1, "keys": 1}
        self.assertEqual((result.exit_code, json.loads(result.stdout)), (6, expected))

    def test_bad_file(self) -> None:
        """2, and one line that says where and why."""
        result = run("check", "-", stdin=PUT + b"oops\n")
        self.assertEqual((result.exit_code, result.stdout), (2, ""))
        self.assertEqual(result.stderr, "dkv: stdin: line 2: not JSON: Expecting value at column 1\n")
        result = run("check", "--output", "json", "-", stdin=b"oops\n")
        self.assertEqual(json.loads(result.stdout)["error"], "HISTORY")

    def test_nothing_to_check(self) -> None:
        """2: an empty file, or one whose operations all failed, is not mistaken for a proof."""
        failed = b'{"kind": "put", "key": "x", "arguments": ["1"], "called": 0, "failed": true}\n'
        for stdin in (b"", b"\n \n", failed):
            for words in ([], ["--output", "json"]):
                result = run("check", "-", *words, stdin=stdin)
                self.assertEqual(result.exit_code, 2)
                self.assertEqual(result.stderr, "dkv: stdin has no operations, so there is nothing to check\n")

    def test_no_history(self) -> None:
        """2 for any other file as well, however large it is."""
        self.patch(command, "LINE_BYTES_MAX", 1000)
        for stdin in (b"\x00" * 5000, b"\x7fELF\xff\n", b"[]\n", b"1\n", b"[" * 900, PUT + b"{}" * 900):
            result = run("check", "-", stdin=stdin)
            self.assertEqual((result.exit_code, result.stdout), (2, ""), stdin[:10])
            self.assertRegex(result.stderr, r"\Adkv: stdin: line [12]: [^\n]+\n\Z")

    def test_no_file(self) -> None:
        """2 as well: nothing was checked."""
        for path in ("/no/such", "/"):
            result = run("check", path)
            self.assertEqual((result.exit_code, result.stdout), (2, ""))
            self.assertRegex(result.stderr, rf"\Adkv: cannot read {path}: [^\n]+\n\Z")

    def test_no_control_characters(self) -> None:
        """A recorded value cannot take over the terminal."""
        escape = LOST.replace(b'"client": 2', b'"client": "\\u009b"').replace(b'"x"', b'"\\u009bx"')
        result = run("check", "-", stdin=PUT.replace(b'"x"', b'"\\u009bx"') + escape)
        self.assertEqual(result.exit_code, 1)
        self.assertNotIn("\x9b", result.stdout)
