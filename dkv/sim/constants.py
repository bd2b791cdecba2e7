"""Constants of dkv's modules, drawn small for one run: events that are rare in production happen all the time.

They are limits and times that nobody configures, so no argument carries them, and a run patches the modules instead. A
test compares this table with the modules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from random import Random
from typing import Any

SMALL: dict[str, tuple[Any, ...]] = {
    "dkv.identity.STARTS_KEPT": (2, 3),
    "dkv.gateway.surveys.SURVEYS_MAX": (1, 2),
    "dkv.kv.appliers.iteration.KEYS_AT_ONCE": (1, 3),
    "dkv.kv.appliers.iteration.KEY_BYTES_AT_ONCE": (1, 30),
    "dkv.kv.appliers.iteration.PAGE_BYTES": (1, 300),
    "dkv.kv.appliers.iteration.SCANNED_AT_ONCE": (1, 3),
    "dkv.kv.appliers.random_key.LOOKS_MAX": (1, 5),
    "dkv.kv.appliers.random_key.READ_BYTES_MAX": (1, 100),
    "dkv.kv.cursors.CURSORS_MAX": (1, 3),
    "dkv.kv.cursors.CURSOR_BYTES_MAX": (1, 30),
    "dkv.kv.surveyor.PIECE_BYTES": (1, 300),
    "dkv.kv.surveyor.REST_SECONDS": (0.001, 0.05),
    "dkv.kv.surveyor.RETRY_SECONDS": (0.001, 0.5),
    "dkv.kv.erasure.ERASED_BYTES_MAX": (1, 100),
    "dkv.kv.erasure.ERASED_MAX": (1, 3),
    "dkv.kv.erasure.PAGE_KEYS": (1, 2),
    "dkv.kv.expiry.FRONT_MAX": (1, 2, 5),
    "dkv.kv.keyspace.BACKLOG_MAX": (1, 4),
    "dkv.kv.key_filter.BLOCKS": (1, 50),
    "dkv.kv.key_filter.GROWTH": (1, 2),
    "dkv.kv.key_filter.PAGE_BYTES": (1, 300),
    "dkv.kv.key_filter.PAGE_KEYS": (1, 5),
    "dkv.kv.plain_keys.PLACES": (1, 5),
    "dkv.kv.sessions.LOADED_MAX": (1, 3),
    "dkv.kv.transactions.ANSWER_BYTES_MAX": (40, 400),
    "dkv.gateway.deadlines.DEADLINES_PER_TIMEOUT": (40, 100),
    "dkv.gateway.gateway.RESEND_SECONDS": (0.1, 0.3, 3.0),
    "dkv.gateway.gathering.GATHERED_BYTES_MAX": (1, 200),
    "dkv.gateway.gathering.LULLS_COUNTED_MAX": (1, 2),
    "dkv.gateway.gathering.LULL_SECONDS": (0.0001, 0.005),
    "dkv.gateway.gathering.STALE_SECONDS": (0.001, 0.2),
    "dkv.gateway.gathering.WAIT_SECONDS_MAX": (0.001, 0.05),
    "dkv.host.host.TURNS_PER_DRAIN": (1, 3, 30),
    "dkv.host.layers.READ_BYTES_MAX": (1, 1_000),
    "dkv.gateway.reads.BARRIERS_ASKED_MAX": (1, 2),
    "dkv.gateway.reads.READABLE_MAX": (1, 2),
    "dkv.gateway.reads.READ_ENTRIES_MAX": (1, 2),
    "dkv.gateway.runs.CHANGED_BYTES": (1, 50),
    "dkv.gateway.runs.JOINED_BYTES_MAX": (1, 500),
    "dkv.gateway.runs.READ_BYTES": (1, 200),
    "dkv.gateway.runs.REQUEST_BYTES_MIN": (1, 50),
    "dkv.paxos.acceptor.ERASE_SECONDS": (0.001, 0.5),
    "dkv.paxos.acceptor.PROGRESS_SLOTS": (1, 5),
    "dkv.paxos.vote_count.VOTED_SECONDS": (0.02, 3.0),
    "dkv.paxos.catchup.DOUBLINGS_MAX": (0, 1),
    "dkv.paxos.classic.acceptor.OFFERS_MAX": (1, 2),
    "dkv.paxos.digests.KEPT": (1, 5),
    "dkv.paxos.elector.HASTE_SECONDS": ((0.0, 0.01), (0.0, 0.3)),
    "dkv.paxos.state_checker.KEPT": (1, 2),
    "dkv.paxos.state_checker.LEAD_SECONDS": (0.02, 0.3),
    "dkv.paxos.state_checker.PIECE_BYTES": (1, 300),
    "dkv.paxos.batch_queue.JOINED_BYTES_MAX": (1, 500),
    "dkv.paxos.learner.EFFORT_PER_TURN": (1, 5_000),
    "dkv.paxos.slot_log.APPLIED_BYTES_MAX": (1, 100, 500),
    "dkv.paxos.slot_log.RECENT_BYTES_MAX": (1, 500),
    "dkv.paxos.slot_log.SLOT_BYTES": (1, 10),
    "dkv.paxos.space.WORD_SECONDS": (1.5, 4.0),
    "dkv.paxos.classic.patience.RANK_MAX": (1, 2),
    "dkv.paxos.classic.patience.SLOT_SECONDS": (0.0005, 0.05),
    "dkv.paxos.classic.patience.WAIT_SECONDS_MAX": (0.1, 0.5),
    "dkv.paxos.classic.patience.WAIT_SECONDS_MIN": (0.001, 0.05),
    "dkv.paxos.classic.patience.WAIT_SLOTS": (2, 8),
    "dkv.paxos.leadership.EARLY_SUBMITS_MAX": (1, 2),
    "dkv.paxos.leadership.MARK_SECONDS": (0.0001, 0.05, 0.4),
    "dkv.paxos.pace.LAG_SLOTS_MIN": (1, 3),
    "dkv.paxos.pace.PROGRESS_SECONDS": (0.1, 1.0),
    "dkv.paxos.pace.SHRINK_PER_SECOND": (0.1, 0.99),
    "dkv.paxos.pace.SLOT_SECONDS_MAX": (0.001, 0.2),
    "dkv.paxos.tail.BLOCKS": (1, 4),
    "dkv.paxos.tail.HELD_TIMES": (1, 2),
    "dkv.paxos.backoff.BACKOFF_MAX": (1, 3),
    "dkv.configurations.ALPHA": (1, 2, 3, 8),
    "dkv.paxos.pace.STANDBY_SECONDS": (0.5, 5.0),
    "dkv.paxos.due_slots.PAUSE_SECONDS": (0.001, 0.4),
    "dkv.paxos.heartbeats.PROMPT_SECONDS": (0.02, 0.1),
    "dkv.paxos.held_time.STORED_MS": (1, 5_000),
}
"""The values that each may be drawn as: small, or unusual."""

COPIES = {
    "dkv.kv.transactions.ANSWER_BYTES_MAX": ("dkv.kv.appliers.several",),
    "dkv.configurations.ALPHA": ("dkv.kv.membership", "dkv.console.member_changes", "dkv.cli.change_run"),
    "dkv.identity.STARTS_KEPT": ("dkv.net.acquaintances", "dkv.storage.lives"),
    "dkv.gateway.gathering.GATHERED_BYTES_MAX": ("dkv.gateway.gateway",),
    "dkv.gateway.gathering.LULL_SECONDS": ("dkv.gateway.gateway",),
}
"""The modules that import a constant by its name."""


def draw_constants(random: Random) -> dict[str, Any]:
    """Values for some of the constants, by name; now and then for none."""
    chance = random.choice((0.0, 0.2, 0.5))
    return {name: random.choice(values) for name, values in SMALL.items() if random.random() < chance}


@contextmanager
def constants(values: Mapping[str, Any]) -> Iterator[None]:
    """While entered, the constants have these values."""
    before: list[tuple[Any, str, Any]] = []
    try:
        for path, value in values.items():
            home, _, name = path.rpartition(".")
            for module in map(import_module, (home, *COPIES.get(path, ()))):
                before.append((module, name, getattr(module, name)))
                setattr(module, name, value)
        yield
    finally:
        for module, name, value in reversed(before):
            setattr(module, name, value)
