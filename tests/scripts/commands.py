"""The commands of a script. Each is a method ``do_...`` that is given the words behind the command's name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import fields
from typing import Any, TypeVar

from dkv.kv.commands import COMMANDS, interpret
from dkv.kv.registry import Context
from dkv.replies import LogRequest
from dkv.routes import ROUTES
from dkv.settings import LEADER, MODES, Limits, Timings
from dkv.sim.constants import constants
from tests.scripts.cluster import Cluster
from tests.scripts.mail import Letter

MESSAGES = frozenset(cls.__name__ for cls in ROUTES)
SILENT = frozenset(("alter", "copy", "cut", "hide", "hold", "mode", "pass", "restore", "show", "wipe"))
"""Commands that change no node: nothing can follow them."""

Number = TypeVar("Number", int, float)

_TIME = re.compile(r"(\d+(?:\.\d+)?)(ms|s)")
_PAIR = re.compile(r"(\d+)>(\d+)")

NO_CHECKS = {"state_check_seconds": 0.0}
"""Checks of the state come when chance says, so a script that is about them asks for them."""


class WrongCommand(Exception):
    """A command that is not known, or that cannot be carried out; the text says why."""


class InvariantBroken(Exception):
    """The nodes did what they must never do; the text says what."""


class Commands:
    """Carries out the commands of one script."""

    def __init__(self) -> None:
        self._made: Cluster | None = None
        self._constants = ExitStack()

    def close(self) -> None:
        """The script is over."""
        self._constants.close()

    def do(self, line: str) -> list[str]:
        """Carry out one command: the lines of its trace. ``WrongCommand`` if that cannot be done."""
        name, *words = line.split()
        quietly = name == "quietly"
        if quietly and words:
            name, *words = words
        handler: Callable[[list[str]], None] | None = getattr(self, f"do_{name}", None)
        if handler is not None:
            handler(words)
        elif name.encode() in COMMANDS:
            self._ask(name, words)
        else:
            raise WrongCommand(f"there is no command {name!r}")
        witness = self._cluster.witness
        trace, witness.trace = witness.trace, []
        if witness.violation is not None:
            raise InvariantBroken("\n".join([witness.violation, *trace]))
        return [] if quietly else trace or ([] if name in SILENT else ["nothing happens"])

    # --- lives ---

    def do_cluster(self, words: list[str]) -> None:
        """Start nodes 1 to SIZE and let them meet: the first command of every script."""
        size, *options = self._some(words, "a size")
        if self._made is not None:
            raise WrongCommand("a script has one cluster")
        mode = options.pop(0) if options and options[0] in MODES else LEADER
        limits, timings = (_settings(kind, options) for kind in (Limits, Timings))
        drawn = {
            f"dkv.configurations.{name}": _number(int, value) for name, value in _given(options) if name == "ALPHA"
        }
        unknown = [option for option in options if option.partition("=")[0] not in {"ALPHA", *limits, *timings}]
        if unknown:
            raise WrongCommand(f"there is no setting {unknown[0]}")
        self._constants.enter_context(constants(drawn))
        self._made = cluster = Cluster(_number(int, size), mode, Limits(**limits), Timings(**NO_CHECKS | timings))
        for number in cluster.nodes:
            cluster.start(number)
        cluster.mail.settle(cluster.nodes)
        cluster.witness.trace = [f"nodes 1 to {size} have started and met"]

    def do_start(self, words: list[str]) -> None:
        """Start nodes that are down, on what their disks hold."""
        for number in self._down(words):
            self._cluster.start(number)

    def do_crash(self, words: list[str]) -> None:
        """End a node as kill -9 does: a commit under way is lost, or with `keep` on disk. Its peers notice at once."""
        keep = words[1:] == ["keep"]
        self._cluster.crash(self._up(words[:1] if keep else words), keep)

    def do_mode(self, words: list[str]) -> None:
        """Let nodes that are started from now on run in this mode, leader or classic."""
        if len(words) != 1 or words[0] not in MODES:
            raise WrongCommand(f"the command takes one of {' and '.join(MODES)}")
        self._cluster.mode = words[0]

    def do_wipe(self, words: list[str]) -> None:
        """Lose the disks of nodes that are down, and initialise new ones."""
        for number in self._down(words):
            self._cluster.wipe(number)

    def do_copy(self, words: list[str]) -> None:
        """Copy the data directories of nodes that are down."""
        for number in self._down(words):
            self._cluster.copy(number)

    def do_restore(self, words: list[str]) -> None:
        """Put the copies back, over what the disks hold by now."""
        for number in self._down(words):
            if not self._cluster.restore(number):
                raise WrongCommand(f"there is no copy of node {number}")

    def do_alter(self, words: list[str]) -> None:
        """Write another command into a slot on the disk of a node that is down, as a bug might."""
        numbers = self._down(words[:1])
        slot, *command = self._some(words[1:], "a slot and a command")
        if not self._cluster.alter(numbers[0], _number(int, slot), self._entry(command)):
            raise WrongCommand(f"there is no batch in slot {slot} on the disk of node {numbers[0]}")

    # --- disks ---

    def do_hold(self, words: list[str]) -> None:
        """Let no commit of the node end by itself from now on."""
        self._cluster.hold(self._up(words))

    def do_commit(self, words: list[str]) -> None:
        """End the commit that the node waits for. The next one waits again."""
        number = self._up(words)
        if not self._cluster.nodes[number].disk.committing:
            raise WrongCommand(f"node {number} waits for no commit")
        self._cluster.commit(number)

    def do_release(self, words: list[str]) -> None:
        """Let commits of the node end at once again."""
        self._cluster.release(self._up(words))

    def do_disk(self, words: list[str]) -> None:
        """Show what the disks of these nodes hold."""
        for number in self._nodes(words):
            self._cluster.tell_disk(number)

    # --- messages ---

    def do_deliver(self, words: list[str]) -> None:
        """Let the messages in flight that match arrive, in the order in which they were sent."""
        self._cluster.mail.deliver(self._matching(words))

    def do_drop(self, words: list[str]) -> None:
        """Lose the messages in flight that match."""
        self._cluster.mail.drop(self._matching(words))

    def do_settle(self, words: list[str]) -> None:
        """Deliver all that is in flight, and what follows from it, among these nodes or all."""
        self._cluster.mail.settle(self._nodes(words) if words else self._cluster.nodes)

    def do_flight(self, words: list[str]) -> None:
        """Show what is in flight."""
        self._none(words)
        self._cluster.mail.tell_in_flight()

    def do_cut(self, words: list[str]) -> None:
        """Let nothing pass from one node to another, or between one node and all others. Nobody is told."""
        pairs: list[tuple[int, int]] = []
        for word in self._some(words, "a node, or a pair such as 1>2"):
            pair = self._pair(word)
            if pair is not None:
                pairs.append(pair)
                continue
            (one,) = self._nodes([word])
            pairs += [ends for other in self._cluster.nodes if other != one for ends in ((one, other), (other, one))]
        self._cluster.mail.cut(pairs)

    def do_heal(self, words: list[str]) -> None:
        """Let everything pass again. Nodes that were cut off meet anew."""
        self._none(words)
        self._cluster.mail.heal()

    def do_show(self, words: list[str]) -> None:
        """Show messages of these classes in the trace."""
        self._cluster.witness.hidden -= self._classes(words)

    def do_hide(self, words: list[str]) -> None:
        """Leave messages of these classes out of the trace."""
        self._cluster.witness.hidden |= self._classes(words)

    def do_pass(self, words: list[str]) -> None:
        """Let messages of these classes arrive by themselves from now on."""
        self._cluster.mail.passing |= self._classes(words)

    # --- time, elections ---

    def do_wait(self, words: list[str]) -> None:
        """Let time pass on the clocks of these nodes, or of all. What they send stays in flight."""
        seconds, *numbers = self._some(words, "a time")
        self._cluster.wait(_seconds(seconds), self._nodes(numbers) if numbers else self._cluster.nodes)

    def do_run(self, words: list[str]) -> None:
        """Let time pass on all clocks, and deliver everything at once."""
        seconds, *more = self._some(words, "a time")
        self._none(more)
        self._cluster.wait(_seconds(seconds), self._cluster.nodes, settling=True)

    def do_elect(self, words: list[str]) -> None:
        """Let the node be the first whose patience ends, then settle. It must come to lead."""
        number = self._up(words)
        self._cluster.wait(self._cluster.timings.election_seconds_max, [number])
        self._cluster.mail.settle(self._cluster.nodes)
        if number not in self._cluster.witness.leaders:
            raise WrongCommand(f"node {number} did not come to lead")

    def do_campaign(self, words: list[str]) -> None:
        """Let the node begin phase 1 at once, without a poll."""
        self._cluster.campaign(self._up(words))

    # --- clients ---

    def _ask(self, name: str, words: list[str]) -> None:
        """Any command of a client: the node that is asked, then the command's own words."""
        number, *arguments = self._some(words, "a node")
        self._cluster.request(self._up([number]), self._entry([name, *arguments]))

    def _entry(self, words: list[str]) -> list[Any]:
        entry = interpret([word.encode() for word in words], Context(self._cluster.limits)) if words else None
        if isinstance(entry, LogRequest):
            return entry.entry
        if not isinstance(entry, list):
            raise WrongCommand(f"{' '.join(words)!r} is no command of a client" + (f": {entry.text}" if entry else ""))
        return entry

    def do_remove(self, words: list[str]) -> None:
        """Ask a node to remove members, as an operator would: the node that is asked, then those that are to leave."""
        numbers = self._nodes(words)
        self._cluster.remove(self._up(words[:1]), numbers[1:])

    # --- words ---

    @property
    def _cluster(self) -> Cluster:
        if self._made is None:
            raise WrongCommand("the first command of a script makes the cluster, as in: cluster 3")
        return self._made

    def _some(self, words: list[str], what: str) -> list[str]:
        if not words:
            raise WrongCommand(f"the command needs {what}")
        return words

    def _none(self, words: list[str]) -> None:
        if words:
            raise WrongCommand(f"the command takes no words, not {words[0]!r}")

    def _nodes(self, words: list[str]) -> list[int]:
        numbers = [int(word) if word.isdigit() else 0 for word in self._some(words, "a node")]
        for word, number in zip(words, numbers, strict=True):
            if number not in self._cluster.nodes:
                raise WrongCommand(f"there is no node {word!r}")
        return numbers

    def _up(self, words: list[str]) -> int:
        """The one node that is named, which is up."""
        number, *more = self._nodes(words)
        if more or not self._cluster.nodes[number].up:
            raise WrongCommand(f"node {number} is down" if not more else "the command takes one node")
        return number

    def _down(self, words: list[str]) -> list[int]:
        """The nodes that are named, which are down."""
        numbers = self._nodes(words)
        for number in numbers:
            if self._cluster.nodes[number].up:
                raise WrongCommand(f"node {number} is up")
        return numbers

    def _pair(self, word: str) -> tuple[int, int] | None:
        matched = _PAIR.fullmatch(word)
        if matched is None:
            return None
        one, other = self._nodes(list(matched.groups()))
        return one, other

    def _classes(self, words: list[str]) -> set[str]:
        for word in self._some(words, "classes of messages"):
            if word not in MESSAGES:
                raise WrongCommand(f"there is no message {word!r}")
        return set(words)

    def _matching(self, words: list[str]) -> list[Letter]:
        """The letters in flight of one of these classes, of one of these pairs, with all these fields."""
        pairs = {pair for word in self._some(words, "what to look for") if (pair := self._pair(word))}
        wanted = dict(word.split("=", 1) for word in words if "=" in word)
        rest = [word for word in words if "=" not in word and not self._pair(word)]
        classes = self._classes(rest) if rest else MESSAGES
        found = [
            letter
            for letter in self._cluster.mail.in_flight
            if type(letter.message).__name__ in classes
            and (not pairs or letter.pair in pairs)
            and all(str(getattr(letter.message, name, None)) == value for name, value in wanted.items())
        ]
        if not found:
            there = "; ".join(map(str, self._cluster.mail.in_flight)) or "nothing"
            raise WrongCommand(f"nothing in flight matches; in flight: {there}")
        return found


def _seconds(word: str) -> float:
    matched = _TIME.fullmatch(word)
    if matched is None:
        raise WrongCommand(f"{word!r} is no time such as 600ms or 1.2s")
    return float(matched[1]) / (1000 if matched[2] == "ms" else 1)


def _number(kind: type[Number], word: str) -> Number:
    try:
        return kind(word)
    except ValueError:
        raise WrongCommand(f"{word!r} is no number") from None


def _given(options: list[str]) -> Iterator[tuple[str, str]]:
    """Those of the options that are ``name=number``: the name and the number."""
    for option in options:
        name, given, value = option.partition("=")
        if given:
            yield name, value


def _settings(kind: type[Limits | Timings], options: list[str]) -> dict[str, Any]:
    """Those of the options, ``name=number``, that are fields of ``kind``."""
    given = dict(_given(options))
    number: type[int | float] = int if kind is Limits else float
    return {field.name: _number(number, given[field.name]) for field in fields(kind) if field.name in given}
