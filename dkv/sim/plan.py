"""The decisions of a seed before a run begins: how everything behaves, and which faults strike how often."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Any

from dkv.kv.sessions import Bounds
from dkv.settings import MIB, Limits, Timings
from dkv.sim.constants import SMALL, constants, draw_constants
from dkv.sim.habits import Habits, draw_habits
from dkv.sim.wires import Weather

FAULTS = (
    "altered-state",
    "clock",
    "clocks",
    "clone",
    "contest",
    "crash",
    "delay",
    "flap",
    "flipped-byte",
    "full-disk",
    "gap",
    "hang-up",
    "laggard",
    "loss",
    "lost-disk",
    "lossy-link",
    "lying-disk",
    "old-copy",
    "one-sided",
    "partition",
    "past-life",
    "pause",
    "power-cut",
    "repeat",
    "rotation",
    "short-disk",
    "slow-disk",
    "stuck-disk",
    "write-error",
)
"""Every kind of fault. Those in ``WEATHER`` are the network's and last all the time; the others strike.

``WALL_CLOCKS`` are not in a plan (``dkv.sim.wall_clocks``)."""

WALL_CLOCKS = "clocks"

OF_OPERATORS = ("join", "leave", "promote", "replace", "replace-all")
"""Changes of members, one at a time. They strike beside the faults."""

RIVALS = ("rivals",)
"""Two changes that two nodes are asked for at the same moment."""

BY_NAME = ("hand-over", "late-take-over")
"""Strikes that are no faults, and are played only where they are named: the plans of all seeds stay as they are."""

SUBSCRIBERS = "subscribers"
"""No fault: clients subscribe and publish (``dkv.sim.audience``). They do so only where they are named."""

AT_CHANGES = ("same-id", "torn-change")
"""Strikes of the same kind that change members in a way of their own."""

WEATHER = frozenset(("delay", "loss", "past-life", "repeat"))

BETWEEN_NODES = frozenset(
    (*BY_NAME, *AT_CHANGES, "contest", "flap", "gap", "laggard", "lossy-link", "one-sided", "partition", "rotation")
)
"""The faults that need more than one node."""

OF_CLASSIC_MODE = frozenset(("gap",))
"""The faults that need slots which are agreed on one by one."""

RARE = {"flipped-byte": 0.15, "lost-disk": 0.15, "full-disk": 0.4, "write-error": 0.4, "clock": 0.5, "hang-up": 0.5}
RARE |= {"altered-state": 0.3, "one-sided": 0.5, "power-cut": 0.3, "clone": 0.2, "lying-disk": 0.3, "old-copy": 0.3}
CHANGES = {"join": 2.0, "leave": 0.7, "promote": 2.0, "replace": 2.0, "replace-all": 0.7, "rivals": 1.0}
FREQUENT = {"crash": 3.0, "partition": 2.0, "contest": 3.0, "gap": 3.0, "rotation": 2.0, "lossy-link": 2.0}
FREQUENT |= {"hand-over": 3.0, "torn-change": 5.0}


ENCODING_BYTES = 512
"""Room for the bytes that encoding adds to a request, if byte limits are small."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The decisions of one seed; times in seconds."""

    seconds: float
    limits: Limits
    timings: Timings
    bounds: Bounds
    weather: Weather
    habits: Habits
    client_delay: float
    commit_seconds: float
    instant_commit_chance: float
    """The probability that a commit is made within the call that asks for it."""
    slow_commit_chance: float
    clock_rates: dict[int, float]
    """How fast the clock of each first member runs, by its id."""
    strikes: dict[str, float]
    """The weights of the faults that strike."""
    strike_seconds: float
    """The mean time between two strikes."""
    restart_seconds: float
    keep_chance: float
    """The probability that a commit is on disk although a crash interrupted it."""
    bias: float
    """The probability that a crash hits a node with a write under way."""
    early: bool
    """Whether faults strike and clients ask from the first start on, before the members have met."""
    past_life_chance: float
    """The probability that messages of a kind, from a life that is over, come up again in the next one."""
    constants: dict[str, Any]
    """The constants of modules that are not as usual, by name."""


EAGER = Timings(heartbeat_seconds=0.05, election_seconds_min=0.2, election_seconds_max=0.4, retransmit_seconds=0.1)
"""Make leaders change far more often, and find more slots that others left open."""


