"""Clients of every node that go on while members change, and the judgement of what they saw."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Sequence
from itertools import count

from dkv.cli.scenarios.load import (
    RECONNECT_SECONDS,
    Appender,
    Player,
    Worker,
    check_history,
    lost_or_doubled,
    wait_acknowledged,
)
from dkv.cli.scenarios.stage import Stage
from dkv.client.addresses import present
from dkv.client.any_node import ask_where
from dkv.client.blocking import NoAnswer, NotSent, Reply, ServerError
from dkv.client.outcome import Ending, Unreachable, asks_elsewhere

KEYS = 100
ACKNOWLEDGED = 20
ANSWER_SECONDS = 5.0
SEARCH_SECONDS = 20.0


class FollowingAppender(Appender):
    """Appends through whatever node serves. It is given one address, and follows the members to where they are."""

    def __init__(self, stage: Stage, number: int, name: str) -> None:
        super().__init__(stage, number, name)
        self._endpoints = present((stage.endpoints[number],), ANSWER_SECONDS)
        self._producer = b"follows-" + secrets.token_hex(4).encode()
        self._ops = count(1)

    def ask(self, *words: bytes) -> tuple[Reply, Ending | None]:
        """As ``Worker.ask``, at any member, again and again. A token sees to it that the write happens once."""
        request = (b"IDMP", self._producer, b"%d" % next(self._ops), *words)
        deadline = time.monotonic() + SEARCH_SECONDS
        ending: Ending
        while True:
            try:
                return ask_where(self._endpoints, request, ANSWER_SECONDS)[1], None
            except Unreachable as error:
                ending = NotSent(str(error))
            except NoAnswer as error:
                ending = error
            except ServerError as error:
                ending = error
                if not asks_elsewhere(error):
                    break
            if time.monotonic() > deadline:
                break
            self._endpoints = present(self._endpoints, ANSWER_SECONDS)
            self._stopped.wait(RECONNECT_SECONDS)
        self.errors.append(str(ending))
        return None, ending


class Traffic:
    """For each node a client that appends to a key of its own, and one that makes requests of all kinds."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._keys = [stage.key(f"k{index}") for index in range(KEYS)]
        self._appenders: list[Appender] = []
        self._players: list[Player] = []
        self._going: list[Worker] = []

    def begin(self, numbers: Iterable[int]) -> None:
        """Clients of these nodes begin."""
        for number in numbers:
            appender = Appender(self._stage, number, f"w{number}-{len(self._appenders)}")
            player = Player(self._stage, number, len(self._players) + 1, self._keys)
            self._appenders.append(appender)
            self._players.append(player)
            self._start(appender, player)

    def follow(self, numbers: Iterable[int]) -> None:
        """Clients begin that know the address of one of these nodes each, and find the others from there."""
        for number in numbers:
            follower = FollowingAppender(self._stage, number, f"f{number}-{len(self._appenders)}")
            self._appenders.append(follower)
            self._start(follower)

    def _start(self, *workers: Worker) -> None:
        for worker in workers:
            self._going.append(worker)
            worker.start()

    def leave(self, number: int) -> None:
        """The clients that have only this node end. It is gone, so they may have seen errors."""
        for worker in self._going[:]:
            if worker.number == number and not isinstance(worker, FollowingAppender):
                worker.stop()
                self._going.remove(worker)

    def wait_acknowledged(self) -> None:
        """Wait until each client that goes on has written something more."""
        going = [worker for worker in self._appenders if worker in self._going]
        wait_acknowledged(self._stage, going, ACKNOWLEDGED)

    def judge(self) -> None:
        """End all clients. Those of nodes that stayed saw no error, no write is lost, and the history has an order."""
        stage, report = self._stage, self._stage.report
        for worker in self._going:
            worker.stop()
        for worker in (*self._appenders, *self._players):
            worker.join()
        errors = [f"client of node {worker.number}: {error}" for worker in self._going for error in worker.errors]
        report.check("errors that clients of the nodes that stayed saw", errors[:3], [])
        pause = max((worker.longest_pause() for worker in self._appenders if worker in self._going), default=0.0)
        report.step(f"the longest time that one of them waited for a write: {pause:.3f} s")
        stage.wait_even(stage.numbers)
        total = sum(len(writer.acknowledged) for writer in self._appenders)
        report.check(
            f"of {total} acknowledged writes, keys on any node with one lost or doubled",
            lost_or_doubled(stage, self._appenders),
            0,
        )
        check_history(report, [operation for player in self._players for operation in player.history])
        report.figures |= {"acknowledged": total, "longest_pause_seconds": round(pause, 3)}


def nodes(numbers: Sequence[int]) -> str:
    """``node 3``, or ``nodes 1, 2``."""
    return f"node{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
