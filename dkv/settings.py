"""Limits and timings of a node: values only. ``dkv.config.config`` reads them, and hands them to everything else."""

from __future__ import annotations

from dataclasses import dataclass, fields

KIB = 1024
MIB = 1024 * KIB
ENCODING_BYTES = 256 * KIB
"""Room for the bytes that encoding adds to a request (10,000 arguments of a few bytes each) or to a slot."""

LIMIT_MAX = MIB * MIB
SECONDS_MIN, SECONDS_MAX = 0.001, 86_400.0
"""No limit and no timing may be larger: a slip in a config is found at the start, not later by arithmetic."""

PORT_MAX = 65_535

LEADER = "leader"
CLASSIC = "classic"
MODES = (LEADER, CLASSIC)
"""The modes of a cluster: how it agrees. All its nodes have the same."""


OFF_AT_ZERO = frozenset({"idle_seconds_max", "disk_free_bytes_min", "disk_reserve_bytes", "state_check_seconds"})
"""The settings that may be 0, which means that there is none: no bound, no reserve, no check."""


class SettingsError(ValueError):
    """A limit or timing is out of range or contradicts another; the text names both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes in bytes and counts, all inclusive. A request fits a batch fits a slot fits a frame.

    On a small disk the two of the disk count as a share of it instead (``dkv.storage.room``).
    """

    key_bytes_max: int = 64 * KIB
    value_bytes_max: int = 1 * MIB
    inline_bytes_max: int = 64 * KIB
    request_bytes_max: int = 8 * MIB
    request_arguments_max: int = 10_000
    connections_max: int = 10_000
    connection_inflight_bytes_max: int = 16 * MIB
    node_inflight_bytes_max: int = 128 * MIB
    node_replies_bytes_max: int = 128 * MIB
    subscriber_bytes_max: int = 8 * MIB
    subscriptions_max: int = 100_000
    batch_bytes_max: int = 9 * MIB
    batches_outstanding_max: int = 4
    batches_overtaking_bytes_min: int = 24 * KIB
    slot_bytes_max: int = 16 * MIB
    window_slots_max: int = 16
    window_bytes_max: int = 8 * MIB
    frame_bytes_max: int = 32 * MIB
    peer_queue_bytes_max: int = 64 * MIB
    catchup_bytes_max: int = 1 * MIB
    snapshot_chunk_bytes_max: int = 128 * KIB
    snapshot_bytes_per_second: int = 8 * MIB
    snapshots_sent_max: int = 2
    state_check_bytes_per_second: int = 4 * MIB
    undurable_bytes_max: int = 64 * MIB
    write_back_bytes_max: int = 4 * MIB
    poll_lag_slots_max: int = 10_000
    log_tail_slots_max: int = 50_000
    log_tail_bytes_max: int = 32 * MIB
    erasures_max: int = 1_000
    disk_free_bytes_min: int = 256 * MIB
    disk_reserve_bytes: int = 64 * MIB

    def __post_init__(self) -> None:
        _check_bounds(self, 1, LIMIT_MAX)
        ordered = (
            ("key_bytes_max", 0, "request_bytes_max"),
            ("value_bytes_max", 0, "request_bytes_max"),
            ("inline_bytes_max", 0, "request_bytes_max"),
            ("request_bytes_max", ENCODING_BYTES, "batch_bytes_max"),
            ("request_bytes_max", 0, "connection_inflight_bytes_max"),
            ("connection_inflight_bytes_max", 0, "node_inflight_bytes_max"),
            ("batch_bytes_max", ENCODING_BYTES, "slot_bytes_max"),
            ("slot_bytes_max", ENCODING_BYTES, "frame_bytes_max"),
            ("catchup_bytes_max", ENCODING_BYTES, "frame_bytes_max"),
            ("snapshot_chunk_bytes_max", ENCODING_BYTES, "frame_bytes_max"),
            ("snapshot_chunk_bytes_max", 0, "snapshot_bytes_per_second"),
            ("frame_bytes_max", 0, "peer_queue_bytes_max"),
            ("window_bytes_max", 0, "undurable_bytes_max"),
            ("poll_lag_slots_max", 0, "log_tail_slots_max"),
        )
        for small, room, large in ordered:
            if getattr(self, small) + room > getattr(self, large):
                more = f" plus {room} bytes for encoding" if room else ""
                raise SettingsError(f"{small} = {getattr(self, small)}{more} exceeds {large} = {getattr(self, large)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Durations in seconds, on the monotonic clock. Of those in ``OFF_AT_ZERO``, 0 is none."""

    heartbeat_seconds: float = 0.19
    election_seconds_min: float = 0.6
    election_seconds_max: float = 1.2
    retransmit_seconds: float = 0.5
    catchup_grace_seconds: float = 0.1
    catchup_retry_seconds: float = 1.0
    snapshot_silence_seconds: float = 10.0
    state_check_seconds: float = 600.0
    phase1_idle_seconds: float = 5.0
    stuck_disk_seconds: float = 3.0
    request_seconds: float = 5.0
    write_back_seconds: float = 1.0
    reconnect_seconds_max: float = 1.0
    silence_seconds: float = 2.0
    drain_seconds: float = 2.0
    idle_seconds_max: float = 0.0

    def __post_init__(self) -> None:
        _check_bounds(self, SECONDS_MIN, SECONDS_MAX)
        ordered = (
            ("heartbeat_seconds", 3, "election_seconds_min"),
            ("election_seconds_min", 1, "election_seconds_max"),
            ("election_seconds_max", 1, "request_seconds"),
            ("heartbeat_seconds", 3, "silence_seconds"),
            ("catchup_retry_seconds", 2, "snapshot_silence_seconds"),
        )
        for short, times, long in ordered:
            if getattr(self, short) * times > getattr(self, long):
                raise SettingsError(f"{long} = {getattr(self, long)} must be at least {times} x {short}")


def _check_bounds(settings: Limits | Timings, least: float, most: float) -> None:
    """``SettingsError`` for a value out of range. ``nan`` is out of range: it compares false with everything."""
    for field in fields(settings):
        value = getattr(settings, field.name)
        if field.name in OFF_AT_ZERO and value == 0:
            continue
        if not value > 0:
            or_off = ", or 0 for none" if field.name in OFF_AT_ZERO else ""
            raise SettingsError(f"{field.name} = {value} must be greater than 0{or_off}")
        if not least <= value <= most:
            raise SettingsError(f"{field.name} = {value} must be from {least:g} to {most:.0f}")
