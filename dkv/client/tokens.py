"""Tokens for the writes of a client object: a producer's name that nobody else has, and op ids counted from 1.

The name is drawn at random and kept in memory only, so a new object has a new producer. A process that was forked is
another client: with its parent's name, both would take each other's writes for repeats of their own. It draws a new
one.
"""

from __future__ import annotations

import os
from itertools import count

NAME_BYTES = 8


class _Source:
    """A producer and its next op ids, of one process."""

    def __init__(self) -> None:
        self.process = this_process()
        self.producer = b"dkv-" + os.urandom(NAME_BYTES).hex().encode()
        self.ops = count(1)


class Tokens:
    """Draws tokens, no token twice. Any thread may draw, and no lock is held that a fork could leave locked."""

    def __init__(self) -> None:
        self._source = _Source()

    def next(self) -> tuple[bytes, int]:
        """The producer and the op id of the next token, for ``IDMP producer op write``."""
        source = self._source
        if source.process != this_process():
            self.renew()
            source = self._source
        return source.producer, next(source.ops)

    def renew(self) -> None:
        """Go on as another producer: somebody else has used the name."""
        self._source = _Source()


def this_process() -> object:
    """What no two processes have in common, also not a parent and the child that it forks: equal for one process."""
    return os.getpid(), _forks


_forks = 0
"""How many forks lie between this process and the first one. A process id may come again, and this tells them apart."""


def _count_fork() -> None:
    global _forks
    _forks += 1


os.register_at_fork(after_in_child=_count_fork)
