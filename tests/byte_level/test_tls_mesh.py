"""The real meshes over TLS, on a network that does what networks do.

A seed decides what befalls the connections. It does not decide OpenSSL's random numbers, so two runs of one seed are
alike and not the same.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dkv.config.tls_settings import OFF, TlsSettings
from dkv.net.peer_tls import PeerTls
from dkv.tls.credentials import load_credentials
from dkv.tls.policy import TlsPolicy
from tests.byte_level.members import TIMINGS, Meeting
from tests.byte_level.sites import Site
from tests.byte_level.storms import MeshStorm
from tests.certificates import Certificates

SEEDS = 12
CLUSTER = "blue"
HANDSHAKE_WINDOW_BYTES = 5_000
"""A network that takes less at once is so slow that certificates alone take longer than a dial may."""


class TlsStorms(SynchronousTestCase):
    def setUp(self) -> None:
        certificates = Certificates(Path(self.mktemp()), CLUSTER)
        self.credentials = {}
        for node in (1, 2, 3):
            name = certificates.directory / f"node{node}"
            settings = TlsSettings(str(certificates.ca), f"{name}.pem", f"{name}.key", str(certificates.crl), OFF)
            self.credentials[node] = load_credentials(settings, node, CLUSTER)

    def tls(self, site: Site, node: int) -> PeerTls:
        """TLS for a life of a node, which requires it."""
        policy = TlsPolicy(site, self.credentials[node], lambda port, address, reason: None)
        return PeerTls(policy, dials=True, required=True)

    def test_storms(self) -> None:
        """Between two nodes TLS is one more part that can lose an end, a byte or a turn: it must not."""
        arrived = 0
        for seed in range(SEEDS):
            meeting = Meeting(2 + seed % 2, seed, tls=self.tls)
            meeting.net.window_bytes = max(meeting.net.window_bytes, HANDSHAKE_WINDOW_BYTES)
            try:
                weather = MeshStorm(meeting)
                meeting.net.run(6.0)
                weather.heal()
                meeting.net.run(TIMINGS.silence_seconds)
                meeting.settle()
            except Exception as error:
                raise AssertionError(f"seed {seed}: {error}") from error
            for member in meeting.members.values():
                arrived += sum(map(len, member.inbox.received.values()))
                secured = [line["tls"] for line in member.inbox.lines("peer_found")]
                self.assertEqual(set(secured), {True})
        self.assertGreater(arrived, 50 * SEEDS, "messages did arrive")
