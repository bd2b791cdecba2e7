"""Every difference that is told to users is there, and shows in its example."""

from __future__ import annotations

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from dkv.kv.differences import DIFFERENCES, Difference
from dkv.wire.inline import split_line
from tests.oracle.comparison import Comparison
from tests.oracle.reference import Reference
from tests.oracle.run import Ask, find
from tests.oracle.servers import references


class DifferenceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.servers: list[Reference] = []
        for name, start in references().items():
            if name != "fake":
                self.servers.append(start())
                self.addCleanup(self.servers[-1].stop)
        if not self.servers:
            raise SkipTest("no server is installed")

    def shows(self, difference: Difference, reference: Reference) -> bool:
        """Whether the last request of the example has another answer, as it is told, and nothing else differs."""
        steps = tuple(map(_step, difference.example))
        comparison = Comparison((difference,), reference.name)
        self.assertIsNone(find(reference, comparison, steps), difference.what)
        return comparison.used[difference] > 0

    def test_examples(self) -> None:
        """A difference that is gone would be told for ever, and would hide the next one of its command."""
        missed = [
            each.what
            for each in DIFFERENCES
            if each.example and not any(self.shows(each, reference) for reference in self.servers)
        ]
        self.assertEqual(missed, [])


def _step(line: str) -> Ask:
    """The request, of which Redis does not get a token."""
    words = tuple(split_line(line.encode()) or ())
    token = 3 if words[0] == b"IDMP" else 0
    return Ask(0, words[token:], words[:token])
