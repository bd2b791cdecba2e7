"""The witness sees all that the nodes of a script do. It tells it in lines, and checks the simulator's invariants.

A script fails if an invariant is broken, or if a node ends by a mistake in the code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dkv import noted
from dkv.actor import LEARNER, Address, Fenced, Note
from dkv.client_events import Replies
from dkv.kv.sessions import BOUNDS
from dkv.messages import Barrier, BarrierRequest
from dkv.records import Value
from dkv.routes import ROUTES
from dkv.sim.invariants import Invariants
from dkv.sim.simulated_node import SimulatedNode
from dkv.state_messages import ChosenSlots, ReadChosen
from dkv.storage.data_directory import DirectoryError
from dkv.storage.store import StoreFailed
from tests.scripts import words

BACKGROUND = frozenset(("AppliedDigest", "ChosenThrough", "Confirm", "Confirmed", "DiskSpace", "Heartbeat"))
BACKGROUND |= frozenset(("HeartbeatAck", "Voted"))
"""Messages that a script sees only if it asks for them: they come all the time."""


class Witness:
    """The ``Watcher`` of all nodes, whose ids are ``members``."""

    def __init__(self, members: tuple[int, ...], window_slots_max: int) -> None:
        self.trace: list[str] = []
        """The lines since somebody last took them."""
        self.hidden = set(BACKGROUND)
        """Messages of these classes are left out."""
        self.violation: str | None = None
        """The first invariant that was broken, or how a node ended that should not have."""
        self.leaders: set[int] = set()
        """The nodes that lead, as far as they know."""
        self.requests: list[str] = []
        """The requests of clients, each on a connection of its own, numbered from 1."""
        self.invariants = Invariants(members, window_slots_max, BOUNDS, self.violated)
        self._chosen: set[int] = set()
        self._told: dict[tuple[int, int], Value] = {}  # what each node's learner was told of each slot

    def tell(self, who: object, what: str) -> None:
        """Add a line: ``who`` is a node, two with an arrow between them, or ``*`` for what no node knows."""
        self.trace.append(f"{who!s:<7} {what}")

    def tell_message(self, sender: int, arrow: str, receiver: int, message: Any) -> None:
        """Add a line for a message: sent (``->``), arrived (``=>``) or lost (``-x``)."""
        if type(message).__name__ in self.hidden or (
            isinstance(message, Barrier | BarrierRequest) and not message.boot
        ):
            return  # Barriers of boot 0 are the elector's, who asks with each heartbeat whether its node can serve.
        self.tell(f"{sender} {arrow} {receiver}", words.message(message))

    def violated(self, sentence: str) -> None:
        """Something happened that must never happen."""
        self.tell("!", sentence)
        self.violation = self.violation or sentence

    # --- the Watcher ---

    def started(self, node: SimulatedNode) -> None:
        """A life begins."""
        self.invariants.started(node)

    def died(self, node: SimulatedNode) -> None:
        """A life is over."""
        self.leaders.discard(node.number)

    def ended(self, node: SimulatedNode, reason: str, error: BaseException) -> None:
        """A life ended itself, or could not begin."""
        what = "is fenced" if isinstance(error, Fenced) else reason
        self.tell(node.number, f"{what}: {words.reason(str(error))}")
        if not isinstance(error, Fenced | DirectoryError | StoreFailed):
            self.violated(f"node {node.number} ended itself: {reason}: {type(error).__name__}: {error}")

    def noted(self, node: SimulatedNode, actor: str, event: Note[...], fields: Mapping[str, Any]) -> None:
        """An actor noted something."""
        if event in (noted.leading, noted.stepped_down):
            (self.leaders.add if event is noted.leading else self.leaders.discard)(node.number)
        if event is noted.applied:
            self._tell_applied(node.number, **fields)
            return
        line = words.note(event, fields)
        if line is not None and fields.get("leader") != node.number:  # It does not follow itself.
            self.tell(node.number, line)

    def _tell_applied(self, number: int, through: int, commands: int) -> None:
        value = self._told.get((number, through))
        if value is None:
            return  # a snapshot stands for the slot
        nothing_done = " (nothing executed)" if words.writes(value) and not commands else ""
        self.tell(number, f"applies slot {through}: {words.commands(value)}{nothing_done}")

    def delivered(self, node: SimulatedNode, role: str, sender: Address, message: Any) -> None:
        """An actor is about to handle a message: told here if it comes from its own node, and is of the protocol."""
        self.invariants.delivered(node, role, sender, message)
        if isinstance(message, ChosenSlots) and role == LEARNER:
            self._told |= {(node.number, slot): value for slot, value in enumerate(message.values, message.first_slot)}
        local = sender.node == node.number and type(message) in ROUTES
        if local and not isinstance(message, ChosenSlots | ReadChosen):
            self.tell_message(node.number, "=>", node.number, message)
        self._tell_chosen()

    def sending(self, node: SimulatedNode, to: Address, message: Any) -> None:
        """A message is about to leave."""
        self.invariants.sending(node, to, message)

    def oversized(self, node: SimulatedNode, message: Any, size: int) -> None:
        """No script has so much to say."""
        self.violated(f"node {node.number} has a {type(message).__name__} of {size} bytes to send")

    def committing(self, node: SimulatedNode) -> None:
        """A commit is about to begin; what it writes is told when it is on disk."""

    def durable(self, node: SimulatedNode, writes: Any) -> None:
        """A commit is on disk."""
        self._tell_written(node, writes)
        self.invariants.durable(node, writes)
        self._tell_chosen()

    def state_durable(self, node: SimulatedNode, generation: int, writes: Any) -> None:
        """A write-back is on disk, or a chunk of a snapshot in a generation that is not in force."""
        if generation == node.disk.states.in_force:
            self._tell_written(node, writes)
        else:
            self.tell(node.number, f"writes generation {generation}: {len(writes)} keys")
        self.invariants.state_durable(node, generation, writes)

    def _tell_written(self, node: SimulatedNode, writes: Any) -> None:
        written = words.commit(writes)
        if written:
            self.tell(node.number, f"commits: {written}")

    def _tell_chosen(self) -> None:
        """A value is chosen as soon as a majority has it on disk, whether anybody knows it yet or not."""
        values = self.invariants.chosen.values
        for slot in sorted(values.keys() - self._chosen):
            self._chosen.add(slot)
            self.tell("*", f"slot {slot} is chosen: {words.commands(values[slot])}")

    def replied(self, node: SimulatedNode, replies: Replies) -> None:
        """The gateway answers a client."""
        for each in replies.replies:
            self.tell(node.number, f"answers {self.requests[replies.connection - 1]}: {words.reply(each)}")
