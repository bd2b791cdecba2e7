"""What a node of the model holds: as an acceptor, a learner, a gateway, and a leader at times."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.models.members import FIRST, Batch, Mark, Members, State, Value, follows

Ballot = tuple[int, int]
Votes = dict[int, tuple[Ballot, Value]]


@dataclass
class Round:
    """A round of reads: the slots chosen when it began, who is asked, and who has answered."""

    through: int
    members: Members
    acknowledged: int
    confirmed: set[int] = field(default_factory=set)


@dataclass
class Proposal:
    """What a leader proposed in a slot, who decides the slot, and who has voted."""

    value: Value
    members: Members
    voted: set[int] = field(default_factory=set)


class Queue:
    """The batches that a leader has taken and not proposed. Only the next one of an origin is taken."""

    def __init__(self, marks: Iterable[tuple[int, Mark]]) -> None:
        self.taken = dict(marks)
        self.proposed = dict(self.taken)
        """The marks as they will be once all that is proposed is applied."""
        self.batches: list[Batch] = []

    def take(self, batch: Batch) -> None:
        """A gateway submits a batch."""
        if follows(batch, self.taken.get(batch.origin, (0, 0))):
            self.taken[batch.origin] = (batch.boot, batch.seq)
            self.batches.append(batch)

    def propose(self, value: Value, left_out: str = "") -> None:
        """A value is proposed, of this queue or of an earlier leader."""
        if isinstance(value, Batch) and left_out != "reported_unseen":
            if follows(value, self.proposed.get(value.origin, (0, 0))):
                self.proposed[value.origin] = mark = (value.boot, value.seq)
                self.taken[value.origin] = max(mark, self.taken.get(value.origin, mark))


@dataclass
class Leadership:
    """One ballot of one leader. It begins to lead when it has applied all that its promises report as chosen."""

    ballot: Ballot
    promised: set[int] = field(default_factory=set)
    strongest: Votes = field(default_factory=dict)
    floor: int = 0
    """The highest slot that a promise reported as chosen."""
    late: dict[int, tuple[int, Votes]] = field(default_factory=dict)
    """Promises that report more than this leader knows to be chosen: they are counted when it knows as much."""
    count: int = -1
    """The slots up to here are chosen, as this leader has counted; -1 before it leads."""
    found_through: int = 0
    """The highest slot that was reported when it began to lead."""
    proposals: dict[int, Proposal] = field(default_factory=dict)
    queue: Queue | None = None
    """None while it is not known which batch of an origin is the next."""
    rounds: dict[int, Round] = field(default_factory=dict)
    first: Members | None = None

    def next_slot(self) -> int:
        """The lowest slot that is not proposed."""
        return max([self.count, *self.proposals]) + 1


@dataclass
class Node:
    """A node with its disk. A new disk comes with a new incarnation."""

    id: int
    incarnation: int = 1
    promised: Ballot = (0, 0)
    accepted: Votes = field(default_factory=dict)
    state: State = field(default_factory=State)
    durable: State = field(default_factory=State)
    """The state as it was last written back: that is what a restart finds."""
    learned: dict[int, Value] = field(default_factory=dict)
    """Chosen values, those that are applied and not compacted among them."""
    reported: int = 0
    """Up to here it has told others that slots are chosen, so this is on disk."""
    compacted: int = 0
    met: dict[int, int] = field(default_factory=dict)
    """The incarnations of the nodes that it has met."""
    hears: Ballot | None = None
    """The ballot of the leader that it hears, if any."""
    boot: int = 1
    numbered: int = 0
    """The last batch of its gateway in this life."""
    answered: int = 0
    """Clients know what became of the batches up to here."""
    leads: Leadership | None = None

    def outstanding(self) -> list[Batch]:
        """The batches that nobody knows to be applied."""
        return [Batch(self.id, self.boot, seq) for seq in range(self.answered + 1, self.numbered + 1)]

    def named(self, node: int, left_out: str) -> int | None:
        """The incarnation of a node as the log has it."""
        return None if left_out == "met_only" and node in FIRST else dict(self.state.incarnations).get(node)

    def admits(self, other: Node, left_out: str) -> bool:
        """Whether it talks to another node: the log names it, or it is the one that was met, or the first to come."""
        named = self.named(other.id, left_out)
        return (self.met.get(other.id, other.incarnation) if named is None else named) == other.incarnation

    def may_vote(self, left_out: str) -> bool:
        """Whether it is sure that no life before this one has voted.

        The log names it; or all first members that have not left have met it, and would not if they knew another life.
        """
        named = self.named(self.id, left_out)
        if named is not None or self.id not in FIRST:
            return named == self.incarnation
        return not (FIRST & self.state.known()) - {self.id, *self.met}
