"""Members change under load, with real processes: clients of nodes that stay see no error, and nothing is lost."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor

from dkv.settings import CLASSIC, LEADER
from tests.integration.member_cluster import SECONDS, MemberTestCase
from tests.integration.processes import HOST, RealNode, Refused, wait_until


class AllNewTests(MemberTestCase):
    """From three nodes to three entirely new ones, one by one: in the end nothing is left of the first ones."""

    def check(self, mode: str) -> None:
        cluster = self.begin(3, mode)
        self.recording.follow(*cluster.nodes)
        for new in (4, 5, 6):
            old = cluster.nodes[0]
            self.recording.follow(cluster.join(new))
            if mode == LEADER:
                cluster.dkv("leader", "transfer", str(old.number))
            self.recording.wait_answers()
            self.recording.leave(old)
            said = cluster.dkv("replace", str(old.number), "--with", str(new))
            self.assertIn(f"you may switch off node {old.number}", said)
            cluster.switch_off(old)
        self.assertEqual(cluster.members(), ([4, 5, 6], []))
        self.judge()
        for node in cluster.nodes:
            self.assertEqual([member["id"] for member in cluster.status(node)["members"]], [4, 5, 6])

    def test_the_leader_each_time(self) -> None:
        """A leader that is removed proposes its own removal, and hands over."""
        self.check(LEADER)

    def test_classic_mode(self) -> None:
        """Where nobody leads each node counts by itself who decides a slot."""
        self.check(CLASSIC)


class SizeTest(MemberTestCase):
    def test_one_to_seven_and_back(self) -> None:
        """A cluster that began as a single node gets as large as any, and small again, while that node serves."""
        cluster = self.begin(1)
        (first,) = cluster.nodes
        self.recording.follow(first)
        for pair in ((2, 3), (5, 8), (9, 10)):  # ids may have gaps
            for number in pair:
                self.recording.follow(cluster.join(number))
            cluster.dkv("member", "promote", *map(str, pair))
        self.assertEqual(cluster.members(), ([1, 2, 3, 5, 8, 9, 10], []))
        self.recording.wait_answers()
        for pair in ((10, 2), (3, 9), (8, 5)):
            leaving = [cluster.node(number) for number in pair]
            self.recording.leave(*leaving)
            cluster.dkv("member", "remove", *map(str, pair), ask=[first])
            cluster.switch_off(*leaving)
        self.assertEqual(cluster.members(), ([1], []))
        self.judge()


class OneDownTest(MemberTestCase):
    def test_a_voter_replaced_while_another_is_down(self) -> None:
        """Five nodes survive two failures: with one of them down there is no need to wait for it."""
        cluster = self.begin(5)
        leader = cluster.leader()
        down, lost, *stay = [node for node in cluster.nodes if node is not leader]
        self.recording.follow(*stay, leader)
        lost.kill()
        down.kill()
        cluster.join(6)
        cluster.dkv("replace", str(lost.number), "--with", "6", ask=[leader])
        cluster.switch_off(lost)
        self.recording.wait_answers()
        down.start()
        cluster.wait_ready()
        self.assertEqual(cluster.members()[0], sorted(node.number for node in cluster.nodes))
        self.recording.follow(down)
        self.judge()


class LateStandbyTest(MemberTestCase):
    def test_a_standby_that_never_catches_up(self) -> None:
        """It is added, and stops: nobody waits for it, it does not become a voter, and it can be removed."""
        cluster = self.begin()
        self.recording.follow(*cluster.nodes)
        four = cluster.new_node(4)
        incarnation = cluster.status(four)["incarnation"]
        four.signal(signal.SIGSTOP)
        # as `dkv member add` does, which a node that does not answer cannot be asked for
        change = ("ADD", 4, incarnation, f"{HOST}:{four.peer_port}", f"{HOST}:{four.port}")
        leader = cluster.node(cluster.status(cluster.nodes[0])["leader"])
        self.assertRegex(leader.call("DKV.MEMBER", "CHANGE", 0, *change), r"OK \d+")
        self.recording.wait_answers(200)
        said = cluster.dkv("member", "promote", "4", "--yes", "--wait", "1", status=4)
        self.assertIn("node 4 is not connected", said)
        self.recording.wait_answers(200)
        self.assertLess(self.recording.journal.longest_pause, 1.0)
        cluster.dkv("member", "remove", "4")
        self.assertEqual(cluster.members(), ([1, 2, 3], []))
        four.signal(signal.SIGCONT)
        wait_until(lambda: cluster.status(four)["member"] == "removed", SECONDS, "node 4 is told that it was removed")
        cluster.switch_off(four)
        self.judge()


class TwoChangesTests(MemberTestCase):
    """Two operators ask for a change at the same moment, on two nodes."""

    def check(self, mode: str) -> None:
        cluster = self.begin(3, mode)
        self.recording.follow(*cluster.nodes)
        cluster.join(4)
        cluster.join(5)
        base = cluster.status(cluster.nodes[0])["membership_slot"]
        leader = cluster.leader() if mode == LEADER else cluster.nodes[0]
        asked = [leader, leader if mode == LEADER else cluster.nodes[1]]

        def ask(node: RealNode, number: int) -> str:
            try:
                return str(node.call("DKV.MEMBER", "CHANGE", base, "REMOVE", number))
            except Refused as refused:
                return str(refused)

        with ThreadPoolExecutor(2) as operators:
            told = sorted(operators.map(ask, asked, (4, 5)))
        self.assertRegex(" / ".join(told), r"\A\w+ .*no member was changed.* / OK \d+\Z")
        voters, standbys = cluster.members()
        self.assertEqual((voters, len(standbys)), ([1, 2, 3], 1))
        # the commands find out: one has nothing to do, and the other does what it was given for
        with ThreadPoolExecutor(2) as operators:
            ends = [*operators.map(lambda *to: cluster.run("member", "remove", to[1], ask=[to[0]]), asked, "45")]
        for end, number in zip(ends, "45", strict=True):
            if end.returncode != 0:
                self.assertIn("another change", end.stderr)
                cluster.dkv("member", "remove", number)
        self.assertEqual(cluster.members(), ([1, 2, 3], []))
        self.judge()

    def test_leader_mode(self) -> None:
        """The leader orders them."""
        self.check(LEADER)

    def test_classic_mode(self) -> None:
        """Both entries get into the log, and only the first one has an effect."""
        self.check(CLASSIC)
