"""The client for Twisted programs: the methods of ``dkv.client.Client``, with Deferreds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredList, DeferredSemaphore, fail, gatherResults
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IProtocol, IReactorTime
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from dkv.client import words
from dkv.client.admission import Tls
from dkv.client.answers import Reply
from dkv.client.blocking import Endpoint, NotSent
from dkv.client.failures import DkvError, Unavailable, Unknown
from dkv.client.front import TIMEOUT_SECONDS
from dkv.client.instruction import Instruction, Word, all_encoded, encoded, method
from dkv.client.itinerary import CONNECT_SECONDS
from dkv.client.line_protocol import LineProtocol
from dkv.client.pages import Pages
from dkv.client.recorder import Recorder, results_of
from dkv.client.transact import Leg, transact
from dkv.client.twisted_line import Dial, TwistedLine
from dkv.client.url import Destination

T = TypeVar("T")

BACKLOG_BYTES_MAX = 64 * 1024 * 1024
"""What all requests that are not answered may take together. Beyond it a request fails at once."""

REQUEST_BYTES = 1024
"""What each of them counts beside its words: what it takes in memory, roughly."""


def _send(client: Client, instruction: Instruction[T]) -> Deferred[T]:
    return client._run(Leg((instruction.words,)), client._line, client._deadline()).addCallback(instruction.result)


class Client:
    """A client of the cluster at ``addresses``, as ``dkv.client.Client`` is, for a program with a reactor.

    Each method returns a Deferred, and many may be outstanding: all go over one connection. Requests are sent in the
    order of the calls. When a Deferred is cancelled, a request that was not sent yet never is.

    Up to ``connections`` more are made for transactions with keys. If the requests that wait for their answers take
    more than ``BACKLOG_BYTES_MAX`` bytes, the next ones fail with ``Unavailable`` at once, word ``BACKLOG``.
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
        reactor: Any = None,
        dial: Dial | None = None,
    ) -> None:
        destination = Destination.of(addresses, database, tls, user, password)
        self._clock: IReactorTime = reactor if reactor is not None else _global_reactor()
        self._timeout = timeout
        dials = dial if dial is not None else _dial_by(self._clock)
        self._line_of: Callable[[], TwistedLine] = lambda: TwistedLine(
            self._clock, dials, destination.endpoints, destination.database or 0
        )
        self._lines: list[TwistedLine] = []
        self._line = self._make()
        self._idle: list[TwistedLine] = []
        self._free = DeferredSemaphore(connections)
        self._bytes = 0
        self._closed = False

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

    async def scan(self, match: Word = b"*", *, count: int = 1000) -> AsyncIterator[bytes]:
        """All keys that match a pattern, for ``async for``; as ``dkv.client.Client.scan``."""
        pages = Pages(encoded(match), count)
        line = self._make()
        try:
            while not pages.done:
                for key in pages.take(await self._outcome(Leg((pages.request,)), line, self._deadline())):
                    yield key
        finally:
            self._lines = [each for each in self._lines if each is not line]
            line.close()

    def pipeline(self) -> Pipeline:
        """Requests that are sent together: call its methods as those of the client, and then ``send``."""
        return Pipeline(self)

    def transaction(
        self, function: Callable[..., object], *keys: Word, raise_errors: bool = True
    ) -> Deferred[list[Any]]:
        """Execute at once, with nothing between them, the requests that ``function`` makes; fires with their results.

        As ``dkv.client.Client.transaction``; ``function`` is called as there, and returns nothing.
        """
        return Deferred.fromCoroutine(self._transact(function, all_encoded(keys), raise_errors))

    def close(self) -> Deferred[None]:
        """Hang up; requests that are not answered fail. Fires when all connections have ended."""
        self._closed = True
        lines, self._lines = self._lines, []
        return gatherResults([line.close() for line in lines]).addCallback(lambda _: None)

    # --- requests ---

    def _run(self, leg: Leg, line: TwistedLine, deadline: float, pipeline: object = None) -> Deferred[Reply]:
        """Fires with the last reply to the requests of ``leg``, or fails."""
        if self._closed:
            return fail(Unavailable("CLOSED this client was closed", "CLOSED"))
        answered: Deferred[Reply] = Deferred(lambda _: line.cancel(errand))

        def settle(outcome: Reply | DkvError) -> None:
            if answered.called:  # it was cancelled
                return
            if isinstance(outcome, DkvError):
                answered.errback(outcome)
            else:
                answered.callback(outcome)

        errand = leg.errand(deadline, settle, pipeline)
        size = errand.size + REQUEST_BYTES
        if self._bytes + size > BACKLOG_BYTES_MAX:
            text = f"BACKLOG requests of {self._bytes} bytes wait for their answers, at most {BACKLOG_BYTES_MAX} may"
            return fail(Unavailable(text, "BACKLOG"))
        self._bytes += size

        def release(result: T) -> T:
            self._bytes -= size
            return result

        answered.addBoth(release)
        line.add(errand)
        return answered

    async def _outcome(self, leg: Leg, line: TwistedLine, deadline: float) -> Reply | DkvError:
        """The last reply to the requests of ``leg``, or why there is none."""
        try:
            return await self._run(leg, line, deadline)
        except DkvError as failure:
            return failure

    def _make(self) -> TwistedLine:
        line = self._line_of()
        self._lines.append(line)
        return line

    def _deadline(self) -> float:
        return self._clock.seconds() + self._timeout

    async def _transact(self, function: Callable[..., object], keys: Sequence[bytes], raise_errors: bool) -> list[Any]:
        """On a line of its own, if keys are to be watched: nothing else may come between there."""
        deadline = self._deadline()
        if not keys:
            return await self._transact_on(self._line, function, keys, deadline, raise_errors)
        try:
            acquired: Deferred[DeferredSemaphore] = self._free.acquire()
            await acquired.addTimeout(self._timeout, self._clock)
        except DeferredTimeout:
            text = "BACKLOG all connections for transactions were in use all the time"
            raise Unavailable(text, "BACKLOG") from None
        line = self._idle.pop() if self._idle else self._make()
        try:
            return await self._transact_on(line, function, keys, deadline, raise_errors)
        except BaseException:
            line.leave(NotSent("keys may still be watched here"))
            raise
        finally:
            self._idle.append(line)
            self._free.release()

    async def _transact_on(
        self,
        line: TwistedLine,
        function: Callable[..., object],
        keys: Sequence[bytes],
        deadline: float,
        raise_errors: bool,
    ) -> list[Any]:
        legs = transact(function, keys, line.tokens, raise_errors=raise_errors)
        try:
            leg = next(legs)
            while True:
                leg = legs.send(await self._outcome(leg, line, deadline))
        except StopIteration as end:
            results: list[Any] = end.value
            return results


