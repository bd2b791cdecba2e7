"""The counters agree with what happened."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dkv import noted
from dkv.actor import Note, NoteFields
from dkv.ballot import Ballot
from dkv.console.metric_families import Histogram
from dkv.console.node_metrics import NodeMetrics, Postings, Readings
from dkv.console.surroundings import Counted, Sizes
from dkv.events import DiskMeasured
from dkv.messages import Accept, AcceptSlot, Prepare

BUILD = {"version": "1.2.3", "python": "3.14.0", "leveldb": "1.22", "binding": 'py"vel 1.5'}
NODE = {"cluster": "shop", "node": "1", "mode": "classic"}
READINGS = Readings(
    BUILD,
    Sizes(300, 200),
    Counted(3, 90, 17, 5.0),
    ready=True,
    commit_seconds=0.25,
    disk=DiskMeasured(9, 8, False),
    peers_connected=2,
    members={"voter": 3, "standby": 1},
    membership_slot=70,
    connections=7,
    refused={"CONNECTIONS": 3, "INPUT": 1},
    queues={"mailbox_messages": 5},
    sent={Prepare: 4, Accept: 10, AcceptSlot: 5},
    dropped={2: 6},
    delayed={3: 8},
    lines_dropped=4,
    postings=Postings(5, 9, 31, 47, 2, 3, 800),
)


class MetricsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.metrics = NodeMetrics(NODE, lambda: READINGS, self.clock.seconds)

    def note(self, event: Note[NoteFields], /, *_: NoteFields.args, **fields: NoteFields.kwargs) -> None:
        """An actor notes something."""
        self.metrics.takers[event](**fields)

    def samples(self) -> dict[str, float]:
        """The samples as Prometheus reads them."""
        families = text_string_to_metric_families(self.metrics.text().decode())
        return {
            sample.name + "".join(f"{{{key}={value}}}" for key, value in sorted(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }

    def test_names(self) -> None:
        """Dashboards are built on these names."""
        names = {name.partition("{")[0] for name in self.samples()}
        for name in (
            "applied_ops_total", "duplicate_suppressed_total", "paxos_prepare_total", "paxos_accept_total",
            "paxos_propose_total", "chosen_index", "last_applied_index", "catchup_entries_applied", "elections_total",
            "leader", "is_leader", "ballot_round", "ready", "peers_connected", "commit_seconds_bucket",
            "batch_commands_bucket", "client_seconds_bucket", "queue_depth", "connections", "refused_requests_total",
            "fault_dropped_messages_total", "fault_delayed_messages_total", "digest_differs",
            "log_slots", "log_bytes", "state_bytes", "state_keys", "compacted_index", "build_info", "node_info",
            "commit_under_way_seconds",
            "disk_free_bytes", "disk_wanted_bytes", "disks_short",
            "subscribers", "subscriptions", "published_messages_total", "delivered_messages_total",
            "subscribers_cut_off_total", "postings_dropped_total", "subscribers_unread_bytes",
        ):  # fmt: skip
            self.assertIn(f"dkv_{name}", names)

    def test_short_disks(self) -> None:
        """An alert that never ends is switched off, and one that never begins is worse."""
        self.note(noted.growth_refused, disks=[2, 3], free_bytes=7)
        self.assertEqual((self.metrics.short_disks, self.samples()["dkv_disks_short"]), ([2, 3], 2))
        self.note(noted.growth_served)
        self.assertEqual((self.metrics.short_disks, self.samples()["dkv_disks_short"]), ([], 0))

    def test_room_unknown(self) -> None:
        """A disk that cannot be looked at must not look full, or empty."""
        metrics = NodeMetrics(NODE, lambda: READINGS._replace(disk=None), self.clock.seconds)
        self.assertNotIn("dkv_disk_free_bytes", metrics.text().decode())

    def test_read_when_asked(self) -> None:
        """Numbers that the node's parts know are not counted a second time."""
        samples = self.samples()
        self.assertEqual(samples["dkv_paxos_prepare_total"], 4)
        self.assertEqual(samples["dkv_paxos_accept_total"], 15)
        self.assertEqual(samples["dkv_queue_depth{queue=mailbox_messages}"], 5)
        self.assertEqual(samples["dkv_refused_requests_total{reason=CONNECTIONS}"], 3)
        self.assertEqual(samples["dkv_fault_dropped_messages_total{peer=2}"], 6)

    def test_applied(self) -> None:
        """Commands count once the replay at start is done; the mark counts always."""
        self.note(noted.applied, through=5, commands=9)
        self.assertEqual((self.metrics.applied_through, self.metrics.applied_ops), (5, 0))
        self.note(noted.replayed, applied_through=5)
        self.note(noted.applied, through=6, commands=2)
        self.note(noted.applied, through=7, commands=0)
        self.assertEqual((self.metrics.applied_through, self.metrics.applied_ops), (7, 2))

    def test_log_slots(self) -> None:
        """How long the log is: it grows with each slot, and shrinks when it is compacted."""
        self.note(noted.chosen, through=500)
        self.assertEqual(self.samples()["dkv_log_slots"], 500)
        self.note(noted.compacted, through=420)
        self.note(noted.chosen, through=510)
        samples = self.samples()
        self.assertEqual((samples["dkv_compacted_index"], samples["dkv_log_slots"]), (420, 90))

    def test_stored(self) -> None:
        """What fills the disk, how much of it is live, and how old the count of keys is."""
        self.clock.advance(65.0)
        samples = self.samples()
        names = ("log_bytes", "state_bytes", "state_keys", "state_live_bytes", "state_count_age_seconds")
        self.assertEqual([samples[f"dkv_{name}"] for name in names], [300, 200, 3, 90, 60])
        unknown = NodeMetrics(NODE, lambda: READINGS._replace(sizes=None, counted=None), self.clock.seconds)
        for name in names:
            self.assertNotIn(f"dkv_{name}", unknown.text().decode(), "an unknown number is not 0")

    def test_differs(self) -> None:
        """How many peers applied another log: 0 again when the one that did was replaced."""
        for event, differing in (
            (noted.digest_differs, [2]),
            (noted.digest_differs, [2, 3]),
            (noted.digest_agrees, [3]),
        ):
            self.note(event, peer=2, slot=7, differing=differing)
            self.assertEqual(self.metrics.differs_from, differing)
            self.assertEqual(self.samples()["dkv_digest_differs"], len(differing))

    def test_caught_up(self) -> None:
        """Commands of slots that were fetched from a peer count as caught up, those of others do not."""
        self.note(noted.replayed, applied_through=0)
        for slot in (2, 3, 6):
            self.note(noted.learned, slot=slot)
        for slot in range(1, 9):
            self.note(noted.applied, through=slot, commands=10**slot)
        self.assertEqual(self.metrics.catchup_entries_applied, 10**2 + 10**3 + 10**6)

    def test_who_leads(self) -> None:
        """Leader, elections and ballots follow what elector, proposer and acceptor note."""
        self.note(noted.leader_elected, leader=2, ballot=Ballot(3, 2))
        self.note(noted.leader_lost, leader=2, ballot=Ballot(3, 2), reason="it resigned")
        self.note(noted.leader_elected, leader=1, ballot=Ballot(4, 1))
        self.note(noted.leading, ballot=Ballot(4, 1), chosen_through=0, recovering=0)
        self.note(noted.promised, ballot=Ballot(4, 1))
        samples = self.samples()
        self.assertEqual([samples[f"dkv_{name}"] for name in ("elections_total", "leader", "is_leader")], [2, 1, 1])
        self.assertEqual(samples["dkv_ballot_round"], 4)
        self.note(noted.stepped_down, ballot=Ballot(4, 1), by=Ballot(5, 2), reason="")
        self.assertEqual(self.samples()["dkv_is_leader"], 0)

    def test_times(self) -> None:
        """A batch's time counts for each of its commands."""
        self.note(noted.batch_numbered, commands=3, seconds=0.002)
        self.note(noted.batch_agreed, commands=3, seconds=0.004)
        self.note(noted.committed, seconds=0.0003)
        samples = self.samples()
        self.assertEqual(samples["dkv_client_seconds_count{stage=queue}"], 3)
        self.assertEqual(samples["dkv_client_seconds_bucket{le=0.0025}{stage=agree}"], 0)
        self.assertEqual(samples["dkv_client_seconds_bucket{le=0.005}{stage=agree}"], 3)
        self.assertEqual(samples["dkv_batch_commands_bucket{le=4}"], 1)
        self.assertAlmostEqual(samples["dkv_commit_seconds_sum"], 0.0003)

    def test_build(self) -> None:
        """Whoever looks for the one node that was not upgraded joins this with any other metric: it is always 1."""
        text = self.metrics.text().decode()
        for name, labels in (("dkv_build_info", BUILD), ("dkv_node_info", NODE)):
            self.assertIn(f"# TYPE {name} gauge\n", text)
            (sample,) = [
                sample
                for family in text_string_to_metric_families(text)
                for sample in family.samples
                if sample.name == name
            ]
            self.assertEqual((sample.labels, sample.value), (labels, 1))

    def test_commit_p99(self) -> None:
        """The slow commits show, also those under way; a node that writes nothing shows no old ones, and no zero."""
        self.assertIsNone(self.metrics.commit_p99_seconds)
        self.assertNotIn("dkv_commit_p99_seconds", self.samples())
        for seconds in (*[0.001] * 98, 0.4, 0.4):
            self.note(noted.committed, seconds=seconds)
        self.assertEqual(self.samples()["dkv_commit_p99_seconds"], 0.4)
        self.assertEqual(self.samples()["dkv_commit_under_way_seconds"], 0.25)
        self.clock.advance(120)
        self.assertNotIn("dkv_commit_p99_seconds", self.samples())

    def test_refused(self) -> None:
        """Each reason by itself."""
        self.note(noted.refused, reason="TRYAGAIN", count=3)
        self.note(noted.refused, reason="TRYAGAIN", count=2)
        self.assertEqual(self.samples()["dkv_refused_requests_total{reason=TRYAGAIN}"], 5)

    def test_every_measure_is_counted(self) -> None:
        """A note for metrics alone that is not counted would be in vain."""
        uncounted = {event.name for event in noted.TABLE if event.level is None and event not in self.metrics.takers}
        elsewhere = {"held", "may_serve", "members_are", "peer_applied", "successors", "surveyed", "votes"}
        self.assertEqual(uncounted, elsewhere, "for readiness, status, those who hand the lead over, and the simulator")


class HistogramTests(SynchronousTestCase):
    @given(st.lists(st.tuples(st.floats(0, 100), st.integers(1, 5)), max_size=30))
    def test_against_counting(self, values: list[tuple[float, int]]) -> None:
        """Each bucket holds what is at most its bound."""
        bounds = (0.5, 1.0, 10.0)
        histogram = Histogram(bounds)
        for value, times in values:
            histogram.observe(value, times)
        buckets, total = histogram.sample()
        expected = [sum(times for value, times in values if value <= bound) for bound in (*bounds, float("inf"))]
        self.assertEqual([count for _, count in buckets], expected)
        self.assertLess(abs(total - sum(value * times for value, times in values)), 1e-6)
