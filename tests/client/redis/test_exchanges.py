"""Pipelines and transactions against a cluster of a few lines that loses, delays, refuses and forgets as it likes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from redis.exceptions import ConnectionError, ExecAbortError, ResponseError, TryAgainError, WatchError
from twisted.trial.unittest import SynchronousTestCase

from dkv.client.redis.attempts import CallPatience, TokenCall
from dkv.client.redis.endings import AnswerLost, MaybeApplied, NotApplied
from dkv.client.redis.exchanges import Exchange, Exchanged, Pause, SentWords, Steps, pipeline, transaction
from dkv.client.redis.pending_ops import PendingOps, Token
from dkv.client.redis.request_kinds import Kind

WATCHED = "watched"
ATTEMPTS_MAX = 8

Words = tuple[Any, ...]
Write = tuple[tuple[Words, ...], int | None]
"""The commands of an entry, and the revision of ``WATCHED`` that it asks for, if any."""


class ModelCluster:
    """Counters, and tokens as dkv has them. ``draw`` decides what becomes of each request."""

    def __init__(self, draw: Callable[[int], int]) -> None:
        self.draw = draw
        self.values: Counter[str] = Counter()
        self.order: list[Words] = []
        self.revision = 0
        self._answers: dict[Token, tuple[Any, Any]] = {}
        self._dropped = 0
        self._late: list[tuple[Token, Write]] = []
        self._before = 0  # how much of that came by earlier exchanges

    def settle(self) -> None:
        """What was on its way arrives."""
        for token, write in self._late:
            self.apply(token, write)
        self._late, self._before = [], 0

    def arrive(self, token: Token, write: Write) -> Any:
        """The answer to a write, in front of which what the same connection has sent arrives."""
        for each in self._late[self._before :]:
            self.apply(*each)
        del self._late[self._before :]
        return self.apply(token, write)

    def apply(self, token: Token, write: Write) -> Any:
        """The answer to a write with a token."""
        commands, revision = write
        check = (commands, revision is None)
        if token in self._answers:
            held, answer = self._answers[token]
            return answer if held == check else ResponseError("IDMPMISMATCH the token was used with another write")
        if token[1] <= self._dropped:
            return ResponseError("IDMPOLD the token is older than what is remembered")
        answer = None
        if revision is None or revision == self.revision:
            answer = []
            for _, key in commands:
                self.values[key] += 1
                self.order.append((token, key))
                answer.append(self.values[key])
        self._answers[token] = (check, answer)
        return answer

    def take(self, exchange: Exchange, seen: int | None) -> Exchanged:
        """What a client gets for an exchange; ``seen`` is the revision at which its connection watches."""
        values: list[Any] = []
        block: list[Words] | None = None
        self._before = len(self._late)
        cut = self.draw(6) == 0 and self.draw(len(exchange.requests) + 1)
        for at, request in enumerate(exchange.requests):
            if cut is not False and at == cut:
                return Exchanged(values, ConnectionError("lost"))
            if not exchange.watched and request.words[0] == "WATCH":
                seen = self.revision
                values.append("OK")
            elif request.words[0] == "MULTI":
                block = []
                values.append("OK")
            elif request.words[0] != "IDMP":
                assert block is not None
                block.append(request.words)
                values.append("QUEUED")
            else:
                found = self._write(request, block, seen)
                if isinstance(found, ConnectionError):
                    return Exchanged(values, found)
                values.append(found)
                block = None
        return Exchanged(values)

    def _write(self, request: SentWords, block: list[Words] | None, seen: int | None) -> Any:
        _, producer, op, *words = request.words
        token = (producer, op)
        write: Write = ((tuple(words),), None) if block is None else (tuple(block), seen)
        match self.draw(9):
            case 0:
                return TryAgainError("no leader")
            case 1:
                self._late.append((token, write))
                return ResponseError("UNCERTAIN it was proposed")
            case 2:
                self.arrive(token, write)
                return ConnectionError("lost")
            case 3:
                self._late.append((token, write))
                return ConnectionError("lost")
            case 4 if self.draw(3) == 0:
                self._forget()
            case 5:
                self.settle()
            case 6 if block is not None and self.draw(2):
                return ExecAbortError("Transaction discarded because of previous errors.")
        answer = self.arrive(token, write)
        return answer[0] if block is None and isinstance(answer, list) else answer

    def _forget(self) -> None:
        """The answers so far are older than what is remembered."""
        self._dropped = max([self._dropped, *(op for _, op in self._answers)])
        self._answers.clear()


class ExchangeTests(SynchronousTestCase):
    def play(self, cluster: ModelCluster, steps: Steps[Any], watching: bool = False) -> Any:
        """What the steps come to: a result, or the exception that a program sees."""
        seen = cluster.revision if watching else None
        if watching and cluster.draw(4) == 0:
            cluster.revision += 1  # somebody else writes the key
        try:
            step = next(steps)
            while True:
                if isinstance(step, Pause):
                    if cluster.draw(4) == 0:
                        cluster.revision += 1
                    step = next(steps)
                else:
                    step = steps.send(cluster.take(step, seen if step.watched else None))
        except StopIteration as end:
            return end.value
        except Exception as error:
            return error

    def patience(self) -> CallPatience:
        """Enough for so many attempts."""
        attempts = iter(range(1_000))
        return CallPatience(ATTEMPTS_MAX, lambda: next(attempts))

    @settings(max_examples=500)
    @given(st.data())
    def test_transactions(self, data: st.DataObject) -> None:
        """What a program concludes from each ending is true, also when all that was on its way has arrived."""
        cluster = ModelCluster(lambda count: data.draw(st.integers(0, count - 1)))
        stack: list[tuple[Words, dict[str, Any]]] = [(("INCR", "a"), {}), (("INCR", "b"), {})]
        call = TokenCall(("EXEC",), Kind.WRITE, PendingOps())
        watching = data.draw(st.booleans())
        watches = [("WATCH", WATCHED)] if watching else []
        result = self.play(cluster, transaction(call, self.patience(), stack, watches), watching)
        cluster.settle()
        times = cluster.values["a"]
        self.assertEqual(times, cluster.values["b"])
        self.assertLessEqual(times, 1)
        if isinstance(result, Exchanged):
            self.assertEqual(result.last, [1, 1] if times else None)
            self.assertEqual(result.values[:3], ["OK", "QUEUED", "QUEUED"])
        elif isinstance(result, AnswerLost):
            # It was executed, if only to find that a key had changed.
            self.assertTrue(watching)
        elif isinstance(result, WatchError | NotApplied | ExecAbortError):
            self.assertEqual(times, 0, result)
        else:
            self.assertIsInstance(result, MaybeApplied)

    @settings(max_examples=500)
    @given(st.data())
    def test_pipelines(self, data: st.DataObject) -> None:
        """Each write happens once, in their order, and what a program is told of it is true."""
        cluster = ModelCluster(lambda count: data.draw(st.integers(0, count - 1)))
        names = "abcd"[: data.draw(st.integers(1, 4))]
        stack: list[tuple[Words, dict[str, Any]]] = [(("INCR", name), {}) for name in names]
        pending = PendingOps()
        calls = [TokenCall(arguments, Kind.WRITE, pending) for arguments, _ in stack]
        result = self.play(cluster, pipeline(calls, self.patience(), stack))
        at_once = [key for _, key in cluster.order]
        cluster.settle()
        for each, name in zip(result if isinstance(result, list) else [result] * len(names), names, strict=True):
            times = cluster.values[name]
            self.assertLessEqual(times, 1)
            if isinstance(each, NotApplied) and isinstance(result, list):
                self.assertEqual(times, 0)
            elif isinstance(each, Exception):
                self.assertIsInstance(each, NotApplied | MaybeApplied)
            else:
                self.assertEqual((each, times), (1, 1))
        if isinstance(result, NotApplied):
            self.assertEqual(at_once, [*names[: len(at_once)]])  # those in front were answered
        if isinstance(result, list) and not any(isinstance(each, Exception) for each in result):
            self.assertEqual(at_once, [*names])
