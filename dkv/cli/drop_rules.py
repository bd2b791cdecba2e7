"""``dkv drop-rules``: make a node lose messages to its peers, to see how the cluster copes."""

from __future__ import annotations

import re
from dataclasses import dataclass

import click

from dkv.cli.access import ANSWER_SECONDS, STATUSES, Access, looks
from dkv.cli.asking import not_understood
from dkv.cli.output import Failure, Status, answer
from dkv.cli.types import Seconds

FAULT_SECONDS = 60.0
FAULT_SECONDS_MAX = 3600.0
CLEAR = "clear"
_RULE = re.compile(r"\s*([0-9]{1,9})\s*:\s*([0-9]{1,9}(?:\.[0-9]{1,9})?|\.[0-9]{1,9})\s*")


@dataclass(frozen=True, slots=True)
class Rule:
    """``rate`` (0 to 1) of the messages to ``node`` are lost."""

    node: int
    rate: float

    def __str__(self) -> str:
        return f"{self.node}:{self.rate:g}"


def parse_rules(text: str) -> list[Rule]:
    """The rules in ``2:1.0,3:0.5``; ``ValueError``, in words for the user, if one of them is not a rule."""
    rules: dict[int, Rule] = {}
    for part in text.split(","):
        found = _RULE.fullmatch(part)
        if found is None:
            raise ValueError(f"{part.strip()!r} is no rule: they are NODE:RATE,... such as 2:1.0,3:0.5; or clear")
        rule = Rule(int(found[1]), float(found[2]))
        if rule.node < 1:
            raise ValueError(f"{part.strip()!r}: nodes are numbered from 1")
        if rule.rate > 1:
            raise ValueError(f"{part.strip()!r}: the rate is from 0 (nothing is lost) to 1 (everything)")
        if rule.node in rules:
            raise ValueError(f"node {rule.node} has two rules")
        rules[rule.node] = rule
    return list(rules.values())


def _rules(_: click.Context, __: click.Parameter, text: str) -> list[Rule]:
    if text.strip().lower() == CLEAR:
        return []
    try:
        return parse_rules(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command("drop-rules", short_help="Make a node lose messages to its peers.", epilog=STATUSES)
@click.argument("rules", metavar="RULES|clear", callback=_rules)
@click.option(
    "--for",
    "seconds",
    type=Seconds(FAULT_SECONDS_MAX),
    default=FAULT_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help=f"After how long the rules end by themselves, at most {FAULT_SECONDS_MAX:g}.",
)
@looks("The one node whose outgoing messages are to be lost.", ANSWER_SECONDS)
def drop_rules(to: Access, rules: list[Rule], seconds: float) -> int:
    """Make the node at --endpoints lose messages that it sends to its peers, or clear all its faults.

    RULES are NODE:RATE, separated by commas: 2:1.0,3:0.5 loses all messages to node 2 and every other one, by chance,
    to node 3. A rule replaces an earlier one for the same node; the others stay. "clear" ends them all. To cut a node
    off in both directions, its peers need rules too. Only nodes whose config file says allow_faults = true obey.

    With --output json every rule is an object: "endpoint", "node", "drop", "seconds"; a clear is "endpoint", "cleared".
    """
    if len(to.endpoints) != 1:
        message = f"say which node is to lose messages: --endpoints with one HOST:PORT, and not {len(to.endpoints)}"
        raise Failure(Status.USAGE, "USAGE", f"{message} (see dkv drop-rules --help)")
    endpoint = str(to.endpoints[0])
    if not rules:
        _order(to, b"CLEAR")
        answer(b"cleared: %b loses nothing on purpose" % endpoint.encode(), _fields(endpoint, cleared=True), to.as_json)
    done: list[Rule] = []
    for rule in rules:
        try:
            _order(to, b"DROP", b"%d" % rule.node, _decimal(rule.rate), b"FOR", _decimal(seconds))
        except Failure as failure:
            before = f"; in force: {','.join(map(str, done))}" if done else ""
            raise Failure(failure.status, failure.word, failure.message + before) from None
        done.append(rule)
        percent = f"{rule.rate * 100:g} %"
        text = f"{endpoint} loses {percent} of its messages to node {rule.node} for {seconds:g} s"
        answer(text.encode(), _fields(endpoint, node=rule.node, drop=rule.rate, seconds=seconds), to.as_json)
    return Status.DONE


def _decimal(number: float) -> bytes:
    """The number without an exponent, which a node does not accept."""
    return f"{number:.9f}".rstrip("0").rstrip(".").encode()


def _fields(endpoint: str, **fields: object) -> dict[str, object]:
    return {"endpoint": endpoint} | fields


def _order(to: Access, *words: bytes) -> None:
    reply = to.ask(b"DKV.FAULT", *words)
    if reply != "OK":
        raise not_understood(to, reply)
