"""The state machine: batches of commands applied to keys and values, the same on every node (Schneider, 1990).

Apply is total: an unknown, damaged or oversized command answers an error and changes nothing, on every node alike. It
knows no clock, randomness or local setting: the time comes with the slot, and a limit that only apply can check travels
in the entry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from sys import maxsize

from dkv import noted
from dkv.actor import Turn
from dkv.client_events import KeyEvents
from dkv.configurations import Configurations, pack_configurations, unpack_configurations
from dkv.keys import BATCH_MARK, CONFIGURATIONS
from dkv.kv.appliers.by_code import APPLIERS
from dkv.kv.asks import UNKNOWN, ask_of
from dkv.kv.codes import (
    DATABASES,
    EXEC,
    GET,
    IDMP,
    IDMP_NEW,
    IDMP_REPEAT,
    IDMP_UNCHECKED,
    MEMBERS,
    PUT,
    READS,
    WRITES,
)
from dkv.kv.effort import TOO_MUCH, TooMuch, may_be_too_much
from dkv.kv.erasure import Eraser
from dkv.kv.keyspace import Keyspace
from dkv.kv.membership import changed
from dkv.kv.sessions import (
    BOUNDS,
    MISMATCH,
    NEW,
    NO_CHECK,
    OLD,
    OP_MAX,
    PRODUCER_BYTES_MAX,
    Bounds,
    Place,
    Sessions,
    check_of,
)
from dkv.kv.stored import STRING, pack_header
from dkv.kv.transactions import execute
from dkv.records import Batch, UncheckedEntry, follows
from dkv.replies import OK, Error, Result, Simple

_ORIGIN = Struct(">IQ")  # node, incarnation
_MARK = Struct(">QQ")  # boot, seq

NOT_EXECUTED = Error(
    "MISCONF disks are short of space, and no earlier request with this token was executed; this one was not applied:"
    " `dkv status` says which node wants room"
)
UNREADABLE = Error("ERR the log holds a batch that cannot be decoded; it was not applied")


class Machine:
    """Keys and values, the last batch applied of every origin, the answers of writes with a token, and the members.

    ``decode`` turns a batch's blob into its entries, or into None if it cannot. ``configurations`` are those of slot 1,
    which hold as long as the log has changed nothing. ``bounds`` are the same on every node.
    """

    def __init__(
        self,
        decode: Callable[[bytes], Sequence[UncheckedEntry] | None],
        configurations: Configurations,
        bounds: Bounds = BOUNDS,
    ) -> None:
        self._decode = decode
        self._first = configurations
        self.configurations = configurations
        """The sets of members, as all applied slots have made them."""
        self._origins: frozenset[int] = frozenset()
        """The members that write in the slot at hand."""
        self._origins_through = 0
        """The last slot in which these write, as far as is known."""
        self._marks: dict[tuple[int, int], tuple[int, int]] = {}
        self._sessions = Sessions(bounds)
        self._place: Place = (0, 0)
        self._keyspace = Keyspace()
        self._eraser = Eraser(self._keyspace)
        self._repeats = self._refused = 0  # of the batch at hand
        self.executed = 0
        """How many write commands were executed, since this process began."""
        self._special: dict[int, Callable[[Turn, UncheckedEntry], Result]] = {
            IDMP: self._idmp,
            IDMP_UNCHECKED: self._idmp_unchecked,
            IDMP_NEW: self._idmp_new,
            IDMP_REPEAT: self._idmp_repeat,
            MEMBERS: self._change_members,
        }

    @property
    def effort(self) -> int:
        """What commands have taken since this process began (``dkv.kv.effort``), but for plain PUTs and GETs."""
        return self._keyspace.effort.spent

    @property
    def time(self) -> int:
        """The replicated time after the slots so far, in milliseconds since 1970; 0 if no slot had one."""
        return self._keyspace.time

    def counted(self) -> list[tuple[int, int, int]]:
        """For each database that holds something: its number, its keys, and how many of them have a deadline.

        As DBSIZE counts, after the slots that ``due`` was asked behind.
        """
        counted = [(number, *self._keyspace.counts_in_memory(number)) for number in range(DATABASES)]
        return [each for each in counted if each[1]]

    @property
    def expired(self) -> int:
        """How many keys were erased because they had expired, since this process began."""
        return self._eraser.expired

    def due(self, turn: Turn) -> int:
        """The time at which a slot is wanted though nobody writes: the nearest deadline, in milliseconds since 1970.

        0 if something is to be erased now, ``maxsize`` if no slot is wanted.
        """
        if self._eraser.is_due(turn):
            self._keyspace.look_at_backlog(turn)
            return 0
        return self._keyspace.deadlines.nearest(turn)

    def start(self, turn: Turn) -> None:
        """Load what is kept in memory. The state may be another one than before: nothing of that is kept."""
        self._sessions.start(turn)
        self._keyspace.start(turn)
        self._eraser.start()
        stored = turn.load(CONFIGURATIONS)
        self.configurations = self._first if stored is None else unpack_configurations(stored)
        self._origins_through = 0
        self._marks.clear()
        for key, data in turn.scan(BATCH_MARK):
            node, incarnation = _ORIGIN.unpack(key[len(BATCH_MARK) :])
            boot, seq = _MARK.unpack(data)
            self._marks[node, incarnation] = (boot, seq)

    def origins(self) -> tuple[tuple[int, int, int, int], ...]:
        """The last batch applied of every origin: (node, incarnation, boot, seq)."""
        return tuple((*origin, *mark) for origin, mark in self._marks.items())

    def begin_slot(self, turn: Turn, slot: int, stamp: int) -> None:
        """Slot ``slot`` is applied next, also if it has no batches. ``stamp`` is its time, 0 if it has none.

        Dead keys are erased, a bounded number. If another set decides it than the slot before, only the members of that
        one write from here on. The batch marks of all others go: no batch of theirs takes effect again, and no id is
        used twice.
        """
        self._place = (slot, 0)
        self._keyspace.begin_slot(turn, slot, stamp)
        self._eraser.erase(turn)
        self._keyspace.settle(turn)
        if slot <= self._origins_through:
            return
        newest = self.configurations.newest
        self._origins = self.configurations.of(slot).members
        self._origins_through = newest.from_slot - 1 if newest.from_slot > slot else maxsize
        for origin in [origin for origin in self._marks if origin[0] not in self._origins]:
            del self._marks[origin]
            turn.stage_erase(BATCH_MARK + _ORIGIN.pack(*origin))

    def apply(self, turn: Turn, batch: Batch, own: bool) -> list[Result] | None:
        """Apply a batch of the slot at hand: a result per entry; None, and nothing is done, unless it is to be applied.

        It is if it comes from a member under the set that decides the slot, and is that origin's next.

        Reads in the batch are evaluated, and repeats of writes with a token noted, only on the node where the client
        waits (``own``). An unreadable batch counts as applied and has one result.
        """
        origin = (batch.node, batch.incarnation)
        if batch.node not in self._origins or not follows(self._marks.get(origin, (0, 0)), batch.boot, batch.seq):
            return None
        self._marks[origin] = (batch.boot, batch.seq)
        turn.stage(BATCH_MARK + _ORIGIN.pack(*origin), _MARK.pack(batch.boot, batch.seq))
        entries = self._decode(batch.blob)
        if entries is None:
            return [UNREADABLE]
        self._repeats = self._refused = 0
        results = self._apply_entries(turn, entries, own)
        self._keyspace.settle(turn)
        if own and self._repeats:
            turn.note(noted.duplicates_suppressed, count=self._repeats)
        if own and self._refused:
            turn.note(noted.refused, reason="MISCONF", count=self._refused)
        return results

    def take_events(self) -> list[KeyEvents]:
        """What has happened to keys since this was asked last, as far as it is wanted: for the slot at hand."""
        return self._keyspace.events.take(self._place[0])

    def read(self, turn: Turn, entries: Sequence[UncheckedEntry]) -> list[Result]:
        """Evaluate read entries. Most are plain GETs, which have a shorter way of their own."""
        keyspace = self._keyspace
        keyspace.seen = keyspace.slot
        prefix = keyspace.prefix(0)
        return [
            keyspace.value_of(turn.load(prefix + entry[1]))
            if len(entry) == 2 and entry[0] is GET and type(entry[1]) is bytes
            else self._execute(turn, entry)
            for entry in entries
        ]

    def _apply_entries(self, turn: Turn, entries: Sequence[UncheckedEntry], own: bool) -> list[Result]:
        """Apply all entries. Most are plain PUTs, and those that follow one another are stored together."""
        results: list[Result] = []
        keyspace = self._keyspace
        slot, first, prefix = keyspace.slot, keyspace.index, keyspace.prefix(0)
        puts: dict[bytes, bytes] = {}
        told: list[bytes] = []
        telling = bool(keyspace.events.wanted)
        for index, entry in enumerate(entries, first):
            if (
                type(entry) is list
                and len(entry) == 3
                and entry[0] is PUT  # a number that is equal and another object takes the longer way
                and type(key := entry[1]) is bytes
                and type(value := entry[2]) is bytes
            ):
                puts[prefix + key] = pack_header(STRING, slot, index) + value
                self.executed += 1
                results.append(OK)
                if telling:
                    told.append(key)
            else:
                if puts:
                    keyspace.put_all(turn, puts, told)
                    puts, told = {}, []
                keyspace.index = index
                results.append(self._apply_entry(turn, entry, own))
                prefix = keyspace.prefix(0)  # the entry may have flushed the database
                telling = bool(keyspace.events.wanted)
        if puts:
            keyspace.put_all(turn, puts, told)
        keyspace.index = first + len(entries)
        return results

    def _apply_entry(self, turn: Turn, entry: UncheckedEntry, own: bool) -> Result:
        if type(entry) is not list or not entry or type(entry[0]) is not int:
            return UNKNOWN
        if entry[0] in READS and not own:
            return None
        special = self._special.get(entry[0])
        return self._execute(turn, entry) if special is None else special(turn, entry)

    def _execute(self, turn: Turn, entry: UncheckedEntry) -> Result:
        """Do what an entry asks for, which is a command for a database, or a transaction."""
        return self._try(turn, entry) if may_be_too_much(entry) else self._do(turn, entry)

    def _try(self, turn: Turn, entry: UncheckedEntry) -> Result:
        """Do it, unless it turns out to be too much at once: then it is undone."""
        keyspace, executed = self._keyspace, self.executed
        keyspace.begin_trial(turn)
        try:
            ask = ask_of(entry)
            if ask is not None and ask.code == EXEC:
                result = execute(keyspace, turn, ask, self._do)
            else:
                result = self._do(turn, entry)
        except TooMuch:
            keyspace.undo_trial(turn)
            self.executed = executed
            return TOO_MUCH
        keyspace.end_trial(turn)
        return result

    def _do(self, turn: Turn, entry: UncheckedEntry) -> Result:
        ask = ask_of(entry)
        applier = None if ask is None else APPLIERS.get(ask.code)
        if ask is None or applier is None:
            return UNKNOWN
        result = applier(self._keyspace, turn, ask)
        if ask.code not in READS and result is not UNKNOWN:
            self.executed += 1
        return result

    def _change_members(self, turn: Turn, entry: UncheckedEntry) -> Result:
        slot = self._place[0]
        made = changed(self.configurations, slot, entry)
        if type(made) is Error:
            return made
        self.executed += 1
        self.configurations = made
        self._origins_through = made.newest.from_slot - 1
        turn.stage(CONFIGURATIONS, pack_configurations(made))
        return Simple(f"OK {slot}")

    # --- tokens ---

    def _idmp(self, turn: Turn, entry: UncheckedEntry) -> Result:
        """A write with a token: execute it unless that was done, and store its answer, deterministic errors too.

        It is refused if the token was used with another write.
        """
        token = _token(entry)
        return UNKNOWN if token is None else self._once(turn, token, check_of(token[2]))

    def _idmp_unchecked(self, turn: Turn, entry: UncheckedEntry) -> Result:
        """As it was before there were hashes. It stays so for ever: nodes come to this version at different slots."""
        token = _token(entry)
        return UNKNOWN if token is None else self._once(turn, token, NO_CHECK)

    def _once(self, turn: Turn, token: _Token, check: bytes) -> Result:
        producer, op, write = token
        place = self._next_place()
        answer = self._sessions.find(turn, producer, op, place, check)
        if answer is NEW:
            answer = self._execute(turn, write)
            self._sessions.remember(turn, producer, op, answer, place, check)
        elif answer is not OLD and answer is not MISMATCH:
            self._repeats += 1
        return answer

    def _idmp_repeat(self, turn: Turn, entry: UncheckedEntry) -> Result:
        """The stored answer to a write with a token, for a gateway that may propose no write: it is not executed."""
        if len(entry) != 4:
            return UNKNOWN
        _, producer, op, check = entry
        if type(producer) is not bytes or type(op) is not int or type(check) is not bytes or not _fits(producer, op):
            return UNKNOWN
        answer = self._sessions.find(turn, producer, op, self._next_place(), check)
        if answer is NEW:
            self._refused += 1
            return NOT_EXECUTED
        if answer is not OLD and answer is not MISMATCH:
            self._repeats += 1
        return answer

    def _idmp_new(self, turn: Turn, entry: UncheckedEntry) -> Result:
        return UNKNOWN if len(entry) != 1 else self._sessions.register(turn, self._next_place())

    def _next_place(self) -> Place:
        """The place in the log, which no other token has."""
        slot, index = self._place
        self._place = (slot, index + 1)
        return slot, index


_Token = tuple[bytes, int, UncheckedEntry]
"""The producer, the op id, and the write, of which only the command has been checked."""


def _token(entry: UncheckedEntry) -> _Token | None:
    """The token of the entry and its write; None if its first fields show that it is not a write with a token."""
    if len(entry) != 4:
        return None
    _, producer, op, write = entry
    if type(producer) is not bytes or type(op) is not int or type(write) is not list:
        return None
    if not _fits(producer, op):
        return None
    return (producer, op, write) if write and type(write[0]) is int and write[0] in WRITES else None


def _fits(producer: bytes, op: int) -> bool:
    """Whether the producer's name and the op id are as long, and as large, as these may be."""
    return 1 <= len(producer) <= PRODUCER_BYTES_MAX and 1 <= op <= OP_MAX
