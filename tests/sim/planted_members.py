"""Bugs of members that change, planted as in ``tests.sim.planted``: each is a rule of the change left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from sys import maxsize
from typing import Any
from unittest.mock import patch

from dkv.configurations import Configuration, Configurations, decided_through
from dkv.keys import APPLIED_THROUGH, BATCH_MARK, unpack_number
from dkv.kv.machine import Machine
from dkv.kv.membership import _Draft
from dkv.paxos.electorate import Electorate
from dkv.paxos.found_values import FoundValues
from dkv.paxos.known_members import KnownMembers
from dkv.paxos.leadership import Leadership
from dkv.paxos.promised import Promised
from dkv.paxos.read_rounds import ReadRounds
from dkv.paxos.window import Proposal

Plant = Callable[[], Any]
MEMBERS: dict[str, Plant] = {}
"""Every planted bug by its name."""


def _plant(function: Callable[[], Iterator[None]]) -> Plant:
    MEMBERS[function.__name__] = contextmanager(function)
    return MEMBERS[function.__name__]


@_plant
def newest_set_decides() -> Iterator[None]:
    """Every slot is decided by the newest set that is applied, as soon as it is (R1)."""

    def of(self: KnownMembers, slot: int) -> Configuration:
        return self.configurations.newest

    def following(self: KnownMembers, slot: int) -> tuple[Configuration, ...]:
        return (self.configurations.newest,)

    with patch.object(KnownMembers, "of", of), patch.object(KnownMembers, "following", following):
        yield


@_plant
def phase_1_once() -> Iterator[None]:
    """A quorum of the set that decides the first slot of a lead has promised, and nobody else is asked (R2)."""

    def allowed_through(self: Promised, members: KnownMembers, next_slot: int) -> int:
        return decided_through(members.applied)

    with patch.object(Promised, "allowed_through", allowed_through):
        yield


@_plant
def window_beyond_alpha() -> Iterator[None]:
    """A leader proposes as far as its window reaches, whoever turns out to decide these slots (R3)."""
    with patch("dkv.paxos.promised.decided_through", lambda applied: maxsize):
        yield


@_plant
def late_reports_are_ignored() -> Iterator[None]:
    """A promise that comes while the lead lasts counts, and what it reports does not (R4)."""
    count = Promised.count

    def count_only(self: Promised, chosen_through: int, next_slot: int) -> None:
        found, self.found = self.found, self.found if not self._counted else FoundValues(0)
        count(self, chosen_through, next_slot)
        self.found = found

    with patch.object(Promised, "count", count_only):
        yield


@_plant
def late_floor_is_ignored() -> Iterator[None]:
    """A promise counts at once for slots that its node knows to be chosen, and does not report any more (R5)."""
    count = Promised.count

    def count_all(self: Promised, chosen_through: int, next_slot: int) -> None:
        count(self, maxsize, next_slot)

    with patch.object(Promised, "count", count_all):
        yield


@_plant
def members_before_they_are_applied() -> Iterator[None]:
    """A leader takes the sets that it knows for those of all that it has counted, and not of what is applied (R3)."""
    propose = Leadership._propose

    def propose_early(self: Leadership, turn: Any) -> None:
        self._members.advance(self._window.chosen_through)
        self._allow()
        propose(self, turn)

    with patch.object(Leadership, "_propose", propose_early):
        yield


@_plant
def first_set_confirms() -> Iterator[None]:
    """Rounds of reads are confirmed by the set that decided when the lead began, and by the present one (R6)."""
    init, ask = ReadRounds.__init__, Leadership._ask_confirmation

    def init_and_keep(self: ReadRounds, decided_by: Configuration) -> None:
        init(self, decided_by)
        self.first = decided_by  # type: ignore[attr-defined]  # only the bug remembers it

    def is_confirmed(self: ReadRounds) -> bool:
        return self.under_way and any(each.decides(self.confirmed) for each in (self.first, self.decided_by))  # type: ignore[attr-defined]  # as above

    def ask_all(self: Leadership, turn: Any, nodes: Iterable[int]) -> None:
        ask(self, turn, {*nodes, *self._rounds.first.voters})  # type: ignore[attr-defined]  # as above

    with (
        patch.object(ReadRounds, "__init__", init_and_keep),
        patch.object(ReadRounds, "is_confirmed", property(is_confirmed)),
        patch.object(Leadership, "_ask_confirmation", ask_all),
    ):
        yield


@_plant
def any_set_confirms() -> Iterator[None]:
    """A leader that was removed serves reads as long as the members of old confirm it (R6)."""

    def is_confirmed(self: ReadRounds) -> bool:
        return self.under_way and len(self.confirmed) >= min(self.decided_by.quorum, 2)

    with patch.object(ReadRounds, "is_confirmed", property(is_confirmed)):
        yield


@_plant
def pending_set_is_not_loaded() -> Iterator[None]:
    """A set that has not taken force is missing in what a node begins with: a start, or a snapshot."""
    start = Machine.start

    def start_without(self: Machine, turn: Any) -> None:
        start(self, turn)
        held, applied = self.configurations, unpack_number(turn.load(APPLIED_THROUGH))
        sets = tuple(each for each in held.sets if each.from_slot <= applied + 1)
        self.configurations = replace(held, sets=sets)

    with patch.object(Machine, "start", start_without):
        yield


@_plant
def marks_go_at_the_change() -> Iterator[None]:
    """The marks of a node that leaves go with the entry, and its batches count as new until its set ends."""
    change = Machine._change_members

    def change_and_drop(self: Machine, turn: Any, entry: Any) -> Any:
        result = change(self, turn, entry)
        for origin in [each for each in self._marks if each[0] not in self.configurations.newest.members]:
            del self._marks[origin]
            turn.stage_erase(BATCH_MARK + origin[0].to_bytes(4) + origin[1].to_bytes(8))
        return result

    with patch.object(Machine, "_change_members", change_and_drop):
        yield


@_plant
def anybody_writes() -> Iterator[None]:
    """An old member's late first batch takes effect: nobody asks at apply whether its origin is a member."""
    begin_slot = Machine.begin_slot

    def begin_for_all(self: Machine, turn: Any, slot: int, stamp: int) -> None:
        begin_slot(self, turn, slot, stamp)
        self._origins = frozenset(range(1, 100))

    with patch.object(Machine, "begin_slot", begin_for_all):
        yield


