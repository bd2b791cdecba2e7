"""How a node starts and stops: what it cannot run with is one clear line and a status, never a traceback."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tomllib
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.keys import record_key
from dkv.storage.binding import plyvel
from dkv.storage.data_directory import initialise, open_directory
from dkv.storage.fence import fence_writes
from tests.integration.processes import HOST, TWISTD, RealCluster, child_environment

UNPRIVILEGED = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
"""Runs a command of root's so that the modes of directories count for it as for anyone."""


def run(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run to the end."""
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30.0,
        check=False,
        env={**child_environment(), **environment},
    )


class OneNodeTest(SynchronousTestCase):
    """A cluster of one, not started."""

    def setUp(self) -> None:
        self.cluster = RealCluster(1)
        self.addCleanup(self.cluster.close)
        self.node = self.cluster.nodes[0]

    def options(self, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """``twistd dkvnode`` with the cluster's config and these options."""
        return run(
            [*TWISTD, "-n", "--pidfile=", "dkvnode", "-c", str(self.cluster.config_path), *options], **environment
        )

    def assert_refused(self, *words: str, prefix: tuple[str, ...] = (), status: int = 1) -> None:
        """The node ends at its start with one line on stderr, which holds all ``words``."""
        self.assert_one_line(run([*prefix, *self.node.command()]), *words, status=status)

    def assert_one_line(self, ended: subprocess.CompletedProcess[str], *words: str, status: int) -> None:
        lines = ended.stderr.splitlines()
        self.assertEqual(len(lines), 1, ended.stderr + ended.stdout)
        self.assertTrue(lines[0].startswith("dkvnode: "), lines[0])
        for word in words:
            self.assertIn(word, lines[0])
        self.assertEqual(ended.returncode, status)
        self.assertNotIn("Traceback", ended.stdout)
        for line in ended.stdout.splitlines():
            self.assertIsInstance(json.loads(line), dict)


class PortTest(OneNodeTest):
    """An operator who starts a node twice, or beside another service, learns which port it is."""

    def occupy(self, port: int) -> None:
        listener = socket.socket()
        self.addCleanup(listener.close)
        listener.bind((HOST, port))
        listener.listen()

    def test_client_port_in_use(self) -> None:
        """The line names the address and what is wrong with it."""
        self.occupy(self.node.port)
        self.assert_refused(f"{HOST}:{self.node.port}", "in use")

    def test_peer_port_in_use(self) -> None:
        """So it does for the peers' port."""
        self.occupy(self.node.peer_port)
        self.assert_refused(f"{HOST}:{self.node.peer_port}", "in use")


class DirectoryTest(OneNodeTest):
    """A node that runs on the wrong data directory destroys it, or votes for somebody else."""

    def new_directory(self) -> Path:
        """Let the node use another directory, which is empty."""
        self.node.directory = self.cluster.directory / "other"
        self.node.directory.mkdir()
        return self.node.directory

    def test_missing_and_empty(self) -> None:
        """A directory that was not initialised gets the advice to do so, and stays as it is."""
        directory = self.new_directory()
        self.assert_refused("is empty", "dkv init", "--node 1", str(directory))
        self.assertEqual(os.listdir(directory), [])
        directory.rmdir()
        self.assert_refused("does not exist", "dkv init")
        self.assertFalse(directory.exists())

    def test_foreign(self) -> None:
        """Somebody else's files, and some other program's database, are left alone."""
        directory = self.new_directory()
        (directory / "thesis.txt").write_text("years of work")
        self.assert_refused("not a data directory of dkv", str(directory))
        self.assertEqual(os.listdir(directory), ["thesis.txt"])
        (directory / "thesis.txt").unlink()
        plyvel.DB(str(directory), create_if_missing=True).close()
        self.assert_refused("not a data directory of dkv", str(directory))

    def test_of_another_node(self) -> None:
        """Two nodes with their directories exchanged would each forget what they promised."""
        initialise(str(self.new_directory()), "test", 2)
        self.assert_refused("belongs to node 2, not to node 1", str(self.node.directory))

    def test_of_another_cluster(self) -> None:
        """A directory of the test cluster must not join the production cluster."""
        initialise(str(self.new_directory()), "production", 1)
        self.assert_refused("belongs to cluster 'production', not to 'test'", str(self.node.directory))

    def test_not_writable(self) -> None:
        """Wrong modes are found at the start, not at the first write."""
        self.node.directory.chmod(0o500)
        self.assert_refused("not writable", str(self.node.directory), prefix=self.unprivileged())
        self.node.directory.chmod(0o000)
        self.assert_refused("cannot be read: Permission denied", prefix=self.unprivileged())
        self.node.directory.chmod(0o700)

    def test_fenced(self) -> None:
        """A directory that must never take part again is refused with its reason, and with a status of its own."""
        store, states, _ = open_directory(str(self.node.directory), "test", 1, print)
        store.commit_now(fence_writes("its log differs"))
        states.close()
        store.close()
        self.assert_refused("is fenced: its log differs", "a new node take", str(self.node.directory), status=3)

    def test_frames_smaller_than_what_is_stored(self) -> None:
        """A limit lowered on one node would keep others in catch-up for ever; the line says what it has to be."""
        self.cluster.start()
        self.assertEqual(self.node.call("SET", "x", "v" * 900_000), "OK")
        self.node.stop()
        small = dict.fromkeys(("value_bytes_max", "key_bytes_max", "inline_bytes_max"), 1_000)
        small |= {"request_bytes_max": 4_096, "batch_bytes_max": 270_000, "catchup_bytes_max": 4_096}
        small |= {"slot_bytes_max": 540_000, "frame_bytes_max": 810_000}
        settings = "\n".join(f"{name} = {value}" for name, value in small.items())
        with self.cluster.config_path.open("a") as config:
            config.write(f"\n[limits]\n{settings}\n")
        self.assert_refused("limits.frame_bytes_max = 810000 is too small", "slot 1", "at least 1162", status=2)

    def unprivileged(self) -> tuple[str, ...]:
        return tuple(UNPRIVILEGED) if os.geteuid() == 0 else ()

    def test_runs_already(self) -> None:
        """A second process on one directory is refused, and the first is not disturbed."""
        self.cluster.start()
        self.assertEqual(self.node.call("PUT", "x", "1"), "OK")
        self.assert_refused(f"{HOST}:{self.node.peer_port}", "in use")
        self.assertEqual(self.node.call("GET", "x"), b"1")


class DamageTest(OneNodeTest):
    """An acceptor that forgot something lets others overwrite acknowledged data: it must not start."""

    def setUp(self) -> None:
        super().setUp()
        self.cluster.start()
        for number in range(20):
            self.assertEqual(self.node.call("PUT", f"k{number}", "v"), "OK")
        self.node.stop()

    def open(self) -> Any:
        database = plyvel.DB(str(self.node.directory))
        self.addCleanup(database.close)
        return database

    def test_flipped_bits(self) -> None:
        """A record that is not the one that was written is found, wherever in it the damage is, and named."""
        database = self.open()
        stored = database.get(record_key(7))
        for position in (0, len(stored) // 2, len(stored) - 1):
            damaged = bytearray(stored)
            damaged[position] ^= 1
            database.put(record_key(7), bytes(damaged))
            database.close()
            self.assert_refused("the record of slot 7 is damaged", "must not vote", "leave it stopped")
            database = self.open()
        database.put(record_key(7), stored)
        database.close()
        self.cluster.start()
        self.assertEqual(self.node.call("GET", "k19"), b"v")

    def test_a_lost_record(self) -> None:
        """A hole in what was chosen is found."""
        database = self.open()
        database.delete(record_key(9))
        database.close()
        self.assert_refused("the log has lost slot 9", "must not vote")

    def test_damaged_files(self) -> None:
        """Damage below the records, in LevelDB's own files, is found too, and says so in our words."""
        written = max(self.node.directory.glob("*.log"), key=lambda path: path.stat().st_size)
        data = bytearray(written.read_bytes())
        data[len(data) // 2] ^= 0xFF
        written.write_bytes(data)
        self.assert_refused("is damaged", str(self.node.directory), "must not vote")


class ConfigTest(OneNodeTest):
    """A mistake in the config is found before anything runs, and says where it is."""

    def append(self, text: str) -> None:
        with self.cluster.config_path.open("a") as file:
            file.write(text)

    def test_unknown_node(self) -> None:
        """A node that the config does not name is told which ones it does name."""
        self.assert_one_line(self.options("--node", "9"), "node 9 is not a member", "its nodes are 1", status=2)

    def test_unknown_key(self) -> None:
        """A misspelt setting is an error with a suggestion, not silently the default."""
        self.append("\n[timings]\nrequest_second = 3.0\n")
        self.assert_refused("request_second", "did you mean", "request_seconds", str(self.node.config_path), status=2)
        self.assert_one_line(self.options("--check-config"), "request_seconds", status=2)

    def test_not_there_and_not_toml(self) -> None:
        """A config that cannot be read is one line too."""
        self.append("\n[timings\n")
        self.assert_refused("is not TOML", status=2)
        self.cluster.config_path.unlink()
        self.assert_refused("cannot read the config file", "No such file", status=2)

    def test_check_config(self) -> None:
        """--check-config says ok, needs no node and no directory, and starts nothing."""
        shutil.rmtree(self.node.directory)
        ended = self.options("--check-config")
        self.assertEqual((ended.returncode, ended.stdout, ended.stderr), (0, "ok: cluster 'test', 1 nodes\n", ""))

    def request_seconds(self, *options: str, **environment: str) -> float:
        ended = self.options("--print-config", *options, **environment)
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        return float(tomllib.loads(ended.stdout)["timings"]["request_seconds"])

    def test_precedence(self) -> None:
        """Flag over environment over file over default; what --print-config prints is a config file again."""
        self.assertEqual(self.request_seconds(), 5.0)
        self.append("\n[timings]\nrequest_seconds = 4.0\n")
        self.assertEqual(self.request_seconds(), 4.0)
        variable = {"DKV_TIMINGS_REQUEST_SECONDS": "3.0"}
        self.assertEqual(self.request_seconds(**variable), 3.0)
        self.assertEqual(self.request_seconds("--set", "timings.request_seconds=2.0", **variable), 2.0)
        printed = self.options("--print-config").stdout
        self.cluster.config_path.write_text(printed)
        self.assertEqual(self.options("--print-config").stdout, printed)

    def test_environment_names_node_and_directory(self) -> None:
        """DKV_CONFIG, DKV_NODE and DKV_DATA_DIR stand in for flags, and flags win over them."""
        missing = str(self.cluster.directory / "nowhere")
        variables = {"DKV_CONFIG": str(self.cluster.config_path), "DKV_NODE": "1", "DKV_DATA_DIR": missing}
        command = [*TWISTD, "-n", "--pidfile=", "dkvnode"]
        self.assert_one_line(run(command, **variables), missing, "does not exist", status=1)
        self.assert_one_line(run([*command, "--node", "8"], **variables), "node 8 is not a member", status=2)


class StopTest(OneNodeTest):
    """A supervisor that stops a node must see that it stopped well, and find the data at the next start."""

    def test_sigterm(self) -> None:
        """A clean end, the start and the stop logged, every line JSON, and all that was written is there again."""
        for life in range(2):
            self.cluster.start()
            for number in range(life):
                self.assertEqual(self.node.call("GET", f"life{number}"), b"\x00\xff")
            self.assertEqual(self.node.call("PUT", f"life{life}", b"\x00\xff"), "OK")
            self.node.stop()
        self.assertEqual(len(self.node.log_lines()), len(self.node.log_path.read_text().splitlines()))
        first, second = [line["boot"] for line in self.node.logged("started")]
        self.assertLess(first, second)
        for line in self.node.log_lines():
            self.assertEqual(line["node"], 1)
            self.assertTrue(line["actor"] and line["timestamp"] and line["level"], line)

    def test_answers_what_is_under_way(self) -> None:
        """A write that was sent before SIGTERM is acknowledged before the connection ends, and then it is there."""
        self.cluster.start()
        connection = self.node.connect()
        self.addCleanup(connection.close)
        for number in range(50):
            connection.send("PUT", f"k{number}", number)
        self.assertEqual(connection.read(), "OK")
        self.node.stop()
        acknowledged = 1
        try:
            while connection.read() == "OK":
                acknowledged += 1
        except EOFError:
            pass
        self.assertEqual(acknowledged, 50)
        self.cluster.start()
        self.assertEqual(self.node.call("GET", "k49"), b"49")
