"""The line client: reconnection, pipes, the format of replies, and what it does at a terminal."""

from __future__ import annotations

import json
import math
import stat
from pathlib import Path
from typing import ClassVar

from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.history import InMemoryHistory
from twisted.trial.unittest import SynchronousTestCase

from dkv.cli import terminal
from dkv.cli.reply_text import as_json, printed, quoted, raw, word
from dkv.client.blocking import Endpoint, NoAnswer, Reply, ServerError
from dkv.client.outcome import Unreachable, repeatable
from dkv.client.session import Session
from dkv.replies import Error
from dkv.wire.inline import split_line
from tests.cli.commands import run
from tests.client.fakes import FakeNodes


class SessionTests(SynchronousTestCase):
    """The lines that are sent again, and those that are not."""

    def session(self, **answers: bytes | None) -> Session:
        self.nodes = FakeNodes(self, **answers)
        made = Session([Endpoint(name, 1) for name in answers], 5.0)
        self.addCleanup(made.close)
        return made

    def test_reads_go_elsewhere(self) -> None:
        """A node that dies costs a reader nothing."""
        made = self.session(a=None, b=b"", c=b"$1\r\n1\r\n")
        self.assertEqual(made.call(b"get", b"x"), b"1")
        self.assertEqual(self.nodes.asked, ["a", "b", "c"])

    def test_writes_do_not(self) -> None:
        """A write that left is not sent a second time; the next line goes to another node."""
        made = self.session(a=b"", b=b"+OK\r\n")
        self.assertRaises(NoAnswer, made.call, b"PUT", b"x", b"1")
        self.assertEqual(self.nodes.asked, ["a"])
        self.assertEqual(made.call(b"PUT", b"x", b"2"), "OK")

    def test_tokens_do(self) -> None:
        """A token makes a write safe to repeat; asking for a token does not."""
        self.assertEqual(self.session(a=b"", b=b":1\r\n").call(b"idmp", b"me", b"1", b"APPEND", b"k", b"v"), 1)
        for words, safe in (
            (b"IDMP NEW", False),
            (b"IDMP NEW a b", False),
            (b"DKV.FAULT CLEAR", False),
            (b"ping", True),
        ):
            self.assertEqual(repeatable(words.split()), safe, words)

    def test_no_room(self) -> None:
        """A node that has no room for one more client is not the one to talk to."""
        made = self.session(a=b"-ERR max number of clients reached\r\n", b=b"+OK\r\n")
        self.assertEqual(made.call(b"PUT", b"x", b"1"), "OK")

    def test_lost_in_a_transaction(self) -> None:
        """Lines between MULTI and EXEC are executed nowhere once the connection that knows of them is lost."""
        for multi in (b"+OK\r\n", b"-ERR unknown command\r\n"):
            made = self.session(a=multi, b=b":1\r\n")
            try:
                made.call(b"multi")
            except ServerError:
                pass
            for words in (
                (b"APPEND", b"x", b"1"),
                (b"IDMP", b"p", b"1", b"APPEND", b"x", b"1"),
                (b"GET", b"x"),
                (b"EXEC",),
            ):
                with self.assertRaises(ServerError) as caught:
                    made.call(*words)
                self.assertEqual(caught.exception.word, "EXECABORT")
            self.assertEqual(self.nodes.asked, ["a"])
            self.assertEqual(made.call(b"APPEND", b"x", b"1"), 1)

    def test_lost_while_idle(self) -> None:
        """A write after the node has gone is not uncertain: it is not sent to a connection known to be closed."""
        made = self.session(a=b"+OK\r\n", b=b"+OK\r\n")
        for _ in range(2):  # each fake node hangs up after its answer
            self.assertEqual(made.call(b"PUT", b"x", b"1"), "OK")
        self.assertEqual(self.nodes.asked, ["a", "b"])

    def test_nobody(self) -> None:
        """It ends, with everybody's reason."""
        made = self.session(a=None, b=b"")
        with self.assertRaises(Unreachable) as caught:
            made.call(b"GET", b"x")
        self.assertIn("a:1", str(caught.exception))
        self.assertIsNone(made.endpoint)
        self.assertRaises(Unreachable, self.session(a=None).connect)

    def test_interrupted(self) -> None:
        """The answer to a line that was given up is not taken for that of the next one."""
        made = self.session(a=b"", b=b":2\r\n")
        made.connect()
        connection = made._connection
        assert connection is not None
        self.patch(type(connection), "lost", lambda _: False)

        def interrupted(*_: bytes) -> Reply:
            raise KeyboardInterrupt

        self.patch(type(connection), "call", interrupted)
        self.assertRaises(KeyboardInterrupt, made.call, b"GET", b"x")
        self.assertIsNone(made.endpoint)


