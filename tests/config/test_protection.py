"""The settings that keep others out: TLS, and the files of users, secrets and tokens."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dkv.config.config import Config, ConfigError, load_config
from dkv.config.listen_endpoint import parse_endpoint
from dkv.config.tls_settings import TlsSettings

TOP = 'cluster = "c"\n'
NODE = '[[node]]\nid = 3\nclient = "127.0.0.1:5001"\npeer = "127.0.0.1:5101"\n'
TLS = '[tls]\nca = "certs/ca.pem"\ncertificate = "/x/node{id}.pem"\nkey = "../node{id}.key"\n'


class ProtectionTests(SynchronousTestCase):
    def load(self, text: str) -> Config:
        """Load a file in a folder of its own."""
        self.folder = os.path.abspath(self.mktemp())
        os.mkdir(self.folder)
        path = Path(self.folder, "cluster.toml")
        path.write_text(text, encoding="utf-8")
        return load_config(os.path.relpath(path))

    def assertWrong(self, text: str, *words: str) -> None:
        """Loading fails with one line that has all the words."""
        error = str(self.assertRaises(ConfigError, self.load, text))
        self.assertNotIn("\n", error)
        for word in words:
            self.assertIn(word, error)

    def test_nothing_is_protected_unless_it_is_said(self) -> None:
        """A config file of an earlier version means what it meant."""
        config = self.load(TOP + NODE)
        self.assertEqual((config.tls, config.users_file, config.peer_secret_file), (None, None, None))
        self.assertEqual((config.admin_token_file, config.members[0].has_tls), (None, False))

    def test_paths_are_relative_to_the_file(self) -> None:
        """twistd may go to another directory, and nodes are started from anywhere."""
        files = 'users_file = "users.toml"\npeer_secret_file = "s/peer.secret"\nadmin_token_file = "/run/token"\n'
        config = self.load(TOP + files + NODE + TLS)
        self.assertEqual(config.users_file, f"{self.folder}/users.toml")
        self.assertEqual(config.peer_secret_file, f"{self.folder}/s/peer.secret")
        self.assertEqual((config.peer_secret, config.admin_token_file), ("require", "/run/token"))
        above = os.path.dirname(self.folder)
        expected = TlsSettings(f"{self.folder}/certs/ca.pem", "/x/node{id}.pem", f"{above}/node{{id}}.key")
        self.assertEqual(config.tls, expected)
        self.assertEqual(expected.certificate_of(3), "/x/node3.pem")
        self.assertEqual(expected.key_of(12), f"{above}/node12.key")

    def test_words(self) -> None:
        """All that can be said of TLS is taken."""
        tls = self.load(TOP + NODE + TLS + 'crl = "/x/crl"\npeers = "prefer"\nclient_certificates = "optional"\n').tls
        assert tls is not None
        self.assertEqual((tls.crl, tls.peers, tls.client_certificates), ("/x/crl", "prefer", "optional"))
        self.assertEqual(self.load('peer_secret = "allow"\npeer_secret_file = "s"\n' + TOP + NODE).peer_secret, "allow")

    def test_ports_beside_plain_ones(self) -> None:
        """Clients move to TLS one by one, while both ports are there."""
        ports = 'admin = "5201"\nclient_tls = "127.0.0.1:5301"\nadmin_tls = "5401"\n'
        member = self.load(TOP + NODE + ports + TLS).members[0]
        self.assertEqual(
            (member.client, member.client_tls), tuple(map(parse_endpoint, ("127.0.0.1:5001", "127.0.0.1:5301")))
        )
        self.assertEqual(
            (member.admin, member.admin_tls), tuple(map(parse_endpoint, ("127.0.0.1:5201", "127.0.0.1:5401")))
        )
        self.assertEqual((member.client_is_tls, member.admin_is_tls, member.has_tls), (False, False, True))
        self.assertEqual(list(member.endpoints()), ["client", "client_tls", "peer", "admin", "admin_tls"])

    def test_ports_without_plain_ones(self) -> None:
        """All that tells addresses to clients tells the one with TLS then."""
        node = NODE.replace("client =", "client_tls =") + 'admin_tls = "5401"\n'
        member = self.load(TOP + node + TLS).members[0]
        self.assertEqual((member.client, member.client_tls), (parse_endpoint("127.0.0.1:5001"), None))
        self.assertEqual((member.admin, member.admin_tls), (parse_endpoint("127.0.0.1:5401"), None))
        self.assertEqual((member.client_is_tls, member.admin_is_tls, member.has_tls), (True, True, True))
        self.assertEqual(list(member.endpoints()), ["client_tls", "peer", "admin_tls"])

    def test_mistakes(self) -> None:
        """Each mistake is told where it stands and what would be right."""
        self.assertWrong(TOP + NODE + 'client_tls = "127.0.0.1:5301"\n', "[[node]] 3: client_tls needs a section [tls]")
        self.assertWrong(TOP + NODE + 'admin_tls = "5301"\n', "[[node]] 3: admin_tls needs a section [tls]")
        self.assertWrong(TOP + NODE.replace('client = "127.0.0.1:5001"\n', ""), "[[node]] 3: client is missing")
        same = 'client_tls = "127.0.0.1:5001"\n'
        self.assertWrong(TOP + NODE + same + TLS, "client and client_tls of node 3 are the same endpoint")
        self.assertWrong(TOP + "tls = 1\n" + NODE, "tls must be a table, [tls]")
        self.assertWrong(TOP + NODE + TLS.replace("ca =", "caa ="), "unknown key 'caa' in [tls]; did you mean 'ca'?")
        self.assertWrong(TOP + NODE + '[tls]\nca = "a"\nkey = "b"\n', "in [tls]: certificate is missing")
        self.assertWrong(TOP + NODE + TLS.replace('"certs/ca.pem"', '""'), "in [tls]: ca = ''")
        self.assertWrong(TOP + NODE + TLS.replace("{id}.pem", "{node}.pem"), "{node} stands for nothing", "{id}")
        self.assertWrong(TOP + NODE + TLS.replace("ca.pem", "{id}.pem"), "{id} stands for nothing; every node has")
        zero = "\\u0000"  # as TOML writes it
        self.assertWrong(TOP + NODE + TLS.replace("ca.pem", zero), "is no path")
        self.assertWrong(f'users_file = "{zero}"\n' + TOP + NODE, "is no path")
        self.assertWrong(TOP + NODE + TLS + 'peers = "requires"\n', "peers = 'requires' must be", "mean 'require'?")
        self.assertWrong(TOP + NODE + TLS + "client_certificates = true\n", "client_certificates = True must be 'off',")
        self.assertWrong('peer_secret = "allow"\n' + TOP + NODE, "there is no peer_secret_file")
        self.assertWrong('peer_secret = "off"\npeer_secret_file = "s"\n' + TOP + NODE, "must be 'allow' or 'require'")
        self.assertWrong("users_file = 1\n" + TOP + NODE, "users_file = 1 must be a string")
