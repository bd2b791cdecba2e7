"""Clients that write and read all the time, and record what they see."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from random import Random

from dkv.cli.scenarios.report import Report
from dkv.cli.scenarios.stage import Stage
from dkv.client.blocking import Connection, NoAnswer, NotSent, Reply, ServerError
from dkv.client.outcome import Ending, may_be_done
from dkv.sim.history import Kind, Operation
from dkv.sim.linearize import check

RECONNECT_SECONDS = 0.05
STEPS_MAX = 1_000_000
"""For each key of a history: about a second. If that does not decide it, the scenario does not pass."""


class Worker:
    """One client of node ``number``, which calls ``work`` again and again until it is stopped."""

    def __init__(self, stage: Stage, number: int) -> None:
        self.number = number
        self.errors: list[str] = []
        """The reason why it could not do its work, in its own words."""
        self._stage = stage
        self._stopped = threading.Event()
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Start the client."""
        self._thread.start()

    def stop(self) -> None:
        """End after the request under way."""
        self._stopped.set()

    def join(self, seconds: float | None = None) -> None:
        """Wait until it has ended, ``seconds`` at most."""
        self._thread.join(seconds)

    @property
    def busy(self) -> bool:
        """Whether it is still running."""
        return self._thread.is_alive()

    def work(self) -> bool:
        """Make one request with ``ask``, and return whether to go on."""
        raise NotImplementedError

    def _run(self) -> None:
        while not self._stopped.is_set() and self.work():
            pass
        if self._connection is not None:
            self._connection.close()

    def ask(self, *words: bytes) -> tuple[Reply, Ending | None]:
        """The reply and None; or None and the error with which the attempt ended."""
        try:
            if self._connection is None:
                self._connection = self._stage.connect(self.number)
            return self._connection.call(*words), None
        except ServerError as error:
            self.errors.append(error.text)
            return None, error
        except (NotSent, NoAnswer) as error:
            self.errors.append(str(error))
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            self._stopped.wait(RECONNECT_SECONDS)
            return None, error


class Appender(Worker):
    """Appends to its own key. If nothing was lost, the length of the value is the number of acknowledgements."""

    def __init__(self, stage: Stage, number: int, name: str) -> None:
        super().__init__(stage, number)
        self.key = stage.key(name)
        self.acknowledged: list[tuple[float, float]] = []
        """The times at which each acknowledged append was sent and answered, in monotonic seconds."""
        self.unknown = 0

    def work(self) -> bool:
        """Append once."""
        called = time.monotonic()
        _, ending = self.ask(b"APPEND", self.key, b"x")
        if ending is None:
            self.acknowledged.append((called, time.monotonic()))
        elif may_be_done(ending):
            self.unknown += 1
        return True

    def longest_pause(self) -> float:
        """The longest time between two acknowledgements, in seconds."""
        return max((later - earlier for (_, earlier), (_, later) in pairwise(self.acknowledged)), default=0.0)

    def first_after(self, moment: float) -> float | None:
        """When the first append that was sent after ``moment`` was acknowledged; None if none is yet."""
        return next((answered for sent, answered in self.acknowledged if sent > moment), None)


def wait_acknowledged(stage: Stage, writers: Sequence[Appender], more: int) -> None:
    """Wait until each of the writers has so many more acknowledgements."""
    goals = [len(writer.acknowledged) + more for writer in writers]
    stage.wait(
        lambda: all(len(writer.acknowledged) >= goal for writer, goal in zip(writers, goals, strict=True)),
        f"{more} more writes of each client acknowledged",
    )


def lost_or_doubled(stage: Stage, writers: Iterable[Appender]) -> int:
    """How many keys of the writers, on any node, do not hold exactly what was acknowledged, and what may have been."""
    wrong = 0
    for number in stage.numbers:
        for writer in writers:
            value = stage.call(number, "GET", writer.key)
            length = len(value) if isinstance(value, bytes) else 0
            acknowledged = len(writer.acknowledged)
            wrong += not acknowledged <= length <= acknowledged + writer.unknown
    return wrong


class Player(Worker):
    """Puts, gets, appends and deletes some of ``keys``, and records the history."""

    def __init__(self, stage: Stage, number: int, name: int, keys: list[bytes]) -> None:
        super().__init__(stage, number)
        self.history: list[Operation] = []
        self.latencies: list[float] = []
        self._name = name
        self._keys = keys
        self._random = Random(name)
        self._made = 0

    def work(self) -> bool:
        """One request."""
        random = self._random
        key = random.choice(self._keys)
        kind: Kind = random.choices(("put", "get", "append", "delete"), (3, 5, 2, 1))[0]
        arguments: tuple[bytes, ...] = ()
        if kind in ("put", "append"):
            self._made += 1
            arguments = (b"%d-%d." % (self._name, self._made),)
        called = time.monotonic()
        reply, ending = self.ask(kind.upper().encode(), key, *arguments)
        returned = time.monotonic()
        if ending is not None and (kind == "get" or not may_be_done(ending)):
            return True
        fits = ending is None and _fits(kind, reply)
        if ending is None and not fits:
            self.errors.append(f"{kind} was answered {reply!r:.60}")
        if not fits:
            if kind != "get":
                self.history.append(Operation(self._name, kind, key, arguments, called))  # it may have been executed
            return True
        self.latencies.append(returned - called)
        result = None if kind == "put" else reply
        self.history.append(Operation(self._name, kind, key, arguments, called, returned, result))  # type: ignore[arg-type]
        return True


def _fits(kind: Kind, reply: Reply) -> bool:
    """Whether a reply is of a kind that fits its request."""
    if kind == "put":
        return reply == "OK"
    if kind == "get":
        return reply is None or isinstance(reply, bytes)
    return type(reply) is int and (kind == "append" or reply in (0, 1))


def check_history(report: Report, history: Sequence[Operation]) -> None:
    """A step that ends the scenario unless the history of all players is linearizable."""
    verdict = check(history, STEPS_MAX)
    if not verdict.linearizable:
        if verdict.window is not None:
            report.fail(f"the history is not linearizable: {verdict.window.sentence}")
        report.fail("whether the history is linearizable could not be decided: use more keys or fewer clients")
    report.step(f"the history of {len(history)} operations is linearizable")


class NumberedWriter(Worker):
    """Writes numbered keys once each, taking the next number from ``take`` until there is none."""

    def __init__(self, stage: Stage, number: int, take: Callable[[], int | None], prefix: bytes) -> None:
        super().__init__(stage, number)
        self._take = take
        self._prefix = prefix
        self.failed: list[str] = []
        self.done = 0

    def work(self) -> bool:
        """Write the next key."""
        index = self._take()
        if index is None:
            return False
        _, ending = self.ask(b"PUT", self._prefix + b"%d" % index, b"value %d" % index)
        self.done += 1
        if ending is not None:
            self.failed.append(f"write {index}: {self.errors[-1]}")
        return True
