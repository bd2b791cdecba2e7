"""A write with a token happens once, no matter how often and where it is sent."""

from __future__ import annotations

import secrets

from dkv.cli.scenarios.stage import Stage

REQUESTS = 100


def play(stage: Stage) -> None:
    """A hundred requests with one token, spread over the nodes, half of them after a restart."""
    report, numbers = stage.report, stage.numbers
    key, producer = stage.key("once"), f"scenario-{secrets.token_hex(4)}"
    request = ("IDMP", producer, 1, "APPEND", key, "x")
    base = {number: _suppressed(stage, number) for number in numbers}
    suppressed = 0
    half = REQUESTS // 2 if stage.is_own else REQUESTS
    replies = [stage.call(numbers[index % len(numbers)], *request) for index in range(half)]
    report.check(f"{half} requests with one token, over all nodes: their answers", sorted(set(replies), key=str), [1])
    if stage.is_own:
        restarted = numbers[-1]
        suppressed += _suppressed(stage, restarted) - base[restarted]
        stage.kill(restarted)
        stage.start(restarted)
        base[restarted] = 0
        report.step(f"node {restarted} killed with kill -9, and started again")
        rest = REQUESTS - half
        replies = [stage.call(numbers[-1 - index % len(numbers)], *request) for index in range(rest)]
        report.check(f"{rest} more, also on node {restarted}: their answers", sorted(set(replies), key=str), [1])
    for number in numbers:
        report.check(f"the value on node {number}", stage.call(number, "GET", key), b"x")
    suppressed += sum(_suppressed(stage, number) - base[number] for number in numbers)
    report.check("counted as suppressed", suppressed, REQUESTS - 1)
    report.check("the next op of the same producer", stage.call(numbers[0], "IDMP", producer, 2, "APPEND", key, "y"), 2)
    report.figures |= {"requests": REQUESTS, "applied": 1, "suppressed": suppressed}


def _suppressed(stage: Stage, number: int) -> int:
    return int(stage.status(number)["duplicates_suppressed"])
