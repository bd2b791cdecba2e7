"""A write on one node is seen at once on the others."""

from __future__ import annotations

from dkv.cli.scenarios.stage import Stage


def play(stage: Stage) -> None:
    """Put, get, append, delete and absent keys, each request on another node than the one before."""
    report, numbers = stage.report, stage.numbers
    first, second, last = numbers[0], numbers[1 % len(numbers)], numbers[-1]
    key, other = stage.key("x"), stage.key("absent")
    report.check(f"PUT x 1 on node {first}", stage.call(first, "PUT", key, "1"), "OK")
    for number in numbers:
        report.check(f"GET x on node {number}", stage.call(number, "GET", key), b"1")
    report.check(f"PUT x 2 on node {last}", stage.call(last, "PUT", key, "2"), "OK")
    for number in numbers:
        report.check(f"GET x on node {number}", stage.call(number, "GET", key), b"2")
    report.check(f"APPEND x 34 on node {second}", stage.call(second, "APPEND", key, "34"), 3)
    for number in numbers:
        report.check(f"GET x on node {number}", stage.call(number, "GET", key), b"234")
    report.check(f"GET of an absent key on node {first}", stage.call(first, "GET", other), None)
    report.check(f"DELETE of an absent key on node {second}", stage.call(second, "DELETE", other), 0)
    report.check(f"DELETE x on node {second}", stage.call(second, "DELETE", key), 1)
    for number in numbers:
        report.check(f"GET x on node {number}", stage.call(number, "GET", key), None)
    report.check(f"APPEND to the absent x on node {last}", stage.call(last, "APPEND", key, "new"), 3)
    for number in numbers:
        report.check(f"GET x on node {number}", stage.call(number, "GET", key), b"new")