@_plant
def standbys_vote() -> Iterator[None]:
    """A leader counts what standbys have accepted like the votes of voters."""

    def is_chosen(self: Proposal) -> bool:
        return len(self.configuration.members & self.accepted_by) >= self.configuration.quorum

    with patch.object(Proposal, "is_chosen", property(is_chosen)):
        yield


@_plant
def id_is_used_again() -> Iterator[None]:
    """A node whose disk was lost is added under the id that it had (R7)."""
    add = _Draft._add

    def add_again(self: _Draft, id_: int, *record: Any) -> None:
        self._ids_through, through = 0, self._ids_through
        add(self, id_, *record)
        self._ids_through = max(id_, through)

    with patch.object(_Draft, "_add", add_again):
        yield


@_plant
def removed_and_not_quiet() -> Iterator[None]:
    """A node that knows it was removed goes on campaigning."""

    def may_campaign(self: Electorate) -> bool:
        return self.progress is not None and self.replayed

    with patch.object(Electorate, "may_campaign", property(may_campaign)):
        yield


@_plant
def removed_node_gives_nothing() -> Iterator[None]:
    """A node that was removed talks with nobody: the new members may lack what it alone holds."""

    def contacts(self: Configurations, node: int, applied: int) -> frozenset[int]:
        return frozenset() if self.was_removed(node, applied) else self.known(applied) - {node}

    with patch.object(Configurations, "contacts", contacts):
        yield


def _nothing(*_: object) -> None:
    """In place of a rule that is left out."""
