"""Events of keys over the byte-level network: each node tells those of the log, in its order, whatever befalls it."""

from __future__ import annotations

from itertools import count
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import Address
from dkv.client_events import Deliver
from dkv.keys import STATE
from dkv.kv.codes import NOTIFY, PUT
from dkv.kv.stored import revision_of
from dkv.pubsub_messages import PATTERN
from dkv.replies import OK
from tests.byte_level.members import LIMITS, SETTLE_SECONDS, TIMINGS
from tests.byte_level.nodes import Node
from tests.byte_level.test_nodes import NodeStorm
from tests.byte_level.test_pubsub import Port, Stage
from tests.memory_cluster import Waiting

SEEDS = 8
SET_CHANNEL = b"__keyevent@0__:set"
FIRST_SPACE = b"\0"
"""The space of database 0, which nobody flushes here."""


class Listener(Port):
    """A port whose subscriber listens to events of keys alone; ``told`` are the keys that were set, in this life."""

    def __init__(self, stage: Stage, node: Node) -> None:
        super().__init__(stage, node)
        self.told: list[bytes] = []
        self.exchange.subscribe(self.subscriber, [(PATTERN, b"__keyevent@*")])
        self.flush()

    def receive(self, turn: Any, sender: Address, message: Any) -> None:
        """Keep what the relay tells of keys."""
        if isinstance(message, Deliver):
            self.told += [text for _, channel, text in message.postings if channel == SET_CHANNEL]
        super().receive(turn, sender, message)


class EventStage(Stage):
    """Three nodes whose clients set a key of its own each time."""

    def __init__(self, seed: int) -> None:
        self.lives: list[Listener] = []
        self.numbers = count()
        self.sets: dict[bytes, Waiting] = {}
        super().__init__(seed)

    def new_port(self, node: Node) -> Port:
        """The client port of a life that begins."""
        self.lives.append(Listener(self, node))
        return self.lives[-1]

    def speak(self) -> None:
        """Set a key at some node that is up."""
        net = self.cluster.net
        node = self.cluster.nodes[net.random.choice(sorted(self.cluster.nodes))]
        if node.site.alive:
            self.set_at(node)
        net.clock.callLater(net.random.uniform(0.01, 0.05), self.speak)

    def set_at(self, node: Node) -> bytes:
        """Set the next key at this node."""
        key = b"e%d" % next(self.numbers)
        self.sets[key] = node.request(PUT, key, b"")
        return key


class KeyEventTests(SynchronousTestCase):
    """Resets, half-open connections, holes and restarts."""

    def test_the_same_on_all_nodes(self) -> None:
        """A subscriber hears of each write once, in the order of the log, at whichever node it is."""
        heard = 0
        for seed in range(SEEDS):
            with self.subTest(seed=seed):
                heard += self.run_stage(EventStage(seed))
        self.assertGreater(heard, 300 * SEEDS)

    def run_stage(self, stage: EventStage) -> int:
        """Events under faults; how many there were."""
        cluster, net = stage.cluster, stage.cluster.net
        net.run(2.0)
        wanted = cluster.call(cluster.nodes[1], NOTIFY, 0, LIMITS.value_bytes_max, b"AKE")
        self.assertEqual(wanted, OK)
        weather = NodeStorm(cluster)
        net.run(10.0)
        weather.heal()
        net.run(SETTLE_SECONDS + TIMINGS.request_seconds)
        last = [stage.set_at(node) for node in cluster.nodes.values()]
        net.run(2.0)
        order = max(map(self.in_the_order_of_the_log, cluster.nodes.values()), key=len)  # one node is ahead of others
        for life in stage.lives:
            places = [order[key] for key in life.told]
            self.assertEqual(places, list(range(places[0], places[0] + len(places))) if places else [])
        for node in cluster.nodes.values():
            assert isinstance(node.clients, Listener)
            self.assertLessEqual(set(last), set(node.clients.told))
        return sum(len(life.told) for life in stage.lives)

    def in_the_order_of_the_log(self, node: Node) -> dict[bytes, int]:
        """The place of each key that was set among all of them."""
        prefix = STATE + FIRST_SPACE + b"e"
        stored = {key: value for key, value in node.state().items() if key.startswith(prefix)}
        by_revision = sorted(stored, key=lambda key: revision_of(stored[key]))
        return {key[len(prefix) - 1 :]: place for place, key in enumerate(by_revision)}
