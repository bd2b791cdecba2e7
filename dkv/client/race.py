"""One request, sent to one endpoint after another, and to the next one as well if no answer comes for a moment.

A node that is frozen, or whose cable was pulled, seems to take a request and says nothing. A request that may be sent
twice does not wait for such a node: the next one is asked meanwhile, and the first reply counts.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from queue import Empty, SimpleQueue

from dkv.client.blocking import Connection, Endpoint, NoAnswer, NotSent, Reply, ServerError, connect
from dkv.client.outcome import Ending, changes, conclude, may_be_done, repeatable

MOMENT_SECONDS = 0.5
"""Longer than a healthy cluster takes, and short enough for a person. An election takes longer, so two nodes wait."""

CONNECT_SECONDS_MAX = 3.0


class Attempt:
    """One request at one endpoint, on ``connection`` or on a new one, for which ``database`` is chosen first."""

    def __init__(
        self, endpoint: Endpoint, answer_seconds: float, database: int = 0, connection: Connection | None = None
    ) -> None:
        self.endpoint = endpoint
        self.connection = connection
        self._answer_seconds = answer_seconds
        self._database = 0 if connection else database
        self._lock = threading.Lock()
        self._given_up = False
        self._over = False

    def run(self, words: Sequence[bytes]) -> Reply:
        """The reply; else ``NotSent``, ``NoAnswer`` or ``ServerError``."""
        connect_seconds = min(CONNECT_SECONDS_MAX, self._answer_seconds)
        connection = self.connection or connect(self.endpoint, connect_seconds, self._answer_seconds)
        with self._lock:
            self.connection = connection
            if self._given_up:
                raise NotSent(f"{self.endpoint} was not asked any more")
        if self._database:
            connection.select(self._database)
        return connection.call(*words)

    def end(self) -> None:
        """``run`` has ended; its connection is closed if nobody waits for it."""
        with self._lock:
            self._over = True
            if self._given_up:
                self.close()

    def give_up(self) -> None:
        """From another thread: nobody waits for the attempt any more. If it has not sent its request, it never does."""
        with self._lock:
            self._given_up = True
            if self._over:
                self.close()
            elif self.connection is not None:
                self.connection.abandon()

    def close(self) -> None:
        """Hang up."""
        if self.connection is not None:
            self.connection.close()


class Race:
    """One request and the attempts at it.

    Its ``words`` say whether it changes something and whether it may be sent twice. ``final`` says whether an error
    ends the race, because other nodes would give the same one or are not to be asked.
    """

    def __init__(self, words: Sequence[bytes], final: Callable[[ServerError], bool]) -> None:
        self.answered: Attempt | None = None
        """The attempt that brought the reply of ``run``, or a node's error. Only its connection is still open."""
        self.last: Attempt | None = None
        """The attempt that was begun last."""
        self.silent: list[Endpoint] = []
        """Endpoints that had not answered when another one had."""
        self._words = words
        self._final = final
        self._changes = changes(words)
        self._repeatable = repeatable(words)
        self._endings: list[Ending] = []
        self._waiting: deque[Attempt] = deque()
        self._running: list[Attempt] = []
        self._ended: SimpleQueue[tuple[Attempt, Reply | BaseException]] = SimpleQueue()

    def run(self, attempts: Iterable[Attempt]) -> Reply:
        """The first reply to one of ``attempts``, which are begun in order, and no more of them than needed.

        If there is no reply, ``conclude`` makes the exception from the ends of the attempts.
        """
        self._waiting.extend(attempts)
        try:
            self._start_next()
            while self._running:
                try:
                    attempt, result = self._ended.get(timeout=MOMENT_SECONDS if self._repeatable else None)
                except Empty:
                    self._start_next()
                    continue
                self._running.remove(attempt)
                self._keep(attempt, result)
                if not isinstance(result, BaseException):
                    self.silent = [each.endpoint for each in self._running]
                    return result
                if not isinstance(result, NotSent | NoAnswer | ServerError):
                    raise result
                self._endings.append(result)
                if self._goes_on(result):
                    self._start_next()
                elif not self._changes:
                    break
            raise conclude(self._endings, changes=self._changes)
        finally:
            for each in self._running:
                each.give_up()

    def _keep(self, attempt: Attempt, result: Reply | BaseException) -> None:
        """Keep the connection of the last attempt that was answered, and close those of all others that have ended."""
        if isinstance(result, BaseException) and not isinstance(result, ServerError):
            attempt.close()
            return
        if self.answered is not None:
            self.answered.close()
        self.answered = attempt

    def _goes_on(self, ending: Ending) -> bool:
        """Whether the next endpoint is asked after an attempt with this end."""
        if may_be_done(ending):
            return self._repeatable
        if isinstance(ending, ServerError) and self._final(ending):
            # Another node may know whether an earlier attempt was executed.
            return self._changes and any(map(may_be_done, self._endings))
        return True

    def _start_next(self) -> None:
        if not self._waiting:
            return
        attempt = self.last = self._waiting.popleft()
        self._running.append(attempt)
        if self._repeatable and (self._waiting or len(self._running) > 1):
            threading.Thread(target=self._attempt, args=(attempt,), daemon=True).start()
        else:  # nothing else could be done meanwhile
            self._attempt(attempt)

    def _attempt(self, attempt: Attempt) -> None:
        result: Reply | BaseException
        try:
            result = attempt.run(self._words)
        except BaseException as error:  # not lost with its thread: raised where the race is run
            result = error
        self._ended.put((attempt, result))
        attempt.end()
