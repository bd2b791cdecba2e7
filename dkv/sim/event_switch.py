"""Somebody who now and then says, at any node, which events of keys are told: in some runs only.

Behind that keys come that expire together, more than a slot may erase. Some of them are written again at that moment.
"""

from __future__ import annotations

from random import Random

from dkv.client_events import Requests
from dkv.kv.codes import ANY, NOTIFY, RELATIVE, SET, SETNX
from dkv.records import Entry
from dkv.settings import Limits
from dkv.sim.requests import REQUEST_BYTES
from dkv.sim.schedule import Schedule
from dkv.sim.simulated_node import SimulatedNode

CONNECTION = 1 << 41
"""The connection's number. Nobody waits for its answers."""

CHANCE = 0.25
DB = 7
"""A database that nobody else uses."""

KEYS = tuple(b"e%d" % number for number in range(6))
SETTINGS = (b"AnKE", b"AnKE", b"AnKE", b"AE", b"gxnK", b"$E", b"A", b"")


class EventSwitch:
    """It has a generator of its own: runs in which it does nothing are as they would be without it."""

    def __init__(self, schedule: Schedule, random: Random, nodes: list[SimulatedNode], limits: Limits) -> None:
        self.stopped = False
        self._schedule = schedule
        self._random = random
        self._nodes = nodes
        self._bytes_max = limits.value_bytes_max
        self._works = random.random() < CHANCE
        self._pause_seconds = random.choice((0.5, 3.0, 100.0))

    def begin(self) -> None:
        """Set it for the first time."""
        if self._works:
            self._set(SETTINGS[0])

    def _set(self, letters: bytes) -> None:
        if self.stopped:
            return
        ups = [node for node in self._nodes if node.up]
        if ups:
            self._ask([[NOTIFY, 0, self._bytes_max, letters]])
            self._let_keys_expire()
        pause = self._random.expovariate(1 / self._pause_seconds) if ups else 0.1
        self._schedule.after(pause, self._set, self._random.choice(SETTINGS))

    def _let_keys_expire(self) -> None:
        life = self._random.choice((1, 100, 400))
        self._ask([[SET, DB, self._bytes_max, key, b"", ANY, b"", RELATIVE, life, 0] for key in KEYS])
        again: list[Entry] = [[SETNX, DB, self._bytes_max, key, b""] for key in self._random.sample(KEYS, 3)]
        for late in (0.0, 0.01, 0.02, 0.05):
            self._schedule.after(life / 1000 + late, self._ask, again)

    def _ask(self, entries: list[Entry]) -> None:
        ups = [node for node in self._nodes if node.up]
        if ups and not self.stopped:
            node = self._random.choice(ups)
            size = len(entries) * (REQUEST_BYTES + 50)
            node.run(node.port.take, Requests(CONNECTION, [*entries], len(entries), 0, size))
