"""``dkv log``: the slots of a node's log, decoded."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from itertools import takewhile
from typing import Any

import click

from dkv.cli.access import ANSWER_SECONDS, Access, looks
from dkv.cli.asking import FIRST, ask_first, not_understood, pause
from dkv.cli.metrics import LOOKING
from dkv.cli.output import Failure, Status, answer, complain
from dkv.cli.reply_text import as_json, word
from dkv.cli.table import Cell, Table, cell
from dkv.cli.types import Whole
from dkv.client.blocking import Reply

SLOTS = 10
"""How many slots are shown if the user does not choose."""

PAGE_SLOTS = 500
PAGE = b"%d" % PAGE_SLOTS
BUSY_SECONDS = 0.05
NEW_SECONDS = 0.2
"""How long to wait before a node is asked again whether it has new slots."""
LOST_SECONDS = 1.0
"""And after no node has answered."""
DAY_MS = 86_400_000
CHOSEN = "chosen"
NOOP = "NOOP"

Page = list[dict[str, Any]]
"""Slots in their order, as ``_slot`` makes them."""


@click.command(short_help="Show a node's log, decoded.", epilog=LOOKING)
@click.option("--from", "first", type=Whole(), metavar="SLOT", help="The first slot to show.")
@click.option("--to", "last", type=Whole(), metavar="SLOT", help="The last slot to show, itself included.")
@click.option("--follow", "-f", "followed", is_flag=True, help="Go on with new slots as they are chosen, until Ctrl-C.")
@looks(FIRST, ANSWER_SECONDS)
def log(to: Access, first: int | None, last: int | None, followed: bool) -> int:
    """Show slots of the log of the first endpoint that answers: the last ten, or those from --from to --to.

    --from alone shows all up to the end, --to alone the ten up to that one. A slot holds the commands of one batch or
    more, each batch with its origin; the first of each is shown, and how many more there are. A slot without any is a
    no-op. BALLOT is that in which the node accepted the slot; it has none of what it fetched later. TIME is the time of
    day in UTC when the slot was proposed, as the cluster counts it. Slots that are compacted, or that the node does not
    have, are left out. Long words are cut by the node.

    With --follow only chosen slots are shown, and new ones as they come. If the node does not answer any more another
    endpoint is asked, for all of them have the same log. Slots that were compacted before they could be shown are left
    out, and stderr says so. It ends behind --to, or with Ctrl-C and status 0.

    With --output json every slot is an object: "slot", "ballot" (or null), "state", "time_ms" since 1970 (or null),
    "noop", and "batches", each with "origin" and all of its "commands"; a word that is no text is {"base64": ...}.
    """
    if first is not None and last is not None and first > last:
        raise Failure(Status.USAGE, "USAGE", f"--from {first} is behind --to {last} (see dkv log --help)")
    if first is None and last is not None:
        first = max(1, last - SLOTS + 1)
    table = Table("SLOT", "BALLOT", "STATE", "TIME", "ORIGIN", "COMMAND", cut_last=True)
    try:
        for page in (follow if followed else pages)(to, first, last):
            if to.as_json:
                for slot in page:
                    answer(b"", slot, True)
            else:
                table.add(map(_row, page))
    except KeyboardInterrupt:
        if not followed:
            raise
    return Status.DONE


def follow(to: Access, first: int | None, last: int | None) -> Iterator[Page]:
    """The chosen slots from ``first`` on (the last ten and those behind if None), and new ones as they are chosen.

    Ends behind ``last``. A slot that is only accepted is waited for, since another value may still be chosen for it.
    """
    asked, lost, expected = to, False, first
    while last is None or expected is None or expected <= last:
        try:
            asked, page = _from(asked, expected)
        except Failure as failure:
            if failure.status != Status.UNREACHABLE:
                raise
            if not lost:
                complain(f"{failure.message}; waiting for any of {','.join(map(str, to.endpoints))}")
            asked, lost = to, True
            pause(LOST_SECONDS)
            continue
        lost = False
        page = chosen_part(page)
        if not page:
            pause(NEW_SECONDS)
            continue
        if expected is not None and page[0]["slot"] > expected:
            complain(f"slots {expected} to {page[0]['slot'] - 1} were compacted before they could be shown")
        yield [slot for slot in page if last is None or slot["slot"] <= last]
        expected = page[-1]["slot"] + 1


def _from(to: Access, expected: int | None) -> tuple[Access, Page]:
    """The node that answered, and its slots from ``expected`` on; its last ten if None."""
    one, reply = ask_first(to, b"DKV.LOG") if expected is None else _ask_patiently(to, b"%d" % expected, PAGE)
    return one, [slot for slot in _slots(one, reply) if expected is None or slot["slot"] >= expected]


def chosen_part(page: Page) -> Page:
    """The slots in front of the first that is not known to be chosen."""
    return list(takewhile(lambda slot: slot["state"] == CHOSEN, page))


def pages(to: Access, first: int | None, last: int | None) -> Iterator[Page]:
    """The slots from ``first`` to ``last``, one answer of the node at a time; the last ten if ``first`` is None."""
    if first is None:
        one, reply = ask_first(to, b"DKV.LOG")
        yield _slots(one, reply)
        return
    while last is None or first <= last:
        count = PAGE_SLOTS if last is None else min(PAGE_SLOTS, last - first + 1)
        to, reply = _ask_patiently(to, b"%d" % first, b"%d" % count)
        page = _slots(to, reply)
        if not page or page[-1]["slot"] < first:  # no progress: the end, or a node that goes round in circles
            return
        yield [slot for slot in page if last is None or slot["slot"] <= last]
        first = page[-1]["slot"] + 1


def _ask_patiently(to: Access, *words: bytes) -> tuple[Access, Reply]:
    """A page of the log. A node spends only a share of its time on it, so this may have to ask again."""
    deadline = time.monotonic() + to.answer_seconds
    while True:
        try:
            return ask_first(to, b"DKV.LOG", *words)
        except Failure as failure:
            if failure.word != "TRYAGAIN" or time.monotonic() > deadline:
                raise
        pause(BUSY_SECONDS)  # as the node asks us to


def _slots(to: Access, reply: Reply) -> Page:
    try:
        return [_slot(each) for each in _list(reply)]
    except (TypeError, ValueError):
        raise not_understood(to, reply) from None


def _slot(reply: Reply) -> dict[str, Any]:
    """One slot of a DKV.LOG; ``TypeError`` or ``ValueError`` if it has another shape."""
    slot, ballot, state, batches, time_ms = _list(reply)
    if not isinstance(slot, int) or not isinstance(time_ms, int):
        raise TypeError
    decoded = [_batch(each) for each in _list(batches)]
    return {
        "slot": slot,
        "ballot": None if ballot is None else _text(ballot),
        "state": _text(state),
        "time_ms": time_ms or None,
        "noop": not decoded,
        "batches": decoded,
    }


def _batch(reply: Reply) -> dict[str, Any]:
    origin, commands = _list(reply)
    return {"origin": _text(origin), "commands": [_words(each) for each in _list(commands)]}


def _words(reply: Reply) -> list[Any]:
    words = _list(reply)
    if not all(isinstance(each, bytes) for each in words):
        raise TypeError
    return [as_json(each) for each in words]


def _list(reply: Reply) -> list[Reply]:
    if not isinstance(reply, list):
        raise TypeError
    return reply


def _text(reply: Reply) -> str:
    if not isinstance(reply, bytes | str):
        raise TypeError
    return reply if isinstance(reply, str) else reply.decode("utf-8", "replace")


def _row(slot: dict[str, Any]) -> list[Cell]:
    """One line: the first command, and how many more there are."""
    state, batches = slot["state"], slot["batches"]
    commands = [command for batch in batches for command in batch["commands"]]
    return [
        cell(slot["slot"]),
        cell(slot["ballot"]),
        cell(state, None if state == CHOSEN else "yellow"),
        cell(None if slot["time_ms"] is None else _time_of_day(slot["time_ms"])),
        cell(batches[0]["origin"] + _more(batches) if batches else None),
        Cell(_line(commands[0]), tail=_more(commands)) if commands else Cell(NOOP, "bright_black"),
    ]


def _time_of_day(time_ms: int) -> str:
    """The time of day in UTC, to the millisecond."""
    seconds, milliseconds = divmod(time_ms % DAY_MS, 1_000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{milliseconds:03}"


def _more(several: list[Any]) -> str:
    return f" ... and {len(several) - 1} more" if len(several) > 1 else ""


def _line(command: list[Any]) -> str:
    """A command as a user could type it."""
    return " ".join(_word(each) for each in command)


def _word(each: Any) -> str:
    if isinstance(each, dict):
        return word(base64.b64decode(each["base64"]))
    return word(str(each).encode())
