"""Clusters in classic mode, and clusters that change their mode: the same data, and no moment at which it is unsafe."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.codes import APPEND, GET, PUT
from dkv.replies import OK, Error
from dkv.settings import CLASSIC, LEADER
from tests.memory_cluster import MemoryCluster, Node


def restart(node: Node, mode: str) -> None:
    """Stop a node and start it in ``mode``."""
    if node.up:
        node.crash()
    node.mode = mode
    node.start()


def word(reply: object) -> str:
    """The first word of an error; empty if it is none."""
    return reply.text.split()[0] if isinstance(reply, Error) else ""


class ClassicTests(SynchronousTestCase):
    """What a user of a leaderless cluster counts on."""

    def setUp(self) -> None:
        self.cluster = MemoryCluster(mode=CLASSIC)
        self.one, self.two, self.three = self.cluster.nodes.values()
        self.cluster.run(0.5)

    def test_every_node_reads_what_any_wrote(self) -> None:
        """Reads are linearizable wherever they arrive."""
        for number in range(30):
            writer, reader = self.cluster.nodes[number % 3 + 1], self.cluster.nodes[(number + 1) % 3 + 1]
            self.assertEqual(self.cluster.call(writer, PUT, b"key", b"%d" % number), OK)
            self.assertEqual(self.cluster.call(reader, GET, b"key"), b"%d" % number)

    def test_all_write_at_once(self) -> None:
        """Nobody is kept out, nothing is applied twice, and it ends soon."""
        waiting = [
            node.append(b"key", b"%d." % number) for number in range(100) for node in self.cluster.nodes.values()
        ]
        took = self.cluster.until(lambda: all(each.answered for each in waiting))
        self.assertLess(took, 1.0)
        written = self.cluster.call(self.two, GET, b"key").split(b".")[:-1]
        self.assertEqual(sorted(written), sorted(b"%d" % number for number in range(100) for _ in range(3)))
        self.cluster.run(1.0)
        self.assertEqual([self.one.state(), self.three.state()], [self.two.state()] * 2)

    def test_each_has_its_turn(self) -> None:
        """Three nodes under constant load share the slots, whatever their ids are."""
        served = dict.fromkeys(self.cluster.numbers, 0)
        waiting = {number: self.cluster.nodes[number].put(b"key", b"v") for number in served}
        until = self.cluster.clock.seconds() + 3.0
        while self.cluster.step(until):
            for number, each in waiting.items():
                if each.answered:
                    served[number] += 1
                    waiting[number] = self.cluster.nodes[number].put(b"key", b"v")
        self.assertGreater(min(served.values()), 0.6 * max(served.values()), served)

    def test_a_majority_goes_on(self) -> None:
        """The crash of any one node costs nobody else an outage."""
        for node in (self.three, self.two, self.one):
            self.cluster.call(node, APPEND, b"key", b"a", 100)
            node.crash()
            for other in self.cluster.nodes.values():
                if other.up:
                    self.assertIsInstance(self.cluster.call(other, APPEND, b"key", b"b", 100), int)
            node.start()
            self.cluster.run(1.0)
        self.assertEqual(self.cluster.call(self.one, GET, b"key"), b"abb" * 3)

    def test_its_batch_survives_its_proposer(self) -> None:
        """What one acceptor may have accepted is finished by whoever needs the slot next."""
        waiting = self.one.append(b"key", b"x")
        self.cluster.run(0.003)
        self.one.crash()
        self.assertIn(waiting.reply, (None, 1))
        self.assertEqual(self.cluster.call(self.two, PUT, b"other", b"v"), OK)
        value = self.cluster.call(self.three, GET, b"key")
        self.assertEqual(self.cluster.call(self.two, GET, b"key"), value)
        self.one.start()
        self.cluster.run(1.0)
        self.assertEqual(self.cluster.call(self.one, GET, b"key"), value)

    def test_catches_up_without_writes(self) -> None:
        """A node that was cut off learns what it missed, though nobody writes any more."""
        self.cluster.isolate(3)
        for number in range(50):
            self.cluster.call(self.one, PUT, b"%d" % number, b"v")
        self.cluster.heal()
        self.cluster.until(lambda: self.three.state() == self.one.state(), 5.0)

    def test_a_minority_refuses(self) -> None:
        """What cannot be decided is refused with certainty, or called uncertain if it may happen later; and it may."""
        self.cluster.isolate(1)
        numbered = self.one.append(b"key", b"x")
        self.cluster.run(4.0)
        waiting = self.one.append(b"key", b"y")
        read = self.one.get(b"key")
        self.cluster.run(6.0)
        self.assertEqual(word(numbered.reply), "UNCERTAIN")
        self.assertEqual([word(waiting.reply), word(read.reply)], ["CLUSTERDOWN"] * 2)
        self.cluster.heal()
        self.cluster.until(lambda: self.cluster.call(self.two, GET, b"key") == b"x", 10.0)

    def test_an_idle_cluster_is_idle(self) -> None:
        """Nobody proposes when there is nothing to propose, and nothing is written."""
        self.cluster.call(self.one, PUT, b"key", b"v")
        self.cluster.run(3.0)
        commits = [node.store.commits for node in self.cluster.nodes.values()]
        self.cluster.run(60.0)
        self.assertEqual([node.store.commits for node in self.cluster.nodes.values()], commits)

    def test_no_notes_for_single_operations(self) -> None:
        """A log line for each write would fill disks."""
        noted = [len(node.notes) for node in self.cluster.nodes.values()]
        self.test_all_write_at_once()
        self.assertLess(sum(len(node.notes) for node in self.cluster.nodes.values()) - sum(noted), 10)


class SwitchTests(SynchronousTestCase):
    """Changes of the mode on the same data."""

    def setUp(self) -> None:
        self.cluster = MemoryCluster(mode=LEADER)
        self.one, self.two, self.three = self.cluster.nodes.values()
        self.cluster.wait_for_leader()

    def switch(self, mode: str, *nodes: Node) -> None:
        """Restart all these nodes at one moment."""
        for node in nodes or self.cluster.nodes.values():
            node.crash()
        for node in nodes or self.cluster.nodes.values():
            restart(node, mode)
        self.cluster.run(3.0)

    def test_there_and_back_twice(self) -> None:
        """Nothing is lost, and both modes go on where the other has ended."""
        written = b""
        for mode in (LEADER, CLASSIC, LEADER, CLASSIC, LEADER):
            self.switch(mode)
            for node in self.cluster.nodes.values():
                letter = mode[:1].encode()
                written += letter
                self.assertEqual(self.cluster.call(node, APPEND, b"key", letter, 1000), len(written))
            for node in self.cluster.nodes.values():
                self.assertEqual(self.cluster.call(node, GET, b"key"), written)

    def test_nodes_of_two_modes(self) -> None:
        """Two of three are a majority, in whichever mode; the third one refuses, and follows when it is switched."""
        self.cluster.call(self.one, PUT, b"key", b"before")
        self.switch(CLASSIC, self.two, self.three)
        self.assertEqual(self.cluster.call(self.two, PUT, b"key", b"after"), OK)
        waiting = self.one.get(b"key")
        self.cluster.run(8.0)
        self.assertNotEqual(waiting.reply, b"before")
        restart(self.one, CLASSIC)
        self.cluster.run(1.0)
        self.assertEqual(self.cluster.call(self.one, GET, b"key"), b"after")

    def test_one_after_the_other(self) -> None:
        """Somebody restarts the nodes one by one: for a while nobody has a majority, and nothing is lost."""
        self.cluster.call(self.one, PUT, b"key", b"1")
        restart(self.one, CLASSIC)
        self.cluster.run(2.0)
        self.assertEqual(self.cluster.call(self.two, PUT, b"key", b"2"), OK)
        restart(self.two, CLASSIC)
        self.cluster.run(2.0)
        self.assertEqual(self.cluster.call(self.one, GET, b"key"), b"2")
        self.assertEqual(self.cluster.call(self.one, PUT, b"key", b"3"), OK)
        restart(self.three, CLASSIC)
        self.cluster.run(1.0)
        self.assertEqual(self.cluster.call(self.three, GET, b"key"), b"3")
