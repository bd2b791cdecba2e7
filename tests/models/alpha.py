"""Members that change through the log: multi-Paxos with an alpha window, under random schedules.

A value in the log is a ``Batch`` of some member's gateway, or a set of members. A set that is chosen at slot j says who
decides the slots from j + ALPHA on, so config(s) is known as soon as all slots up to s - ALPHA are applied. Any set may
follow any other one. Every promise is for all slots, so a node that comes later is simply asked to promise the same
ballot. The rules (``rules``) make that safe, and each can be left out.

Nodes lose messages and leaderships, restart at their last write-back, compact, and send each other snapshots.
``python -m tests.models.alpha 2000`` runs all of them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random

from tests.models.members import Batch, Members, State, Value, is_quorum
from tests.models.rules import RULES

Ballot = tuple[int, int]

NODES = (1, 2, 3, 4, 5, 6, 7)
PARTS = ((), (), (4, 5), (1, 4, 5), (2, 3), (1, 4), (3, 4, 5), (4, 5, 6, 7), (1, 2, 6), (2, 3, 4))
SLOTS_MAX = 24
STEPS = 900


class Violated(Exception):
    """The protocol broke a promise; the text says which."""


@dataclass
class Round:
    """A round of reads: the slots chosen when it began, who is asked, and who has answered."""

    through: int
    members: Members
    acknowledged: int
    confirmed: set[int] = field(default_factory=set)


@dataclass
class Leadership:
    """One ballot of one leader."""

    ballot: Ballot
    promised: set[int] = field(default_factory=set)
    strongest: dict[int, tuple[Ballot, Value]] = field(default_factory=dict)
    floor: int = 0
    """The highest slot that a promise reported as chosen: nothing is proposed up to there."""
    proposed: dict[int, Value] = field(default_factory=dict)
    votes: dict[int, set[int]] = field(default_factory=dict)
    rounds: dict[int, Round] = field(default_factory=dict)
    first: Members | None = None


@dataclass
class Node:
    """An acceptor and a learner, and a leader at times."""

    id: int
    promised: Ballot = (0, 0)
    accepted: dict[int, tuple[Ballot, Value]] = field(default_factory=dict)
    state: State = field(default_factory=State)
    durable: State = field(default_factory=State)
    """The state as it was last written back: that is what a restart finds."""
    learned: dict[int, Value] = field(default_factory=dict)
    """Chosen values, those that are applied and not compacted among them."""
    compacted: int = 0
    leads: Leadership | None = None


class Run:
    """One random schedule; ``step`` raises ``Violated``."""

    def __init__(self, seed: int, left_out: str = "") -> None:
        self.random = Random(seed)
        self.alpha = self.random.choice((1, 2, 3))
        self.left_out = left_out
        self.nodes = {node: Node(node) for node in NODES}
        self.messages: list[tuple[int, str, tuple[object, ...]]] = []
        self.part: tuple[int, ...] = ()
        self.votes: dict[tuple[int, Ballot], tuple[Value, set[int]]] = {}
        self.chosen: dict[int, Value] = {}
        self.true = [State()]
        self.executed: set[Batch] = set()
        self.acknowledged = 0
        self.reads = self.rounds = 0
        self.replaced = False

    # --- what an observer of everything knows ---

    def voted(self, slot: int, ballot: Ballot, value: Value, node: int) -> None:
        """A vote is on disk: which slots are chosen now?"""
        first, voters = self.votes.setdefault((slot, ballot), (value, set()))
        if first != value:
            raise Violated(f"ballot {ballot} has two values in slot {slot}")
        voters.add(node)
        while self._choose_more():
            pass

    def _choose_more(self) -> bool:
        """Look for slots that are chosen and not known to be; those behind a gap wait, as their members do."""
        more = False
        while (value := self.chosen.get(len(self.true))) is not None:
            state, executed = self.true[-1].next(value, self.alpha, self.left_out)
            self.true.append(state)
            if executed:
                assert isinstance(value, Batch)
                if value in self.executed:
                    raise Violated(f"{value} took effect twice")
                self.executed.add(value)
        for (slot, ballot), (value, voters) in self.votes.items():
            base = max(slot - self.alpha, 0)
            if base < len(self.true) and is_quorum(voters, self.true[base].config(slot)):
                before = self.chosen.setdefault(slot, value)
                if before != value:
                    raise Violated(f"slot {slot}: {before} and {value} (ballot {ballot}) are chosen")
                more = more or slot == len(self.true)
        return more

    # --- the schedule ---

    def step(self) -> None:
        """Something happens, or messages arrive."""
        if self.random.random() < 0.03:
            self.part = self.random.choice(PARTS)
        if self.random.random() < 0.3:
            self._act()
        else:
            for _ in range(3):
                self._deliver()

    def _act(self) -> None:
        draw = self.random.random()
        node = self.nodes[self.random.choice(NODES)]
        leaders = [each for each in self.nodes.values() if each.leads is not None]
        if draw < 0.03 or not leaders:
            self.campaign(node)
        elif draw < 0.60:
            self.propose(self.random.choice(leaders))
        elif draw < 0.80:
            self.begin_read(self.random.choice(leaders))
        elif draw < 0.93:
            self.catch_up(node, self.nodes[self.random.choice(NODES)])
        elif draw < 0.96:
            node.durable = node.state
        elif draw < 0.98:
            self.compact(node, node.durable.applied)
        elif draw < 0.99:
            self.restart(node)
        elif self.left_out == "same_id" and not self.replaced:
            self.replaced = True
            self.nodes[node.id] = Node(node.id)

    def _deliver(self) -> None:
        if self.messages:
            index = self.random.randrange(len(self.messages))
            to, name, arguments = self.messages[index]
            if self.random.random() < 0.97:
                self.messages.pop(index)
            getattr(self, name)(self.nodes[to], *arguments)

    def send(self, to: int, sender: int, name: str, *arguments: object) -> None:
        """Messages are lost, doubled and late."""
        if self.part and (to in self.part) != (sender in self.part):
            return
        copies = (self.random.random() < 0.9) + (self.random.random() < 0.05)
        self.messages += [(to, name, (sender, *arguments))] * copies

    def restart(self, node: Node) -> None:
        """A promise and votes are on disk; what is applied is there as of the last write-back."""
        node.leads, node.state = None, node.durable
        node.learned = {slot: value for slot, value in node.learned.items() if slot <= node.durable.applied}

    def compact(self, node: Node, through: int) -> None:
        """Records up to a slot are erased; the durable state makes up for them."""
        node.compacted = through
        node.accepted = {slot: vote for slot, vote in node.accepted.items() if slot > through}
        node.learned = {slot: value for slot, value in node.learned.items() if slot > through}

    # --- a learner ---

    def learn(self, node: Node, slot: int, value: Value) -> None:
        """Apply in order, and compare with what is true after the same slot."""
        node.learned.setdefault(slot, value)
        while (next_value := node.learned.get(node.state.applied + 1)) is not None:
            node.state, _ = node.state.next(next_value, self.alpha, self.left_out)
            slot = node.state.applied
            if slot >= len(self.true) or node.state != self.true[slot]:
                true = self.chosen.get(slot)
                raise Violated(f"node {node.id} applies {next_value} at slot {slot}, and {true} is chosen there")

    def catch_up(self, node: Node, donor: Node) -> None:
        """Fetch slots, or a snapshot where they are compacted."""
        if node.state.applied < donor.compacted:
            node.state = node.durable = donor.durable.snapshot(self.left_out)
            self.compact(node, node.state.applied)
        for slot in range(node.state.applied + 1, donor.state.applied + 1):
            if self.random.random() < 0.2:
                break
            self.learn(node, slot, donor.learned[slot])
        for slot, value in [*donor.learned.items()]:
            if slot > node.state.applied and self.random.random() < 0.3:
                self.learn(node, slot, value)

    def config(self, node: Node, slot: int) -> Members:
        """The members that decide ``slot``, as far as ``node`` knows."""
        state = node.state
        if self.left_out == "newest":
            return state.sets[-1][1]
        return state.config(slot)

    def counts(self, nodes: set[int], members: Members) -> bool:
        """Whether these votes decide."""
        return len(nodes) * 2 > len(members) if self.left_out == "standby_votes" else is_quorum(nodes, members)

    # --- phase 1 ---

    def campaign(self, node: Node) -> None:
        """The ballot is on the node's own disk before anybody hears of it."""
        node.promised = (node.promised[0] + 1, node.id)
        node.leads = Leadership(node.promised)
        for to in NODES:
            self.send(to, node.id, "prepare", node.promised)

    def prepare(self, node: Node, sender: int, ballot: Ballot) -> None:
        """An acceptor promises once for all slots, and reports its votes above what it knows to be chosen."""
        if ballot >= node.promised:
            node.promised = ballot
            through = node.state.applied
            votes = {slot: vote for slot, vote in node.accepted.items() if slot > through}
            self.send(sender, node.id, "promise", ballot, through, votes)

    def promise(
        self, node: Node, sender: int, ballot: Ballot, through: int, votes: dict[int, tuple[Ballot, Value]]
    ) -> None:
        """Also a late one counts, for the slots that are not proposed yet."""
        leads = node.leads
        if leads is None or leads.ballot != ballot or sender in leads.promised:
            return
        if leads.proposed and self.left_out == "phase1_once":
            return
        leads.promised.add(sender)
        if not (leads.proposed and self.left_out == "unmerged"):
            for slot, vote in votes.items():
                leads.strongest[slot] = max(leads.strongest.get(slot, vote), vote, key=lambda each: each[0])
        leads.floor = max(leads.floor, through)

    # --- phase 2 ---

    def propose(self, node: Node) -> None:
        """The next slot, if it may be proposed."""
        leads, applied = node.leads, node.state.applied
        assert leads is not None
        if applied < leads.floor and self.left_out != "behind":
            return
        slot = max([applied, *leads.proposed]) + 1
        window = 3 * self.alpha if self.left_out == "beyond" else self.alpha
        if slot > applied + window or slot > SLOTS_MAX:
            return
        members = self.config(node, slot)
        if self.left_out == "phase1_once":
            leads.first = members = leads.first or members
        if not self.counts(leads.promised, members):
            return
        vote = leads.strongest.get(slot)
        leads.proposed[slot] = value = self.new_value(node.state) if vote is None else vote[1]
        for to in NODES:
            self.send(to, node.id, "accept", leads.ballot, slot, value)
        if self.random.random() < 0.3:  # new members are asked to promise the same ballot
            for to in NODES:
                self.send(to, node.id, "prepare", leads.ballot)

    def new_value(self, state: State) -> Value:
        """A change of members, or the batch of any gateway: its next one, or one that was answered long ago."""
        if self.random.random() < 0.2:
            return self.new_members(state)
        origin = self.random.choice(NODES)
        mark = dict(self.nodes[origin].state.marks).get(origin, 0)
        return Batch(origin, self.random.choice((mark + 1, mark + 1, max(mark, 1), 1)))

    def new_members(self, state: State) -> Members:
        """All new ones, a few new ones, or some of the old ones."""
        old = sorted(state.sets[-1][1])
        used = old if self.left_out == "id_again" else range(state.ids_through + 1)
        added = [node for node in NODES if node not in used][: self.random.choice((0, 1, 1, 2, 3))]
        some = self.random.randint(1, len(old))
        kept = self.random.choice((0, 0, len(old), some)) if added else some
        return frozenset([*self.random.sample(old, kept), *added])

    def accept(self, node: Node, sender: int, ballot: Ballot, slot: int, value: Value) -> None:
        """A vote; none for what is compacted."""
        if ballot < node.promised or slot <= node.compacted:
            return
        node.promised = ballot
        if slot in node.accepted and node.accepted[slot][0] > ballot:
            return
        node.accepted[slot] = (ballot, value)
        self.voted(slot, ballot, value, node.id)
        self.send(sender, node.id, "accepted", ballot, slot)

    def accepted(self, node: Node, sender: int, ballot: Ballot, slot: int) -> None:
        """Count, in order: the members of a slot are known when those before are applied."""
        leads = node.leads
        if leads is None or leads.ballot != ballot:
            return
        leads.votes.setdefault(slot, set()).add(sender)
        while (slot := node.state.applied + 1) in leads.proposed:
            if not self.counts(leads.votes.get(slot, set()), self.config(node, slot)):
                return
            self.learn(node, slot, leads.proposed[slot])
            self.acknowledged = max(self.acknowledged, slot)

    # --- reads ---

    def begin_read(self, node: Node) -> None:
        """Only who knows all that was chosen before its ballot may begin a round."""
        leads, through = node.leads, node.state.applied
        assert leads is not None
        if through < max([leads.floor, *leads.strongest]):
            return
        members = self.config(node, through + 1)
        if self.left_out == "old_confirm":
            leads.first = members = leads.first or members
        if self.counts(leads.promised, members):
            self.rounds += 1
            leads.rounds[self.rounds] = Round(through, members, self.acknowledged)
            for to in NODES:
                self.send(to, node.id, "confirm", leads.ballot, self.rounds)

    def confirm(self, node: Node, sender: int, ballot: Ballot, number: int) -> None:
        """Nobody else leads, as far as this acceptor is concerned."""
        if ballot >= node.promised:
            self.send(sender, node.id, "confirmed", ballot, number)

    def confirmed(self, node: Node, sender: int, ballot: Ballot, number: int) -> None:
        """With a quorum of confirmations the reads are served."""
        leads = node.leads
        if leads is None or leads.ballot != ballot or number not in leads.rounds:
            return
        begun = leads.rounds[number]
        begun.confirmed.add(sender)
        if self.counts(begun.confirmed, begun.members):
            del leads.rounds[number]
            self.reads += 1
            if begun.through < begun.acknowledged:
                raise Violated(f"a read at slot {begun.through}: slot {begun.acknowledged} was acknowledged before it")


def violations(left_out: str, seeds: Iterable[int]) -> Iterator[tuple[int, str]]:
    """The seeds that break the protocol without that rule, or with all rules if it is empty, and how."""
    for seed in seeds:
        run = Run(seed, left_out)
        try:
            for _ in range(STEPS):
                run.step()
        except Violated as error:
            yield seed, str(error)


def main(runs: int) -> int:
    """Print what is found; status 1 if the protocol is broken, or a rule turns out to be needless."""
    right = True
    for left_out in ("", *RULES):
        seed, text = next(violations(left_out, range(runs)), (-1, f"{runs} runs, nothing"))
        print(f"{left_out or 'all rules':14} {text if seed < 0 else f'run {seed}: {text}'}", flush=True)
        right = right and (seed < 0) == (not left_out)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
