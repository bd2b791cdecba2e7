"""Bugs that other systems had, planted here one at a time: the simulator must find each of them.

Each is a context manager that patches the product while it is entered; nothing of this is in the product. The numbers
are those of docs/known-bugs.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from dkv.actor import ACCEPTOR, Address
from dkv.ballot import ZERO, Ballot
from dkv.configurations import Configuration
from dkv.events import PromiseRaised
from dkv.gateway.gateway import Gateway
from dkv.keys import APPLIED_THROUGH, DATABASE, STATE, record_key
from dkv.kv.appliers.by_code import APPLIERS
from dkv.kv.codes import ERASE
from dkv.messages import Accept, Accepted, Barrier, ChosenMark, Prepare, Promise
from dkv.net.acquaintances import Acquaintances
from dkv.paxos.acceptor import Acceptor
from dkv.paxos.leadership import Leadership
from dkv.paxos.learner import Learner
from dkv.paxos.proposer import Proposer, Step
from dkv.paxos.read_rounds import ReadRounds
from dkv.paxos.slot_log import SlotLog
from dkv.paxos.window import Proposal
from dkv.records import SlotRecord, Value, pack_record

Plant = Callable[[], Any]
PLANTS: dict[str, Plant] = {}
"""Every planted bug by its number."""


def plant(number: str, plants: dict[str, Plant] = PLANTS) -> Callable[[Callable[[], Iterator[None]]], Plant]:
    """Register a bug under its number, among ``plants``."""

    def register(function: Callable[[], Iterator[None]]) -> Plant:
        plants[number] = contextmanager(function)
        return plants[number]

    return register


@contextmanager
def _patched(*patches: tuple[Any, str, Any]) -> Iterator[None]:
    with ExitStack() as stack:
        for target, name, value in patches:
            stack.enter_context(patch.object(target, name, value))
        yield


class _Hasty:
    """A turn that sends some messages without waiting for the disk, and those of one class not at all."""

    def __init__(self, turn: Any, hasty: Callable[[Address, Any], bool], deaf_to: type | None = None) -> None:
        self._turn = turn
        self._hasty = hasty
        self._deaf_to = deaf_to

    def __getattr__(self, name: str) -> Any:
        return getattr(self._turn, name)

    def send(self, to: Address, message: Any) -> None:
        if self._hasty(to, message):
            self._turn.send_early(to, message)
        else:
            self._turn.send(to, message)

    def send_early(self, to: Address, message: Any) -> None:
        if self._deaf_to is None or type(message) is not self._deaf_to:
            self._turn.send_early(to, message)


def _hasty_acceptor(hasty: Callable[[Acceptor, Address, Any], bool]) -> Any:
    receive = Acceptor.receive

    def hasty_receive(self: Acceptor, turn: Any, sender: Address, message: Any) -> None:
        receive(self, _Hasty(turn, lambda to, sent: hasty(self, to, sent)), sender, message)

    return patch.object(Acceptor, "receive", hasty_receive)


@plant("B1")
def reply_before_durable() -> Iterator[None]:
    """A promise or vote leaves for other nodes before it is on disk."""
    with _hasty_acceptor(lambda self, to, message: isinstance(message, Promise | Accepted) and to.node != self._node):
        yield


@plant("B2")
def acknowledged_by_one_disk() -> Iterator[None]:
    """A write counts as chosen when one disk has it."""
    with patch.object(Proposal, "is_chosen", property(lambda self: bool(self.accepted_by))):
        yield


@plant("B3")
def ballot_reused() -> Iterator[None]:
    """A ballot is announced before it is on the proposer's own disk, so that a restart may use it again."""
    reserve = Proposer._campaign

    def announce_at_once(self: Proposer, turn: Any) -> None:
        reserve(self, turn)
        self._step = Step.PREPARING
        for node in self._members.others:
            turn.send(Address(node, ACCEPTOR), Prepare(self._ballot, 1))

    with patch.object(Proposer, "_campaign", announce_at_once):
        yield


@plant("B4")
def late_promise_counts() -> Iterator[None]:
    """A Promise counts whatever ballot it is for."""
    on_promise = Proposer._on_promise

    def on_any_promise(self: Proposer, turn: Any, sender: Address, message: Promise) -> None:
        on_promise(self, turn, sender, replace(message, ballot=self._ballot))

    with patch.object(Proposer, "_on_promise", on_any_promise):
        yield


