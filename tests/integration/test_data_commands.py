"""The commands on data, against real nodes."""

from __future__ import annotations

import json
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.processes import HOST, RealCluster, child_environment, shared_cluster, wait_until

SECONDS = 60.0


def start(cluster: RealCluster, *words: str) -> subprocess.Popen[bytes]:
    """Start a command against all nodes of a cluster."""
    endpoints = ",".join(f"{HOST}:{node.port}" for node in cluster.nodes)
    command = [sys.executable, "-m", "dkv.cli.main", words[0], "--endpoints", endpoints, *words[1:]]
    environment = child_environment() | {"XDG_STATE_HOME": str(cluster.directory / "state")}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment)


def dkv(cluster: RealCluster, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run a command against all nodes of a cluster."""
    process = start(cluster, *words)
    output, errors = process.communicate(stdin, timeout=SECONDS)
    return subprocess.CompletedProcess(words, process.returncode, output, errors)


class DataCommandTests(SynchronousTestCase):
    """Three nodes that others use, too."""

    def dkv(self, *words: str, stdin: bytes = b"", status: int = 0) -> bytes:
        """What a command prints, which must end with this status."""
        done = dkv(shared_cluster(), *words, stdin=stdin)
        self.assertEqual(done.returncode, status, done)
        return done.stdout

    def test_raw(self) -> None:
        """Bytes that were put come back as they were, whatever they are."""
        data = bytes(range(256)) + b"\r\n"
        self.dkv("put", "data-commands:raw", "-", stdin=data)
        self.assertEqual(self.dkv("get", "--raw", "data-commands:raw"), data)

    def test_words(self) -> None:
        """Each command asks the nodes for what they have."""
        one, two = "data-commands:words:1", "data-commands:words:2"
        self.assertEqual(self.dkv("cas", one, "--absent", "5", "--ttl", "100"), b"OK\n")
        self.assertEqual(self.dkv("cas", one, "--absent", "6", status=1), b"")
        self.assertEqual(self.dkv("incr", one, "--by", "-7"), b"-2\n")
        self.assertEqual(self.dkv("incr", one, "--by", "0.5"), b"-1.5\n")
        self.assertEqual(self.dkv("cas", one, "-1.5", "x", status=2), b"", "a dash needs -- in front of it")
        self.assertEqual(self.dkv("cas", one, "--", "-1.5", "x"), b"OK\n")
        self.assertEqual(self.dkv("ttl", one), b"never\n")
        self.assertEqual(self.dkv("expire", one, "100"), b"OK\n")
        self.assertTrue(99.0 < float(self.dkv("ttl", one)) <= 100.0)
        self.assertEqual(self.dkv("put", two, "v", "--ttl", "100"), b"OK\n")
        both = f"{one}\n{two}\n".encode()
        self.assertEqual(self.dkv("keys", "data-commands:words:*"), both)
        self.assertEqual(self.dkv("scan", "data-commands:words:*"), both)
        self.assertEqual(self.dkv("scan", "data-commands:words:*", "-0", "--limit", "1"), one.encode() + b"\0")
        self.assertEqual(self.dkv("scan", "data-commands:words:*", "--db", "1", status=1), b"")
        self.assertEqual(self.dkv("expire", two, "--never"), b"OK\n")
        self.assertEqual(self.dkv("ttl", two), b"never\n")
        self.assertEqual(self.dkv("expire", two, "0"), b"OK\n")
        self.dkv("ttl", two, status=1)
        self.dkv("get", one, "--db", "1", status=1)

    def test_databases(self) -> None:
        """Keys of a database, with an end, are exported from it and imported into another one."""
        key = "data-commands:databases"
        self.dkv("put", key, "v", "--db", "11", "--ttl", "500")
        exported = self.dkv("export", "-", "--db", "11")
        self.assertEqual(self.dkv("import", "-", "--db", "12", stdin=exported)[:19], b"stdin: 1 key import")
        self.assertEqual(self.dkv("get", key, "--db", "12"), b"v\n")
        self.assertTrue(400.0 < float(self.dkv("ttl", key, "--db", "12")) <= 500.0)
        self.dkv("get", key, status=1)

    def test_export_and_import(self) -> None:
        """What was exported can be imported elsewhere, byte for byte."""
        lines = [
            f'{{"db": 0, "key": "data-commands:é{number}", "value": "{number}"}}\n'.encode() for number in range(600)
        ]
        odd = b'{"db": 0, "key_base64": "ZGF0YS1jb21tYW5kczr/", "value_base64": "AP8K"}\n'
        said = self.dkv("import", "-", stdin=b"".join([*lines, odd]))
        self.assertRegex(said.decode(), r"\Astdin: 601 keys imported in ")
        first, *found, last = self.dkv("export", "-", "--match", "data-commands:[é\udcff]*").splitlines(keepends=True)
        self.assertEqual(json.loads(first)["cluster"], "test")
        self.assertEqual(sorted(found), sorted([*lines, odd]))
        self.assertEqual(json.loads(last), {"dkv_export_end": 601})


class ImportTests(SynchronousTestCase):
    """A cluster of which nodes die."""

    def test_a_leader_that_dies(self) -> None:
        """An import goes on at the other nodes, and each line is there in the end."""
        cluster = RealCluster()
        self.addCleanup(cluster.close)
        cluster.start()
        leader = cluster.leader()
        count = 20_000
        path = cluster.directory / "keys.jsonl"
        path.write_text("".join(f'{{"key": "k{number}", "value": "{number}"}}\n' for number in range(count)))
        importing = start(cluster, "import", str(path))
        wait_until(lambda: leader.call("GET", "k1000"), SECONDS, "some lines are imported")
        leader.kill()
        output, errors = importing.communicate(timeout=SECONDS)
        self.assertEqual(importing.returncode, 0, errors)
        self.assertIn(b": 20,000 keys imported in ", output)
        exported = dkv(cluster, "export", "-").stdout.splitlines()
        keys = {line["key"]: line["value"] for line in map(json.loads, exported[1:-1])}
        self.assertEqual(keys, {f"k{number}": f"{number}" for number in range(count)})


class WaitingTests(SynchronousTestCase):
    """A cluster without its majority."""

    def test_what_it_waits_for(self) -> None:
        """A user who waits for a cluster that is down is told so before the command gives up."""
        cluster = RealCluster()
        self.addCleanup(cluster.close)
        cluster.start()
        for node in cluster.nodes[1:]:
            node.kill()
        done = dkv(cluster, "get", "k")
        first, second = done.stderr.decode().splitlines()
        one, two, _ = (f"{HOST}:{node.port}" for node in cluster.nodes)
        self.assertTrue(first.startswith(f"dkv: waiting: {one} "), first)
        self.assertIn(f"; cannot connect to {two}: Connection refused; ", first)
        self.assertTrue(second.startswith("dkv: refused: "), second)
        self.assertEqual((done.returncode, done.stdout), (4, b""))
