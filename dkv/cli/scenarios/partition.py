"""One node is cut off from the others: they serve, the node refuses, and in the end all agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dkv.cli.output import Failure, Status
from dkv.cli.scenarios.stage import Stage
from dkv.client.blocking import NoAnswer, NotSent, ServerError
from dkv.client.survey import in_parallel

SECONDS = 120
REFUSALS = ("CLUSTERDOWN", "TRYAGAIN", "UNCERTAIN")
ATTEMPTS = 3
REFUSAL_SECONDS = 5.0


def play(stage: Stage) -> None:
    """Cut the leader, or in classic mode the last node, off from all others, both ways."""
    report = stage.report
    if not all(stage.status(number)["faults_allowed"] for number in stage.numbers):
        text = "the partition needs nodes whose config says allow_faults = true"
        raise Failure(Status.USAGE, "USAGE", text)
    ids = {number: stage.status(number)["node"] for number in stage.numbers}
    lone = stage.leader() or stage.numbers[-1]
    others = stage.others(lone)
    before, during = stage.key("before"), stage.key("during")
    report.check(f"PUT before on node {lone}", stage.call(lone, "PUT", before, "1"), "OK")
    try:
        for other in others:
            stage.call(lone, "DKV.FAULT", "DROP", ids[other], "1.0", "FOR", SECONDS)
            stage.call(other, "DKV.FAULT", "DROP", ids[lone], "1.0", "FOR", SECONDS)
        report.step(f"node {lone} cut off from nodes {', '.join(map(str, others))}, both ways")
        for other in others:
            stage.wait_ready(other)
            report.check(f"APPEND during on node {other}", isinstance(_append(stage, other, during), int), True)
        for other in others:
            report.check(f"GET before on node {other}", stage.call(other, "GET", before), b"1")
        refused = _attempts(stage, lone)
    finally:
        uncleared = [number for number in stage.numbers if not _cleared(stage, number)]
    report.check("healed; nodes whose orders could not be cleared", uncleared, [])
    for number in stage.numbers:
        stage.wait_ready(number)
    report.check(f"APPEND during on node {lone}", _append(stage, lone, during), len(others) + 1)
    stage.wait_even(stage.numbers)
    for key in (before, during, *refused):
        values = {stage.call(number, "GET", key) for number in stage.numbers}
        report.require(f"all nodes agree on {key.decode()}", len(values) == 1, _text(next(iter(values))))
        if refused.get(key) in ("CLUSTERDOWN", "TRYAGAIN"):
            report.check(f"{key.decode()}, whose write was refused as not applied", next(iter(values)), None)
    report.figures |= {"lone_node": lone, "refused": len(refused)}


def _cleared(stage: Stage, number: int) -> bool:
    try:
        return stage.call(number, "DKV.FAULT", "CLEAR") == "OK"
    except (NotSent, NoAnswer, ServerError):
        return False


def _append(stage: Stage, number: int, key: bytes) -> object:
    return stage.call(number, "APPEND", key, "x")


def _attempts(stage: Stage, lone: int) -> dict[bytes, str]:
    """Write and read on the lone node, and return by key the word with which each write was refused."""
    report = stage.report
    keys = [stage.key(f"lone{index}") for index in range(ATTEMPTS)]
    requests = [*((b"PUT", key, b"lone") for key in keys), (b"GET", stage.key("before"))]
    with report.progress("waiting for the lone node", len(requests), REFUSAL_SECONDS) as bar:
        words = in_parallel([_asking(stage, lone, request, bar) for request in requests])
    for key, word in zip(keys, words, strict=False):
        report.require(f"PUT {key.decode()} on the lone node is refused", word in REFUSALS, word)
    report.require("GET before on the lone node is refused", words[-1] in REFUSALS[:2], words[-1])
    return dict(zip(keys, words, strict=False))


def _asking(stage: Stage, number: int, request: tuple[bytes, ...], bar: Any) -> Callable[[], str]:
    def ask() -> str:
        word = _word(stage, number, *request)
        bar.update(1)
        return word

    return ask


def _word(stage: Stage, number: int, *words: bytes) -> str:
    """The first word of the refusal, or the answer that came instead."""
    try:
        return f"answered {stage.call(number, *words)!r}"
    except ServerError as error:
        return error.word
    except (NotSent, NoAnswer) as error:
        return str(error)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else "(nil)"
