"""The line client, as a person sees it at a terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parents[2]
REPL = """
from dkv.cli.terminal import converse
from dkv.client.blocking import ServerError
from dkv.cli import whereabouts

status = {"cluster": "c", "node": 1, "leader": 1}
whereabouts.LOOK_SECONDS = 0.0
whereabouts.ask_one = lambda *_: [status]
whereabouts.status_fields = lambda fields: (fields, "")

class Session:
    endpoint, endpoints = "here", ()
    database, in_transaction = 0, False
    def connect(self): pass
    def call(self, *words):
        if words[0] == b"MOVE":
            status["leader"] = 2
            self.database, self.in_transaction = 3, True
        if words[0] == b"PTU":
            raise ServerError("ERR unknown command 'PTU'")
        docs = [b"summary", b"Set.", b"arguments", [[b"name", b"a", b"display_text", b"key value"]]]
        return [b"put", docs] if words[0] == b"COMMAND" else "OK"

converse(Session())
"""
SEQUENCE = re.compile(r"\x1b\[(?P<number>[0-9]*)[0-9;?]*(?P<kind>[A-Za-z])")


class Screen:
    """As much of a terminal as the line client uses: lines of text, a cursor, and what moves and erases."""

    def __init__(self) -> None:
        self.lines = [""]
        self.column = 0

    def feed(self, text: str) -> None:
        """Show ``text``."""
        while text:
            found = SEQUENCE.match(text)
            if found is not None:
                self._do(found["kind"], int(found["number"] or 1))
                text = text[found.end() :]
                continue
            self._put(text[0])
            text = text[1:]

    def _put(self, character: str) -> None:
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self.lines.append("")
        elif character == "\b":
            self.column -= 1
        elif character.isprintable():
            line = self.lines[-1].ljust(self.column)
            self.lines[-1] = line[: self.column] + character + line[self.column + 1 :]
            self.column += 1

    def _do(self, kind: str, number: int) -> None:
        if kind == "C":
            self.column += number
        elif kind == "D":
            self.column -= number
        elif kind in "JK":
            self.lines[-1] = self.lines[-1][: self.column]


class ScreenTests(SynchronousTestCase):
    def read_until(self, words: str) -> None:
        """Show what the client prints until the last line is this one."""
        while self.screen.lines[-1].rstrip() != words:
            self.screen.feed(os.read(self.terminal, 65_536).decode())

    def start(self) -> subprocess.Popen[bytes]:
        """The client, at a terminal of 80 columns."""
        self.terminal, inside = pty.openpty()
        self.addCleanup(os.close, self.terminal)
        termios.tcsetwinsize(inside, (24, 80))
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
        environment |= {"XDG_STATE_HOME": os.path.abspath(self.mktemp()), "NO_COLOR": "1"}
        client = subprocess.Popen([sys.executable, "-c", REPL], stdin=inside, stdout=inside, env=environment)
        os.close(inside)
        self.screen = Screen()
        return client

    def test_a_line_that_was_entered_stays_as_it_was_typed(self) -> None:
        """A hint left behind it looks like a part of the command that was sent."""
        client = self.start()
        self.read_until("here>")
        self.assertIn("cluster 'c', node 1 at here: this node leads", self.screen.lines[-2])
        os.write(self.terminal, b"put x")
        self.read_until("here> put x value")  # the hint, as long as it is of use
        os.write(self.terminal, b"\r")
        self.read_until("here>")  # the next one
        os.write(self.terminal, b"\x04")
        self.assertEqual(client.wait(10), 0)
        shown = [line.rstrip() for line in self.screen.lines[1:] if line.strip()]
        self.assertEqual(shown, ["here> put x", "OK", "here>"])

    def test_where_it_is(self) -> None:
        """A person sees it when another node leads, which database is chosen, and a slip is answered with a name."""
        client = self.start()
        self.read_until("here>")
        os.write(self.terminal, b"PTU\r")
        self.read_until("here>")
        os.write(self.terminal, b"MOVE\r")
        self.read_until("here[3](TX)>")
        os.write(self.terminal, b"\x04")
        self.assertEqual(client.wait(10), 0)
        shown = [line.rstrip() for line in self.screen.lines[2:] if line.strip()]
        error = ["(error) ERR unknown command 'PTU'", "Did you mean PUT?"]
        news = "cluster 'c', node 1 at here: node 2 leads"
        self.assertEqual(shown, [*error, "here> MOVE", "OK", news, "here[3](TX)>"])
