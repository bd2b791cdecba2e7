"""Ports that a config leaves open, each with what to set."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.config.config import parse_config
from dkv.config.exposure import OPEN, exposures, is_local, may_visit
from dkv.config.listen_endpoint import parse_endpoint

TLS = {"ca": "ca.pem", "certificate": "node.pem", "key": "node.key"}


class ExposureTests(SynchronousTestCase):
    def names(self, node: dict[str, Any], **settings: Any) -> list[str]:
        """The names of what a node with these ports and settings exposes."""
        node = {"id": 1, "client": "127.0.0.1:5001", "peer": "127.0.0.1:6001"} | node
        if node["client"] is None:
            del node["client"]
        config = parse_config({"cluster": "c", "node": [node], **settings})
        self.texts = dict(exposures(config, config.members[0]))
        for text in self.texts.values():
            self.assertNotIn("\n", text)
        return list(self.texts)

    def test_loopback(self) -> None:
        """A lab on one machine is told nothing."""
        self.assertEqual(self.names({"admin": "7001"}), [])
        self.assertEqual(self.names({"client": "[::1]:5001", "admin": "unix:/run/dkv/admin"}), [])

    def test_is_local(self) -> None:
        """Only what certainly is on this machine alone counts as such."""
        for text in (
            "127.0.0.1:1",
            "127.9.9.9:1",
            "localhost:1",
            "[::1]:1",
            "unix:/run/x",
            "tcp:1:interface=127.0.0.1",
        ):
            self.assertTrue(is_local(parse_endpoint(text)), text)
        for text in ("*:1", "0.0.0.0:1", "[::]:1", "10.0.0.1:1", "host:1", "tcp:1", "systemd:domain=INET:index=0"):
            self.assertFalse(is_local(parse_endpoint(text)), text)

    def test_clients(self) -> None:
        """A port is open without users, whether or not it is encrypted; a certificate that must be shown closes it."""
        plain, tls = {"client": "10.0.0.1:5001"}, {"client": None, "client_tls": "10.0.0.1:5101"}
        self.assertEqual(self.names(plain), ["open_client", "unencrypted_client"])
        self.assertEqual(
            self.texts["open_client"],
            f"the port client (10.0.0.1:5001) is {OPEN}: set users_file, or have client_tls alone and "
            'client_certificates = "required" in [tls]',
        )
        self.assertEqual(self.names(plain, users_file="u"), ["unencrypted_client"])
        self.assertEqual(self.names(tls, tls=TLS), ["open_client"])
        self.assertEqual(self.names(tls, tls=TLS | {"client_certificates": "optional"}), ["open_client"])
        self.assertEqual(self.names(tls, tls=TLS | {"client_certificates": "required"}), [])
        self.assertEqual(self.names(tls, tls=TLS, users_file="u"), [])
        both = plain | {"client_tls": "10.0.0.1:5101"}
        required = TLS | {"client_certificates": "required"}
        self.assertEqual(self.names(both, tls=required), ["open_client", "unencrypted_client"])
        self.assertIn("10.0.0.1:5001", self.texts["open_client"])

    def test_peers(self) -> None:
        """A port is open as long as it takes a node at its word; a step on the way to TLS still does."""
        far = {"peer": "10.0.0.1:6001"}
        self.assertEqual(self.names(far), ["open_peer", "unencrypted_peer"])
        self.assertIn("or peer_secret_file", self.texts["open_peer"])
        self.assertEqual(self.names(far, peer_secret_file="s"), ["unencrypted_peer"])
        self.assertEqual(self.names(far, peer_secret_file="s", peer_secret="allow"), ["open_peer", "unencrypted_peer"])
        self.assertIn('or peer_secret = "require"', self.texts["open_peer"])
        for peers, expected in (
            ("off", ["open_peer", "unencrypted_peer"]),
            ("allow", ["open_peer", "unencrypted_peer"]),
            ("prefer", ["open_peer"]),
            ("require", []),
        ):
            self.assertEqual(self.names(far, tls=TLS | {"peers": peers}), expected, peers)
        self.assertEqual(self.names(far, tls=TLS | {"peers": "prefer"}, peer_secret_file="s"), [])

    def test_operators(self) -> None:
        """Pages that nobody could be kept from are not shown, and the operator reads why."""
        plain, tls = {"admin": "*:7001"}, {"admin_tls": "*:7101"}
        self.assertEqual(self.names(plain), ["closed_admin"])
        self.assertEqual(
            self.texts["closed_admin"],
            "the port admin (*:7001) shows no more than /livez and /readyz: set admin_token_file, or let it listen on "
            "127.0.0.1",
        )
        self.assertEqual(self.names(plain, admin_token_file="t"), ["unencrypted_admin"])
        self.assertEqual(self.names(tls, tls=TLS), ["closed_admin"])
        self.assertEqual(self.names(tls, tls=TLS, admin_token_file="t"), [])
        optional = TLS | {"client_certificates": "optional"}
        self.assertEqual(self.names(tls, tls=optional), [])
        self.assertEqual(self.names(plain | tls, tls=optional), ["closed_admin"])

    def test_may_visit(self) -> None:
        """The port itself goes by the same rule."""
        for admin, settings, expected in (
            ("127.0.0.1:7001", {}, True),
            ("10.0.0.1:7001", {}, False),
            ("10.0.0.1:7001", {"admin_token_file": "t"}, True),
        ):
            node = {"id": 1, "client": "127.0.0.1:5001", "peer": "127.0.0.1:6001", "admin": admin}
            config = parse_config({"cluster": "c", "node": [node], **settings})
            self.assertEqual(may_visit(config, "admin", parse_endpoint(admin)), expected)