class PipeTests(SynchronousTestCase):
    """``printf ... | dkv repl``."""

    def pipe(self, answer: bytes | None, lines: bytes, *words: str) -> tuple[int, bytes, str]:
        self.nodes = FakeNodes(self, a=answer)
        result = run("repl", "--endpoints", "a:1", *words, stdin=lines)
        return result.exit_code, result.stdout_bytes, result.stderr

    def test_one_line_each(self) -> None:
        """A line is a command; empty lines are none; QUIT ends; replies are raw."""
        self.assertEqual(self.pipe(b"$3\r\na\xffb\r\n", b'\nGET "x y"\r\nQUIT\nPUT x 1\n'), (0, b"a\xffb\n", ""))
        self.assertEqual(self.nodes.requests, [b"*2\r\n$3\r\nGET\r\n$3\r\nx y\r\n"])
        self.assertEqual(self.pipe(b"$-1\r\n", b"GET x"), (0, b"\n", ""))

    def test_errors(self) -> None:
        """1 in the end, but it goes on: the line behind is executed."""
        self.assertEqual(self.pipe(b"-ERR no\r\n", b"FROB\n"), (1, b"ERR no\n", ""))
        status, out, _ = self.pipe(b":1\r\n", b'GET "x\nHELLO 3\nCLIENT REPLY OFF\nDEL x\n')
        self.assertEqual((status, len(out.splitlines()), out.splitlines()[-1]), (1, 4, b"1"))

    def test_lost(self) -> None:
        """3 and 5 as in the other commands, with the line's number; nothing is sent behind it."""
        status, out, err = self.pipe(None, b"\nGET x\nGET y\n")
        self.assertEqual((status, out), (3, b""))
        self.assertIn("line 2: nobody reachable: ", err)
        status, _, err = self.pipe(b"", b"PUT x 1\nPUT x 2\n")
        self.assertEqual((status, self.nodes.asked), (5, ["a"]))
        self.assertIn("line 1: outcome unknown: ", err)
        self.assertEqual(self.pipe(b"-UNCERTAIN late\r\n", b"PUT x 1\nPUT x 2\n")[0], 5)

    def test_b35_lost_and_refused(self) -> None:
        """5 for a line that one node may have executed, whatever the next one says; nothing is sent behind it."""
        for first in (b"", b"-UNCERTAIN late\r\n", b"*2\r\n:1"):
            for last in (None, b"-ERR max number of clients reached\r\n", b"-ERR no\r\n", b"-TRYAGAIN\r\n"):
                nodes = FakeNodes(self, a=first, b=last)
                result = run("repl", "--endpoints", "a:1,b:1", stdin=b"IDMP p 1 APPEND x 1\nPUT y 1\n")
                self.assertEqual((result.exit_code, nodes.asked, result.stdout), (5, ["a", "b"], ""), (first, last))
                self.assertIn("line 1: outcome unknown: ", result.stderr)

    def test_json(self) -> None:
        """An object for each reply; text and bytes are told apart."""
        reply = b"*4\r\n$1\r\nx\r\n$1\r\n\xff\r\n$-1\r\n:5\r\n"
        _, out, _ = self.pipe(reply, b"MGET a\n", "--output", "json")
        self.assertEqual(json.loads(out), {"reply": ["x", {"base64": "/w=="}, None, 5]})
        self.assertEqual(json.loads(self.pipe(b"-ERR no\r\n", b"X\n", "--output=json")[1]), {"error": "ERR no"})


