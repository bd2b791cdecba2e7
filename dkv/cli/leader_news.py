"""Who leads a cluster now, and why: told from the logs of its nodes, for the terminal of ``dkv cluster``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

Ballot = tuple[int, int]
"""Round and node: a higher one is a later attempt to lead."""

ELECTED, LOST, STEPPED_DOWN, TAKES_OVER = "leader_elected", "leader_lost", "stepped_down", "taking_over"
ALONE, HEARD = "quorum_lost", "quorum_heard"
EVENTS = (ELECTED, LOST, STEPPED_DOWN, TAKES_OVER, ALONE, HEARD)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A line of a node's log, with the fields that its event has: docs/operations.md lists the events."""

    at: datetime
    node: int
    event: str
    ballot: Ballot = (0, 0)
    reason: str = ""
    heard: tuple[int, ...] = ()


def parse(text: bytes) -> Occurrence | None:
    """One line of a node's log; None if it is about something else, or not a node's."""
    if not any(event.encode() in text for event in EVENTS):  # most lines are not, and JSON takes its time
        return None
    try:
        line = json.loads(text)
        at, event = datetime.fromisoformat(line["timestamp"]), line["event"]
        if event in (ALONE, HEARD):
            return Occurrence(at, line["node"], event, heard=tuple(line["heard"]))
        if event in EVENTS:
            round_, owner = line["ballot"].split(".")
            return Occurrence(at, line["node"], event, (int(round_), int(owner)), line.get("reason", ""))
    except (ValueError, TypeError, KeyError, AttributeError):
        pass
    return None


class NewLines:
    """What a node's log has got since the last look; the first look begins at byte ``start``."""

    def __init__(self, path: Path, start: int) -> None:
        self._path = path
        self._position = start
        self._begun = b""

    def read(self) -> Iterator[Occurrence]:
        """What happened. A file that is gone tells nothing; one that was cut short is read from its beginning."""
        try:
            with open(self._path, "rb") as log:
                if log.seek(0, 2) < self._position:
                    self._position, self._begun = 0, b""
                log.seek(self._position)
                *whole, self._begun = (self._begun + log.read()).split(b"\n")
                self._position = log.tell()
        except OSError:
            return
        yield from (occurrence for text in whole if (occurrence := parse(text)) is not None)


class LeaderNews:
    """What is to be told of the nodes whose logs are ``logs``, each with the byte at which the node's life begins."""

    def __init__(self, logs: Iterable[tuple[Path, int]]) -> None:
        self._logs = [NewLines(path, start) for path, start in logs]
        self._told: Ballot = (0, 0)
        self._loss: Occurrence | None = None
        self._has_heard: set[int] = set()
        self._alone: set[int] = set()

    def news(self) -> list[str]:
        """A sentence for each thing that happened since the last call."""
        occurrences = sorted((each for log in self._logs for each in log.read()), key=lambda each: each.at)
        return [sentence for each in occurrences if (sentence := self._tell(each))]

    def _tell(self, each: Occurrence) -> str | None:
        if each.event == ELECTED:
            return self._elected(each)
        if each.event == ALONE:
            if each.node not in self._has_heard:
                return None  # it has just started, and the others have not yet: nothing was lost
            self._alone.add(each.node)
            heard = " and ".join(f"node {other}" for other in each.heard) or "itself"
            return f"node {each.node} hears no majority any more, only {heard}: it can neither write nor read"
        if each.event == HEARD:
            self._has_heard.add(each.node)
            if each.node in self._alone:
                self._alone.remove(each.node)
                return f"node {each.node} hears a majority again"
        if each.event in (LOST, STEPPED_DOWN, TAKES_OVER) and (self._loss is None or each.ballot > self._loss.ballot):
            self._loss = each  # the first who notes it says why: others may only have been told
        return None

    def _elected(self, each: Occurrence) -> str | None:
        """Every node notes that it follows a leader; the first one is told."""
        if each.ballot <= self._told:
            return None
        self._told = each.ballot
        (round_, leader), loss = each.ballot, self._loss
        sentence = f"node {leader} leads in ballot {round_}.{leader}"
        if loss is None or loss.ballot >= each.ballot:
            return sentence
        if loss.event == TAKES_OVER:
            return f"{sentence}: node {loss.ballot[1]} handed over" if loss.node == leader else sentence
        seconds = max((each.at - loss.at).total_seconds(), 0.0)
        return f"{sentence}: elected {seconds:.2f} s after node {loss.ballot[1]} was lost ({loss.reason})"
