"""``dkv log --follow``: new slots as they are chosen, across pauses, nodes that go, and compaction."""

from __future__ import annotations

import sys

from click.testing import Result

from dkv.cli.log import LOST_SECONDS, NEW_SECONDS
from tests.cli.commands import run
from tests.cli.test_look import LookTestCase, resp
from tests.client.fakes import Answers, FakeNodes


def slots(*numbers: int, accepted: int = 0) -> bytes:
    """An answer to DKV.LOG with these slots; ``accepted`` is one that is not known to be chosen."""
    batch = [b"node 1 boot 1 seq 1", [[b"PUT", b"x", b"1"]]]
    return resp([[each, b"4.1", b"accepted" if each == accepted else b"chosen", [batch], 0] for each in numbers])


class FollowTests(LookTestCase):
    """``answers`` holds what node a answers to one request after another; when none is left the user types Ctrl-C."""

    def setUp(self) -> None:
        super().setUp()
        self.module = sys.modules["dkv.cli.log"]
        self.answers: list[Answers] = []
        self.pauses: list[float] = []
        self.asked: list[tuple[bytes, ...]] = []
        self.patch(self.module, "pause", self.pauses.append)
        ask = self.module.ask_first

        def ask_first(to: object, *words: bytes) -> object:
            if not self.answers:
                raise KeyboardInterrupt
            self.asked.append(words[1:])
            FakeNodes(self, a=self.answers.pop(0), b=None)
            return ask(to, *words)

        self.patch(self.module, "ask_first", ask_first)

    def follow(self, *words: str, to: str = "a:1") -> Result:
        return run("log", "--follow", "--endpoints", to, *words)

    def numbers(self, result: Result) -> list[int]:
        return [int(line.split()[0]) for line in result.stdout.splitlines()[1:]]

    def test_new_slots(self) -> None:
        """Each slot once, in order; a page that is there is read at once, and no node is asked without a pause."""
        self.answers = [slots(4, 5), slots(6), slots(), slots(7, 8)]
        result = self.follow()
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        self.assertEqual(self.numbers(result), [4, 5, 6, 7, 8])
        self.assertEqual(self.asked, [(), (b"6", b"500"), (b"7", b"500"), (b"7", b"500")])
        self.assertEqual(self.pauses, [NEW_SECONDS])

    def test_accepted(self) -> None:
        """A slot for which another value may still be chosen is not shown, nor what stands behind it."""
        self.answers = [slots(4, 5, accepted=5), slots(5, 6, accepted=5), slots(5, 6)]
        self.assertEqual(self.numbers(self.follow()), [4, 5, 6])

    def test_compacted(self) -> None:
        """Whoever reads the log as a record of all writes must learn that some are missing, and which."""
        self.answers = [slots(4, 5), slots(900, 901)]
        result = self.follow()
        self.assertEqual(self.numbers(result), [4, 5, 900, 901])
        self.assertEqual(result.stderr, "dkv: slots 6 to 899 were compacted before they could be shown\n")

    def test_compacted_beyond_the_last(self) -> None:
        """A range that is compacted altogether is no reason to wait for ever."""
        self.answers = [slots(900)]
        result = self.follow("--from", "4", "--to", "9")
        self.assertEqual((self.numbers(result), result.exit_code), ([], 0))
        self.assertIn("slots 4 to 899 were compacted", result.stderr)

    def test_nothing_yet(self) -> None:
        """An empty log is waited for, and slot 7 is no gap for one who did not ask for those before it."""
        self.answers = [slots(), slots(7)]
        result = self.follow()
        self.assertEqual((self.numbers(result), result.stderr), ([7], ""))

    def test_a_node_that_goes(self) -> None:
        """The log is the same on every node: another one, or the same when it is back, goes on where it ended."""
        self.answers = [slots(4), None, None, slots(5)]
        result = self.follow(to="a:1,b:1")
        self.assertEqual(self.numbers(result), [4, 5])
        self.assertEqual(self.pauses, [LOST_SECONDS] * 2)
        self.assertEqual(result.stderr.count("waiting for any of a:1,b:1"), 1)

    def test_to(self) -> None:
        """With a last slot it ends by itself."""
        self.answers = [slots(4), slots(5, 6, 7)]
        result = self.follow("--from", "4", "--to", "6")
        self.assertEqual((self.numbers(result), self.answers, result.exit_code), ([4, 5, 6], [], 0))

    def test_json(self) -> None:
        """An object for each slot, and nothing else on stdout."""
        self.answers = [slots(4), slots(9)]
        result = self.follow("--output", "json")
        self.assertEqual([each["slot"] for each in self.objects(result)], [4, 9])

    def test_refused(self) -> None:
        """A server that is no node of dkv is not asked again and again."""
        self.answers = [b"-ERR unknown command\r\n"]
        self.assertEqual(self.follow().exit_code, 4)
