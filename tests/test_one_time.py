"""One time for all nodes: what is applied, read and answered goes by the time in the log, and by no clock."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.test_tidy import modules, room_of


def asks_the_machine(module: str, source: str) -> bool:
    """Whether a module that must go by the cluster's time asks its machine for the time of day."""
    bound = room_of(module) in ("kv", "gateway") or module == "dkv.paxos.learner"
    return bound and "wall_ms" in source


class OneTimeTests(SynchronousTestCase):
    def test_the_log_alone_tells_the_time(self) -> None:
        """A key has expired on all nodes or on none: a state machine that looks at a clock differs from its copies."""
        self.assertEqual([name for name, source in modules("dkv") if asks_the_machine(name, source)], [])

    def test_the_rule(self) -> None:
        """Acceptors and proposers ask, as they make the time; a rule that cannot fail guards nothing."""
        for module in ("dkv.kv.machine", "dkv.gateway.gateway", "dkv.paxos.learner"):
            self.assertTrue(asks_the_machine(module, "x = turn.wall_ms"))
        self.assertFalse(asks_the_machine("dkv.paxos.acceptor", "x = turn.wall_ms"))
