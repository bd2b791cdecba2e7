"""keys and scan: every key has a line of its own, whatever bytes it has."""

from __future__ import annotations

import json
import subprocess

from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.cli import access, asking
from dkv.cli.listing import _line
from dkv.client.blocking import Endpoint, NoAnswer, Reply, ServerError
from tests.cli.commands import run
from tests.cli.test_data import DataTestCase


class KeysTests(DataTestCase):
    ANSWER = b"*4\r\n$1\r\na\r\n$3\r\nb c\r\n$2\r\n\xff\n\r\n$3\r\n$'x\r\n"

    def test_lines(self) -> None:
        """A key is a line; one that would be two lines, or no text, is shown as a shell reads it."""
        result = self.run_against(self.ANSWER, "keys", "*")
        self.assert_prints(result, 0, b"a\nb c\n$'\\xff\\x0a'\n$'$\\x27x'\n")
        self.assertEqual(self.nodes.requests, [b"*2\r\n$4\r\nKEYS\r\n$1\r\n*\r\n"])

    def test_null(self) -> None:
        """For xargs -0, byte for byte."""
        self.assert_prints(self.run_against(self.ANSWER, "keys", "-0"), 0, b"a\0b c\0\xff\n\0$'x\0")

    def test_json(self) -> None:
        """An object for each."""
        lines = self.run_against(self.ANSWER, "keys", "--output", "json").stdout.splitlines()
        expected = [{"key": "a"}, {"key": "b c"}, {"key_base64": "/wo="}, {"key": "$'x"}]
        self.assertEqual([json.loads(line) for line in lines], expected)

    def test_none(self) -> None:
        """1: nothing matches."""
        self.assert_prints(self.run_against(b"*0\r\n", "keys", "x*"), 1, b"")

    def test_odd_answers(self) -> None:
        """Another server, or a node that has too many keys for one answer."""
        for answer in (b"+OK\r\n", b"*1\r\n:1\r\n", b"-ERR too many\r\n"):
            self.assertEqual(self.run_against(answer, "keys").exit_code, 4, answer)

    @given(st.binary())
    def test_a_line_stands_for_one_key(self, key: bytes) -> None:
        """What is printed tells which key it is; bash reads an escaped one as its bytes."""
        line = _line(key)
        self.assertNotIn(b"\n", line)
        if line.startswith(b"$'"):
            self.assertTrue(line.decode("ascii").isprintable())
            self.assertNotEqual(line, key)
        else:
            self.assertEqual(line, key)

    def test_bash_reads_it(self) -> None:
        """An escaped key can be pasted into a shell."""
        key = bytes(range(1, 256))
        shown = subprocess.run(["bash", "-c", f"printf %s {_line(key).decode()}"], capture_output=True, check=True)
        self.assertEqual(shown.stdout, key)


class OneScan:
    """A node that answers SCAN with pages; a page may be an exception."""

    endpoint = Endpoint("a", 1)

    def __init__(self, *pages: Reply | Exception) -> None:
        self.pages = list(pages)
        self.asked: list[tuple[bytes, ...]] = []

    def __enter__(self) -> OneScan:
        return self

    def __exit__(self, *_: object) -> None:
        self.asked.append((b"hung up",))

    def select(self, database: int) -> None:
        self.asked.append((b"SELECT", b"%d" % database))

    def call(self, *words: bytes) -> Reply:
        self.asked.append(words)
        page = self.pages.pop(0)
        if isinstance(page, Exception):
            raise page
        return page


class ScanTests(SynchronousTestCase):
    def scan(self, node: OneScan, *words: str) -> Result:
        endpoint = Endpoint("a", 1)
        self.patch(access, "ask_where", lambda *_: (endpoint, None))
        self.patch(asking, "connect", lambda *_: node)
        self.patch(asking, "pause", lambda _: None)
        return run("scan", *words)

    def test_to_the_end(self) -> None:
        """Page by page, also empty ones; a node that is busy for a moment is asked again."""
        node = OneScan([b"7", [b"a"]], ServerError("TRYAGAIN later"), [b"9", []], [b"0", [b"b"]])
        result = self.scan(node, "k*", "--db", "3")
        self.assertEqual((result.exit_code, result.stdout), (0, "a\nb\n"))
        self.assertEqual(node.asked[0], (b"SELECT", b"3"))
        self.assertEqual(node.asked[1], (b"SCAN", b"0", b"MATCH", b"k*", b"COUNT", b"1000"))
        self.assertEqual([words[1] for words in node.asked[2:-1]], [b"7", b"7", b"9"])
        self.assertEqual(node.asked[-1], (b"hung up",))

    def test_limit(self) -> None:
        """A look at some keys does not go through millions."""
        node = OneScan([b"7", [b"a", b"b"]], [b"9", [b"c", b"d"]])
        self.assertEqual(self.scan(node, "--limit", "3").stdout, "a\nb\nc\n")

    def test_none(self) -> None:
        """1, as in keys."""
        self.assertEqual(self.scan(OneScan([b"0", []])).exit_code, 1)

    def test_lost(self) -> None:
        """A list that is not whole says so, in its status too: only that node knows how to go on."""
        result = self.scan(OneScan([b"7", [b"a"]], NoAnswer("no answer from a:1")))
        self.assertEqual((result.exit_code, result.stdout), (3, "a\n"))
        self.assertEqual(result.stderr, "dkv: the list is not whole: it ends after 1 key: no answer from a:1\n")
        result = self.scan(OneScan([b"7", [b"a"]], ServerError("ERR invalid cursor")))
        self.assertEqual(result.exit_code, 4)
        self.assertIn("ERR invalid cursor; the list is not whole: it ends after 1 key", result.stderr)

    def test_odd_answers(self) -> None:
        """Another server at that port."""
        pages: list[Reply] = [7, [b"0"], [b"0", [1]], [0, []]]
        for page in pages:
            self.assertEqual(self.scan(OneScan(page)).exit_code, 4, page)
