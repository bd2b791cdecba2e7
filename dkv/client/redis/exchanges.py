"""Pipelines and transactions as steps: requests to send together, and what follows from the replies.

The steps do no I/O, so redis-py's blocking pipeline and its asyncio pipeline take the same ones.

A connection that is lost behind the EXEC of a transaction with WATCH is the hard case. What was watched is lost with
the connection, so the same transaction, sent again, could be executed although a watched key has changed. But not to
know whether it was executed is no reason to execute it twice. So an empty transaction is sent with the same token. If
that is executed (it answers an empty list), the token is used up: the first one was not executed, and would be refused
if it still came. If the token is refused as that of another write, the first one was executed, and what it answered
can be asked for: with this token nothing is executed any more.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from redis.exceptions import WatchError

from dkv.client.outcome import TAKEN
from dkv.client.redis.attempts import CallPatience, TokenCall
from dkv.client.redis.endings import (
    ABORTED,
    AnswerLost,
    is_forgotten,
    is_of_one_node,
    is_refusal,
    is_silence,
    leaves_the_node,
    word_of,
)
from dkv.client.redis.request_kinds import Kind

WRITES_AT_ONCE = 256
"""How many writes of a pipeline are sent before the first one has its answer, so that none is forgotten meanwhile."""

RAW = "_"
"""The name that redis-py gives to replies which no callback is for."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SentWords:
    """Words to send; its reply is read as that of ``name``, with redis-py's ``options``."""

    words: tuple[Any, ...]
    name: Any = RAW
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Exchange:
    """Send ``requests`` on one connection, and read a reply to each; ``watched`` is for the one that watches keys."""

    requests: Sequence[SentWords]
    watched: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What came of an exchange: replies, with errors of the node in their places, and how the connection ended."""

    values: list[Any]
    lost: Exception | None = None

    @property
    def last(self) -> Any:
        """The last reply, or the error with which the connection ended."""
        return self.lost if self.lost is not None else self.values[-1]


Steps = Generator[Exchange | Pause, Exchanged, T]

Stack = Sequence[tuple[tuple[Any, ...], dict[str, Any]]]
"""The commands of redis-py's pipelines: arguments and options."""


def transaction(
    call: TokenCall, patience: CallPatience, stack: Stack, watches: Sequence[tuple[Any, ...]]
) -> Steps[Exchanged]:
    """The replies to MULTI, the commands and EXEC, in an attempt whose EXEC was answered by a list or nil.

    ``call`` is the EXEC. ``watches`` are the WATCH requests that stand before it on its connection.
    """
    block = [SentWords(("MULTI",)), *(SentWords(arguments) for arguments, _ in stack)]
    while True:
        replies = yield Exchange([*block, SentWords(call.words)], watched=bool(watches))
        if not isinstance(replies.last, Exception):
            return replies
        if watches:
            return (yield from _settle(call, patience, block, watches, replies))
        yield Pause(_after(call, patience, replies))


def _after(call: TokenCall, patience: CallPatience, replies: Exchanged) -> float:
    """The pause behind an attempt that failed. Raises if there is no other one."""
    error = cause_of(replies)
    if word_of(replies.last) == ABORTED and (is_refusal(error) or call.may_be_done):
        # Nothing of this attempt was executed. It says nothing of an earlier one, whatever its reason.
        pause = patience.pause()
        if pause is None:
            raise call.conclusion(error) from error
        return pause
    return patience.after(call, error)


def cause_of(replies: Exchanged) -> Exception:
    """Why an EXEC has no results: what refused one of its requests, or what it was answered itself."""
    error: Exception = replies.last
    if word_of(error) == ABORTED:
        return next((each for each in replies.values if isinstance(each, Exception)), error)
    return error


