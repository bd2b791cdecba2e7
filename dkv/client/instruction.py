"""A request as a program means it: its words, and how the answer is read. Both clients send them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from inspect import Parameter, signature
from typing import Concatenate, Generic, ParamSpec, TypeVar

from dkv.client.answers import Reply
from dkv.client.failures import DkvError, Unknown

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")
S = TypeVar("S")

Word = bytes | str | int
"""A key, a value or a word of a request. Text is sent as UTF-8, a number as its decimal digits."""


@dataclass(frozen=True, slots=True)
class Instruction(Generic[T]):
    """The words of one request, without a token. ``read`` makes of its reply what the program gets."""

    words: tuple[bytes, ...]
    read: Callable[[Reply], T]

    def result(self, outcome: Reply | DkvError) -> T:
        """What the program gets for a reply; else the failure is raised."""
        if isinstance(outcome, DkvError):
            raise outcome
        return self.read(outcome)


def method(make: Callable[P, Instruction[T]], send: Callable[[S, Instruction[T]], R]) -> Callable[Concatenate[S, P], R]:
    """A method with the name, the parameters and the docstring of ``make``, which has what that makes sent."""

    @wraps(make)
    def sending(self: S, /, *arguments: P.args, **named: P.kwargs) -> R:
        return send(self, make(*arguments, **named))

    made = signature(make)
    own = Parameter("self", Parameter.POSITIONAL_ONLY)
    sending.__signature__ = made.replace(parameters=[own, *made.parameters.values()])  # type: ignore[attr-defined]
    return sending


def encoded(word: Word) -> bytes:
    """The bytes of one word."""
    if isinstance(word, bytes):
        return word
    if isinstance(word, bool) or not isinstance(word, str | int):
        raise TypeError(f"keys and values are bytes, str or int, and this is {word!r:.60}")
    return word.encode() if isinstance(word, str) else b"%d" % word


def all_encoded(words: Iterable[Word]) -> tuple[bytes, ...]:
    """The bytes of several words. A single text is not several words."""
    if isinstance(words, str | bytes):
        raise TypeError(f"several words are expected, and this is one: {words!r:.60}")
    return tuple(map(encoded, words))


def unreadable(reply: Reply) -> Unknown:
    """No node gives this reply to that request."""
    return Unknown(f"PROTOCOL no node of dkv has such a reply to this request: {reply!r:.60}", "PROTOCOL")
