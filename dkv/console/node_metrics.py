"""A node's metrics for Prometheus: counted from the notes of its actors, or read when somebody asks.

Actors note for every slot, batch and commit, never for an operation, so that metrics cost next to nothing.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)

from dkv import noted
from dkv.actor import Takers
from dkv.ballot import ZERO, Ballot
from dkv.console.cluster_clocks import ClusterClocks
from dkv.console.metric_families import Histogram, counter, gauge, histogram, labelled
from dkv.console.recent import RecentTimes
from dkv.console.snapshot_counts import SnapshotCounts
from dkv.console.state_checks import StateChecks
from dkv.console.surroundings import Counted, Sizes
from dkv.events import DiskMeasured
from dkv.messages import Accept, AcceptSlot, Prepare, PrepareSlot

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
COMMANDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384)


class Postings(NamedTuple):
    """Counts of publish/subscribe. ``dropped`` are messages to peers; ``unread_bytes`` wait for subscribers."""

    subscribers: int
    weight: int
    published: int
    delivered: int
    cut_off: int
    dropped: int
    unread_bytes: int


class Readings(NamedTuple):
    """Values read when somebody asks. ``dropped`` and ``delayed`` count messages by peer, on orders of DKV.FAULT.

    ``commit_seconds`` is for how long a commit has been under way, 0 if none is; ``disk`` is None if its room could not
    be found out; ``build`` names the versions.
    """

    build: Mapping[str, str]
    sizes: Sizes | None
    counted: Counted | None
    ready: bool
    commit_seconds: float
    disk: DiskMeasured | None
    peers_connected: int
    members: Mapping[str, int]
    membership_slot: int
    connections: int
    refused: Mapping[str, int]
    queues: Mapping[str, int]
    sent: Mapping[type, int]
    dropped: Mapping[int, int]
    delayed: Mapping[int, int]
    lines_dropped: int
    postings: Postings


class NodeMetrics:
    """The counters of one node; ``read`` is called when somebody asks for them. ``now`` is in monotonic seconds.

    ``labels`` are those of ``dkv_node_info``: which node of which cluster this is.
    """

    def __init__(self, labels: Mapping[str, str], read: Callable[[], Readings], now: Callable[[], float]) -> None:
        self._labels = dict(labels)
        self._now = now
        self._read = read
        self.chosen_through = self.applied_through = self.compacted_through = 0
        self.applied_ops = self.duplicates_suppressed = self.catchup_entries_applied = 0
        self.promised = ZERO
        self.leader = 0
        self.replayed = self.leads = False
        self.differs_from: list[int] = []
        self.short_disks: list[int] = []
        """The nodes for whose disks all nodes refuse writes that grow data."""
        self._elections = self._proposed = 0
        self._refused: Counter[str] = Counter()
        self._learned: deque[int] = deque()  # slots that catch-up fetched and that are not applied yet
        self._commits = Histogram(SECONDS)
        self._recent_commits = RecentTimes(now)
        self._batches = Histogram(COMMANDS)
        self._stages = {stage: Histogram(SECONDS) for stage in ("queue", "agree", "read")}
        self.snapshots = SnapshotCounts()
        self.state_checks = StateChecks(now)
        self.clocks = ClusterClocks()
        self.further: list[Callable[[], Iterable[Metric]]] = []
        """The parts of the node that have families of their own."""
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        self.takers: Takers = dict(
            (
                noted.applied.to(self._on_applied),
                noted.chosen.to(self._on_chosen),
                noted.compacted.to(self._on_compacted),
                noted.learned.to(self._on_learned),
                noted.proposed.to(self._on_proposed),
                noted.promised.to(self._on_promised),
                noted.committed.to(self._on_committed),
                noted.batch_numbered.to(self._on_batch_numbered),
                noted.batch_agreed.to(self._on_batch_agreed),
                noted.reads_evaluated.to(self._on_reads_evaluated),
                noted.duplicates_suppressed.to(self._on_duplicates_suppressed),
                noted.refused.to(self._on_refused),
                noted.leader_elected.to(self._on_leader_elected),
                noted.leader_lost.to(self._on_leader_lost),
                noted.leading.to(self._on_leading),
                noted.stepped_down.to(self._on_stepped_down),
                noted.replayed.to(self._on_replayed),
                noted.digest_differs.to(self._on_digest),
                noted.digest_agrees.to(self._on_digest),
                noted.growth_refused.to(self._on_growth_refused),
                noted.growth_served.to(self._on_growth_served),
            )
        )
        """The functions that count the notes of the node's actors."""
        self.takers |= self.snapshots.takers | self.state_checks.takers | self.clocks.takers

    # --- in ---

    def _on_applied(self, *, through: int, commands: int) -> None:
        """A slot was applied. Commands of the replay are not new; those from catch-up are counted apart, too."""
        self.applied_through = through
        if self.replayed:
            self.applied_ops += commands
        caught_up = False
        while self._learned and self._learned[0] <= through:
            caught_up = self._learned.popleft() == through
        self.catchup_entries_applied += commands * caught_up

    def _on_chosen(self, *, through: int) -> None:
        """Every slot up to ``through`` is known to be chosen."""
        self.chosen_through = through

    def _on_compacted(self, *, through: int) -> None:
        """The log begins behind ``through``."""
        self.compacted_through = through

    def _on_learned(self, *, slot: int) -> None:
        """Catch-up fetched this slot, which is not applied yet."""
        self._learned.append(slot)

    def _on_proposed(self) -> None:
        self._proposed += 1

    def _on_promised(self, *, ballot: Ballot) -> None:
        """The acceptor promised ``ballot`` for all slots."""
        self.promised = max(self.promised, ballot)

    def _on_committed(self, *, seconds: float) -> None:
        self._commits.observe(seconds)
        self._recent_commits.observe(seconds)

    def _on_batch_numbered(self, *, commands: int, seconds: float) -> None:
        """The commands of a batch have waited in the gateway until now."""
        self._batches.observe(commands)
        self._stages["queue"].observe(seconds, commands)

    def _on_batch_agreed(self, *, commands: int, seconds: float) -> None:
        """A batch took effect: its commands were agreed on and applied in ``seconds``."""
        self._stages["agree"].observe(seconds, commands)

    def _on_reads_evaluated(self, *, commands: int, seconds: float) -> None:
        self._stages["read"].observe(seconds, commands)

    def _on_duplicates_suppressed(self, *, count: int) -> None:
        self.duplicates_suppressed += count

    def _on_refused(self, *, reason: str, count: int) -> None:
        self._refused[reason] += count

    def _on_leader_elected(self, *, leader: int, **_: object) -> None:
        """Somebody leads, and this node has heard of it."""
        self.leader = leader
        self._elections += 1

    def _on_leader_lost(self, **_: object) -> None:
        self.leader = 0

    def _on_leading(self, **_: object) -> None:
        self.leads = True

    def _on_stepped_down(self, **_: object) -> None:
        self.clocks.forget()
        self.leads = False

    def _on_replayed(self, **_: object) -> None:
        self.replayed = True

    def _on_digest(self, *, differing: list[int], **_: object) -> None:
        """This node has compared its digest with those of its peers."""
        self.differs_from = differing

    def _on_growth_refused(self, *, disks: list[int], **_: object) -> None:
        """Writes that grow data are refused by now, since these disks are short of space."""
        self.short_disks = disks

    def _on_growth_served(self) -> None:
        self.short_disks = []

    # --- out ---

    @property
    def log_slots(self) -> int:
        """How many chosen slots the log holds: those that are not compacted."""
        return self.chosen_through - self.compacted_through

    @property
    def commit_p99_seconds(self) -> float | None:
        """A time that 99 of 100 commits did not exceed lately (``RecentTimes``); None if there were no commits."""
        return self._recent_commits.quantile(0.99)

    def text(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """The method of a collector that prometheus_client calls."""
        reading = self._read()
        help = "Always 1; the labels say which versions run"
        yield InfoMetricFamily("dkv_build", help, dict(reading.build))
        help = "Always 1; the labels say which node this is, and how its cluster agrees"
        yield InfoMetricFamily("dkv_node", help, self._labels)
        yield from self._agreement(reading)
        yield from self._stored(reading)
        yield from self.snapshots.collect()
        yield from self.state_checks.collect()
        yield from self.clocks.collect()
        yield from self._work(reading)
        yield from _published(reading.postings)
        yield from self._surroundings(reading)
        for tell in self.further:
            yield from tell()

    def _agreement(self, reading: Readings) -> Iterator[Metric]:
        prepares = reading.sent.get(Prepare, 0) + reading.sent.get(PrepareSlot, 0)
        accepts = reading.sent.get(Accept, 0) + reading.sent.get(AcceptSlot, 0)
        yield counter("dkv_paxos_prepare", "Prepares sent to acceptors, this node's own included", prepares)
        yield counter("dkv_paxos_accept", "Accepts sent to acceptors, this node's own included", accepts)
        yield counter("dkv_paxos_propose", "Values that this node proposed, one for each slot", self._proposed)
        yield counter("dkv_elections", "Leaders that this node has come to follow, itself included", self._elections)
        yield gauge("dkv_is_leader", "Whether this node leads", int(self.leads))
        yield gauge("dkv_leader", "The leader as far as this node knows; 0 for none", self.leader)
        yield gauge("dkv_ballot_round", "The round of the highest ballot promised for all slots", self.promised.round)
        yield gauge("dkv_chosen_index", "All slots up to this one are known chosen here", self.chosen_through)
        yield gauge("dkv_last_applied_index", "All slots up to this one are applied here", self.applied_through)
        help = "All slots up to this one are compacted here: the log begins behind it"
        yield gauge("dkv_compacted_index", help, self.compacted_through)
        yield gauge("dkv_log_slots", "Chosen slots that the log holds, from compaction to its end", self.log_slots)
        yield gauge("dkv_digest_differs", "Peers that applied another log than this node", len(self.differs_from))
        help = "Commands applied from slots that came by catch-up, since the process began"
        yield gauge("dkv_catchup_entries_applied", help, self.catchup_entries_applied)

    def _stored(self, reading: Readings) -> Iterator[Metric]:
        if reading.sizes is not None:
            yield gauge("dkv_log_bytes", "Bytes of the files of the log's database", reading.sizes.log_bytes)
            yield gauge("dkv_state_bytes", "Bytes of the files of the state's database", reading.sizes.state_bytes)
        if reading.counted is not None:
            yield gauge("dkv_state_keys", "Keys, when they were counted last", reading.counted.keys)
            yield gauge("dkv_state_live_bytes", "Bytes of these keys and their values", reading.counted.live_bytes)
            help = "How long ago keys were counted last"
            yield gauge("dkv_state_count_age_seconds", help, self._now() - reading.counted.at)

    def _work(self, reading: Readings) -> Iterator[Metric]:
        help = "Write commands executed here since the log was replayed at start; no reads, no-ops or repeats"
        yield counter("dkv_applied_ops", help, self.applied_ops)
        help = "Writes that arrived here and were answered with the stored answer of their token"
        yield counter("dkv_duplicate_suppressed", help, self.duplicates_suppressed)
        yield from self._disk(reading)
        yield histogram("dkv_batch_commands", "Commands of the batches that this node numbered", {(): self._batches})
        help = "Time of requests: queue until numbered, agree until applied, read until evaluated; oldest of its group"
        stages: dict[tuple[str, ...], Histogram] = {(stage,): times for stage, times in self._stages.items()}
        yield histogram("dkv_client_seconds", help, stages, ("stage",))
        refused = self._refused + Counter(reading.refused)
        help = "Requests refused by the first word of the error, connections that were ended, and what is no request"
        yield labelled(CounterMetricFamily("dkv_refused_requests", help, labels=("reason",)), refused)

    def _disk(self, reading: Readings) -> Iterator[Metric]:
        yield histogram("dkv_commit_seconds", "Synced writes to disk", {(): self._commits})
        p99 = self.commit_p99_seconds
        if p99 is not None:
            help = "A time that 99 of 100 commits of the last 30 to 60 seconds did not exceed; absent if none were"
            yield gauge("dkv_commit_p99_seconds", help, p99)
        help = "For how long a commit has been under way; 0 if none is"
        yield gauge("dkv_commit_under_way_seconds", help, reading.commit_seconds)
        if reading.disk is not None:
            yield gauge(
                "dkv_disk_free_bytes", "What is free on the disk of the data directory", reading.disk.free_bytes
            )
            help = "How much of that is wanted: with less, all nodes refuse writes that grow data"
            yield gauge("dkv_disk_wanted_bytes", help, reading.disk.wanted_bytes)
        help = "Disks of the cluster that are short of space, so that writes which grow data are refused"
        yield gauge("dkv_disks_short", help, len(self.short_disks))

    def _surroundings(self, reading: Readings) -> Iterator[Metric]:
        yield gauge("dkv_ready", "Whether this node serves, as /readyz says", int(reading.ready))
        yield gauge("dkv_peers_connected", "Peers that what is sent now can reach", reading.peers_connected)
        help = "Members by kind, this node included; 0 of each on a node that is no member"
        yield labelled(GaugeMetricFamily("dkv_members", help, labels=("kind",)), reading.members)
        help = "The slot of the entry that changed the members last; 0 before the first change"
        yield gauge("dkv_membership_slot", help, reading.membership_slot)
        yield gauge("dkv_connections", "Clients connected", reading.connections)
        queues = GaugeMetricFamily("dkv_queue_depth", "What waits, in messages or bytes", labels=("queue",))
        yield labelled(queues, reading.queues)
        help = "Lines of the log that could not be written"
        yield counter("dkv_log_lines_dropped", help, reading.lines_dropped)
        help = "Messages that fault orders dropped"
        yield labelled(CounterMetricFamily("dkv_fault_dropped_messages", help, labels=("peer",)), reading.dropped)
        help = "Messages that fault orders delayed"
        yield labelled(CounterMetricFamily("dkv_fault_delayed_messages", help, labels=("peer",)), reading.delayed)


def _published(postings: Postings) -> Iterator[Metric]:
    """Publish/subscribe."""
    yield gauge("dkv_subscribers", "Clients that have subscribed to something", postings.subscribers)
    help = "For how many subscriptions those of all clients count; the limit is subscriptions_max"
    yield gauge("dkv_subscriptions", help, postings.weight)
    yield counter("dkv_published_messages", "Messages that clients of this node published", postings.published)
    yield counter("dkv_delivered_messages", "Messages for subscribers of this node, one for each", postings.delivered)
    yield counter("dkv_subscribers_cut_off", "Subscribers that were cut off as they did not read", postings.cut_off)
    help = "Messages between nodes, each with what clients published, dropped as a peer was slow to read"
    yield counter("dkv_postings_dropped", help, postings.dropped)
    help = "Messages that wait for subscribers to read them, in bytes"
    yield gauge("dkv_subscribers_unread_bytes", help, postings.unread_bytes)
