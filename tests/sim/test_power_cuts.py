"""Power cuts of all nodes at once: at which moments of a node's two databases the simulator has them."""

from __future__ import annotations

from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from dkv.sim.run import run
from dkv.sim.simulated_node import SimulatedNode

SEEDS = range(11, 61)


def moment_of(node: SimulatedNode) -> str:
    """What the node is doing with its disk."""
    log, state = node.disk.log.committing, node.disk.states.current.committing
    waits = bool(node.host.layers.state.writing)
    if state:
        return "log and state are written" if log else "the state is written, the log has its slots"
    if log:
        return "the log is written, and the state waits for it" if waits else "the log is written"
    return "the log is written, the state not begun" if waits else "nothing is written"


class PowerCutTests(SynchronousTestCase):
    def test_every_moment(self) -> None:
        """Between the commit of the log and that of the state is where a node could come back with half of both."""
        missing = {
            "log and state are written",
            "the log is written",
            "the log is written, and the state waits for it",
            "the state is written, the log has its slots",
        }
        crash = SimulatedNode.crash

        def watched(node: SimulatedNode, keep: bool = False) -> None:
            if node.up:
                missing.discard(moment_of(node))
            crash(node, keep)

        with patch.object(SimulatedNode, "crash", watched):
            for seed in SEEDS:
                outcome = run(seed, 3, 10.0, frozenset(("power-cut", "slow-disk")))
                self.assertIsNone(outcome.violation, f"seed {seed}")
                if not missing:
                    return
        self.fail(f"no power cut while {missing}")
