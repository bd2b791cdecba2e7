"""Members that change through the log: multi-Paxos with an alpha window, under random schedules.

A value in the log is a ``Batch`` of some member's gateway, a ``Change`` of members, or nothing. A set that is chosen at
slot j says who decides the slots from j + ALPHA on, so config(s) is known as soon as all slots up to s - ALPHA are
applied. Any set may follow any other one. Every promise is for all slots, so a node that comes later is simply asked
to promise the same ballot. The rules (``rules``) make that safe, and each can be left out.

Nodes lose messages, leaderships and disks, restart at their last write-back, compact, and send each other snapshots.
In the end the network is whole, and all writes of members must come through.
``python -m tests.models.alpha 2000`` runs all of them. Some rules need more runs, up to 9,000, until their absence is
noticed: the test has a seed for each.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from random import Random

from tests.models.members import FIRST, Forgotten, Members, is_quorum
from tests.models.nodes import Leadership, Node
from tests.models.protocol import NODES, Protocol
from tests.models.rules import RULES
from tests.models.truth import Violated

PARTS = ((), (), (4, 5), (1, 4, 5), (2, 3), (1, 4), (3, 4, 5), (4, 5, 6, 7), (1, 2, 6), (2, 3, 4))
SLOTS_MAX = 24
STEPS = 900
HEALING_ROUNDS = 100
LAST_WRITES = 4


class Run(Protocol):
    """One random schedule; ``run`` raises ``Violated``."""

    def __init__(self, seed: int, left_out: str = "") -> None:
        random = Random(seed)
        super().__init__(random, random.choice((1, 2, 3)), left_out)
        self.disks_may_go = random.random() < 0.4
        self.acts, self.campaigns = random.choice((0.3, 0.4, 0.5)), random.choice((0.01, 0.02, 0.04))
        self.lost: set[int] = set()
        if self.disks_may_go and random.random() < 0.5:
            self.apart = random.choice(sorted(FIRST))

    def run(self) -> None:
        """Faults, and then none."""
        for _ in range(STEPS):
            self._step()
        self._heal()

    # --- faults ---

    def _step(self) -> None:
        """Something happens, or messages arrive."""
        if self.random.random() < 0.03:
            self.part = self.random.choice(PARTS)
        if self.random.random() < self.acts:
            self._act()
        else:
            for _ in range(3):
                if self.messages:
                    self.deliver(self.random.randrange(len(self.messages)), again=self.random.random() < 0.03)

    def _act(self) -> None:
        draw = self.random.random()
        node = self.nodes[self.random.choice(NODES)]
        leaders = [each for each in self.nodes.values() if each.leads is not None]
        leader = self.random.choice(leaders or [node])
        self.linked(node, self.nodes[self.random.choice(NODES)])  # two meet
        if draw < self.campaigns or not leaders:
            self._campaign(node)
        elif draw < 0.45:
            self._lead(leader)
        elif draw < 0.56:
            self.begin_read(leader)
        elif draw < 0.60:
            self._beat(leader)
        elif draw < 0.63:
            node.hears = None
        elif draw < 0.67:
            self.poll(node)
        elif draw < 0.73:
            self.write(node)
            self.submit(node, leader.id)
        elif draw < 0.84:
            for each in self.nodes.values():
                self.submit(each, leader.id)
        elif draw < 0.94:
            self.catch_up(node, self.nodes[self.random.choice(NODES)])
        elif draw < 0.96:
            node.durable = node.state
        elif draw < 0.98:
            self.compact(node, node.durable.applied)
        elif draw < 0.99:
            self._restart(node)
        elif self.disks_may_go:
            self._lose_disk(self.nodes[self.apart] if self.apart else node)

    def _campaign(self, node: Node) -> None:
        """Without a poll, as a node does that was handed the lead."""
        if self.may_vote(node):
            self.campaign(node)

    def _lead(self, leader: Node) -> None:
        """Propose, or send again, and at times ask again for promises."""
        assert leader.leads is not None
        if leader.leads.next_slot() <= SLOTS_MAX and not self.propose(leader) and leader.leads is not None:
            self.send_again(leader)
        if leader.leads is not None and self.random.random() < 0.2:
            self.ask_promises(leader)

    def _restart(self, node: Node) -> None:
        """Promises, votes and what was reported are on disk. What is applied is there as of the last write-back."""
        node.leads, node.hears, node.state = None, None, node.durable
        node.learned = {
            slot: value for slot, value in node.learned.items() if slot <= max(node.reported, node.durable.applied)
        }
        node.boot, node.numbered, node.answered = node.boot + 1, 0, 0

    def _lose_disk(self, node: Node) -> None:
        """Somebody sets the node up again under its old id, as he should not. One first member keeps its disk."""
        if len((self.lost | {node.id}) & FIRST) < len(FIRST):
            self.lost.add(node.id)
            self.apart = 0 if self.apart == node.id else self.apart
            self.nodes[node.id] = Node(node.id, node.incarnation + 1)

    # --- elections ---

    def _beat(self, leader: Node) -> None:
        """The leader says that it is there."""
        if leader.leads is not None and leader.leads.count >= 0:
            for node in self.nodes.values():
                if (node is leader or self.linked(node, leader)) and leader.leads.ballot >= node.promised:
                    node.hears = leader.leads.ballot

    def poll(self, node: Node) -> bool:
        """Ask whether others miss a leader, too. It must be a quorum of each set that decides slots to come."""
        sets = node.state.each()
        if node.id not in node.state.known() or not self.may_vote(node):
            return False
        granted = {each.id for each in self.nodes.values() if self._grants(each, node)}
        asked = {"polls_newest": sets[-1:], "polls_in_force": sets[:1]}.get(self.left_out, sets)
        if not all(is_quorum(granted, members) for _, members in asked):
            return False
        for leader in self.nodes.values():
            if leader is not node and leader.leads is not None and leader.leads.count >= 0:
                in_force = leader.state.each()[0]
                hearing = [each.id for each in self.nodes.values() if each.hears == leader.leads.ballot]
                if in_force in sets and is_quorum(hearing, in_force[1]):
                    raise Violated(f"node {node.id} deposes node {leader.id}, which leads and is heard by a quorum")
        self.campaign(node)
        return True

    def _grants(self, voter: Node, candidate: Node) -> bool:
        """Whether a voter hears no leader, and knows the candidate as a member."""
        if voter is candidate:
            return voter.hears is None
        return voter.hears is None and candidate.id in voter.state.known() and self.linked(voter, candidate)

    # --- the network is whole ---

    def _heal(self) -> None:
        """Without faults the writes of all members come through, if no disk was lost."""
        if self.lost:
            return
        self.part, self.apart, self.healed = (), 0, True
        for node in self.nodes.values():
            node.hears = None
        for number in range(HEALING_ROUNDS):
            for node in self.nodes.values():
                if number < LAST_WRITES:
                    self.write(node)
            self._work()
            if number >= LAST_WRITES and not self._waiting():
                return
        raise Violated(f"a write of node {self._waiting()[0].id} waits for ever")

    def _work(self) -> None:
        """Everybody does what is to be done, and all messages arrive."""
        while self.messages:
            self.deliver(0, again=False)
        for node in self.nodes.values():
            for donor in self.nodes.values():
                self.catch_up(node, donor)
        leader = self._only_leader()
        if leader is not None:
            for node in self.nodes.values():
                if self.random.random() < 0.3:
                    self.submit(node, leader.id)
            self.ask_promises(leader)
            self.send_again(leader)
            while leader.leads is not None and self.propose(leader):
                pass

    def _waiting(self) -> list[Node]:
        """The members whose writes are not answered."""
        members = self.truth.states[-1].known()
        return [node for node in self.nodes.values() if node.id in members and node.outstanding()]

    def _only_leader(self) -> Node | None:
        """The leader of the highest ballot. Others stop if they hear of a higher one; if there is none, elect."""
        for node in self.nodes.values():
            if node.leads is not None and self._must_stop(node, node.leads):
                node.leads = None
        leaders = [node for node in self.nodes.values() if node.leads is not None]
        if leaders:
            return max(leaders, key=lambda each: each.leads.ballot if each.leads else (0, 0))
        highest = max(node.promised for node in self.nodes.values())
        for node in self.nodes.values():
            node.hears = None
        for node in self.nodes.values():
            node.promised = max(node.promised, highest)
            if self.poll(node):
                return node
        return None

    def _must_stop(self, node: Node, leads: Leadership) -> bool:
        """Whether a member that decides a slot which is not counted has promised a higher ballot, or none is known."""
        state = node.state
        try:
            if leads.count >= 0:
                state.config(leads.count + 1)
        except Forgotten:
            return True
        deciding = state.known()
        if leads.count >= 0 and self.left_out != "nacks_applied":
            start = max(start for start, _ in state.sets if start <= leads.count + 1)
            deciding = Members().union(*(members for each, members in state.sets if each >= start))
        return any(self.nodes[each].promised > leads.ballot for each in deciding)


def violations(left_out: str, seeds: Iterable[int]) -> Iterator[tuple[int, str]]:
    """The seeds that break the protocol without that rule, or with all rules if it is empty, and how."""
    for seed in seeds:
        try:
            Run(seed, left_out).run()
        except (Violated, Forgotten) as error:
            yield seed, str(error)


def main(runs: int) -> int:
    """Print what is found; status 1 if the protocol is broken with all its rules."""
    broken = False
    for left_out in ("", *RULES):
        seed, text = next(violations(left_out, range(runs)), (-1, f"{runs} runs, nothing"))
        print(f"{left_out or 'all rules':15} {text if seed < 0 else f'run {seed}: {text}'}", flush=True)
        broken = broken or (seed >= 0 and not left_out)
    return int(broken)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
