"""``dkv sim``: a line for each seed, and all that is needed to see a failure again."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from tests.cli.commands import run
from tests.sim.planted import PLANTS
from tests.sim.planted_classic import CLASSIC_PLANTS

SEEDS_MAX = 60


class SimTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()

    def test_a_good_seed(self) -> None:
        """One line that says what was done, and status 0."""
        result = run("sim", "--seed", "7", "--time", "2")
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        self.assertRegex(result.stdout, r"\Aseed 7: \d+ s simulated in .* requests, .* slots, .* elections: ok\n\Z")

    def test_a_failure_can_be_replayed(self) -> None:
        """The seed, what is broken, the last events, and the command that does it all again."""
        words = ("--nodes", "5", "--time", "3", "--faults", "crash,loss")
        with PLANTS["B29"]():
            for seed in range(1, SEEDS_MAX + 1):  # which one finds it changes with every change of the simulator
                result = run("sim", "--seed", str(seed), *words)
                if result.exit_code:
                    break
        self.assertEqual(result.exit_code, 1)
        self.assertIn("FAILED: I9: node", result.stdout)
        self.assertIn("\nbroken: I9: node", result.stdout)
        self.assertIn(f"\nagain:  dkv sim --seed {seed} --nodes 5 --time 3 --faults crash,loss --trace", result.stdout)
        self.assertIn(" violated ", result.stdout)

    def test_modes(self) -> None:
        """The command that runs a failure again has its mode, without which it is another run."""
        result = run("sim", "--seed", "7", "--time", "2", "--mode", "classic")
        self.assertEqual(result.exit_code, 0)
        self.assertIn(" 0 elections: ok", result.stdout)
        with CLASSIC_PLANTS["B1"]():
            result = run("sim", "--seed", "1", "--time", "3", "--mode", "classic")
        self.assertEqual(result.exit_code, 1)
        self.assertIn("\nagain:  dkv sim --seed 1 --nodes 3 --time 3 --mode classic --trace", result.stdout)
        self.assertEqual(run("sim", "--seed", "1", "--mode", "none").exit_code, 2)

    def test_many_seeds(self) -> None:
        """Each seed has its line, in whatever order they end; the last line counts."""
        result = run("sim", "--seeds", "1..4", "--time", "1", "--jobs", "2")
        self.assertEqual(result.exit_code, 0)
        lines = result.stdout.splitlines()
        self.assertEqual(sorted(line.split(":")[0] for line in lines[:-1]), [f"seed {seed}" for seed in range(1, 5)])
        self.assertEqual(lines[-1], "4 seeds, 0 failed")

    def test_fresh_seeds(self) -> None:
        """They are named, so that one which fails can be run again."""
        result = run("sim", "--for", "0.1", "--time", "1", "--jobs", "1")
        self.assertEqual(result.exit_code, 0)
        self.assertRegex(result.stdout, r"\Afresh seeds from \d+ on, for 0.1 s\nseed \d+: ")

    def test_trace_and_picture(self) -> None:
        """Every event in order, the same each time; and a picture that a browser can show."""
        traces = []
        for name in ("one", "two"):
            trace, svg = self.directory / f"{name}.txt", self.directory / f"{name}.svg"
            result = run("sim", "--seed", "3", "--time", "2", "--trace", str(trace), "--svg", str(svg))
            self.assertEqual(result.exit_code, 0)
            traces.append((trace.read_text(), svg.read_text()))
        self.assertEqual(traces[0], traces[1])
        times = [float(line.split()[0]) for line in traces[0][0].splitlines()]
        self.assertEqual(times, sorted(times))
        self.assertTrue(ElementTree.fromstring(traces[0][1]).tag.endswith("svg"))

    def test_full_disk(self) -> None:
        """One line says so, though a file may be found to be incomplete only when it is closed."""
        for option in ("--trace", "--svg"):
            result = run("sim", "--seed", "1", "--time", "0.1", option, "/dev/full")
            self.assertEqual((result.exit_code, result.stdout), (74, ""))
            expected = "dkv: cannot write the trace or the picture: No space left on device\n"
            self.assertEqual(result.stderr, expected)

    def test_names_that_stand_for_several_faults(self) -> None:
        """Members change beside all faults, without a list of every one of them."""
        result = run("sim", "--seed", "1", "--time", "1", "--faults", "all,members")
        self.assertEqual(result.exit_code, 0, result.stderr)
        self.assertIn("seed 1:", result.stdout)

    def test_mistakes(self) -> None:
        """One line that says what is wrong."""
        missing = str(self.directory / "no" / "where")
        for words, said in (
            ([], "--seed, --seeds and --for"),
            (["--seed", "1", "--for", "2"], "--seed, --seeds and --for"),
            (["--seeds", "9..1"], "'9..1' is no range"),
            (["--seeds", "9"], "'9' is no range"),
            (["--seed", "1", "--faults", "crsh"], "'crsh' is no fault"),
            (["--seed", "1", "--nodes", "8"], "'8' is not one of"),
            (["--seeds", "1..2", "--trace", "t"], "need --seed"),
        ):
            result = run("sim", *words)
            self.assertEqual((result.exit_code, result.stdout), (2, ""), words)
            self.assertIn(said, result.stderr)
            self.assertEqual(len(result.stderr.splitlines()), 1)
        result = run("sim", "--seed", "1", "--time", "1", "--trace", missing)
        self.assertEqual((result.exit_code, result.stdout), (74, ""))
        self.assertIn("No such file", result.stderr)
