"""SENTINEL, word by word beside a real sentinel of Redis: libraries take its answers apart by the names of fields."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SkipTest

from dkv.console.sentinel_view import ClientAddress, Other
from dkv.wire.reply_encoder import ReplyEncoder
from tests.console.spoken import Spoken
from tests.integration.processes import HOST, Connection, free_ports, wait_until
from tests.net.client_port import encoded
from tests.oracle.reply_tree import Reply, read_reply

SECONDS = 20.0
DOWN_MILLISECONDS = 500


class RealSentinels:
    """Two sentinels that watch a master named c, and its replica."""

    def __init__(self, binary: str) -> None:
        self._directory = TemporaryDirectory(prefix="oracle-sentinel-")
        self._processes: list[subprocess.Popen[bytes]] = []
        self.master_port, replica_port, *self.ports = free_ports(4)
        self.master = self._run(binary, "--port", str(self.master_port), "--save", "")
        self._run(
            *(binary, "--port", str(replica_port), "--save", "", "--replicaof", HOST, str(self.master_port)),
            *("--repl-diskless-sync-delay", "0"),
        )
        for port in self.ports:
            path = Path(self._directory.name) / f"{port}.conf"
            path.write_text(
                f"port {port}\nsentinel monitor c {HOST} {self.master_port} 3\n"  # 3: it is never taken for certain
                f"sentinel down-after-milliseconds c {DOWN_MILLISECONDS}\n"
            )
            self._run(binary, str(path), "--sentinel")

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            command, cwd=self._directory.name, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
        )
        self._processes.append(process)
        return process

    def ask(self, line: str, protocol: int = 2) -> Reply:
        """The answer of the first sentinel."""
        connection = Connection(self.ports[0])
        try:
            connection.socket.sendall(encoded(b"HELLO", b"%d" % protocol) + encoded(*line.encode().split()))
            data = b""
            replies: list[Reply] = []
            while len(replies) < 2:
                data += connection.socket.recv(1 << 16)
                while (found := read_reply(data)) is not None:
                    replies.append(found[0])
                    data = data[found[1] :]
            return replies[1]
        finally:
            connection.close()

    def knows_all(self) -> bool:
        """Whether it has found the replica and the other sentinel, and the replica is whole."""
        try:
            replicas, sentinels = self.ask("SENTINEL REPLICAS c"), self.ask("SENTINEL SENTINELS c")
        except OSError:
            return False
        return len(replicas.items) == len(sentinels.items) == 1 and b"wait" not in replicas.data

    def stop(self) -> None:
        """End all processes."""
        for process in self._processes:
            process.kill()
            process.wait()
        self._directory.cleanup()


def shape(reply: Reply) -> object:
    """What a library sees of an answer, whatever the values are: kinds, lengths, and the names of fields."""
    if reply.kind == b"%":
        return ["%", [each.bulk for each in reply.items[::2]], {each.kind for each in reply.items}]
    if reply.kind == b"*" and len(reply.items) > 2 and all(each.kind == b"$" for each in reply.items):
        return ["fields", [each.bulk for each in reply.items[::2]]]
    if reply.kind == b"*" and reply.items:
        return ["*", [shape(each) for each in reply.items]]
    return reply.data if reply.kind in b"-_*" or reply.data == b"$-1\r\n" else reply.kind


def field(reply: Reply, name: bytes) -> bytes:
    """A field of the first of a list of fields."""
    values = [each.bulk for each in reply.items[0].items]
    return dict(zip(values[::2], values[1::2], strict=True))[name]


class SentinelOracleTests(Spoken):
    """One session of a node that has two voters beside it, and a real sentinel with one replica and one other."""

    def setUp(self) -> None:
        super().setUp()
        binary = shutil.which("redis-server")
        if binary is None:
            raise SkipTest("redis-server is not installed")
        self.sentinels = RealSentinels(binary)
        self.addCleanup(self.sentinels.stop)
        self.node.sentinel.run_id = lambda node=1: f"{node:040x}"
        self.reach(0.1)
        wait_until(self.sentinels.knows_all, SECONDS, "the sentinels have found each other")

    def reach(self, silent_seconds: float | None) -> None:
        """The other voter was silent for so long."""
        self.node.sentinel.others.return_value = [Other(2, ClientAddress("db2", 7379), silent_seconds, 3)]

    def own(self, line: str, protocol: int = 2) -> Reply:
        """The answer of dkv."""
        encoder = ReplyEncoder()
        encoder.protocol = protocol
        found = read_reply(encoder.encode([self.local(line)]))
        assert found is not None
        return found[0]

    def compare(self, *lines: str) -> None:
        for line in lines:
            for protocol in (2, 3):
                self.assertEqual(shape(self.own(line, protocol)), shape(self.sentinels.ask(line, protocol)), line)

    def test_answers(self) -> None:
        """The same fields in the same order, the same kinds of replies, and the same errors to the letter.

        A master that is down has one flag and one field more. It is one test, since sentinels find each other slowly.
        """
        self.compare(
            "SENTINEL MASTERS",
            "SENTINEL MASTER c",
            "SENTINEL REPLICAS c",
            "SENTINEL SLAVES c",
            "SENTINEL SENTINELS c",
            "SENTINEL GET-MASTER-ADDR-BY-NAME c",
            "SENTINEL GET-MASTER-ADDR-BY-NAME nope",
            "SENTINEL MYID",
            "SENTINEL MASTER nope",
            "SENTINEL SLAVES nope",
            "SENTINEL SENTINELS nope",
            "SENTINEL CKQUORUM nope",
            "SENTINEL NOPE",
            "SENTINEL MASTER",
            "SENTINEL MASTERS x",
        )
        self.assertEqual(self.own("SENTINEL CKQUORUM c").kind, b"+")
        self.sentinels.master.kill()
        self.sentinels.master.wait()
        wait_until(
            lambda: field(self.sentinels.ask("SENTINEL MASTERS"), b"flags").startswith(b"s_down,"), SECONDS, "s_down"
        )
        self.node.sentinel.down = True
        self.compare("SENTINEL MASTERS")
        self.assertEqual(field(self.own("SENTINEL MASTERS"), b"flags"), b"s_down,master")
        self.assertIn(
            field(self.sentinels.ask("SENTINEL MASTERS"), b"flags"), (b"s_down,master", b"s_down,master,disconnected")
        )
