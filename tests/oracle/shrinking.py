"""The shortest sequence that still shows a difference (delta debugging, Zeller 1999)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.oracle.run import Ask, Found, Step

SIMPLE = (b"a", b"1", b"get")


def shrink(found: Found, again: Callable[[tuple[Step, ...]], Found | None]) -> Found:
    """Leave out steps, then words, as long as ``again`` still finds a difference at the last step."""
    found = again(found.steps[: found.at + 1]) or found
    smaller = True
    while smaller:
        smaller = False
        for steps in _smaller(found.steps[: found.at + 1]):
            shown = again(steps)
            if shown is not None:
                found, smaller = shown, True
                break
    return found


def _smaller(steps: tuple[Step, ...]) -> Iterator[tuple[Step, ...]]:
    """Sequences that are simpler by one thing, the simplest first."""
    size = len(steps) // 2
    while size:
        for start in range(0, len(steps) - 1, size):
            yield steps[:start] + steps[start + size :]
        size //= 2
    for at, step in enumerate(steps):
        if isinstance(step, Ask):
            for simpler in _simpler(step):
                yield (*steps[:at], simpler, *steps[at + 1 :])


def _simpler(step: Ask) -> Iterator[Ask]:
    words = step.words
    if step.prefix:
        yield replace(step, prefix=())
    if step.client:
        yield replace(step, client=0)
    for at in range(1, len(words)):
        yield replace(step, words=words[:at] + words[at + 1 :])
    for at in range(1, len(words)):
        yield replace(step, words=words[:at] + words[at + 2 :])
    for at in range(1, len(words)):
        for simple in SIMPLE:
            if len(simple) < len(words[at]):
                yield replace(step, words=(*words[:at], simple, *words[at + 1 :]))
