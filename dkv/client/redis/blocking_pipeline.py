"""redis-py's ``Pipeline`` with tokens: one for each write, or one for a transaction."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, TypeVar

import redis.client
from redis.exceptions import BusyLoadingError, ConnectionError, ResponseError, TimeoutError

from dkv.client.redis.attempts import CallPatience, TokenCall
from dkv.client.redis.connections import get_connection, marker_of, note_failure
from dkv.client.redis.exchanges import Exchange, Exchanged, Pause, SentWords, Steps, pipeline, transaction
from dkv.client.redis.pending_ops import PendingOps
from dkv.client.redis.request_kinds import Kind, kind_of
from dkv.client.redis.transaction_results import WatchState, raise_ending, results_of

T = TypeVar("T")


class TokenPipeline(redis.client.Pipeline):
    """As redis-py's class, and what it sends happens once, however often it is sent.

    If the connection is lost while keys are watched, ``execute`` raises redis-py's ``WatchError``, which says that
    nothing of the transaction was executed. It never does so if anything may have been.
    """

    pending: PendingOps
    deadline_seconds: float

    def __init__(self, connection_pool: Any, response_callbacks: Any, transaction: bool, shard_hint: Any) -> None:
        self._watched = WatchState()
        self._together = transaction
        super().__init__(connection_pool, response_callbacks, transaction, shard_hint)

    def reset(self) -> None:  # type: ignore[override] # it hides the command RESET in redis-py, too
        """Forget the commands, and what is watched."""
        if not self._watched.is_on(marker_of(self.connection)):
            self.watching = False  # so that redis-py sends no UNWATCH where nothing is watched
        try:
            super().reset()
        except BaseException:
            self._hang_up()  # the reply to an UNWATCH may be under way
            raise
        self._watched.clear()

    def immediate_execute_command(self, *arguments: Any, **options: Any) -> Any:
        """The reply to one request, sent at once: behind a WATCH and before MULTI."""
        call = self._call(arguments)
        patience = CallPatience(self.deadline_seconds)
        try:
            while True:
                replies = self._exchange(Exchange([SentWords(call.words, arguments[0], options)]))
                if not isinstance(replies.last, Exception):
                    self._watched.note(arguments, self.watching, marker_of(self.connection))
                    return replies.last
                time.sleep(patience.after(call, replies.last))
        finally:
            call.close()

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        """The replies to all commands. They are sent again until there are some, or the deadline has passed."""
        stack = self.command_stack
        if not stack and not self.watching:
            return []
        try:
            if self.scripts:
                self.load_scripts()
            together = self._together or self.explicit_transaction
            results = self._execute_together(stack) if together else self._execute_each(stack)
            if raise_on_error:
                self.raise_first_error(stack, results)
                raise_ending(results)
            return results
        finally:
            self.reset()

    def _execute_together(self, stack: Any) -> list[Any]:
        call = TokenCall(("EXEC",), Kind.WRITE, self.pending)
        watches = tuple(self._watched.requests)
        try:
            replies = self._take(transaction(call, CallPatience(self.deadline_seconds), stack, watches))
        finally:
            call.close()
            self.watching = False  # whatever EXEC was answered
        return results_of(replies, stack, self.response_callbacks)

    def _execute_each(self, stack: Any) -> list[Any]:
        calls = [self._call(arguments) for arguments, _ in stack]
        try:
            return self._take(pipeline(calls, CallPatience(self.deadline_seconds), stack))
        finally:
            for call in calls:
                call.close()

    def _call(self, arguments: Sequence[Any]) -> TokenCall:
        return TokenCall(arguments, kind_of(arguments, self.get_encoder().encode), self.pending)

    def _take(self, steps: Steps[T]) -> T:
        """Do what the steps ask for, and return what they come to."""
        try:
            step = next(steps)
            while True:
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    step = next(steps)
                else:
                    step = steps.send(self._exchange(step))
        except StopIteration as end:
            result: T = end.value
            return result

    def _exchange(self, exchange: Exchange) -> Exchanged:
        """Send requests and read their replies, on the connection that watches keys, or on any.

        redis-py's check of its health may make a connection anew, without what it watches.
        """
        values: list[Any] = []
        try:
            connection = self._connected(exchange.watched)
            packed = connection.pack_commands([each.words for each in exchange.requests])
            connection.send_packed_command(packed, check_health=not exchange.watched)
            for request in exchange.requests:
                values.append(self._read(connection, request))
        except (ConnectionError, TimeoutError) as error:
            note_failure(self.connection, error)
            self._hang_up()
            return Exchanged(values, error)
        except BaseException:
            self._hang_up()  # replies that nobody reads may be under way
            raise
        return Exchanged(values)

    def _read(self, connection: Any, request: SentWords) -> Any:
        try:
            return self.parse_response(connection, request.name, **request.options)
        except (ResponseError, BusyLoadingError) as error:
            note_failure(connection, error)
            return error

    def _connected(self, watched: bool) -> Any:
        """A connection to a node that serves; ``WatchError`` if it must be the one that watches, and that is lost."""
        if watched:
            self._watched.check(marker_of(self.connection))
        if self.connection is None:
            self.connection = get_connection(self.connection_pool)
        elif not self._watched.is_on(marker_of(self.connection)):
            self.connection.connect()
        return self.connection

    def _hang_up(self) -> None:
        self._watched.lose()
        if self.connection is not None:
            self.connection.disconnect()