@plant("B5")
def accepting_raises_no_promise() -> Iterator[None]:
    """An acceptor that has accepted in a ballot may still promise, and accept in, a lower one."""
    on_accept = Acceptor._on_accept

    def only_accept(self: Acceptor, turn: Any, sender: Address, message: Any) -> None:
        with patch.object(Acceptor, "_raise_promise"):
            on_accept(self, turn, sender, message)

    with patch.object(Acceptor, "_on_accept", only_accept):
        yield


@plant("B6")
def one_ballot_for_both() -> Iterator[None]:
    """A Promise reports what was accepted under the ballot that is promised."""
    report = Acceptor._report

    def report_as_promised(self: Acceptor, turn: Any, from_slot: int) -> Any:
        chunks = report(self, turn, from_slot)
        return [[(slot, replace(record, ballot=self._promised)) for slot, record in chunk] for chunk in chunks]

    with patch.object(Acceptor, "_report", report_as_promised):
        yield


@plant("B8")
def state_not_read_back() -> Iterator[None]:
    """An acceptor begins each life with no promise."""
    start = Acceptor.start

    def start_afresh(self: Acceptor, turn: Any) -> None:
        start(self, turn)
        self._promised = ZERO

    with patch.object(Acceptor, "start", start_afresh):
        yield


@plant("B10")
def reads_without_a_quorum() -> Iterator[None]:
    """Whoever believes to lead serves reads."""

    def answer_at_once(self: Leadership, turn: Any) -> None:
        if self._rounds.begin(self._members.in_force, turn.now):
            for gateway, request in self._rounds.end():
                turn.send(gateway, Barrier(request.boot, request.number, self._window.chosen_through))

    with patch.object(Leadership, "_begin_round", answer_at_once):
        yield


@plant("B11")
def mark_and_data_apart() -> Iterator[None]:
    """The mark of what is applied goes to disk before what it claims."""
    on_chosen_slots = Learner._on_chosen_slots

    class Marking:
        def __init__(self, turn: Any) -> None:
            self._turn = turn

        def __getattr__(self, name: str) -> Any:
            return getattr(self._turn, name)

        def stage(self, key: bytes, value: bytes) -> None:
            self._turn.stage(key, value)
            if key == APPLIED_THROUGH:
                self._turn.states._generations.current.commit_now({key: value})

    def mark_at_once(self: Learner, turn: Any, message: Any) -> None:
        on_chosen_slots(self, Marking(turn), message)

    with patch.object(Learner, "_on_chosen_slots", mark_at_once):
        yield


@plant("B12")
def lost_disk_votes() -> Iterator[None]:
    """Nobody looks at the incarnation of a node whose disk was lost."""
    with patch.object(Acquaintances, "objection", lambda self, *arguments: None):
        yield


@plant("B14")
def older_value_taken_for_chosen() -> Iterator[None]:
    """A mark covers what was accepted in whatever ballot."""

    def extend(self: SlotLog, turn: Any) -> None:
        while (held := self._open.get(self.chosen_through + 1)) is not None:
            if not (held.chosen or self.chosen_through < self._mark_through):
                break
            self.chosen_through += 1
            del self._open[self.chosen_through]

    with patch.object(SlotLog, "_extend", extend):
        yield


@plant("B16")
def taken_for_mine() -> Iterator[None]:
    """A batch counts as one's own by an id that others use too: its number, without the node and the boot."""
    apply = Learner._apply

    def claim(self: Learner, turn: Any, value: Any) -> None:
        me = self._identity
        for batch in value.batches:
            self._identity = replace(me, node=batch.node, incarnation=batch.incarnation, boot=batch.boot)
            self._here = lambda role: Address(me.node, role)  # type: ignore[method-assign]  # this is the bug
            apply(self, turn, Value((batch,)))
            self._applied_through -= 1
        self._identity = me
        self._applied_through += 1

    with patch.object(Learner, "_apply", claim):
        yield


@plant("B23")
def own_answer_early() -> Iterator[None]:
    """An acceptor's answer reaches the proposer of its own node before its commit."""
    with _hasty_acceptor(lambda self, to, message: isinstance(message, Promise | Accepted) and to.node == self._node):
        yield


