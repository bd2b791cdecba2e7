"""Requests that are gathered to be sent together, in a pipeline or a transaction, and their results."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from dkv.client import words
from dkv.client.answers import Reply
from dkv.client.failures import DkvError, Rejected
from dkv.client.instruction import Instruction, method
from dkv.replies import Error

T = TypeVar("T")


def _record(recorder: Recorder, instruction: Instruction[T]) -> None:
    recorder.instructions.append(instruction)


class Recorder:
    """Has the methods of a client. Each only notes its request, and returns None; the result comes with all others."""

    def __init__(self) -> None:
        self.instructions: list[Instruction[Any]] = []

    execute = method(words.execute, _record)
    get = method(words.get, _record)
    set = method(words.set, _record)
    append = method(words.append, _record)
    delete = method(words.delete, _record)
    exists = method(words.exists, _record)
    incr = method(words.incr, _record)
    decr = method(words.decr, _record)
    getset = method(words.getset, _record)
    getdel = method(words.getdel, _record)
    mget = method(words.mget, _record)
    mset = method(words.mset, _record)
    expire = method(words.expire, _record)
    persist = method(words.persist, _record)
    ttl = method(words.ttl, _record)
    keys = method(words.keys, _record)


def results_of(
    instructions: Iterable[Instruction[Any]], outcomes: Iterable[Reply | DkvError], *, raise_errors: bool
) -> list[Any]:
    """The results in the order of the requests, each with its failure in its place; or the first one is raised."""
    found: list[Any] = []
    for instruction, outcome in zip(instructions, outcomes, strict=True):
        try:
            found.append(instruction.result(_as_failure(outcome)))
        except DkvError as failure:
            found.append(failure)
    failures = [each for each in found if isinstance(each, DkvError)]
    if failures and raise_errors:
        raise failures[0]
    return found


def _as_failure(outcome: Reply | DkvError) -> Reply | DkvError:
    """An error among the replies of a transaction is that of its own request."""
    return Rejected(outcome.text, outcome.text.partition(" ")[0]) if isinstance(outcome, Error) else outcome