class ReplyTests(SynchronousTestCase):
    """Replies as text."""

    def test_printed(self) -> None:
        """As redis-cli prints them."""
        cases: list[tuple[Reply, str]] = [
            (b'a"\n\xff\x07\\', '"a\\"\\n\\xff\\a\\\\"'),
            (5, "(integer) 5"),
            (None, "(nil)"),
            ("OK", "OK"),
            ("O\x1bK", "O?K"),
            ([], "(empty array)"),
            ([b"a", [1, None], b"b"], '1) "a"\n2) 1) (integer) 1\n   2) (nil)\n3) "b"'),
            (
                [Error("ERR\x1b no"), True, 0.5, math.inf],
                "1) (error) ERR? no\n2) (true)\n3) (double) 0.5\n4) (double) inf",
            ),
        ]
        for reply, text in cases:
            self.assertEqual(printed(reply), text)
        self.assertEqual(raw([b"a", None, 2, "OK"]), b"a\n\n2\nOK")
        self.assertEqual(raw([Error("ERR no"), False, 0.5]), b"ERR no\nfalse\n0.5")
        self.assertEqual(as_json([Error("ERR no"), True, 0.5, -math.inf]), [{"error": "ERR no"}, True, 0.5, "-inf"])

    @given(st.binary())
    def test_quoted_is_read_back(self, data: bytes) -> None:
        """The output can be typed again, and is one printable line for any value."""
        for text in (quoted(data), word(data)):
            self.assertTrue(text.isprintable() and text.isascii())
            self.assertEqual(split_line(text.encode()), [data])


class TerminalTests(SynchronousTestCase):
    """The reply as a person gets it."""

    DOCS: ClassVar[list[Reply]] = [
        b"put",
        [b"summary", b"Set.", b"arguments", [[b"name", b"a", b"display_text", b"key value"]]],
        b"ping",
        [b"summary", b"Pong."],
    ]

    def test_forms(self) -> None:
        """Completion and hints are those of the node; odd answers give none."""
        forms = terminal.read_forms(self.DOCS)
        self.assertEqual(forms, {"PUT": ("key value", "Set."), "PING": ("", "Pong.")})
        odd_ones: list[Reply] = [None, b"x", [1, 2], [b"x"]]
        self.assertEqual([terminal.read_forms(odd) for odd in odd_ones], [{}] * 4)
        for line, hint in (
            ("put", " key value"),
            ("put ", "key value"),
            ("PUT x ", "value"),
            ("put x 1", ""),
            ("", ""),
        ):
            self.assertEqual(terminal.hint(forms, line), hint, line)

        def complete(text: str) -> list[str]:
            found = terminal.Names(forms).get_completions(Document(text), CompleteEvent())
            return [each.text for each in found]

        self.assertEqual([complete(text) for text in ("P", "pu", "x", "put ")], [["PING", "PUT"], ["put"], [], []])
        forms["SET"] = ("key value [NX|XX] [GET] [EX seconds|KEEPTTL]", "Set.")
        self.assertEqual(
            [complete(text) for text in ("set k v e", "SET k v ", "set k NX N")],
            [["ex"], ["EX", "GET", "KEEPTTL", "NX", "XX"], ["NX"]],
        )

    def test_history(self) -> None:
        """Values that were typed are for their owner's eyes only, and passwords are not kept at all. A place where
        nothing can be written ends nothing."""
        path = Path(self.mktemp()) / "dkv" / "history"
        terminal.open_history(path).append_string("PUT x 1")
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        for line in ("AUTH app secret", ' "auth" secret', "hello 3 auth app secret", "AUTHOR", "HELLO 2"):
            terminal.open_history(path).append_string(line)
        kept = ["HELLO 2", "AUTHOR", "PUT x 1"]
        self.assertEqual(list(terminal.open_history(path).load_history_strings()), kept)
        complaints: list[str] = []
        self.patch(terminal, "complain", complaints.append)
        self.assertIsInstance(terminal.open_history(path / "below" / "a" / "file"), InMemoryHistory)
        self.assertEqual(len(complaints), 1)


class CompletionTests(SynchronousTestCase):
    """``dkv completion``."""

    def test_scripts(self) -> None:
        """Each shell's script asks dkv itself, by the variable that dkv listens to."""
        for shell in ("bash", "zsh", "fish"):
            result = run("completion", shell)
            self.assertEqual(result.exit_code, 0)
            self.assertIn(f"_DKV_COMPLETE={shell}_complete", result.stdout)
        self.assertEqual(run("completion", "tcsh").exit_code, 2)

    def test_words(self) -> None:
        """The script's question is answered with commands and options."""
        environment = {"_DKV_COMPLETE": "bash_complete", "COMP_WORDS": "dkv drop", "COMP_CWORD": "1"}
        self.assertEqual(run(environment=environment).stdout, "plain,drop-rules\n")
