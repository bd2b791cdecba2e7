"""The line that says what a command waits for."""

from __future__ import annotations

import json
import threading
from contextlib import nullcontext

from twisted.trial.unittest import SynchronousTestCase

from dkv.cli import access, asking, waiting
from dkv.cli.waiting import Waiting, for_answer
from dkv.client.blocking import Endpoint, Reply
from dkv.client.survey import Answer
from tests.cli.commands import run
from tests.cli.test_listing import OneScan

SECONDS = 30.0
A, B, C = (Endpoint(host, 1) for host in "abc")


def answered(endpoint: Endpoint, **fields: object) -> list[Answer]:
    """What a node says of itself."""
    return [Answer(endpoint, True, json.dumps(fields).encode(), "", 0.0)]


class WaitingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.lines: list[str] = []
        self.said = threading.Event()
        self.patch(waiting, "PATIENCE_SECONDS", 0.0)
        self.patch(waiting, "complain", self.complain)

    def complain(self, line: str) -> None:
        self.lines.append(line)
        self.said.set()

    def test_what_nodes_say(self) -> None:
        """A user who waits learns which node is down, and why the others do not serve."""
        told = [
            [Answer(A, False, None, "cannot connect to a:1: Connection refused", 0.0)],
            answered(B, failing={"leader_known": "no leader is known", "quorum_heard": "no majority is heard"}),
            answered(C, failing={}),
        ]
        self.patch(waiting, "ask_all", lambda *_: told)
        with for_answer([A, B, C]):
            self.assertTrue(self.said.wait(SECONDS))
        words = (
            "waiting: cannot connect to a:1: Connection refused; b:1 is not ready: no leader is known, no majority is "
            "heard; c:1 has not answered yet"
        )
        self.assertEqual(self.lines, [words])

    def test_every_command(self) -> None:
        """It comes while the command still waits, in one line on stderr, and stdout has the answer alone."""

        def slowly(*_: object) -> tuple[Endpoint, Reply]:
            self.assertTrue(self.said.wait(SECONDS))
            return A, b"1"

        self.patch(access, "ask_where", slowly)
        self.patch(waiting, "ask_all", lambda *_: [answered(A)])
        self.assertEqual(run("get", "k", "--endpoints", "a:1").stdout, "1\n")
        self.assertEqual(self.lines, ["waiting: a:1 has not answered yet"])

    def test_a_page_of_a_scan(self) -> None:
        """A long list that stands still says so, too."""
        node = OneScan([b"0", [b"k"]])
        call = node.call

        def slowly(*words: bytes) -> Reply:
            self.assertTrue(self.said.wait(SECONDS))
            return call(*words)

        node.call = slowly  # type: ignore[method-assign]  # this node takes its time
        self.patch(access, "ask_where", lambda *_: (A, None))
        self.patch(access, "for_answer", lambda _: nullcontext())
        self.patch(asking, "connect", lambda *_: node)
        self.patch(waiting, "ask_all", lambda *_: [answered(A)])
        self.assertEqual(run("scan", "--endpoints", "a:1").stdout, "k\n")
        self.assertEqual(self.lines, ["waiting: a:1 has not answered yet"])

    def test_not_behind_the_end(self) -> None:
        """A command that has its answer says nothing more, though it was just about to."""
        about_to, over = threading.Event(), threading.Event()

        def reason() -> str:
            about_to.set()
            over.wait(SECONDS)
            return "something"

        with Waiting(reason) as wait:
            self.assertTrue(about_to.wait(SECONDS))
        over.set()
        wait._timer.join(SECONDS)
        self.assertEqual(self.lines, [])

    def test_not_soon(self) -> None:
        """A command that is answered at once says nothing."""
        self.patch(waiting, "PATIENCE_SECONDS", SECONDS)
        with Waiting(self.fail) as wait:
            pass
        wait._timer.join(SECONDS)
        self.assertEqual(self.lines, [])
