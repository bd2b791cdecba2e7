"""A transaction, from WATCH and MULTI to EXEC: it is gathered by the session, and becomes one entry of the log.

A request between MULTI and EXEC is only looked at: one that is wrong makes EXEC answer EXECABORT, as in Redis. What is
left is proposed at once, together with the revisions at which WATCH saw its keys. Replies that need no log (``PING``,
``SELECT``) are made when the results are there, and take their places among them. They are not made if there are none.

A WATCH may fail, because no leader is known, say. A client that writes the whole transaction at once does not look at
the error, so the EXEC behind it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from dkv.kv.codes import EXEC, IDMP, KEYS, WATCH
from dkv.kv.registry import Context
from dkv.records import Argument, Entry
from dkv.replies import OK, Error, Local, LogRequest, Nested, Watched
from dkv.settings import Limits

EXECABORT = Error("EXECABORT Transaction discarded because of previous errors.")
RIGHTS_CHANGED = Error("NOPERM the rights of this user have changed meanwhile")
NOT_IN_MULTI = Error("ERR Command not allowed inside a transaction")
OF_ONE_NODE_ALONE = Error(
    "ERR SCAN cannot be in a transaction: all nodes execute it, and a cursor is known to one of them"
)

WORD_BYTES = 64
"""What each word of a gathered request counts beside its own bytes: what it takes in memory, roughly."""

Gathered = Entry | Callable[[], Local]
"""A request between MULTI and EXEC: its entry, or what makes the reply that needs no log."""

Keep = Callable[[Entry, Nested], Nested]
"""Given a gathered entry and its result, what of the result the client may see."""

Token = tuple[bytes, int]
"""A producer, and the op that it gives to its transaction."""


class GatheredBytes:
    """What all transactions of a node that are being gathered take together: ``bytes_max`` bytes at most."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.taken = 0

    def take(self, size: int) -> bool:
        """Take ``size`` more bytes, or say that there is no room for them."""
        if self.taken + size > self.bytes_max:
            return False
        self.taken += size
        return True

    def give_back(self, size: int) -> None:
        """So many are not needed any more."""
        self.taken -= size


