"""What a node says of itself to operators: its state, whether it is ready, its metrics and its log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dkv import __version__
from dkv.ballot import ZERO
from dkv.config.config import Config
from dkv.config.listen_endpoint import listening_port, shortest
from dkv.console.cautions import Caution, TellCautions
from dkv.console.comparison import HeldState
from dkv.console.handovers import Handovers
from dkv.console.info import Sections, info_sections
from dkv.console.logins import Logins
from dkv.console.member_lags import MemberLags
from dkv.console.member_view import STANDBY, MemberView
from dkv.console.node_metrics import NodeMetrics, Postings, Readings
from dkv.console.notes import Notes
from dkv.console.readiness import Condition, Readiness
from dkv.console.sentinel_view import SentinelView
from dkv.console.surroundings import Backups, Surroundings
from dkv.host.host import Host
from dkv.identity import Identity
from dkv.keys import NOTIFICATIONS, RECORD, record_key, slot_of
from dkv.kv.description import describe
from dkv.net.client_connection import ClientConnection
from dkv.net.clients import Clients
from dkv.net.fault_orders import FaultOrders
from dkv.net.mesh import Mesh
from dkv.pubsub.exchange import Exchange
from dkv.records import Batch, SlotRecord, unpack_record
from dkv.replies import Nested
from dkv.wire.codec import decode_entries

LOG_BYTES_MAX = 1 << 20
LOG_SLOTS_SCANNED_MAX = 10_000
LOG_SHARE = 0.2
"""The share of a node's time that may go into showing its log: a client can ask for it at any rate."""
WORD_BYTES_MAX = 256


class Busy(Exception):
    """The same request was answered a moment ago, and takes too long to be answered again so soon."""


