"""Publish/subscribe over the byte-level network: nothing twice, in order, whatever befalls connections and nodes."""

from __future__ import annotations

from itertools import count
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import CLIENTS, PUBSUB, Address
from dkv.client_events import ClientReplies, CountsElsewhere, Deliver
from dkv.pubsub.exchange import Exchange
from dkv.pubsub_messages import CHANNEL, PATTERN
from dkv.sim.audience_rules import AudienceRules
from tests.byte_level.members import LIMITS, SETTLE_SECONDS
from tests.byte_level.nodes import Cluster, Node
from tests.byte_level.test_nodes import NodeStorm
from tests.memory_cluster import RepliesActor

SEEDS = 10


class Port(RepliesActor):
    """The place of the client port: one subscriber of everything, and one publisher."""

    def __init__(self, stage: Stage, node: Node) -> None:
        super().__init__()
        self._stage = stage
        self._node = node
        self.subscriber, self.publisher = next(stage.connections), next(stage.connections)
        self.exchange = Exchange(LIMITS, lambda: None)
        self.exchange.subscribe(self.subscriber, [(CHANNEL, b"a"), (PATTERN, b"*")])

    def receive(self, turn: Any, sender: Address, message: Any) -> None:
        """Take in what the relay has, too."""
        match message:
            case ClientReplies():
                super().receive(turn, sender, message)
            case Deliver():
                self.exchange.deliver(message.postings)
            case CountsElsewhere():
                self.exchange.counts_elsewhere(message.node, message.anew, message.counts)
        self.flush()

    def publish(self) -> bytes:
        """Publish something new."""
        text = b"%d.%d" % (self.publisher, next(self._stage.texts))
        self._stage.rules.publishing(b"publish a", text, behind_a_write=False)
        self.exchange.publish((CHANNEL, b"a", text))
        return text

    def flush(self) -> None:
        """What a drain of the host does."""
        posted = self.exchange.take_posted()
        if posted is not None:
            self._node.host.deliver(PUBSUB, Address(self._node.number, CLIENTS), posted)
        for connection, notices in self.exchange.take(10):
            for notice in notices:
                self._stage.rules.got(connection, notice)


class Stage:
    """Three nodes with a subscriber and a publisher each, on a network that follows from ``seed``."""

    def __init__(self, seed: int) -> None:
        self.wrong: list[str] = []
        self.rules = AudienceRules(self.wrong.append)
        self.connections, self.texts = count(1), count(1)
        stage = self

        class Player(Node):
            def new_clients(self) -> Port:
                return stage.new_port(self)

        self.cluster = Cluster(seed, Player)
        self.speak()

    def new_port(self, node: Node) -> Port:
        """The client port of a life that begins."""
        return Port(self, node)

    def ports(self) -> list[Port]:
        """Those of all nodes."""
        return [node.clients for node in self.cluster.nodes.values() if isinstance(node.clients, Port)]

    def speak(self) -> None:
        """Publish at some node that is up, now and then."""
        net = self.cluster.net
        node = self.cluster.nodes[net.random.choice(sorted(self.cluster.nodes))]
        if node.site.alive and isinstance(node.clients, Port):
            for _ in range(net.random.choice((1, 1, 5))):
                node.clients.publish()
            node.clients.flush()
        net.clock.callLater(net.random.uniform(0.005, 0.05), self.speak)


class PubSubTests(SynchronousTestCase):
    """Resets, half-open connections, holes and restarts."""

    def test_nothing_twice_and_in_order(self) -> None:
        """Whatever happened, subscribers have heard nothing twice; when all is well they hear everything."""
        heard = 0
        for seed in range(SEEDS):
            stage = Stage(seed)
            net = stage.cluster.net
            net.run(2.0)
            weather = NodeStorm(stage.cluster)
            net.run(10.0)
            weather.heal()
            net.run(SETTLE_SECONDS)
            texts = {port.publish() for port in stage.ports() for _ in range(5)}
            for port in stage.ports():
                port.flush()
            net.run(1.0)
            self.assertEqual(stage.wrong, [], f"seed {seed}")
            for port in stage.ports():
                self.assertLessEqual(texts, stage.rules.heard[port.subscriber], f"seed {seed}")
                counts = [port.exchange.count(name) for name in ((CHANNEL, b"a"), (PATTERN, b"*"))]
                self.assertEqual(counts, [3, 3], f"seed {seed}")
            heard += stage.rules.count
        self.assertGreater(heard, 1000 * SEEDS)