class Transaction:
    """The transaction of one connection; ``room`` is shared by all clients of the node."""

    def __init__(self, limits: Limits, room: GatheredBytes) -> None:
        self.gathering = False
        """Whether the connection is between MULTI and EXEC."""
        self.context = Context(limits)
        """What the next request is read with, between MULTI and EXEC: a SELECT there counts for those behind it."""
        self.keep: Keep | None = None
        """What is done with results that list keys; None if the client may see all of them."""
        self._limits = limits
        self._room = room
        self._refused = False  # a request since MULTI
        self._watch_failed = False
        self._rights = 0  # how often the client has got other rights
        self._queue: list[Gathered] = []
        self._watched: dict[tuple[int, bytes], tuple[int, int, int]] = {}
        self._bytes = 0

    @property
    def queued(self) -> int:
        """How many requests were gathered since MULTI; -1 outside of one."""
        return len(self._queue) if self.gathering else -1

    @property
    def watched(self) -> int:
        """How many keys are watched."""
        return len(self._watched)

    # --- WATCH ---

    def watch(self, db: int, keys: Iterable[bytes]) -> Local | LogRequest:
        """Find out the revisions of ``keys``, unless they are watched already."""
        fresh = [key for key in dict.fromkeys(keys) if (db, key) not in self._watched]
        if not fresh:
            return Local(OK)
        if len(self._watched) + len(fresh) > self._limits.request_arguments_max:
            return Local(self.fail_watch(_too_many("watches more than {} keys", self._limits)))
        refusal = self._take(sum(map(len, fresh)) + 3 * WORD_BYTES * len(fresh))
        if refusal is not None:
            return Local(self.fail_watch(refusal))

        rights = self._rights

        def settle(result: Nested) -> Local:
            if rights != self._rights:  # which may not allow these keys
                return Local(self.fail_watch(RIGHTS_CHANGED))
            if type(result) is not Watched:
                assert type(result) is Error
                return Local(self.fail_watch(result))
            for key, revision in zip(fresh, result.revisions, strict=True):
                self._watched[db, key] = (*revision, result.slot)
            return Local(OK)

        return LogRequest([WATCH, db, self._limits.value_bytes_max, *fresh], 0, settle)

    def fail_watch(self, error: Error) -> Error:
        """Nobody can say whether the keys will have changed: the next EXEC is refused."""
        self._watch_failed = True
        return error

    def forget_rights(self) -> None:
        """The client's rights are other ones: what it has gathered and watches was judged by the old ones."""
        self._rights += 1
        if self.gathering:
            self.refuse(RIGHTS_CHANGED)
        elif self._watched:
            self._watch_failed = True

    def unwatch(self) -> None:
        """Forget the watched keys, unless a transaction is being gathered: its EXEC does."""
        if not self.gathering:
            self.end()

    # --- MULTI ---

    def begin(self, context: Context) -> None:
        """Gather requests from now on."""
        self.gathering = True
        self.context = context

    def select(self, db: int) -> None:
        """The requests from here on mean another database."""
        self.context = replace(self.context, db=db)

    def refuse(self, error: Error) -> Error:
        """A request was refused. Between MULTI and EXEC that refuses the whole."""
        if self.gathering:
            self._refused = True
            self._let_go()
        return error

    def add(self, gathered: Gathered, words: list[bytes]) -> Error | None:
        """Gather a request; or why not."""
        if self._refused or self._watch_failed:
            return None  # EXEC will not look at it.
        if len(self._queue) >= self._limits.request_arguments_max:
            return self.refuse(_too_many("has more than {} requests", self._limits))
        refusal = self._take(sum(map(len, words)) + WORD_BYTES * len(words))
        if refusal is not None:
            return self.refuse(refusal)
        self._queue.append(gathered)
        return None

    def execute(self, token: Token | None = None) -> Local | LogRequest:
        """End it, and propose what was gathered."""
        refused = self._refused or self._watch_failed
        queue, watched, size = self._queue, self._watched, self._bytes
        self.end()
        if refused:
            return Local(EXECABORT)
        entries: list[Argument] = [gathered for gathered in queue if isinstance(gathered, list)]
        if not entries and not watched and token is None:
            return _joined(queue, [], None)
        keys: list[Argument] = [[db, key, *revision] for (db, key), revision in watched.items()]
        entry: Entry = [EXEC, 0, self._limits.value_bytes_max, keys, entries]
        if token is not None:
            entry = [IDMP, *token, entry]
        keep = self.keep if any(gathered[0] == KEYS for gathered in queue if isinstance(gathered, list)) else None
        is_alone = len(entries) == len(queue) and keep is None
        rights = self._rights

        def settle(result: Nested) -> Local:
            # Commands that need no log are carried out only now, and the client may have lost the right to them.
            makes = queue if rights == self._rights else [_as_before(gathered) for gathered in queue]
            return _joined(makes, result, keep)

        return LogRequest(entry, size, None if is_alone else settle)

    def abort(self, refusal: Error) -> Error:
        """End it: its EXEC was refused."""
        self.end()
        return Error(f"EXECABORT Transaction discarded because of: {refusal.text.removeprefix('ERR ')}")

    def end(self) -> None:
        """Forget all of it, watched keys too."""
        self.gathering = self._refused = self._watch_failed = False
        self._let_go()

    def _let_go(self) -> None:
        self._queue, self._watched = [], {}
        self._room.give_back(self._bytes)
        self._bytes = 0

    def _take(self, size: int) -> Error | None:
        """Count ``size`` more bytes; or why there is no room for them."""
        bytes_max = self._limits.request_bytes_max
        if self._bytes + size > bytes_max:
            return Error(f"ERR the transaction has more than {bytes_max} bytes, the limit limits.request_bytes_max")
        if not self._room.take(size):
            return Error(
                f"TRYAGAIN the transactions of all clients have {self._room.taken} bytes,"
                f" limits.node_inflight_bytes_max is {self._room.bytes_max}; nothing of this one was applied, retry"
            )
        self._bytes += size
        return None


def _as_before(gathered: Gathered) -> Gathered:
    """The same for a client whose rights have changed since EXEC."""
    return gathered if isinstance(gathered, list) else lambda: Local(RIGHTS_CHANGED)


def _joined(queue: list[Gathered], result: Nested, keep: Keep | None) -> Local:
    """The reply to an EXEC whose entries had ``result``: an error and a nil array are a reply by themselves."""
    if type(result) is not list:
        return Local(result)
    results = iter(result)
    if keep is None:
        return Local([next(results) if isinstance(gathered, list) else gathered() for gathered in queue])
    return Local([keep(gathered, next(results)) if isinstance(gathered, list) else gathered() for gathered in queue])


def _too_many(what: str, limits: Limits) -> Error:
    most = limits.request_arguments_max
    return Error(f"ERR the transaction {what.format(most)}: that is limits.request_arguments_max")
