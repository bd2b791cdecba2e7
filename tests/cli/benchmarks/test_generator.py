"""The generator that dkv brings: what it sends is what it was told to, and what it counts has happened."""

from __future__ import annotations

import json
import os
import socketserver
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any
from unittest.mock import Mock

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.cli.benchmarks import drivers
from dkv.cli.benchmarks.generator import Load, LoadClient, Orders, Unusable, seconds_of, step_of, whole_replies
from dkv.cli.benchmarks.workload import Workload
from dkv.client.admission import Admission, Tls
from dkv.client.endpoint import Endpoint
from dkv.client.tls_layer import TlsFailure
from dkv.replies import OK, Error
from dkv.settings import Limits
from dkv.wire.reply_encoder import ReplyEncoder
from dkv.wire.resp import RequestParser
from tests.integration.processes import child_environment

REPLIES = st.lists(
    st.one_of(
        st.sampled_from((b"+OK\r\n", b"$-1\r\n", b":12\r\n")),
        st.binary(max_size=30).map(lambda data: b"$%d\r\n%b\r\n" % (len(data), data)),
    ),
    max_size=12,
)


class RepliesTests(SynchronousTestCase):
    """A reply counted too early is a latency too short."""

    @given(REPLIES, st.integers(0, 400))
    def test_counted_when_whole(self, replies: list[bytes], cut: int) -> None:
        """Wherever a piece ends, what is left begins with the first reply that is not whole."""
        stream = b"".join(replies)
        piece = stream[:cut]
        count, size = whole_replies(piece)
        self.assertEqual(b"".join(replies[:count]), piece[:size])
        self.assertTrue(count == len(replies) or len(b"".join(replies[: count + 1])) > len(piece))

    def test_errors_are_not_counted(self) -> None:
        """A system that refuses everything is very fast."""
        with self.assertRaisesRegex(Unusable, "TRYAGAIN no leader"):
            whole_replies(b"+OK\r\n-TRYAGAIN no leader\r\n")

    @given(st.floats(0, 100))
    def test_steps_are_fine(self, seconds: float) -> None:
        """A latency is counted as at most a hundredth more than it was, or ten microseconds."""
        counted = seconds_of(step_of(seconds))
        self.assertGreaterEqual(counted, seconds * 0.999999)
        self.assertLessEqual(counted, max(seconds * 1.0101, seconds + 1.01e-5))


class Server:
    """A dict behind a socket; refuses when told to, and ends a connection after ``requests_max`` requests."""

    def __init__(self, test: SynchronousTestCase) -> None:
        self.values: dict[bytes, bytes] = {}
        self.asked: Counter[bytes] = Counter()
        self.refuses = False
        self.requests_max = 1 << 60
        self.connections = 0
        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), self._handler())
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        test.addCleanup(server.server_close)
        test.addCleanup(server.shutdown)
        self.port = server.server_address[1]

    def _handler(self) -> type[socketserver.BaseRequestHandler]:
        server = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                server.connections += 1
                parser, encoder, left = RequestParser(Limits()), ReplyEncoder(), server.requests_max
                while data := self.request.recv(65_536):
                    parser.feed(data)
                    for words, _ in parser.take(10_000):
                        self.request.sendall(encoder.encode([server._answer(words)]))
                        left -= 1
                        if not left:
                            return

        return Handler

    def _answer(self, words: list[bytes]) -> Any:
        self.asked[words[0]] += 1
        if self.refuses:
            return Error("ERR out of order")
        if words[0] == b"SET":
            self.values[words[1]] = words[2]
            return OK
        return self.values.get(words[1])


