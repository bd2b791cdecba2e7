from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.client.blocking import Endpoint, NoAnswer, NotSent, Reply, ServerError
from dkv.client.outcome import Ending, Unreachable
from tests.soak.journal import Journal
from tests.soak.load import Client, TokenClient, keys_of

ENDINGS = (NotSent, NoAnswer, ServerError, Unreachable)


class ScriptedClient(Client):
    """Is given its answers, and stops after the last one."""

    answers: list[Any]

    def _ask(self, *words: bytes) -> tuple[Reply, Ending | Unreachable | None]:
        answer = self.answers.pop(0)
        if not self.answers:
            self.stop()
        return (None, answer) if isinstance(answer, ENDINGS) else (answer, None)

    def _close(self) -> None:
        pass


class ScriptedTokens(TokenClient):
    """The same, of a client with tokens; ``sent`` is what it sent."""

    answers: list[Any]
    sent: list[tuple[bytes, ...]]

    def _try(self, words: tuple[bytes, ...]) -> tuple[Reply, Ending | Unreachable | None]:
        self.sent.append(words)
        answer = self.answers.pop(0)
        if not self.answers:
            self.stop()
        return (None, answer) if isinstance(answer, ENDINGS) else (answer, None)


class LoadTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.journal = Journal(self.path)
        self.addCleanup(self.journal.close)

    def lines(self) -> list[dict[str, Any]]:
        """What was written down."""
        self.journal.close()
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def run_through(self, client: Client) -> None:
        """Until its last answer."""
        client.start()
        self.assertTrue(client.join(10.0))


class ClientTests(LoadTestCase):
    """What a client writes down of what it was told."""

    def client(self, keys: Sequence[bytes], *answers: Any) -> ScriptedClient:
        client = ScriptedClient("1-n0", keys, self.journal, Random(1), 0.0)
        client.answers = list(answers)
        self.run_through(client)
        return client

    def test_what_it_writes_down(self) -> None:
        """A write that may have been executed has no end; one that was refused is marked; one that is done has both."""
        refused, unknown = ServerError("TRYAGAIN later"), ServerError("UNCERTAIN perhaps")
        self.client([b"phase-1-ledger-0"], refused, unknown, NotSent("no"), NoAnswer("hm"), *[4] * 3)
        appends = [line for line in self.lines() if line["kind"] == "append"]
        self.assertTrue(any(line.get("failed") for line in appends))
        for line in appends:
            self.assertEqual(line["returned"] is not None, line.get("result") == 4)

    def test_an_answer_that_does_not_fit(self) -> None:
        """A client that ended silently would leave its node without load."""
        client = self.client([b"phase-1-ledger-0"], "WHAT", 4)
        self.assertEqual([text.partition(":")[0] for text in client.strange], ["ValueError"])

    def test_phases_share_no_keys(self) -> None:
        """A key of an earlier phase has been erased, and would look as if its writes were lost."""
        self.assertEqual(set(keys_of(1)) & set(keys_of(2)), set())
        self.assertEqual(len(keys_of(1)), len(set(keys_of(1))))


class TokenTests(LoadTestCase):
    """A write with a token is sent until its fate is known."""

    def ask(self, *answers: Any) -> tuple[Reply, Ending | Unreachable | None]:
        """One write, and how it ended."""
        client = ScriptedTokens("2-t0", [b"k"], self.journal, Random(1), 0.0, [Endpoint("127.0.0.1", 1)])
        client.answers, client.sent = list(answers), []
        ended = client._ask(b"APPEND", b"k", b"v.")
        self.assertEqual(set(client.sent), {(b"IDMP", b"t0", b"2000001", b"APPEND", b"k", b"v.")})
        return ended

    def test_it_asks_again_with_the_same_token(self) -> None:
        """The answer to any of its attempts is the answer to all."""
        self.assertEqual(self.ask(NoAnswer("hm"), ServerError("CLUSTERDOWN no"), 2), (2, None))

    def test_what_may_be_done_outweighs_a_refusal(self) -> None:
        """A refusal after an attempt without an answer does not say that nothing was done (B35)."""
        for answers in ((NoAnswer("hm"), ServerError("TRYAGAIN")), (ServerError("TRYAGAIN"), NoAnswer("hm"))):
            self.assertIsInstance(self.ask(*answers)[1], NoAnswer)

    def test_refused_by_all(self) -> None:
        """Then it certainly was not executed."""
        self.assertIsInstance(self.ask(ServerError("TRYAGAIN"), Unreachable("nobody"))[1], ServerError)
