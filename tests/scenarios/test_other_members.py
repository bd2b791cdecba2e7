"""From three nodes to three entirely new ones, in both modes: what was written stays, and no old node is needed."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.codes import GET, MEMBERS, PUT
from dkv.kv.membership import ADD, NAME, PROMOTE, REMOVE
from dkv.replies import OK, Error
from dkv.settings import CLASSIC, LEADER, Limits
from tests.memory_cluster import MemoryCluster, Node

OLD, NEW = (1, 2, 3), (4, 5, 6)


class OtherMembersTests(SynchronousTestCase):
    mode = LEADER
    limits = Limits()

    def setUp(self) -> None:
        self.cluster = MemoryCluster(mode=self.mode, limits=self.limits)
        self.cluster.run(1.0)
        self.base = 0
        for number in range(20):
            self.write(1, number)

    def write(self, node: int, number: int) -> None:
        """One key, through this node."""
        self.assertEqual(self.cluster.call(self.cluster.nodes[node], PUT, b"%d" % number, b"v%d" % number), OK)

    def change(self, node: int, *operations: list[Any]) -> None:
        """A change of members through this node, until it is in force there."""
        one = self.cluster.nodes[node]
        reply = self.cluster.call(one, MEMBERS, self.base, *operations)
        self.assertNotIsInstance(reply, Error)
        self.base = int(reply.text.split()[1])
        self.cluster.until(lambda: len(one.noted("members_in_force")) >= len(one.noted("members_changed")))

    def add_new_nodes(self) -> None:
        """They follow the log, and decide nothing."""
        for number in NEW:
            self.cluster.join(number)
        named = [[NAME, number, self.cluster.nodes[number].incarnation] for number in OLD]
        added = [[ADD, number, self.cluster.nodes[number].incarnation, b"", b""] for number in NEW]
        self.change(1, *named, *added)
        self.cluster.until(lambda: all(self.reads(self.cluster.nodes[number]) for number in NEW))

    def reads(self, node: Node) -> bool:
        """Whether the node has the last key, of its own state."""
        return any(value.endswith(b"v19") for value in node.state().values())

    def switch_off_the_old_ones(self) -> None:
        """They have nothing that the new ones lack: these go on, through restarts too."""
        self.cluster.run(2.0)
        for number in OLD:
            self.cluster.nodes[number].crash()
        self.write(4, 20)
        for number in NEW:
            self.cluster.nodes[number].crash()
            self.cluster.nodes[number].start()
        self.cluster.run(2.0)
        self.write(5, 21)
        for number in range(22):
            reply = self.cluster.call(self.cluster.nodes[6], GET, b"%d" % number)
            self.assertEqual(reply, b"v%d" % number)

    def test_all_at_once(self) -> None:
        """No node of the old set is in the new one."""
        self.add_new_nodes()
        self.change(1, *[[PROMOTE, number] for number in NEW], *[[REMOVE, number] for number in OLD])
        self.switch_off_the_old_ones()
        late = self.cluster.join(8)
        self.assertNotIsInstance(
            self.cluster.call(self.cluster.nodes[4], MEMBERS, self.base, [ADD, 8, late.incarnation, b"", b""]), Error
        )
        self.cluster.until(lambda: self.reads(late), 60.0)  # The members that its log begins with are all gone.

    def test_one_by_one(self) -> None:
        """Each change has a set between the old and the new one, which decides some slots."""
        self.add_new_nodes()
        for old, new in zip(OLD, NEW, strict=True):
            self.change(3, [PROMOTE, new], [REMOVE, old])
        self.switch_off_the_old_ones()

    def test_a_node_that_was_down_meanwhile(self) -> None:
        """All others that it knows were replaced. It is needed, as one of those that came is down."""
        self.cluster.nodes[3].crash()
        self.add_new_nodes()
        for old, new in zip(OLD[:2], NEW[:2], strict=True):
            self.change(2, [PROMOTE, new], [REMOVE, old])
        self.cluster.run(2.0)
        for number in (1, 2, 5):
            self.cluster.nodes[number].crash()
        self.cluster.nodes[3].start()
        self.cluster.run(10.0)
        self.write(3, 20)

    def test_a_node_that_is_started_before_it_is_added(self) -> None:
        """Members may not know it yet, and what it fetches may not name it yet: it goes on until it does."""
        self.add_new_nodes()
        late = self.cluster.join(7)
        self.change(2, [ADD, 7, late.incarnation, b"", b""])
        self.change(2, [PROMOTE, 7], [REMOVE, 1])
        self.cluster.until(lambda: self.reads(late))
        self.cluster.run(2.0)
        self.cluster.nodes[2].crash()
        self.write(7, 20)


class ShortLogsTests(OtherMembersTests):
    """As above, with logs that end after few slots: new nodes need snapshots."""

    limits = Limits(log_tail_slots_max=4, poll_lag_slots_max=4)

    def add_new_nodes(self) -> None:
        """The state on disk must amount to these slots before they are erased."""
        self.cluster.run(3.0)
        super().add_new_nodes()
        self.assertTrue(any(self.cluster.nodes[number].noted("snapshot_received") for number in NEW))


class ClassicTests(OtherMembersTests):
    """As above, in classic mode."""

    mode = CLASSIC


class ClassicShortLogsTests(ShortLogsTests):
    """As above, in classic mode."""

    mode = CLASSIC
