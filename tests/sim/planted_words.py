"""Bugs of transactions and databases, planted as in ``planted`` and looked for in both modes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

from dkv.actor import Turn
from dkv.client_events import ClientRequests, Requests
from dkv.gateway.gateway import Gateway
from dkv.kv import transactions
from dkv.kv.asks import Ask, ask_of
from dkv.kv.codes import EXEC, IDMP, READS
from dkv.kv.effort import TOO_MUCH, TooMuch
from dkv.kv.key_filter import KeyFilter
from dkv.kv.keyspace import Keyspace
from dkv.kv.machine import Machine
from dkv.kv.transactions import execute
from dkv.records import UncheckedEntry
from dkv.replies import ABORTED, Local, Result
from tests.sim.planted import Plant, plant

WORD_PLANTS: dict[str, Plant] = {}
"""Every planted bug by its name."""

Apply = Callable[[Turn, UncheckedEntry], Result]

# --- transactions ---


@plant("watch_is_checked_before_the_log", WORD_PLANTS)
def watch_is_checked_before_the_log() -> Iterator[None]:
    """An EXEC is judged where it arrives, by what is applied there, and not at its place in the log."""
    is_as_it_was, receive = transactions._is_as_it_was, Gateway.receive

    def judged(turn: Any, item: Any) -> Any:
        write = item[3] if type(item) is list and item[0] == IDMP else item
        if type(write) is not list or write[0] != EXEC:
            return item
        keyspace = Keyspace()
        keyspace.start(turn)
        watched = [each for argument in write[3] if (each := transactions._watched(argument)) is not None]
        return item if all(is_as_it_was(keyspace, turn, each) for each in watched) else Local(ABORTED)

    def judge_all(turn: Any, requests: Requests) -> Requests:
        items = [judged(turn, item) for item in requests.items]
        aborted = sum(type(item) is Local for item in items) - sum(type(item) is Local for item in requests.items)
        return requests._replace(items=items, writes=requests.writes - aborted)

    def judge_first(self: Gateway, turn: Any, sender: Any, message: Any) -> None:
        if isinstance(message, ClientRequests):
            message = ClientRequests([judge_all(turn, each) for each in message.requests])
        receive(self, turn, sender, message)

    with patch.object(transactions, "_is_as_it_was", lambda *_: True), patch.object(Gateway, "receive", judge_first):
        yield


@plant("erased_keys_leave_no_mark", WORD_PLANTS)
def erased_keys_leave_no_mark() -> Iterator[None]:
    """With a key its revision is gone, and nothing says that it has existed."""
    with patch("dkv.kv.keyspace.mark_erased", lambda *_: None):
        yield


@plant("absent_is_as_it_was", WORD_PLANTS)
def absent_is_as_it_was() -> Iterator[None]:
    """A key that was absent for WATCH, and is for EXEC, counts as unchanged: whether it came and went is not asked."""
    with patch.object(Keyspace, "gone_since", lambda *_: 0):
        yield


@plant("transaction_in_two_turns", WORD_PLANTS)
def transaction_in_two_turns() -> Iterator[None]:
    """After half of its commands the rest of a transaction waits until the next slot comes, or the node's end."""
    tries, begin_slot = Machine._try, Machine.begin_slot
    rests: dict[int, list[UncheckedEntry]] = {}

    def begin(self: Machine, turn: Any, slot: int, stamp: int) -> None:
        for entry in rests.pop(id(self), []):
            self._do(turn, entry)
        self._keyspace.settle(turn)
        begin_slot(self, turn, slot, stamp)

    def try_half(self: Machine, turn: Any, entry: UncheckedEntry) -> Result:
        ask = ask_of(entry)
        if ask is None or ask.code != EXEC:
            return tries(self, turn, entry)
        self._keyspace.begin_trial(turn)
        try:
            result = execute(self._keyspace, turn, ask, self._do)
        except TooMuch:
            result = TOO_MUCH
        self._keyspace.undo_trial(turn)
        if isinstance(result, list):
            entries: Any = ask.arguments[1]
            for each in entries[: len(entries) // 2]:
                self._do(turn, each)
            rests.setdefault(id(self), []).extend(entries[len(entries) // 2 :])
        return result

    with patch.object(Machine, "begin_slot", begin), patch.object(Machine, "_try", try_half):
        yield


@plant("transaction_reads_on_one_node", WORD_PLANTS)
def transaction_reads_on_one_node() -> Iterator[None]:
    """Reads in a transaction are evaluated where its client waits, as all others are: the rest answer a repeat."""
    applies, owns = Machine._apply_entry, [False]

    def noted(self: Machine, turn: Any, entry: Any, own: bool) -> Any:
        owns[:] = [own]
        return applies(self, turn, entry, own)

    def execute_some(keyspace: Keyspace, turn: Any, ask: Ask, apply: Apply) -> Result:
        def one(turn: Any, entry: UncheckedEntry) -> Result:
            return apply(turn, entry) if owns[0] or entry[0] not in READS else None

        return execute(keyspace, turn, ask, one)

    with patch.object(Machine, "_apply_entry", noted), patch("dkv.kv.machine.execute", execute_some):
        yield


@plant("counts_are_not_undone", WORD_PLANTS)
def counts_are_not_undone() -> Iterator[None]:
    """A transaction that is too much is undone where it is stored, and the counts of keys stay."""
    undo_trial = Keyspace.undo_trial

    def undo(self: Keyspace, turn: Any) -> None:
        counted = self.databases
        undo_trial(self, turn)
        self.databases, self._changed = counted, True
        self._arrange()

    with patch.object(Keyspace, "undo_trial", undo):
        yield


# --- databases ---


@plant("flush_misses_its_slot", WORD_PLANTS)
def flush_misses_its_slot() -> Iterator[None]:
    """A database counts as empty by the table as it was before the slot: what the slot has written survives."""
    begin_slot, flush = Keyspace.begin_slot, Keyspace.flush
    before: dict[int, list[int]] = {}

    def begin(self: Keyspace, turn: Any, slot: int, stamp: int) -> None:
        before[id(self)] = [each.keys for each in self.databases.numbered]
        begin_slot(self, turn, slot, stamp)

    def flush_some(self: Keyspace, numbers: range) -> bool:
        return all(flush(self, range(each, each + 1)) for each in numbers if before[id(self)][each])

    with patch.object(Keyspace, "begin_slot", begin), patch.object(Keyspace, "flush", flush_some):
        yield


@plant("puts_go_where_the_flushed_keys_are", WORD_PLANTS)
def puts_go_where_the_flushed_keys_are() -> Iterator[None]:
    """For the rest of its batch a flush has not given database 0 another space: what is put there is lost."""
    applies, prefix = Machine._apply_entries, Keyspace.prefix

    def by_the_first(self: Machine, turn: Any, entries: Any, own: bool) -> Any:
        first = prefix(self._keyspace, 0)
        with patch.object(Keyspace, "prefix", lambda keyspace, db: first if db == 0 else prefix(keyspace, db)):
            return applies(self, turn, entries, own)

    with patch.object(Machine, "_apply_entries", by_the_first):
        yield


@plant("stored_keys_are_new_after_a_start", WORD_PLANTS)
def stored_keys_are_new_after_a_start() -> Iterator[None]:
    """What memory knows of stored keys begins anew with each life, as if none were stored: they are counted again."""
    start = KeyFilter.start

    def know_all(self: KeyFilter) -> None:
        start(self)
        self._whole, self._coming = self._coming, None

    with patch.object(KeyFilter, "start", know_all):
        yield


@plant("absent_keys_are_discounted", WORD_PLANTS)
def absent_keys_are_discounted() -> Iterator[None]:
    """A DELETE makes DBSIZE one less, whether the key was there or not."""
    erase = Keyspace.erase

    def discount(self: Keyspace, turn: Any, db: int, key: bytes) -> bool:
        database = self.databases.numbered[db]
        if turn.load(self.prefix(db) + key) is None and database.keys:
            database.keys -= 1
            self._changed = True
        return erase(self, turn, db, key)

    with patch.object(Keyspace, "erase", discount):
        yield
