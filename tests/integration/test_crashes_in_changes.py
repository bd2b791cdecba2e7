"""kill -9 of any node at any step of a change of members: the command, given again, completes it.

Clients of the nodes that stay up see no error meanwhile, and nothing is lost.
"""

from __future__ import annotations

from dkv.settings import CLASSIC, LEADER
from tests.integration.member_cluster import SECONDS, MemberTestCase
from tests.integration.processes import HOST, RealNode, Refused, wait_until

ADDED, CAUGHT_UP, ASKED, IN_FORCE = range(4)
"""The steps of ``dkv replace``: the new node is a standby, and has caught up; the leader was asked for the change and
has not answered; the new voters decide. Until the next step the change is not complete."""


class CrashesInChangesTests(MemberTestCase):
    """Three voters, of whom one at a time is replaced."""

    def replaced(self, step: int, victim: str) -> None:
        """A node is replaced, and ``victim`` is killed at ``step``. It is down until the change is complete, unless
        there can be no change without it."""
        cluster = self.cluster
        leading = cluster.leader() if cluster.mode == LEADER else cluster.nodes[0]
        following, leaving = [node for node in cluster.nodes if node is not leading]
        joining = cluster.new_node(1 + max(node.number for node in (*cluster.nodes, *cluster.gone)))
        nodes = {"leading": leading, "following": following, "leaving": leaving, "joining": joining}
        killed = nodes[victim]
        steady = [node for node in (following, leading) if node is not killed]
        self.recording.follow(*steady)
        self.take_steps(step, leading, leaving, joining)
        killed.kill()
        if killed is joining:
            killed.start()
        said = cluster.dkv("replace", str(leaving.number), "--with", str(joining.number), ask=steady)
        self.assertIn(f"you may switch off node {leaving.number}", said)
        self.recording.wait_answers()
        if killed is not leaving and killed is not joining:
            killed.start()
        self.recording.leave(*steady)
        cluster.switch_off(leaving)
        cluster.wait_ready()

    def take_steps(self, last: int, leading: RealNode, leaving: RealNode, joining: RealNode) -> None:
        """What the command does, up to a step."""
        cluster = self.cluster
        cluster.dkv("member", "add", f"{HOST}:{joining.port}", ask=[leading])
        if last == ADDED:
            return
        base = cluster.status(leading)["membership_slot"]
        change = (base, "REPLACE", leaving.number, joining.number)
        wait_until(lambda: self.would_be_taken(leading, *change), SECONDS, "the new node has caught up")
        if last == CAUGHT_UP:
            return
        operator = leading.connect()
        operator.send("DKV.MEMBER", "CHANGE", *change)
        if last == IN_FORCE:
            self.assertRegex(operator.read(), r"OK \d+")
            wait_until(lambda: cluster.status(leading)["pending_from_slot"] is None, SECONDS, "the change takes force")
        operator.close()

    def would_be_taken(self, node: RealNode, *change: str | int) -> bool:
        """Whether a node would take a change now."""
        try:
            return bool(node.call("DKV.MEMBER", "CHECK", *change) == "OK")
        except Refused:
            return False

    def test_leader_mode(self) -> None:
        """Each step once or twice, and each node once, the leader where most depends on it."""
        self.begin()
        self.replaced(ADDED, "joining")
        self.replaced(CAUGHT_UP, "following")
        self.replaced(ASKED, "leading")
        self.replaced(ASKED, "leaving")
        self.replaced(IN_FORCE, "leading")
        self.replaced(IN_FORCE, "joining")
        self.judge_rest()

    def test_classic_mode(self) -> None:
        """The node that was asked dies, and the one that is to vote."""
        self.begin(mode=CLASSIC)
        self.replaced(ASKED, "leading")
        self.replaced(IN_FORCE, "joining")
        self.judge_rest()

    def judge_rest(self) -> None:
        """What is left of the cluster serves, and the history is right."""
        self.recording.follow(*self.cluster.nodes)
        self.judge()