def draw(random: Random, nodes: int, seconds: float, faults: frozenset[str]) -> Plan:
    """The plan of a seed for a run of ``seconds`` under a choice of ``faults``."""
    enabled = [name for name in FAULTS if name in faults and name != WALL_CLOCKS and random.random() < 0.7]
    changes = {name: CHANGES[name] for name in CHANGES if name in faults}
    enabled += [name for name in (*BY_NAME, *AT_CHANGES) if name in faults]
    habits = draw_habits(random)
    timings = random.choice((Timings(), Timings(), EAGER))
    timings = replace(timings, state_check_seconds=random.choice((2.5, 6.0)))
    return Plan(
        seconds=seconds,
        limits=_limits(random),
        timings=timings,
        weather=_weather(random, enabled),
        bounds=_bounds(random),
        habits=habits,
        client_delay=random.choice((0.0001, 0.002)),
        commit_seconds=random.choice((0.0005, 0.003, 0.02, 0.1)),
        instant_commit_chance=random.choice((0.0, 0.0, 0.5, 0.95)),
        slow_commit_chance=random.choice((0.0, 0.01, 0.1)) if "slow-disk" in enabled else 0.0,
        clock_rates={id_: random.uniform(0.9, 1.1) if "clock" in enabled else 1.0 for id_ in range(1, nodes + 1)},
        strikes={
            name: RARE.get(name, FREQUENT.get(name, 1.0)) * random.uniform(0.2, 1.0)
            for name in enabled
            if name not in WEATHER and not (nodes == 1 and name in BETWEEN_NODES)
        }
        | changes,
        strike_seconds=random.choice((0.15, 0.5, 1.5, 4.0)),
        restart_seconds=random.choice((0.05, 0.5, 2.0)),
        keep_chance=random.choice((0.1, 0.5, 0.9)),
        bias=random.choice((0.3, 0.7, 0.95)),
        early=bool(enabled) and random.random() < 0.3,
        past_life_chance=random.choice((0.5, 1.0)) if "past-life" in enabled else 0.0,
        constants=draw_constants(random) | _alpha(random, bool(changes), "torn-change" in faults),
    )


def _alpha(random: Random, changes: bool, torn: bool) -> dict[str, Any]:
    """Where members change, a change mostly takes force after a few slots already; one that is torn, at once."""
    name = "dkv.configurations.ALPHA"
    if torn:
        return {name: random.choice((1, 1, 2))}
    return {name: random.choice(SMALL[name])} if changes and random.random() < 0.8 else {}


def _limits(random: Random) -> Limits:
    """Limits, often small: events that are otherwise rare happen all the time."""
    if random.random() < 0.3:
        return Limits()
    counts = {
        "window_slots_max": random.choice((1, 2, 4, 16)),
        "batches_outstanding_max": random.choice((1, 2, 4)),
        "batches_overtaking_bytes_min": random.choice((1, 1, 128)),
        "catchup_bytes_max": random.choice((100, 500, 1 << 20)),
        "write_back_bytes_max": random.choice((500, 5_000, 1 << 22)),
    }
    tail = random.choice((1, 4, 20, 50_000))
    counts |= {
        "poll_lag_slots_max": min(random.choice((2, 20, 10_000)), tail),
        "log_tail_slots_max": tail,
        "log_tail_bytes_max": random.choice((100, 2_000, 1 << 27)),
        "erasures_max": random.choice((1, 5, 1_000)),
        "snapshot_chunk_bytes_max": random.choice((500, 1_000, 4_000)),
        "snapshots_sent_max": random.choice((1, 2)),
        "state_check_bytes_per_second": random.choice((2_000, 20_000, 4 * MIB)),
    }
    return Limits(**counts) if random.random() < 0.5 else _bytes(random, counts)


def _bytes(random: Random, counts: dict[str, int]) -> Limits:
    """Limits that are each as small as the one below allows, or not much larger.

    The room for encoding is small too: requests here have few arguments.
    """
    value = random.choice((30, 100))
    request = value + random.choice((64, 400))
    batch = request + ENCODING_BYTES + random.choice((0, 500))
    slot = batch + ENCODING_BYTES + random.choice((0, 500))
    frame = slot + ENCODING_BYTES + random.choice((0, 500))
    window = random.choice((200, 2_000, 8 * MIB))
    for name in ("catchup_bytes_max", "snapshot_chunk_bytes_max"):
        counts[name] = min(counts[name], frame - ENCODING_BYTES)
    with constants({"dkv.settings.ENCODING_BYTES": ENCODING_BYTES}):
        return Limits(
            key_bytes_max=random.choice((8, value)),
            value_bytes_max=value,
            inline_bytes_max=request,
            request_bytes_max=request,
            batch_bytes_max=batch,
            slot_bytes_max=slot,
            window_bytes_max=window,
            frame_bytes_max=frame,
            peer_queue_bytes_max=frame * random.choice((1, 4, 1_000)),
            undurable_bytes_max=window + random.choice((0, 1_000, 8 * MIB)),
            **counts,
        )


def _weather(random: Random, enabled: list[str]) -> Weather:
    weather = Weather(delay=random.choice((0.0002, 0.001, 0.01)))
    if "delay" in enabled:
        weather.spike_chance = random.choice((0.001, 0.01, 0.1))
        weather.spike = random.choice((0.05, 0.5, 2.0))
    if "loss" in enabled:
        weather.loss = random.choice((0.001, 0.01, 0.1))
    if "repeat" in enabled:
        weather.repeat = random.choice((0.001, 0.01, 0.1))
    return weather


def _bounds(random: Random) -> Bounds:
    """Timings, often small."""
    if random.random() < 0.3:
        return Bounds()
    return Bounds(
        answers=random.choice((2, 8)),
        answer_bytes=random.choice((10, 1 << 20)),
        producers=random.choice((2, 3, 6, 100_000)),
    )