class Pipeline(Recorder):
    """Requests that are sent together and executed in their order; others may come between them."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client

    def send(self, *, raise_errors: bool = True) -> Deferred[list[Any]]:
        """Send them all; fires with their results in order. The pipeline is empty then.

        If some failed, it fails with the first failure, and the others were executed all the same; with
        ``raise_errors=False`` each failure is in its place among the results.
        """
        client, own, deadline = self._client, object(), self._client._deadline()
        recorded, self.instructions = self.instructions, []
        sent = [client._run(Leg((each.words,)), client._line, deadline, own) for each in recorded]

        def results(outcomes: list[tuple[bool, Any]]) -> list[Any]:
            found = [outcome if succeeded else _reason(outcome) for succeeded, outcome in outcomes]
            return results_of(recorded, found, raise_errors=raise_errors)

        return DeferredList(sent, consumeErrors=True).addCallback(results)


def _reason(failure: Failure) -> DkvError:
    """Why a request of a pipeline brought no reply. One that was cancelled has no result that anybody gets."""
    return failure.value if isinstance(failure.value, DkvError) else Unknown(failure.getErrorMessage(), "CANCELLED")


def _dial_by(reactor: Any) -> Dial:
    """Connections by the reactor."""

    def dial(endpoint: Endpoint) -> Deferred[IProtocol]:
        host = HostnameEndpoint(reactor, endpoint.host, endpoint.port, timeout=CONNECT_SECONDS)
        return host.connect(Factory.forProtocol(LineProtocol))

    return dial


def _global_reactor() -> Any:
    """The reactor of the program, which has one by now."""
    from twisted.internet import reactor

    return reactor