@plant("B24")
def promise_from_a_slot_on() -> Iterator[None]:
    """A promise holds from its Prepare's slot on only, and a later Prepare replaces that slot."""
    on_prepare, on_accept = Acceptor._on_prepare, Acceptor._on_accept
    from_slots: dict[int, int] = {}

    def note_slot(self: Acceptor, turn: Any, sender: Address, message: Prepare) -> None:
        from_slots[id(self)] = message.from_slot
        on_prepare(self, turn, sender, message)

    def accept_below(self: Acceptor, turn: Any, sender: Address, message: Accept) -> None:
        held = self._log.accepted_in(message.slot)
        if message.ballot < self._promised and message.slot < from_slots.get(id(self), 0) and held <= message.ballot:
            promised, self._promised = self._promised, message.ballot
            on_accept(self, turn, sender, message)
            self._promised = promised
        else:
            on_accept(self, turn, sender, message)

    with _patched((Acceptor, "_on_prepare", note_slot), (Acceptor, "_on_accept", accept_below)):
        yield


@plant("B25")
def learners_mark_announced() -> Iterator[None]:
    """A leader announces what its node has learned as if it had counted that in its own ballot."""
    apply, announce = Learner._apply, Leadership._announce
    applied: dict[int, int] = {}

    def note_applied(self: Learner, turn: Any, value: Any) -> None:
        apply(self, turn, value)
        applied[self._identity.node] = self._applied_through

    def announce_applied(self: Leadership, turn: Any, nodes: Any) -> None:
        announce(self, turn, nodes)
        through = max(self._window.chosen_through, applied.get(self._node, 0))
        for node in self._everyone:
            turn.send(Address(node, ACCEPTOR), ChosenMark(self._ballot, through))

    with _patched((Learner, "_apply", note_applied), (Leadership, "_announce", announce_applied)):
        yield


@plant("B26")
def learned_without_chosen() -> Iterator[None]:
    """A value that was fetched is stored as if it had been accepted, in the low ballot that the slot had before."""
    put = SlotLog._put

    def put_unmarked(self: SlotLog, turn: Any, slot: int, record: SlotRecord) -> None:
        put(self, turn, slot, record)
        turn.persist(record_key(slot), pack_record(replace(record, chosen=False)))

    with patch.object(SlotLog, "_put", put_unmarked):
        yield


@plant("B27")
def confirmed_without_asking() -> Iterator[None]:
    """A proposer confirms a read round for the acceptor of its node, which tells it nothing of its promises."""
    begin = ReadRounds.begin
    raise_promise = Acceptor._raise_promise

    def begin_confirmed(self: ReadRounds, decided_by: Configuration, now: float) -> bool:
        begun = begin(self, decided_by, now)
        self.confirmed = {-1} if begun else self.confirmed
        return begun

    def raise_in_silence(self: Acceptor, turn: Any, ballot: Ballot) -> None:
        raise_promise(self, _Hasty(turn, lambda to, message: False, deaf_to=PromiseRaised), ballot)

    def counted(self: ReadRounds) -> bool:
        return self.under_way and len(self.confirmed) * 2 > len(self.decided_by.voters)

    with (
        patch.object(ReadRounds, "begin", begin_confirmed),
        patch.object(Acceptor, "_raise_promise", raise_in_silence),
        patch.object(ReadRounds, "is_confirmed", property(counted)),
    ):
        yield


@plant("B28")
def numbered_batch_given_up() -> Iterator[None]:
    """A gateway that has answered UNCERTAIN forgets the batch, and numbers the next one."""
    on_deadline = Gateway._on_deadline

    def forget(self: Gateway, turn: Any) -> None:
        on_deadline(self, turn)
        outstanding = self._batches.outstanding
        while outstanding and all(run.answered for run in outstanding[0].runs):
            outstanding.popleft()

    with patch.object(Gateway, "_on_deadline", forget):
        yield


@plant("B28b")
def batch_number_reused() -> Iterator[None]:
    """A gateway that has answered UNCERTAIN gives the batch's number to other bytes."""
    on_deadline = Gateway._on_deadline

    def reuse(self: Gateway, turn: Any) -> None:
        on_deadline(self, turn)
        outstanding = self._batches.outstanding
        while outstanding and all(run.answered for run in outstanding[-1].runs):
            outstanding.pop()
            self._batches._seq -= 1

    with patch.object(Gateway, "_on_deadline", reuse):
        yield


@plant("B29")
def erased_at_once() -> Iterator[None]:
    """A DELETE erases on disk before the slot that it belongs to counts as applied there."""

    def delete(keyspace: Any, turn: Any, ask: Any) -> Any:
        held = [name for name in ask.arguments if turn.load(STATE + DATABASE + name) is not None]
        turn.states._generations.current.commit_now({STATE + DATABASE + name: None for name in held})
        return len(held)

    with patch.dict(APPLIERS, {ERASE: delete}):
        yield
