"""The files that keep others out, as a run of a node has them: read at its start, and again when they change."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dkv.config.config import Config, parse_config
from dkv.console.cautions import Caution
from dkv.net.securing import PEERS, handshakes_allowed
from dkv.node import watched_files
from dkv.node.logs import get_logger
from dkv.node.protection import Protection, ProtectionError
from dkv.node.tuning import DESCRIPTORS_RESERVED, connections_allowed
from dkv.node.watched_files import LOOK_SECONDS, SOON_SECONDS
from tests.certificates import Certificates
from tests.integration.processes import child_environment

WITHOUT_OPENSSL = """
import sys
for name in ("OpenSSL", "cryptography", "service_identity"):
    sys.modules[name] = None
import dkv.cli.main, dkv.client, dkv.client.twisted, dkv.embedding, dkv.node.service
from dkv.config.config import parse_config
from dkv.net.securing import handshakes_allowed
from dkv.node.protection import Protection
from dkv.node.shared_process import SharedProcess
from twisted.internet.task import Clock
files = {"ca": "a", "certificate": "b", "key": "c"}
member = {"id": 1, "client": "127.0.0.1:5001", "peer": "127.0.0.1:5101"}
for tls in ({}, {"tls": files}):
    config = parse_config({"cluster": "c", "node": [member]} | tls)
    Protection(SharedProcess(Clock(), config, 1), config, 1).load()
