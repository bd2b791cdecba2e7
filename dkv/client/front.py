"""The blocking client for programs. Any number of threads may use one object."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Condition
from time import monotonic
from typing import Any, Self, TypeVar
from weakref import WeakSet

from dkv.client import words
from dkv.client.admission import Tls
from dkv.client.answers import Reply
from dkv.client.blocking_line import BlockingLine
from dkv.client.errand import Errand
from dkv.client.failures import DkvError, Unavailable
from dkv.client.instruction import Instruction, Word, all_encoded, encoded, method
from dkv.client.pages import Pages
from dkv.client.recorder import Recorder, results_of
from dkv.client.tokens import this_process
from dkv.client.transact import transact
from dkv.client.url import Destination

T = TypeVar("T")

TIMEOUT_SECONDS = 10.0
"""Longer than a node makes a request wait for a leader, and than an election takes."""


def _send(client: Client, instruction: Instruction[T]) -> T:
    (outcome,) = client._run([instruction])
    return instruction.result(outcome)


class Client:
    """A client of the cluster at ``addresses``: ``"host:port,host:port"``, a URL such as ``"dkv://host:port/1"``, or a
    list of these. It finds the other members by itself.

    A request is sent again, to any node, until it is answered or ``timeout`` seconds are over, and each write happens
    once. ``DkvError`` and its subclasses say what to conclude from a failure.

    With TLS ``tls`` names the files for it. The ``password`` is that of ``user``, or of the user ``default``. All of
    this may be in the URL instead: ``"dkvs://user:password@host:port"``.

    Threads may share the object. Up to ``connections`` of them are served at once, each on a connection of its own;
    others wait. After a fork parent and child may both go on using it.
    """

    def __init__(
        self,
        addresses: str | Iterable[str],
        *,
        database: int | None = None,
        timeout: float = TIMEOUT_SECONDS,
        connections: int = 8,
        tls: Tls | None = None,
        user: str | None = None,
        password: str | None = None,
    ) -> None:
        destination = Destination.of(addresses, database, tls, user, password)
        self._timeout = timeout
        self._connections = connections
        self._make: Callable[[], BlockingLine] = lambda: BlockingLine(destination.endpoints, destination.database or 0)
        self._pool = _Pool(connections, self._make)

    execute = method(words.execute, _send)
    get = method(words.get, _send)
    set = method(words.set, _send)
    append = method(words.append, _send)
    delete = method(words.delete, _send)
    exists = method(words.exists, _send)
    incr = method(words.incr, _send)
    decr = method(words.decr, _send)
    getset = method(words.getset, _send)
    getdel = method(words.getdel, _send)
    mget = method(words.mget, _send)
    mset = method(words.mset, _send)
    expire = method(words.expire, _send)
    persist = method(words.persist, _send)
    ttl = method(words.ttl, _send)
    keys = method(words.keys, _send)

    def scan(self, match: Word = b"*", *, count: int = 1000) -> Iterator[bytes]:
        """All keys that match a pattern, one after another in the order of their bytes; for any number of keys.

        Keys that exist all the time are found, each once; those that come or go meanwhile may be. A node looks at
        ``count`` keys at a time. The iterator has a connection of its own, which it closes at its end.
        """
        pages = Pages(encoded(match), count)
        line = self._make()
        try:
            while not pages.done:
                outcomes: list[Reply | DkvError] = []
                line.run([Errand([pages.request], monotonic() + self._timeout, outcomes.append)])
                yield from pages.take(outcomes[0])
        finally:
            line.close()

    def pipeline(self) -> Pipeline:
        """Requests that are sent together: call its methods as those of the client, and then ``send``."""
        return Pipeline(self)

    def transaction(self, function: Callable[..., object], *keys: Word, raise_errors: bool = True) -> list[Any]:
        """Execute at once, with nothing between them, the requests that ``function`` makes; their results.

        It is called with an object that has the methods of the client, and with the values of ``keys``. Its requests
        are executed only if the keys are as they were. If they have changed, it is called again with the new values,
        so it should do nothing else. If a request brings an error, the others are executed all the same, and the first
        error is raised; with ``raise_errors=False`` it is in its place among the results.
        """
        deadline = monotonic() + self._timeout
        with self._line(deadline) as line:
            legs = transact(function, all_encoded(keys), line.tokens, raise_errors=raise_errors)
            return line.run_legs(legs, deadline)

    def close(self) -> None:
        """Hang up. Requests of other threads that are under way get their answers."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, instructions: Iterable[Instruction[Any]], pipeline: object = None) -> list[Reply | DkvError]:
        """The reply or the failure of each instruction, in their order."""
        deadline = monotonic() + self._timeout
        outcomes: dict[int, Reply | DkvError] = {}

        def errand(place: int, instruction: Instruction[Any]) -> Errand:
            def settle(outcome: Reply | DkvError) -> None:
                outcomes[place] = outcome

            return Errand([instruction.words], deadline, settle, pipeline=pipeline)

        errands = [errand(place, each) for place, each in enumerate(instructions)]
        with self._line(deadline) as line:
            line.run(errands)
        return [outcomes[place] for place in range(len(errands))]

    @contextmanager
    def _line(self, deadline: float) -> Iterator[BlockingLine]:
        if self._pool.process != this_process():  # the connections are those of the parent
            self._pool = _Pool(self._connections, self._make)
        pool = self._pool
        line = pool.take(deadline)
        try:
            yield line
        finally:
            pool.give_back(line)


class Pipeline(Recorder):
    """Requests that are sent together and executed in their order; others may come between them."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client

    def send(self, *, raise_errors: bool = True) -> list[Any]:
        """Send them all; their results in order. The pipeline is empty then.

        If some failed, the first failure is raised, and the others were executed all the same; with
        ``raise_errors=False`` each failure is in its place among the results.
        """
        recorded, self.instructions = self.instructions, []
        outcomes = self._client._run(recorded, pipeline=object())
        return results_of(recorded, outcomes, raise_errors=raise_errors)


class _Pool:
    """The lines of one process that nobody uses at the moment, and how many there may be."""

    def __init__(self, lines_max: int, make: Callable[[], BlockingLine]) -> None:
        if lines_max < 1:
            raise ValueError("a client needs one connection at least")
        self.process = this_process()
        self._lines_max = lines_max
        self._make = make
        self._idle: list[BlockingLine] = []
        self._used: WeakSet[BlockingLine] = WeakSet()  # a Ctrl-C may keep one from being given back
        self._closed = False
        self._changed = Condition()

    def take(self, deadline: float) -> BlockingLine:
        """A line that nobody else uses: the one that was used last, as its connection is most likely alive."""
        with self._changed:
            free = self._changed.wait_for(self._may_take, max(0.0, deadline - monotonic()))
            if self._closed:
                raise Unavailable("CLOSED this client was closed", "CLOSED")
            if not free:
                raise Unavailable("BACKLOG all connections of this client were in use all the time", "BACKLOG")
            line = self._idle.pop() if self._idle else self._make()
            self._used.add(line)
            return line

    def _may_take(self) -> bool:
        return self._closed or len(self._used) < self._lines_max

    def give_back(self, line: BlockingLine) -> None:
        """The line may be used by others."""
        with self._changed:
            self._used.discard(line)
            if self._closed:
                line.close()
            else:
                self._idle.append(line)
            self._changed.notify()

    def close(self) -> None:
        """Close what is idle now, and the others when they are given back."""
        with self._changed:
            self._closed = True
            for line in self._idle:
                line.close()
            self._idle = []
            self._changed.notify_all()
