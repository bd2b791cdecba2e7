"""The messages between nodes whose members change, and what they do. A schedule (``alpha``) says what happens when."""

from __future__ import annotations

from random import Random

from tests.models.members import FIRST, Batch, Change, Forgotten, Members, Value, is_quorum
from tests.models.nodes import Ballot, Leadership, Node, Proposal, Queue, Round, Votes
from tests.models.truth import Truth

NODES = (1, 2, 3, 4, 5, 6, 7)
WINDOW_BEYOND = 3


class Protocol:
    """Acceptors, learners, leaders and gateways of all nodes, with the messages that are under way."""

    def __init__(self, random: Random, alpha: int, left_out: str) -> None:
        self.random = random
        self.alpha = alpha
        self.left_out = left_out
        self.nodes = {node: Node(node) for node in NODES}
        self.truth = Truth(alpha, left_out)
        self.messages: list[tuple[Node, Node, str, tuple[object, ...]]] = []
        self.part: tuple[int, ...] = ()
        self.apart = 0
        """A first member that does not meet those who come later."""
        self.healed = False
        self.rounds = 0

    # --- the network ---

    def linked(self, one: Node, other: Node) -> bool:
        """Whether two nodes talk to each other: they are connected, and each admits the other one's incarnation."""
        if one is other:
            return True
        if self.part and (one.id in self.part) != (other.id in self.part):
            return False
        if self.apart in (one.id, other.id) and not {one.id, other.id} <= FIRST:
            return False
        if self.left_out != "same_id":
            if not (one.admits(other, self.left_out) and other.admits(one, self.left_out)):
                return False
            one.met.setdefault(other.id, other.incarnation)
            other.met.setdefault(one.id, one.incarnation)
        return True

    def send(self, to: int, sender: Node, name: str, *arguments: object) -> None:
        """Messages are lost, doubled and late."""
        receiver = self.nodes[to]
        if self.linked(sender, receiver):
            copies = 1 if self.healed else (self.random.random() < 0.9) + (self.random.random() < 0.05)
            self.messages += [(receiver, sender, name, arguments)] * copies

    def deliver(self, index: int, again: bool) -> None:
        """A message arrives, unless the disk of one of the two is a new one by now. It may arrive again later."""
        receiver, sender, name, arguments = self.messages[index]
        if not again:
            self.messages.pop(index)
        if self.nodes[receiver.id] is receiver and self.nodes[sender.id] is sender:
            getattr(self, name)(receiver, sender.id, *arguments)

    # --- learners and gateways ---

    def learn(self, node: Node, slot: int, value: Value) -> None:
        """A value is known to be chosen."""
        node.learned.setdefault(slot, value)
        self.replay(node)

    def replay(self, node: Node) -> None:
        """Apply in order."""
        while node.state.applied + 1 in node.learned:
            value = node.learned[node.state.applied + 1]
            node.state, executed = node.state.next(value, self.alpha, self.left_out)
            self.truth.applied(node, value)
            if executed and value in node.outstanding():
                assert isinstance(value, Batch)
                node.answered = value.seq
            self.answer_if_removed(node)

    def answer_if_removed(self, node: Node) -> None:
        """What a removed node has numbered and not applied can never take effect: its clients are told so."""
        if node.id > node.state.ids_through:
            return
        state = node.state
        asked = state.sets[-1][1] if self.left_out == "refused_early" else state.config(state.applied + 1)
        if node.id not in asked:
            for batch in node.outstanding():
                self.truth.refused(batch)
            node.answered = node.numbered

    def install(self, node: Node, donor: Node) -> None:
        """Take a snapshot. If it has no mark of this node, nobody knows what became of its batches."""
        node.state = node.durable = donor.durable.snapshot(self.left_out)
        self.compact(node, node.state.applied)
        boot, seq = dict(node.state.marks).get(node.id, (0, 0))
        if boot == node.boot:
            node.answered = max(node.answered, seq)
        elif node.id not in node.state.config(node.state.applied + 1) and self.left_out != "refused_unseen":
            node.answered = node.numbered
        self.answer_if_removed(node)

    def compact(self, node: Node, through: int) -> None:
        """Records up to a slot are erased; the durable state makes up for them."""
        node.compacted = through
        node.accepted = {slot: vote for slot, vote in node.accepted.items() if slot > through}
        node.learned = {slot: value for slot, value in node.learned.items() if slot > through}

    def catch_up(self, node: Node, donor: Node) -> None:
        """Fetch slots, or a snapshot where they are compacted."""
        self.replay(node)
        if not self.linked(node, donor):
            return
        if node.state.applied < donor.compacted:
            self.install(node, donor)
        for slot in range(node.state.applied + 1, donor.state.applied + 1):
            if not self.healed and self.random.random() < 0.2:
                break
            self.learn(node, slot, donor.learned[slot])
        for slot, value in [*donor.learned.items()]:
            if slot > node.state.applied and self.random.random() < 0.3:
                self.learn(node, slot, value)

    def write(self, node: Node) -> None:
        """A gateway has a batch: it is numbered if the node is a member, as far as it knows."""
        state = node.state
        members = state.sets[-1][1] if self.left_out == "numbered_early" else state.config(state.applied + 1)
        if node.id in members and len(node.outstanding()) < 3:
            node.numbered += 1

    def submit(self, node: Node, leader: int) -> None:
        """A gateway sends what is outstanding, for the first time or again."""
        for batch in node.outstanding():
            self.send(leader, node, "queue", batch)

    def queue(self, node: Node, sender: int, batch: Batch) -> None:
        """A leader takes a batch, if it knows whether it is the next one."""
        if node.leads is not None and node.leads.queue is not None:
            node.leads.queue.take(batch)

    # --- phase 1 ---

    def campaign(self, node: Node) -> None:
        """The ballot is on the node's own disk before anybody hears of it."""
        node.promised = (node.promised[0] + 1, node.id)
        node.leads = Leadership(node.promised)
        self.ask_promises(node)

    def ask_promises(self, node: Node) -> None:
        """All members are asked for the same ballot, those that come later too; at times also others."""
        assert node.leads is not None
        for to in NODES if self.random.random() < 0.3 else sorted(node.state.known()):
            self.send(to, node, "prepare", node.leads.ballot)

    def prepare(self, node: Node, sender: int, ballot: Ballot) -> None:
        """An acceptor promises once for all slots, and reports its votes above what it knows to be chosen."""
        if ballot >= node.promised and self.may_vote(node):
            node.promised = ballot
            node.reported = through = max(node.reported, node.state.applied)
            votes = {slot: vote for slot, vote in node.accepted.items() if slot > through}
            self.send(sender, node, "promise", ballot, through, votes)

    def promise(self, node: Node, sender: int, ballot: Ballot, through: int, votes: Votes) -> None:
        """Also a late one counts, for the slots that are not proposed yet; at once if it reports nothing unknown."""
        leads = node.leads
        if leads is None or leads.ballot != ballot or sender in leads.promised:
            return
        if leads.count >= 0 and self.left_out == "phase1_once":
            return
        leads.late[sender] = (through, votes)
        self.count_promises(leads)

    def count_promises(self, leads: Leadership) -> None:
        """Those that are kept aside, too, as soon as they report no more than is known."""
        for sender, (through, votes) in [*leads.late.items()]:
            if leads.count < 0 or through <= leads.count or self.left_out == "behind":
                del leads.late[sender]
                leads.promised.add(sender)
                leads.floor = max(leads.floor, through)
                if not (leads.proposals and self.left_out == "unmerged"):
                    for slot, vote in votes.items():
                        leads.strongest[slot] = max(leads.strongest.get(slot, vote), vote, key=lambda each: each[0])

    def may_vote(self, node: Node) -> bool:
        """Whether a node is an acceptor at all."""
        return self.left_out == "same_id" or node.may_vote(self.left_out)

    def config(self, node: Node, slot: int) -> Members:
        """The members that decide ``slot``, as far as ``node`` knows."""
        return node.state.sets[-1][1] if self.left_out == "newest" else node.state.config(slot)

    def counts(self, nodes: set[int], members: Members) -> bool:
        """Whether these votes decide."""
        return len(nodes) * 2 > len(members) if self.left_out == "standby_votes" else is_quorum(nodes, members)

    # --- phase 2 ---

    def propose(self, node: Node) -> bool:
        """The next slot, if it may be proposed. A leader that can never go on stops."""
        leads = node.leads
        assert leads is not None
        self._begin(node, leads)
        if leads.count < 0:
            return False
        self.count_promises(leads)
        slot, applied = leads.next_slot(), node.state.applied
        if slot > applied + self.alpha * (WINDOW_BEYOND if self.left_out == "beyond" else 1):
            return False
        try:
            members = self.config(node, slot)
        except Forgotten:
            node.leads = None
            return False
        if self.left_out == "phase1_once":
            leads.first = members = leads.first or members
        if not self.counts(leads.promised, members):
            late = self.counts(leads.promised | leads.late.keys(), members) and slot == leads.count + 1
            if late and self.left_out != "waits_for_ever":
                node.leads = None
            return False
        if slot in leads.strongest:
            value = leads.strongest[slot][1]
        else:
            value = None if slot <= leads.found_through else self.new_value(node, leads)
            if value is None and slot > leads.found_through and not self.healed and self.random.random() < 0.7:
                return False
        leads.proposals[slot] = Proposal(value, members)
        if leads.queue is not None:
            leads.queue.propose(value, self.left_out)
        for to in NODES:
            self.send(to, node, "accept", leads.ballot, slot, value)
        return True

    def send_again(self, node: Node) -> None:
        """Accepts that are not counted may be lost."""
        leads = node.leads
        assert leads is not None
        for slot, proposal in leads.proposals.items():
            for to in NODES if slot > leads.count else ():
                self.send(to, node, "accept", leads.ballot, slot, proposal.value)

    def _begin(self, node: Node, leads: Leadership) -> None:
        """Lead, if all that was reported as chosen is applied; take batches, if all that was reported is."""
        applied = node.state.applied
        if leads.count < 0 and (applied >= leads.floor or self.left_out == "behind"):
            if self.counts(leads.promised, self.config(node, applied + 1)):
                leads.count = applied
                leads.found_through = max([applied, *leads.strongest])
        if leads.count >= 0 and leads.queue is None and applied >= leads.found_through:
            leads.queue = Queue(node.state.marks)
            for slot, proposal in sorted(leads.proposals.items()):
                if slot > applied:
                    leads.queue.propose(proposal.value, self.left_out)

    def new_value(self, node: Node, leads: Leadership) -> Value:
        """A change of members, the oldest batch, or nothing."""
        if not self.healed and self.random.random() < 0.2:
            return self.new_members(node)
        return leads.queue.batches.pop(0) if leads.queue is not None and leads.queue.batches else None

    def new_members(self, node: Node) -> Value:
        """All new ones, a few new ones, or some of the old ones. New ones are named as they are, others as met."""
        state = node.state
        old = sorted(state.sets[-1][1])
        used = old if self.left_out == "id_again" else range(state.ids_through + 1)
        added = [each for each in NODES if each not in used][: self.random.choice((0, 1, 1, 2, 3))]
        some = self.random.randint(1, len(old))
        kept = self.random.choice((0, 0, len(old), some)) if added else some
        incarnations = node.met | {node.id: node.incarnation} | {each: self.nodes[each].incarnation for each in added}
        return Change(frozenset([*self.random.sample(old, kept), *added]), tuple(sorted(incarnations.items())))

    def accept(self, node: Node, sender: int, ballot: Ballot, slot: int, value: Value) -> None:
        """A vote; none for what is compacted, and a leader that does not know it to be chosen had better stop."""
        if ballot < node.promised or not self.may_vote(node):
            return
        if slot <= node.compacted:
            self.send(sender, node, "give_way", ballot, node.compacted)
            return
        node.promised = ballot
        if slot in node.accepted and node.accepted[slot][0] > ballot:
            return
        node.accepted[slot] = (ballot, value)
        self.truth.voted(slot, ballot, value, node.id)
        self.send(sender, node, "accepted", ballot, slot)

    def give_way(self, node: Node, sender: int, ballot: Ballot, through: int) -> None:
        """Somebody has compacted slots that this leader has not counted."""
        if node.leads is not None and node.leads.ballot == ballot and node.leads.count < through:
            node.leads = None

    def accepted(self, node: Node, sender: int, ballot: Ballot, slot: int) -> None:
        """Count, in order."""
        leads = node.leads
        if leads is None or leads.ballot != ballot:
            return
        leads.proposals[slot].voted.add(sender)
        while (proposal := leads.proposals.get(leads.count + 1)) and self.counts(proposal.voted, proposal.members):
            leads.count += 1
            self.learn(node, leads.count, proposal.value)
            self.truth.acknowledged = max(self.truth.acknowledged, leads.count)

    # --- reads ---

    def begin_read(self, node: Node) -> None:
        """A round begins once all that promises have reported is chosen in this ballot."""
        leads = node.leads
        assert leads is not None
        if leads.count < max([0, leads.floor, *leads.strongest]):
            return
        try:
            members = self.config(node, leads.count + 1)
        except Forgotten:
            return
        if self.left_out == "old_confirm":
            leads.first = members = leads.first or members
        if self.counts(leads.promised, members) or self.left_out == "unpromised_read":
            self.rounds += 1
            leads.rounds[self.rounds] = Round(leads.count, members, self.truth.acknowledged)
            for to in NODES:
                self.send(to, node, "confirm", leads.ballot, self.rounds)

    def confirm(self, node: Node, sender: int, ballot: Ballot, number: int) -> None:
        """Nobody else leads, as far as this acceptor is concerned."""
        if ballot >= node.promised and self.may_vote(node):
            self.send(sender, node, "confirmed", ballot, number)

    def confirmed(self, node: Node, sender: int, ballot: Ballot, number: int) -> None:
        """With a quorum of confirmations the reads are served."""
        leads = node.leads
        if leads is None or leads.ballot != ballot or number not in leads.rounds:
            return
        begun = leads.rounds[number]
        begun.confirmed.add(sender)
        if self.counts(begun.confirmed, begun.members):
            del leads.rounds[number]
            self.truth.read(begun.through, begun.acknowledged)