class GeneratorTests(SynchronousTestCase):
    """Its report agrees with what servers saw."""

    def setUp(self) -> None:
        self.server = Server(self)

    def generate(self, *servers: Server, **orders: Any) -> subprocess.CompletedProcess[str]:
        endpoints = [("127.0.0.1", server.port) for server in servers or (self.server,)]
        command = [sys.executable, "-m", "dkv.cli.benchmarks.generator", json.dumps({"endpoints": endpoints} | orders)]
        return subprocess.run(command, env=child_environment(), capture_output=True, text=True, timeout=60, check=False)

    def seen(self, *servers: Server, **orders: Any) -> dict[str, Any]:
        done = self.generate(*servers, **orders)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        found: dict[str, Any] = json.loads(done.stdout)
        self.assertEqual(found["steps"][-1][1], found["requests"])
        return found

    def test_fill(self) -> None:
        """Every key is there, with a value of the size: reads of what is missing would be too cheap."""
        self.seen(operation="fill", clients=3, pipeline=4, keys=50, requests=50, value_bytes=10)
        self.assertEqual(self.server.values, {b"key:%012d" % key: b"v" * 10 for key in range(50)})

    def test_requests_are_as_many_as_ordered(self) -> None:
        """Neither more nor fewer, whatever the pipeline."""
        found = self.seen(operation="set", clients=4, pipeline=16, keys=20, requests=1003)
        self.assertEqual((found["requests"], self.server.asked), (1003, Counter({b"SET": 1003})))
        self.assertLessEqual(self.server.values.keys(), {b"key:%012d" % key for key in range(20)})

    def test_mixed_is_half_and_half(self) -> None:
        """A mix that writes less than it says would look faster."""
        self.seen(operation="mixed", clients=2, keys=20, requests=1000)
        self.assertTrue(400 < self.server.asked[b"SET"] < 600, self.server.asked)
        self.assertEqual(self.server.asked[b"SET"] + self.server.asked[b"GET"], 1000)

    def test_clients_are_spread(self) -> None:
        """All nodes get as many."""
        other = Server(self)
        self.seen(self.server, other, operation="get", clients=6, requests=60)
        self.assertEqual((self.server.connections, other.connections), (3, 3))

    def test_a_refusal_ends_it(self) -> None:
        """Throughput of errors is no throughput."""
        self.server.refuses = True
        done = self.generate(operation="set", clients=1, requests=10)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("out of order", done.stderr)

    def test_a_user(self) -> None:
        """Each client says who it is; the password is in no command line, and goes to no program that shows it."""
        asked: list[tuple[list[str], Mapping[bytes, bytes] | None]] = []

        def outputs(commands: list[list[str]], variables: Mapping[bytes, bytes] | None = None) -> list[str]:
            asked.extend((command, variables) for command in commands)
            return [
                subprocess.run(each, env=variables, capture_output=True, text=True, check=True).stdout
                for each in commands
            ]

        self.patch(os, "environb", {key.encode(): value.encode() for key, value in child_environment().items()})
        self.patch(drivers, "outputs", outputs)
        node = Endpoint("127.0.0.1", self.server.port, Admission(None, b"app", b"sesame"))
        drivers.ask([node], Workload("set", 3, 1, 10, 20), 30, drivers.REDIS_BENCHMARK)
        self.assertEqual(self.server.asked, Counter({b"SET": 30, b"AUTH": 3}))
        ((command, variables),) = asked
        self.assertNotIn("sesame", " ".join(command))
        self.assertEqual((variables or {})[b"DKV_PASSWORD"], b"sesame")

    def test_redis_benchmark_with_tls(self) -> None:
        """It has the same options as redis-cli."""
        node = Endpoint("a", 1, Admission(Tls("ca.pem", "me.pem")))
        words = drivers._redis_benchmark(node, Workload("set", 1, 1, 10, 20), 1, 1)
        self.assertEqual(words[-9:-2], ["--tls", "--cacert", "ca.pem", "--cert", "me.pem", "--key", "me.pem"])

    def test_tls_that_has_ended(self) -> None:
        """It ends the connection, as an end without TLS does, also where that is seen when the next request is due."""
        client = LoadClient(Load(Orders([("a", 1)], "set", 1, requests=1)), 0)
        client._layer = Mock()
        client._layer.seal.side_effect = TlsFailure("it closed the connection")
        with self.assertRaisesRegex(Unusable, "a connection ended: it closed the connection"):
            client.ask()

    def test_a_patient_client_goes_to_the_next_node(self) -> None:
        """As after a failover; all that was ordered is answered in the end."""
        other = Server(self)
        self.server.requests_max = 5
        found = self.seen(self.server, other, operation="set", clients=2, requests=200, patience_seconds=5.0)
        self.assertEqual(found["requests"], 200)
        self.assertGreaterEqual(found["failures"], 1)

    def test_silence_is_a_gap(self) -> None:
        """A node that does not answer for a while is what a failover's gap is measured by."""
        silent = socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler)  # accepts, never answers
        self.addCleanup(silent.server_close)
        endpoints = [silent.server_address, ("127.0.0.1", self.server.port)]
        orders = {"operation": "set", "clients": 1, "seconds": 0.6, "patience_seconds": 0.2, "endpoints": endpoints}
        found = self.seen(**orders)
        self.assertGreaterEqual(found["longest_gap_seconds"], 0.2)
        self.assertEqual(found["failures"], 1)