def _settle(
    call: TokenCall,
    patience: CallPatience,
    block: list[SentWords],
    watches: Sequence[tuple[Any, ...]],
    replies: Exchanged,
) -> Steps[Exchanged]:
    """What became of a transaction with WATCH that has no results."""
    error = replies.last
    if is_refusal(cause_of(replies)):
        raise WatchError(f"the transaction was not executed, and its keys are not watched any more: {error}") from error
    if not is_silence(error):
        raise cause_of(replies) from None
    call.may_be_done = True
    while True:
        verdict = (yield Exchange([SentWords(("MULTI",)), SentWords(call.words)])).last
        if verdict == []:
            raise WatchError(f"the transaction was not executed, and never will be: {error}") from error
        if isinstance(verdict, Exception) and word_of(verdict) == TAKEN:
            break
        yield Pause(patience.after(call, verdict))
    again = [*(SentWords(each) for each in watches), *block, SentWords(call.words)]
    while True:
        replies = yield Exchange(again)
        verdict = replies.last
        if not isinstance(verdict, Exception):
            return Exchanged(replies.values[len(watches) :])
        pause = patience.pause()
        if pause is None or is_forgotten(verdict):
            raise AnswerLost(f"the transaction was executed, and its answer is lost: {verdict}") from verdict
        yield Pause(pause)


def pipeline(calls: Sequence[TokenCall], patience: CallPatience, stack: Stack) -> Steps[list[Any]]:
    """The reply to each command, an error in its place. Requests take effect in their order.

    What has no answer is sent again, from the first such command on. A command that was refused while one behind it
    was executed is not: it would take effect behind that one. The error in its place says what to conclude.

    There is one exception to their order: if the connection is lost together with a refusal, nobody knows of that, and
    the command is sent again though one behind it may have been executed.
    """
    answers: list[Any] = []
    while len(answers) < len(calls):
        some = _some(calls, len(answers))
        requests = [SentWords(calls[at].words, stack[at][0][0], stack[at][1]) for at in some]
        replies = yield Exchange(requests)
        answered = _answered(replies)
        answers += [_final(calls[at], each) for at, each in zip(some, replies.values[:answered], strict=False)]
        if answered == len(some):
            continue
        rest = [calls[at] for at in some[answered:]]
        endings = [*replies.values[answered:], *[replies.lost] * (len(some) - len(replies.values))]
        for call, error in zip(rest, endings, strict=True):
            call.judge(error)
        pause = patience.pause()
        if pause is None:
            call, error = next(
                (each for each in zip(rest, endings, strict=True) if each[0].may_be_done), (rest[0], endings[0])
            )
            raise call.conclusion(error) from error
        yield Pause(pause)
    return answers


def _some(calls: Sequence[TokenCall], begin: int) -> range:
    """The places of the commands to send next: up to ``WRITES_AT_ONCE`` writes, and what stands between them."""
    writes = 0
    for at in range(begin, len(calls)):
        writes += calls[at].kind is Kind.WRITE
        if writes > WRITES_AT_ONCE:
            return range(begin, at)
    return range(begin, len(calls))


def _answered(replies: Exchanged) -> int:
    """How many of the first replies stand. What is behind them may be sent again, and takes effect in its order.

    A command that was refused is not sent again if one behind it may have been executed.
    """
    count = len(replies.values)
    may_be_done = replies.lost is not None and is_silence(replies.lost)
    while count and isinstance(replies.values[count - 1], Exception) and leaves_the_node(replies.values[count - 1]):
        may_be_done |= is_silence(replies.values[count - 1])
        if may_be_done and is_refusal(replies.values[count - 1]):
            break
        count -= 1
    return count


def _final(call: TokenCall, reply: Any) -> Any:
    """What a command of a pipeline is answered, if it is not sent again: a reply, or what to conclude without one."""
    call.close()
    if not isinstance(reply, Exception):
        return reply
    call.may_be_done |= call.kind is Kind.WRITE and is_silence(reply)
    is_answer = not (leaves_the_node(reply) or is_forgotten(reply) or (call.may_be_done and is_of_one_node(reply)))
    return reply if is_answer else call.conclusion(reply)
