"""The results of a benchmark that people keep: tables, drawings, chapters; and mistakes on the command line."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dkv.cli.benchmarks import results
from dkv.cli.benchmarks.plot import plot
from dkv.cli.benchmarks.results import MARK, facts, say_rows, write_markdown
from dkv.cli.benchmarks.rounds import Comparison
from dkv.cli.benchmarks.workload import Sample, Workload
from dkv.cli.output import Failure
from tests.cli.commands import run

ROW = {"workload": "SET, 1 client", "ops_per_second": 12345.6, "of_redis": None, "redis_met": False}


def sample(rate: float) -> Sample:
    """One with this throughput."""
    return Sample(rate, 0.001, 0.002, 0.003, None, None, None, "fake")


class PlotTests(SynchronousTestCase):
    def test_a_line_for_each(self) -> None:
        """Lines for each operation of each system, from what is comparable; it is well-formed XML."""
        compared = [
            Comparison(Workload(operation, clients), {"dkv": [sample(1000 * clients)], "redis": [sample(3000)]})
            for operation in ("set", "get")
            for clients in (1, 16, 64)
        ]
        compared.append(Comparison(Workload("set", 50, pipeline=16), {"dkv": [sample(1e6)]}))
        tree = ET.fromstring(plot(compared))
        lines = tree.findall("{http://www.w3.org/2000/svg}polyline")
        self.assertEqual(len(lines), 4 * 3)
        self.assertEqual({len(line.attrib["points"].split()) for line in lines}, {3})
        texts = [text.text for text in tree.iter("{http://www.w3.org/2000/svg}text")]
        for expected in ("dkv SET", "redis GET", "64", "operations per second"):
            self.assertIn(expected, texts)

    def test_nothing_to_draw(self) -> None:
        """A drawing without lines is better than a traceback after minutes of measuring."""
        self.assertEqual(ET.fromstring(plot([])).findall("{http://www.w3.org/2000/svg}polyline"), [])


class ReportTests(SynchronousTestCase):
    def test_markdown_keeps_what_people_wrote(self) -> None:
        """Results are replaced, the explanation above them stays."""
        path = Path(self.mktemp())
        path.write_text(f"# By hand\n\n{MARK}\nold results\n")
        write_markdown(path, "dkv bench", {"disk": "fast"}, {"targets": [ROW]})
        text = path.read_text()
        self.assertTrue(text.startswith("# By hand\n"))
        self.assertNotIn("old results", text)
        self.assertIn("| workload | ops/s | of redis | redis met |\n| --- | --- | --- | --- |\n", text)
        self.assertIn("| SET, 1 client | 12,346 | - | no |\n", text)
        self.assertIn("- disk: fast\n", text)
        with self.assertRaisesRegex(Failure, "cannot write"):
            write_markdown(path / "below", "dkv bench", {}, {})

    def test_json_has_the_figures_as_they_are(self) -> None:
        """For programs."""
        said: list[bytes] = []
        self.patch(results, "say", said.append)
        say_rows("targets", [ROW], True, lambda: None)
        self.assertEqual([json.loads(line) for line in said], [{"part": "targets"} | ROW])

    def test_facts(self) -> None:
        """Figures without a machine mean nothing."""
        known = facts(Path("."))
        self.assertTrue(known.keys() >= {"processor", "memory", "system", "disk", "python", "libraries"})
        self.assertRegex(known["disk"], r"takes \d+\.\d\d ms")


class CommandTests(SynchronousTestCase):
    """Mistakes cost nothing: nothing was started yet."""

    def refused(self, *words: str, status: int = 2) -> str:
        result = run("bench", *words)
        self.assertEqual((result.exit_code, result.stdout), (status, ""))
        self.assertEqual(result.stderr.count("\n"), 1)
        return result.stderr

    def test_usage(self) -> None:
        """Each is refused in one line that says what is meant."""
        self.assertIn("is not a whole number from 1 to 10000", self.refused("--clients", "1,x"))
        self.assertIn("no list of set, get, mixed", self.refused("--operations", "incr"))
        self.assertIn("needs a cluster of its own", self.refused("failover", "--endpoints", "127.0.0.1:1"))
        self.assertIn("'speed' is not one of", self.refused("speed"))

    def test_other_systems_are_not_part_of_the_product(self) -> None:
        """A user is told where they are measured, by the help that the message names."""
        self.assertIn("No such option '--against'", self.refused("targets", "--against", "redis"))
        self.assertIn("python -m benchmarks", run("bench", "--help").stdout)

    def test_nobody_there(self) -> None:
        """The endpoints that were given are wrong."""
        self.assertIn("not reachable", self.refused("--endpoints", "127.0.0.1:1", status=3))