"""
"""How Python spells packages that are not installed."""


class Reactor(Clock):
    def callFromThread(self, call: Callable[..., Any], *arguments: Any) -> None:
        call(*arguments)


class Owner:
    """Some process."""

    def __init__(self) -> None:
        self.reactor = Reactor()
        self.hangups: list[Callable[[], None]] = []

    def descriptors(self) -> int:
        return 1024

    def get_logger(self, actor: str) -> Any:
        return get_logger(1, actor)

    def obey_hangup(self, call: Callable[[], None]) -> None:
        self.hangups.append(call)


class ProtectionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(watched_files.WatchedFiles.__init__, "__defaults__", (lambda work: work(),))
        self.owner: Any = Owner()

    def config(self, tls: dict[str, str] | None = None) -> Config:
        member = {"id": 1, "client": "127.0.0.1:5001", "peer": "127.0.0.1:5101"}
        return parse_config({"cluster": "c", "node": [member]} | ({"tls": tls} if tls is not None else {}))

    def protection(self, config: Config) -> Protection:
        """Loaded and started; it ends with the test."""
        protection = Protection(self.owner, config, 1)
        protection.load()
        protection.start()
        self.addCleanup(protection.stop)
        return protection

    def metrics(self, protection: Protection) -> dict[str, float]:
        """All samples, by name and label."""
        samples = [sample for metric in protection.metrics() for sample in metric.samples]
        return {f"{sample.name}{''.join(sample.labels.values())}": sample.value for sample in samples}

    def test_nothing_to_protect_with(self) -> None:
        """A node without any of it has nothing to look at, and nothing to tell."""
        protection = self.protection(self.config())
        self.assertEqual((protection.security, list(protection.cautions()), self.metrics(protection)), (None, [], {}))
        self.assertEqual(self.owner.reactor.getDelayedCalls(), [])

    def test_certificates(self) -> None:
        """SIGHUP lets a node look at once; what is broken stays out, and is told in all three places."""
        certificates = Certificates(Path(self.mktemp()), "c")
        home = certificates.directory
        files = {"ca": "ca.pem", "certificate": "node{id}.pem", "key": "node{id}.key"}
        protection = self.protection(self.config({name: str(home / file) for name, file in files.items()}))
        self.assertIsNotNone(protection.security)
        first = self.metrics(protection)
        self.assertEqual((first["dkv_credentials_refusedtls"], first["dkv_tls_refused_total"]), (0, 0))
        with capture_logs() as lines:
            certificates.node(1, days=2)
            (hang_up,) = self.owner.hangups
            hang_up()
        events = [(line["event"], line.get("kind")) for line in lines]
        self.assertEqual(events, [("credentials_need_care", None), ("credentials_taken_over", "tls")])
        self.assertEqual(int(self.metrics(protection)["dkv_credentials_expire_dayscertificate"]), 1)
        self.assertEqual(list(protection.cautions()), [Caution("tls", "the certificate expires in 1 day")])
        with capture_logs() as lines:
            (home / "node1.key").write_text("rubbish")
            hang_up()
            self.owner.reactor.pump([SOON_SECONDS, LOOK_SECONDS, LOOK_SECONDS])
        (line,) = lines
        self.assertEqual((line["event"], line["log_level"]), ("credentials_refused", "error"))
        self.assertEqual(self.metrics(protection)["dkv_credentials_refusedtls"], 1)
        broken = f"tls: {home}/node1.key has no private key in PEM that can be used for TLS"
        self.assertIn(Caution("credentials", f"{broken}; what was read before is in force"), protection.cautions())
        protection.stop()
        self.assertEqual(self.owner.reactor.getDelayedCalls(), [])

    def test_an_expired_certificate_replaces_no_good_one(self) -> None:
        """Whoever copies the file of last year does not cut the node off. A node starts with it all the same: a clock
        may be wrong."""
        certificates = Certificates(Path(self.mktemp()), "c")
        home = certificates.directory
        files = {"ca": "ca.pem", "certificate": "node{id}.pem", "key": "node{id}.key"}
        config = self.config({name: str(home / file) for name, file in files.items()})
        protection = self.protection(config)
        certificates.expired(1, "node1")
        with capture_logs() as lines:
            self.owner.hangups[0]()
            self.owner.reactor.pump([SOON_SECONDS, LOOK_SECONDS, LOOK_SECONDS])
        told = f"the certificate in {home}/node1.pem has expired, and the one in force has not"
        self.assertEqual([(line["event"], line["reason"]) for line in lines], [("credentials_refused", told)])
        self.assertGreater(self.metrics(protection)["dkv_credentials_expire_dayscertificate"], 0)
        later = self.protection(config)
        self.assertLess(self.metrics(later)["dkv_credentials_expire_dayscertificate"], 0)
        certificates.expired(1, "node1")
        with capture_logs() as lines:
            self.owner.hangups[1]()
        self.assertIn("credentials_taken_over", [line["event"] for line in lines])

    def test_a_key_that_everybody_may_read(self) -> None:
        """It is told until it is mended, though what is in the file stays the same. A certificate is no secret."""
        certificates = Certificates(Path(self.mktemp()).absolute(), "c")
        home = certificates.directory
        key = home / "node1.key"
        key.chmod(0o644)
        (home / "node1.pem").chmod(0o644)
        files = {"ca": "ca.pem", "certificate": "node{id}.pem", "key": "node{id}.key"}
        protection = self.protection(self.config({name: str(home / file) for name, file in files.items()}))
        self.assertEqual(list(protection.readable()), [str(key)])
        key.chmod(0o600)
        protection.look()
        self.assertEqual(list(protection.readable()), [])

    def test_a_peer_that_is_refused_once_more(self) -> None:
        """Peers dial every second: one line says what is wrong, and another one if it is wrong again a year later."""
        certificates = Certificates(Path(self.mktemp()), "c")
        files = {"ca": "ca.pem", "certificate": "node{id}.pem", "key": "node{id}.key"}
        settings = {name: str(certificates.directory / file) for name, file in files.items()}
        policy: Any = self.protection(self.config(settings)).security
        with capture_logs() as lines:
            for port in range(3):
                policy.refused(PEERS, f"10.0.0.2:{port}", "its certificate has expired")
            policy.admitted(PEERS, "10.0.0.2:4")
            policy.refused(PEERS, "10.0.0.2:5", "its certificate has expired")
        self.assertEqual([line["event"] for line in lines], ["tls_refused"] * 2)

    def test_handshakes_leave_open_files_to_others(self) -> None:
        """A crowd that stops in the middle must not take what LevelDB needs, and few open files are enough to serve."""
        tls = self.config({"ca": "a", "certificate": "b", "key": "c"})
        for descriptors, clients in ((1024, 200), (4096, 2000), (65_536, 10_000)):
            handshakes = handshakes_allowed(descriptors)
            allowed = [connections_allowed(config, descriptors, get_logger(1, "x")) for config in (tls, self.config())]
            self.assertGreaterEqual(allowed[0], clients)
            self.assertLessEqual(allowed[0] + 3 * handshakes + DESCRIPTORS_RESERVED, descriptors)
            self.assertLessEqual(allowed[0], allowed[1])

    def test_a_start_with_broken_files(self) -> None:
        """The operator is there, and reads what to mend."""
        protection = Protection(self.owner, self.config({"ca": "/ca", "certificate": "/c", "key": "/k"}), 1)
        error = self.assertRaises(ProtectionError, protection.load)
        self.assertEqual(str(error), "cannot read /c: No such file or directory")

    def test_other_files(self) -> None:
        """What other parts of a node rest on is watched alike, also once it runs."""
        protection = self.protection(self.config())
        path = Path(self.mktemp())
        applied: list[str] = []
        path.write_text("one")
        self.assertEqual(protection.watch("users", [str(path)], path.read_text, applied.append), "one")
        path.write_text("two")
        with capture_logs():
            protection.look()
        self.assertEqual(applied, ["two"])

    def test_without_the_extra(self) -> None:
        """A node without TLS runs where OpenSSL is not installed; one with TLS says what is missing."""
        run = subprocess.run(
            [sys.executable, "-c", WITHOUT_OPENSSL], capture_output=True, text=True, timeout=60, env=child_environment()
        )
        last = run.stderr.splitlines()[-1]
        self.assertIn("ProtectionError: the section [tls] needs packages that are not installed", last)
        self.assertIn("install dkv with its extra tls", last)
