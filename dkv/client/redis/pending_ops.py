"""The tokens of a pool of connections, of which none may be forgotten while its write still waits for an answer.

A node remembers a producer's 1,024 highest ops, so a write that has no answer yet must not fall behind so many newer
ones. If it would, because one node hangs while a hundred threads go on, the newer writes get another producer.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from dkv.client.tokens import Tokens, this_process

OPS_AHEAD_MAX = 1_000
"""How far the ops of a producer may run ahead of the oldest one without an answer: less than what is remembered."""

Token = tuple[bytes, int]


class _Book:
    """The tokens that one process has drawn and that wait for an answer."""

    def __init__(self) -> None:
        self.process = this_process()
        self.lock = Lock()
        self.tokens = Tokens()
        self.producer = b""
        self.pending: OrderedDict[int, None] = OrderedDict()


class PendingOps:
    """Draws tokens, for any thread, also in a forked process."""

    def __init__(self) -> None:
        self._book = _Book()

    def take(self) -> Token:
        """A token that was never used. ``done`` must follow."""
        book = self._book
        if book.process != this_process():
            book = self._book = _Book()  # the lock of the other one may be locked for ever
        with book.lock:
            producer, op = book.tokens.next()
            oldest = next(iter(book.pending), op)
            if op - oldest >= OPS_AHEAD_MAX:
                book.tokens.renew()
                producer, op = book.tokens.next()
            if producer != book.producer:
                book.producer = producer
                book.pending.clear()
            book.pending[op] = None
            return producer, op

    def done(self, token: Token) -> None:
        """The write with this token has its answer, or nobody waits for one any more."""
        book = self._book
        if book.process == this_process():
            with book.lock:
                if token[0] == book.producer:
                    book.pending.pop(token[1], None)


def pending_ops_of(pool: object) -> PendingOps:
    """Those of all clients that use ``pool``: Django, for one, makes a client for each request of a cache."""
    found: PendingOps = vars(pool).setdefault("dkv_pending_ops", PendingOps())
    return found
