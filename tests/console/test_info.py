"""INFO tells monitoring the truth, in the words that it looks for."""

from __future__ import annotations

import os
import resource
from unittest.mock import Mock

from twisted.trial.unittest import SynchronousTestCase

from dkv.console.info import info_sections, info_text
from dkv.identity import Identity
from dkv.pubsub_messages import CHANNEL, PATTERN
from tests.net.client_port import Port, encoded

STATUS = {"loading": 0, "dkv_leader": 2}
IDENTITY = Identity("blue", 1, 0xB1, 3)

REPLICATION = {"role": "master", "connected_slaves": 2}

HOLDINGS = Mock(expired=3, **{"counted.return_value": [(0, 7, 2), (15, 1, 0)]})

REDIS_CLI_STAT = """used_memory connected_clients blocked_clients total_commands_processed total_connections_received
rdb_bgsave_in_progress aof_rewrite_in_progress loading"""
"""The fields that ``redis-cli --stat`` reads, beside the keys of each database."""

REDIS_EXPORTER = """redis_version redis_mode os process_id run_id tcp_port uptime_in_seconds connected_clients
maxclients blocked_clients used_memory used_memory_rss used_memory_peak maxmemory maxmemory_policy expired_keys
total_connections_received total_commands_processed instantaneous_ops_per_sec total_net_input_bytes evicted_keys
total_net_output_bytes rejected_connections role connected_slaves used_cpu_sys used_cpu_user cluster_enabled
aof_enabled loading"""


class InfoTests(SynchronousTestCase):
    """The INFO of node 1, whose port has seen two clients; one is still there."""

    def setUp(self) -> None:
        self.port = Port(connections_max=2)
        for number in range(2):
            connection, transport = self.port.connect()
            connection.dataReceived(b"PING\r\n" * 20 + encoded(b"PUT", b"x", b"1"))
            self.port.answer_all()
            if number == 0:
                connection.dataReceived(b"GET / HTTP/1.1\r\n")
                connection.connectionLost(None)
        self.port.connect()
        self.port.connect()
        self.port.clock.advance(1.0)
        self.written = transport.value()

    def fields(self, *names: bytes) -> dict[str, str]:
        """The fields of some sections, or of all, as clients parse them."""
        sections = info_sections(STATUS, IDENTITY, self.port.clients, HOLDINGS, 5001, 90_061.5, REPLICATION)
        lines = info_text(sections, names).decode().split("\r\n")
        return dict(line.split(":", 1) for line in lines if line and not line.startswith("#"))

    def test_what_tools_read(self) -> None:
        """A dashboard made for Redis has something to show."""
        for name in (REDIS_CLI_STAT + " " + REDIS_EXPORTER).split():
            self.assertIn(name, self.fields())

    def test_clients(self) -> None:
        """The clients that are, were and were refused, and their requests; other bytes are not counted as requests."""
        fields = self.fields(b"clients", b"Stats")
        for name, value in {
            "connected_clients": 2,
            "maxclients": 2,
            "total_connections_received": 3,
            "rejected_connections": 1,
            "total_commands_processed": 42,
            "instantaneous_ops_per_sec": 43,
            "total_net_input_bytes": 2 * (20 * 6 + 27) + 16,
        }.items():
            self.assertEqual(fields[name], str(value), name)
        self.assertGreater(int(fields["total_net_output_bytes"]), 2 * len(self.written))

    def test_subscribers(self) -> None:
        """How many clients of this node listen, and to how much."""
        exchange = self.port.clients.deliveries.exchange
        exchange.subscribe(3, [(CHANNEL, b"news"), (CHANNEL, b"weather"), (PATTERN, b"news*")])
        exchange.subscribe(4, [(CHANNEL, b"news")])
        fields = self.fields(b"clients", b"stats")
        names = ("pubsub_clients", "pubsub_channels", "pubsub_patterns")
        self.assertEqual([fields[name] for name in names], ["2", "2", "1"])

    def test_process(self) -> None:
        """Its memory, processor time, age and number are those of the system."""
        fields = self.fields()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self.assertEqual(fields["process_id"], str(os.getpid()))
        self.assertEqual((fields["uptime_in_seconds"], fields["uptime_in_days"]), ("90061", "1"))
        self.assertTrue(2**20 < int(fields["used_memory"]) <= int(fields["used_memory_peak"]))
        self.assertLessEqual(int(fields["used_memory_peak"]), 2 * usage.ru_maxrss * 1024)
        self.assertTrue(0 < float(fields["used_cpu_user"]) <= usage.ru_utime)
        self.assertEqual(fields["tcp_port"], "5001")

    def test_each_run_has_its_own_id(self) -> None:
        """Exporters tell by it that counters began anew."""
        ids = {self.fields()["run_id"]}
        for identity in (Identity("blue", 1, 0xB1, 4), Identity("blue", 2, 0xB1, 3), Identity("green", 1, 0xB1, 3)):
            ids.add(str(info_sections(STATUS, identity, self.port.clients, HOLDINGS, None, 0, {})["Server"]["run_id"]))
        self.assertEqual(len(ids), 4)
        self.assertTrue(all(len(run_id) == 40 for run_id in ids))

    def test_promises(self) -> None:
        """ioredis waits for loading:0; libraries send what the version has, so it is one without today's extras."""
        fields = self.fields()
        self.assertEqual((fields["loading"], fields["role"], fields["dkv_leader"]), ("0", "master", "2"))
        self.assertTrue(fields["redis_version"].startswith("7.2."))

    def test_keyspace(self) -> None:
        """Each database that holds something has its keys counted, in the form that exporters take apart."""
        fields = self.fields(b"keyspace")
        self.assertEqual(fields, {"db0": "keys=7,expires=2,avg_ttl=0", "db15": "keys=1,expires=0,avg_ttl=0"})
        self.assertEqual(self.fields()["expired_keys"], "3")

    def test_sections(self) -> None:
        """Asking for a section gives that section, in any case."""
        sections = {"Persistence": {"loading": 0}, "Dkv": {"leader": 2}}
        text = b"# Persistence\r\nloading:0\r\n\r\n# Dkv\r\nleader:2\r\n"
        for names in ([], [b"all"], [b"Everything"], [b"default"], [b"persistence", b"DKV"]):
            self.assertEqual(info_text(sections, names), text)
        self.assertEqual(info_text(sections, [b"dkv"]), b"# Dkv\r\nleader:2\r\n")
        self.assertEqual(info_text(sections, [b"nope"]), b"")