class Inspection:
    """A node's view of itself. ``now`` is in monotonic seconds."""

    def __init__(
        self,
        identity: Identity,
        config: Config,
        host: Host,
        mesh: Mesh,
        clients: Clients,
        notes: Notes,
        now: Callable[[], float],
        surroundings: Surroundings,
        member_view: MemberView,
    ) -> None:
        self.identity = identity
        self._config = config
        self._host = host
        self._mesh = mesh
        self._clients = clients
        self._notes = notes
        self._now = now
        self._surroundings = surroundings
        self._began_at = now()
        self._log_rests_until = 0.0
        labels = {"cluster": identity.cluster, "node": str(identity.node), "mode": config.mode}
        self.comparison = HeldState(identity.node, host.deliver, now)
        """Answers the orders of ``dkv compare``, and is an actor of the host."""
        self._metrics = NodeMetrics(labels, self._readings, now)
        self.cautions: list[TellCautions] = []
        """The parts of the node that warn of something: each appends a function of its own."""
        self.further_metrics = self._metrics.further
        """As ``cautions``, for what parts of the node measure by themselves."""
        self.member_view = member_view
        """Who the members are, as this node knows it."""
        self.member_lags = MemberLags(identity.node, now)
        """How far the others have come."""
        self._readiness = Readiness(
            identity.node,
            config.timings.request_seconds,
            now,
            config.mode,
            member_view.is_member,
            member_view.kind == STANDBY,
        )
        notes.add(member_view.takers)
        notes.add(self.member_lags.takers)
        self.sentinel = SentinelView(
            identity,
            member_view,
            self.member_lags,
            config.timings,
            mesh.silence,
            self._serves,
            lambda: self._metrics.applied_through,
            lambda: self._metrics.promised.round,
        )
        """The answers to those who ask for the master."""
        self.handovers = Handovers(identity.node, config.mode, host.deliver)
        """Gives the lead to another node."""
        notes.add(self.handovers.takers)
        notes.add(self._metrics.takers)
        notes.add(self._readiness.takers)

    @property
    def faults(self) -> FaultOrders:
        """The part that carries fault orders out."""
        return self._mesh.faults

    @property
    def faults_allowed(self) -> bool:
        """Whether the config allows fault orders."""
        return self._config.allow_faults

    def hold_disk(self, seconds: float) -> None:
        """Let no commit of the log end that begins from now on, for ``seconds``."""
        if self._surroundings.held is not None:
            self._surroundings.held.hold(seconds)

    def release_disk(self) -> None:
        """Let commits end again."""
        if self._surroundings.held is not None:
            self._surroundings.held.release()

    @property
    def backups(self) -> Backups:
        """The part that makes backups."""
        return self._surroundings.backups

    @property
    def exchange(self) -> Exchange:
        """What clients have subscribed to."""
        return self._clients.deliveries.exchange

    @property
    def connections_max(self) -> int:
        """The number of clients that may be connected at once."""
        return self._clients.connections_max

    @property
    def logins(self) -> Logins:
        """The part that knows who clients are."""
        return self._surroundings.logins

    def named(self, connection: int, is_named: bool) -> None:
        """A client has said who it is, or has to say so from now on; its connection treats it accordingly."""
        found = self._clients.connection(connection)
        if found is not None and is_named:
            found.welcome()
        elif found is not None:
            found.forget_name()

    def client_connections(self) -> list[ClientConnection]:
        """All clients, in the order in which they came."""
        return self._clients.connected()

    def local_address(self, connection: int) -> str:
        """The address of this node that the client with this number has connected to; "" if it is gone."""
        return self._clients.local_address(connection)

    def word_refused(self, peer: str, word: str, library: str, version: str) -> None:
        """Log which word the client at ``peer`` asked for, and which library it uses; "" is not known."""
        self._clients.log.info("word_refused", peer=peer, library=library, library_version=version, word=word)

    def info(self) -> Sections:
        """The fields of INFO."""
        port = listening_port(self._config.member(self.identity.node).client)
        uptime_seconds = self._now() - self._began_at
        stored = {f"dkv_{name}": value for name, value in self._stored().items() if isinstance(value, int | float)}
        counts = {f"dkv_{kind}s": count for kind, count in self.member_view.counts.items()}
        own = {**self._notes.status(), "dkv_member": self.member_view.kind, **counts, **stored}
        holdings = self._surroundings.holdings()
        replication = self.sentinel.replication()
        return info_sections(own, self.identity, self._clients, holdings, port, uptime_seconds, replication)

    # --- for changes of members ---

    @property
    def node(self) -> int:
        """The id of this node."""
        return self.identity.node

    @property
    def mode(self) -> str:
        """Whether the cluster has leaders."""
        return self._config.mode

    @property
    def leader(self) -> int:
        """The leader that this node knows; 0 is none."""
        return self._metrics.leader

    @property
    def connected(self) -> frozenset[int]:
        """The other nodes that this one reaches."""
        return self._mesh.connected

    @property
    def notifications(self) -> bytes:
        """Which events of keys are told, as far as this node has applied the log (``dkv.kv.key_events``)."""
        return self._host.layers.load(NOTIFICATIONS) or b""

    @property
    def applied_through(self) -> int:
        """Every slot up to this one is applied."""
        return self._metrics.applied_through

    def metrics(self) -> bytes:
        """The metrics in Prometheus's text format."""
        return self._metrics.text()

    def _readings(self) -> Readings:
        clients = self._clients
        return Readings(
            self._surroundings.build,
            self._surroundings.sizes(),
            self._surroundings.counted(),
            all(condition.holds for condition in self.conditions()),
            self._host.commit_seconds,
            self._surroundings.disk.measured,
            len(self._mesh.connected),
            self.member_view.counts,
            self.member_view.slot,
            clients.connections,
            {**clients.refused, **self.logins.refused},
            {
                "mailbox_messages": self._host.mailbox_length,
                "undurable_bytes": self._host.layers.undurable_bytes,
                "client_inflight_bytes": clients.inflight_bytes,
            },
            self._host.sent,
            self.faults.dropped,
            self.faults.delayed,
            self._surroundings.lines_dropped(),
            self._postings(),
        )

    def _postings(self) -> Postings:
        deliveries, exchange = self._clients.deliveries, self.exchange
        return Postings(
            exchange.subscribers,
            exchange.weight,
            exchange.published,
            exchange.delivered,
            deliveries.cut_off,
            self._mesh.postings_dropped,
            deliveries.unread_bytes,
        )

    # --- is it well? ---

    def conditions(self) -> list[Condition]:
        """The conditions that must hold for the node to be ready."""
        reason = f"a commit has been under way for {self._host.commit_seconds:.1f} s"
        return [*self._readiness.conditions(), Condition("disk", not self._disk_is_stuck(), reason)]

    def warnings(self) -> list[Caution]:
        """What an operator should mend although the node serves. It does not change whether the node is ready."""
        return [caution for tell in self.cautions for caution in tell()]

    def _disk_is_stuck(self) -> bool:
        return self._host.commit_seconds >= self._config.timings.stuck_disk_seconds

    def _serves(self) -> bool:
        return self._readiness.serves and not self._disk_is_stuck()

    def status(self) -> dict[str, Any]:
        """The state of the node, for JSON."""
        me, metrics, member = self.identity, self._metrics, self._config.member(self.identity.node)
        conditions = self.conditions()
        return {
            "cluster": me.cluster,
            "node": me.node,
            "mode": self._config.mode,
            "version": __version__,
            "build": dict(self._surroundings.build),
            "boot": me.boot,
            "incarnation": f"{me.incarnation:016x}",
            "role": self._notes.role,
            "leader": metrics.leader,
            "leader_ballot": self._notes.leader_ballot,
            "ballot": str(metrics.promised),
            "chosen_through": metrics.chosen_through,
            "applied_through": metrics.applied_through,
            "compacted_through": metrics.compacted_through,
            **self._stored(),
            "differs_from": metrics.differs_from,
            "ready": all(condition.holds for condition in conditions),
            "conditions": {condition.name: condition.holds for condition in conditions},
            "failing": {condition.name: condition.failure for condition in conditions if not condition.holds},
            "warnings": [{"name": name, "text": text} for name, text in self.warnings()],
            **self.member_view.status(),
            "behind": {peer: self.member_lags.lag(peer) for peer in sorted(self._mesh.peers)},
            "peers": self._mesh.status(),
            "catching_up": self._notes.catching_up,
            "snapshot": self._metrics.snapshots.status(),
            "state_check": self._metrics.state_checks.status(),
            **self._metrics.clocks.status(),
            "catchup_entries_applied": metrics.catchup_entries_applied,
            "duplicates_suppressed": metrics.duplicates_suppressed,
            "applied_ops": metrics.applied_ops,
            "connections": self._clients.connections,
            "uptime_seconds": round(self._now() - self._began_at, 3),
            "clients": shortest(member.client) or member.client.bind,
            "admin": None if member.admin is None else shortest(member.admin) or member.admin.bind,
            "faults_allowed": self.faults_allowed,
            "faults": self.faults.status(),
            "disk_held_seconds": round(self._surroundings.held.seconds_left, 1) if self._surroundings.held else 0.0,
        }

    def _stored(self) -> dict[str, int | float | list[int] | None]:
        """What the node stores, and how its disk does; None for what is not known, or not yet."""
        sizes, counted, metrics = self._surroundings.sizes(), self._surroundings.counted(), self._metrics
        disk = self._surroundings.disk.measured
        return {
            "log_slots": metrics.log_slots,
            "log_bytes": sizes.log_bytes if sizes else None,
            "state_bytes": sizes.state_bytes if sizes else None,
            "state_keys": counted.keys if counted else None,
            "state_live_bytes": counted.live_bytes if counted else None,
            "state_counted_seconds": round(self._now() - counted.at, 1) if counted else None,
            "free_bytes": disk.free_bytes if disk else None,
            "writes_refused_for_space": metrics.short_disks,
            "commit_p99_ms": _milliseconds(metrics.commit_p99_seconds),
            "commit_under_way_seconds": round(self._host.commit_seconds, 3),
        }

    # --- the log ---

    def log(self, from_slot: int | None, count: int) -> list[Nested]:
        """``count`` slots of the log from ``from_slot`` on, or its last ones, as DKV.LOG answers them.

        If they are large there are fewer. Slots that are compacted are left out. ``Busy`` if clients ask so often that
        the node would have little time left.
        """
        began = self._now()
        if began < self._log_rests_until:
            raise Busy
        slots = self._read_log(from_slot, count)
        ended = self._now()
        self._log_rests_until = ended + (ended - began) * (1 / LOG_SHARE - 1)
        return slots

    def _read_log(self, from_slot: int | None, count: int) -> list[Nested]:
        layers = self._host.layers
        through = self._metrics.chosen_through
        if from_slot is None:
            newest = max((slot_of(key) for key, _ in layers.scan(RECORD, record_key(through + 1))), default=through)
            from_slot = newest - count + 1
        from_slot = max(from_slot, self._metrics.compacted_through + 1)
        slots: list[Nested] = []
        size = 0
        for slot in range(from_slot, from_slot + LOG_SLOTS_SCANNED_MAX):
            data = layers.load(record_key(slot))
            if data is None and slot > through:
                break
            if data is not None:
                slots.append(_slot_lines(slot, unpack_record(data), slot <= through))
                size += _size(slots[-1])
            if len(slots) == count or size > LOG_BYTES_MAX:
                break
        return slots


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 2)


def _slot_lines(slot: int, record: SlotRecord, chosen: bool) -> list[Nested]:
    state = b"chosen" if chosen or record.chosen else b"accepted"
    ballot = None if record.ballot == ZERO else str(record.ballot).encode()  # catch-up brings values without ballots
    return [slot, ballot, state, [_batch_lines(batch) for batch in record.value.batches], record.value.time]


def _batch_lines(batch: Batch) -> list[Nested]:
    entries = decode_entries(batch.blob)
    commands: list[Nested] = [[b"?"]] if entries is None else [list(map(_cut, describe(entry))) for entry in entries]
    return [b"node %d boot %d seq %d" % (batch.node, batch.boot, batch.seq), commands]


def _cut(word: bytes) -> bytes:
    return word if len(word) <= WORD_BYTES_MAX else word[: WORD_BYTES_MAX - 3] + b"..."


def _size(lines: Nested) -> int:
    """The size of an answer in bytes, roughly."""
    if isinstance(lines, list):
        return 8 + sum(map(_size, lines))
    return 8 + (len(lines) if isinstance(lines, bytes) else 8)
