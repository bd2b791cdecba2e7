"""Whole nodes over the byte-level network: what was acknowledged is there, once, whatever befell the connections."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.codes import GET
from dkv.replies import Error
from tests.byte_level.members import SETTLE_SECONDS, TIMINGS
from tests.byte_level.nodes import Cluster, Node
from tests.byte_level.storms import Storm

SEEDS = 12


class NodeStorm(Storm):
    """A storm in which nodes are killed, too."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        hosts = [node.site.host for node in cluster.nodes.values()]
        super().__init__(cluster.net, hosts, cluster.net.random.choice((0.3, 0.6, 1.5)))
        self.faults = [self._reset, self._reset, self._half_open, self._half_open, self._hold, self._restart]

    def _restart(self) -> None:
        node: Node = self._net.random.choice(list(self._cluster.nodes.values()))
        if node.site.alive:
            node.die(power=self._net.random.random() < 0.5)
            self.later(node.start)


class Acknowledged(SynchronousTestCase):
    """Appends and reads under resets, half-open connections, holes and restarts."""

    def test_every_acknowledged_append_is_there_once(self) -> None:
        """A write that was said to be kept is on every node, one time, and in the same order."""
        acknowledged = 0
        for seed in range(SEEDS):
            cluster = Cluster(seed)
            try:
                acknowledged += self.run_cluster(cluster)
            except Exception as error:
                raise AssertionError(f"seed {seed}: {error}") from error
        self.assertGreater(acknowledged, 30 * SEEDS)

    def run_cluster(self, cluster: Cluster) -> int:
        net = cluster.net
        net.run(2.0)
        weather = NodeStorm(cluster)
        net.run(10.0)
        weather.heal()
        net.run(SETTLE_SECONDS)
        cluster.stop_writing()
        net.run(TIMINGS.request_seconds + TIMINGS.election_seconds_max)
        values = {number: cluster.call(node, GET, b"k") for number, node in cluster.nodes.items()}
        net.run(2.0)
        self.assertEqual([node.failures for node in cluster.nodes.values()], [[], [], []])
        words = [word + b"," for word in values[1].split(b",") if word]
        self.assertEqual(len(words), len(set(words)), "each word once")
        kept = {word for word, waiting in cluster.appends if type(waiting.reply) is int}
        self.assertLessEqual(kept, set(words))
        self.assertLessEqual(set(words), {word for word, _ in cluster.appends})
        self.assertEqual(set(values.values()), {values[1]})
        states = [node.state() for node in cluster.nodes.values()]
        self.assertEqual(states, [states[0]] * 3)
        for waiting, before in cluster.reads:
            if waiting.answered and not isinstance(waiting.reply, Error):
                shown = waiting.reply or b""
                self.assertTrue(values[1].startswith(shown), "a read shows a beginning of what later ones show")
                self.assertLessEqual(before, {word + b"," for word in shown.split(b",")})
        return len(kept)
