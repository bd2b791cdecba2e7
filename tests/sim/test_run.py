"""Runs: the same seed is the same run, everywhere; and the cluster as it is breaks nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dkv.settings import CLASSIC, LEADER
from dkv.sim.modes import MIXED
from dkv.sim.plan import FAULTS, OF_CLASSIC_MODE
from dkv.sim.run import run

ROOT = Path(__file__).resolve().parents[2]
UNMARKED = ("delay", "past-life", "repeat")
"""Faults that the trace does not name when they strike: ``past-life`` strikes only where a node has died."""

DIGEST = """
import hashlib, io
from dkv.sim.run import run
for seed, mode in ((3, "leader"), (4, "leader"), (3, "classic"), (4, "mixed")):
    out = io.StringIO()
    outcome = run(seed, 3, 5.0, out=out, mode=mode)
    print(outcome.violation, outcome.requests, hashlib.sha256(out.getvalue().encode()).hexdigest())
"""


class DeterminismTests(SynchronousTestCase):
    def test_the_same_trace_whatever_the_hash_seed(self) -> None:
        """A failure that cannot be replayed cannot be understood."""
        outputs = []
        for hash_seed in ("0", "1", "4711"):
            environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
            command = [sys.executable, "-c", DIGEST]
            outputs.append(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
        self.assertEqual(len(set(outputs)), 1, outputs)
        self.assertEqual(len(outputs[0].splitlines()), 4)
        self.assertTrue(all(line.startswith("None ") for line in outputs[0].splitlines()), outputs[0])

    def test_the_same_trace_twice_in_one_process(self) -> None:
        """Nothing outlives a run that the next one could trip over."""
        traces = [StringIO(), StringIO(), StringIO()]
        for seed, trace in zip((5, 6, 5), traces, strict=True):
            run(seed, 3, 3.0, out=trace)
        self.assertEqual(traces[0].getvalue(), traces[2].getvalue())
        self.assertNotEqual(traces[0].getvalue(), traces[1].getvalue())


class SeedTests(SynchronousTestCase):
    """A user loses data, sees the past or waits for ever if one of these fails."""

    timeout = 600

    def check(self, nodes: int, seeds: range, seconds: float = 10.0, mode: str = LEADER) -> None:
        for seed in seeds:
            outcome = run(seed, nodes, seconds, mode=mode)
            again = f"dkv sim --seed {seed} --nodes {nodes} --mode {mode} --time {seconds:g}"
            self.assertIsNone(outcome.violation, again)
            self.assertGreater(outcome.slots, 0, again)

    def test_three_nodes(self) -> None:
        """Clusters of three, under everything."""
        self.check(3, range(8))

    def test_five_nodes(self) -> None:
        """Clusters of five."""
        self.check(5, range(4))

    def test_small_and_even_clusters(self) -> None:
        """One node; two, which need each other; four, of which two are no majority."""
        for nodes in (1, 2, 4):
            self.check(nodes, range(6))
            self.check(nodes, range(4), mode=CLASSIC)

    def test_seven_nodes(self) -> None:
        """Clusters of seven."""
        self.check(7, range(3))

    def test_classic_mode(self) -> None:
        """Clusters in which nobody leads."""
        self.check(3, range(8), mode=CLASSIC)
        self.check(5, range(4), mode=CLASSIC)

    def test_mixed_modes(self) -> None:
        """Clusters whose nodes are switched, one after the other, again and again."""
        self.check(3, range(8), mode=MIXED)
        self.check(5, range(4), mode=MIXED)

    def test_no_faults_in_classic_mode(self) -> None:
        """Without faults every request succeeds, and nobody leads."""
        outcome = run(1, 3, 10.0, frozenset(), mode=CLASSIC)
        self.assertEqual((outcome.violation, outcome.unknown, outcome.elections), (None, 0, 0))

    def test_no_faults(self) -> None:
        """Without faults every request succeeds at once, and nobody but the first leader leads."""
        outcome = run(1, 3, 10.0, frozenset())
        self.assertEqual((outcome.violation, outcome.unknown, outcome.elections), (None, 0, 1))

    def test_each_fault_alone(self) -> None:
        """Each kind of fault strikes, and alone it breaks nothing."""
        marks = {"crash": "crash", "partition": "cut", "pause": "pause", "clock": "leap", "slow-disk": "slow"}
        marks |= {"stuck-disk": "stuck", "full-disk": "full", "write-error": "broken", "flipped-byte": "flip"}
        marks |= {
            "altered-state": "alter",
            "clocks": "jump",
            "lost-disk": "wipe",
            "lossy-link": "lossy",
            "flap": "cut",
            "rotation": "cut",
            "hang-up": "hang-up",
        }
        marks |= {"contest": "cut", "laggard": "cut", "one-sided": "block", "power-cut": "crash", "gap": "gap"}
        for fault in FAULTS:
            mode = CLASSIC if fault in OF_CLASSIC_MODE else LEADER
            struck = False
            for seed in range(10 if fault in UNMARKED else 30):
                outcome = run(seed, 3, 6.0, frozenset((fault,)), mode=mode)
                self.assertIsNone(outcome.violation, f"dkv sim --seed {seed} --time 6 --faults {fault}")
                struck = struck or any(event.kind == marks.get(fault, "drop") for event in outcome.events)
                if struck:
                    break
            self.assertTrue(struck or fault in UNMARKED, fault)


class FoundTests(SynchronousTestCase):
    """Seeds that found a bug once: each is a scenario for ever."""

    def test_a_duel_of_overtaken_leaders(self) -> None:
        """Two nodes overtook each other every 40 ms, for ever: a cluster that serves nobody."""
        outcome = run(79, 3, 20.0)
        self.assertIsNone(outcome.violation)
        self.assertLess(outcome.elections, 30)
