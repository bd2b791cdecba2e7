"""The state checker: it finds out that nodes have come to different states, although their logs are the same.

Digests of the log (``digests``) do not show an apply that went wrong, nor a pair that changed at rest. So now and then
all nodes make a digest of their whole state as it is on disk, after one slot that they agree on, and tell each other.
It is made in the background: a view of the state is read piece by piece, under a byte rate (ADR 0011).

A node that differs from a quorum of the voters, at least from two that agree with each other, fences itself: it cannot
be right. A node that differs from fewer says so and goes on: a bad replica must not make the good ones give up (B38),
and the only voter of a cluster may be the bad one.

A check belongs to a slot. The node that begins one names a slot a little ahead of what it has applied, so that the
others can still stop there; in an idle cluster it is the last one. A node that has passed it already, or that restarts,
or that cannot write its state back in time takes no part, and nobody waits for it. There is another check later.

While its view is open, LevelDB keeps what was erased since. So there is no check while a disk of the cluster is short
of space: deleting keys would make no room.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import assert_never

from dkv import noted
from dkv.actor import CHECKER, LEARNER, Address, Fenced, StateView, Turn
from dkv.client_events import ShortOfSpace
from dkv.configurations import Configurations
from dkv.events import (
    AppliedThrough,
    Captured,
    CaptureMissed,
    CaptureState,
    Installed,
    MembersAre,
    ReportApplied,
    TimerFired,
)
from dkv.paxos.known_members import KnownMembers
from dkv.settings import Limits, Timings
from dkv.state_messages import StateCheck, StateDigest
from dkv.state_sum import StateSum

_FromLearner = AppliedThrough | Captured | CaptureMissed | Installed | MembersAre
CheckerMessage = StateCheck | StateDigest | _FromLearner | ShortOfSpace | TimerFired

LEAD_SECONDS = 1.0
"""A slot that is applied this much later, at the rate of now, can be reached by all nodes."""

PIECE_BYTES = 32 * 1024
"""The bytes of the state that are read and summed at a time: other actors wait so long."""

KEPT = 4
"""How many checks are remembered, of this node and of each peer: some finish later than others."""

AGREEING_MIN = 2
"""So many voters must agree on another state, at least, before a node fences itself."""

BEGIN = "begin"
LEAD = "lead"
READ = "read"
COMPARE = "compare"


class StateChecker:
    """The state checker of node ``node``."""

    def __init__(self, node: int, configurations: Configurations, limits: Limits, timings: Timings) -> None:
        self._node = node
        self._members = KnownMembers(node, configurations)
        self._seconds = timings.state_check_seconds
        self._bytes_per_second = limits.state_check_bytes_per_second
        self._measured: int | None = None
        """What was applied when this node began to choose a slot; None before that is known."""
        self._checking = False
        """Whether checks are planned: there is no use in them while no other node is known."""
        self._choosing = False
        self._short = False
        self._awaited: int | None = None
        """The slot of the check under way, until its view comes."""
        self._view: StateView | None = None
        self._after = b""
        self._sum = StateSum()
        self._own: deque[StateDigest] = deque(maxlen=KEPT)
        self._claims: dict[int, deque[StateDigest]] = {}
        self._differing: set[int] = set()

    def start(self, turn: Turn) -> None:
        """Nothing to load. The first check comes sooner than the next ones: a node may never run for long."""
        self._plan_first(turn)

    def _plan_first(self, turn: Turn) -> None:
        if self._seconds and self._members.others and not self._checking:
            self._checking = True
            turn.set_timer(BEGIN, turn.random.uniform(0.0, self._seconds))

    def receive(self, turn: Turn, sender: Address, message: CheckerMessage) -> None:
        """React to one message."""
        match message:
            case StateCheck():
                self._on_check(turn, sender, message)
            case StateDigest():
                self._on_digest(turn, sender, message)
            case AppliedThrough():
                self._on_applied_through(turn, message)
            case Captured():
                self._on_captured(turn, message)
            case CaptureMissed():
                self._on_missed(turn, message)
            case Installed():
                self._end(turn)
            case MembersAre():
                self._on_members_are(turn, message)
            case ShortOfSpace():
                self._on_short_of_space(turn, message)
            case TimerFired():
                self._on_timer(turn, message)
            case _:
                assert_never(message)

    def _on_members_are(self, turn: Turn, message: MembersAre) -> None:
        """Nodes come and go: what those that are gone have said counts for nothing any more."""
        self._members.update(message)
        self._claims = {node: said for node, said in self._claims.items() if self._members.is_known(node)}
        self._differing &= self._members.all
        self._plan_first(turn)

    def _on_timer(self, turn: Turn, message: TimerFired) -> None:
        if message.name == READ:
            self._read(turn)
        elif message.name == LEAD:
            turn.send(self._learner(), ReportApplied())
        elif message.name == COMPARE:
            self._compare_all(turn)
        else:
            self._begin(turn)

    # --- the slot ---

    def _rest(self, turn: Turn) -> None:
        """Plan the next check of this node. The chance in it keeps two nodes from beginning at the same time."""
        if self._seconds:
            turn.set_timer(BEGIN, self._seconds * turn.random.uniform(0.75, 1.25))

    def _begin(self, turn: Turn) -> None:
        """It is time for a check: find out how fast slots are applied."""
        self._rest(turn)
        if self._choosing or self._short or self._view is not None:
            return  # One check at a time; that of a large state takes longer.
        self._awaited = None  # It was not reached all this time: clients may have gone silent when it was named.
        self._choosing, self._measured = True, None
        turn.send(self._learner(), ReportApplied())

    def _on_applied_through(self, turn: Turn, message: AppliedThrough) -> None:
        """The first of two answers starts the measurement, the second one ends it and gives the slot."""
        if not self._choosing:
            return  # A peer has begun a check meanwhile.
        if self._measured is None:
            self._measured = message.through
            turn.set_timer(LEAD, LEAD_SECONDS)
            return
        self._choosing = False
        slot = 2 * message.through - self._measured
        if slot:
            self._await(turn, slot)
            self._tell(turn, StateCheck(slot))

    def _on_check(self, turn: Turn, sender: Address, message: StateCheck) -> None:
        """A peer begins a check. If two begin at the same time, the later slot can be reached by more nodes."""
        if not self._members.is_known(sender.node) or self._short or self._view is not None:
            return  # One check at a time.
        if self._awaited is None or message.slot > self._awaited:
            self._await(turn, message.slot)

    def _await(self, turn: Turn, slot: int) -> None:
        self._choosing, self._awaited = False, slot
        self._rest(turn)
        turn.send(self._learner(), CaptureState(slot))

    def _on_missed(self, turn: Turn, message: CaptureMissed) -> None:
        """This node takes no part: it is past the slot, or its disk is behind."""
        if message.slot == self._awaited:
            self._awaited = None
            turn.note(noted.state_check_missed, slot=message.slot)

    def _on_short_of_space(self, turn: Turn, message: ShortOfSpace) -> None:
        """Give up the check under way: what was erased since it began must not take room any longer."""
        self._short = bool(message.disks)
        if self._short:
            self._choosing = False
            self._end(turn)

    # --- the digest ---

    def _on_captured(self, turn: Turn, message: Captured) -> None:
        """The state is on disk as it is after a slot: read it from here on."""
        if message.view.applied_through != self._awaited or self._view is not None:
            message.view.close()  # It was for a check that was given up.
            return
        self._awaited = None
        self._view, self._after, self._sum = message.view, b"", StateSum()
        self._read(turn)

    def _read(self, turn: Turn) -> None:
        """Add the next piece to the sum, and rest as long as the byte rate says."""
        view = self._view
        assert view is not None, "the timer is cancelled with the view"
        pairs = view.read(self._after, PIECE_BYTES)
        if not pairs:
            own = StateDigest(view.applied_through, self._sum.digest, self._sum.count)
            self._end(turn)
            self._own.append(own)
            self._tell(turn, own)
            turn.set_timer(COMPARE, 0.0)  # not in this turn: if it fences this node, the others are to know why
            return
        self._sum.add(pairs)
        self._after = pairs[-1][0]
        size = sum(len(key) + len(value) for key, value in pairs)
        turn.set_timer(READ, size / self._bytes_per_second)

    def _end(self, turn: Turn) -> None:
        """Read no further, or wait no longer."""
        self._awaited = None
        if self._view is not None:
            turn.cancel_timer(READ)
            self._view.close()
            self._view = None

    # --- the comparison ---

    def _on_digest(self, turn: Turn, sender: Address, message: StateDigest) -> None:
        """A peer has summed its state: compare now, or when this node has summed its own."""
        if self._members.is_known(sender.node):
            self._claims.setdefault(sender.node, deque(maxlen=KEPT)).append(message)
            self._compare(turn, sender.node, message.slot)

    def _compare_all(self, turn: Turn) -> None:
        """Compare the digest that this node has just made with those that came before it."""
        for node in sorted(self._claims):
            self._compare(turn, node, self._own[-1].slot)

    def _compare(self, turn: Turn, node: int, slot: int) -> None:
        """Compare what ``node`` and this node hold after ``slot``, if both have said it. ``Fenced`` as above."""
        own, claim = _of_slot(self._own, slot), _of_slot(self._claims[node], slot)
        if own is None or claim is None:
            return
        if claim == own:
            if node in self._differing:
                self._differing.remove(node)
                turn.note(noted.state_agrees, peer=node, slot=slot, differing=sorted(self._differing))
        elif node not in self._differing:
            self._differing.add(node)
            turn.note(noted.state_differs, peer=node, slot=slot, differing=sorted(self._differing))
        turn.note(noted.state_compared, slot=slot, pairs=own.count, peer=node, same=claim == own)
        if claim != own:
            newest = self._members.configurations.newest
            same = [each for each in newest.voters & self._claims.keys() if _of_slot(self._claims[each], slot) == claim]
            if newest.decides(same) and len(same) >= AGREEING_MIN:
                others = ", ".join(map(str, sorted(same)))
                raise Fenced(f"the state here after slot {slot} is not that of nodes {others}")

    def _tell(self, turn: Turn, message: StateCheck | StateDigest) -> None:
        for node in self._members.others:
            turn.send(Address(node, CHECKER), message)

    def _learner(self) -> Address:
        return Address(self._node, LEARNER)


def _of_slot(digests: Iterable[StateDigest], slot: int) -> StateDigest | None:
    """The digest of the check at ``slot``; the newest, if a life of the node before made another there."""
    return next((each for each in reversed([*digests]) if each.slot == slot), None)
