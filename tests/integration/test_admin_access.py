"""Who sees the pages of the admin port, and what a node says of ports that are open to everyone."""

from __future__ import annotations

import signal
import ssl
from http.client import HTTPConnection, HTTPSConnection

from twisted.trial.unittest import SynchronousTestCase

from tests.certificates import Certificates, Pair
from tests.integration.processes import HOST, RealCluster, free_ports, wait_until

TOKEN = "made-for-this-test-0123456789"
USERS = """
[user.root]
certificate = "root"
may = ["all"]
keys = ["*"]
[user.app]
certificate = "app"
may = ["read", "write"]
keys = ["*"]
"""
OTHER = "made-for-this-test-9876543210"


class AdminAccessTest(SynchronousTestCase):
    """One node, started again for each config."""

    def setUp(self) -> None:
        self.cluster = RealCluster(1, top='admin_token_file = "admin.token"\n')
        self.addCleanup(self.cluster.close)
        self.node = self.cluster.nodes[0]
        self.token_path = self.cluster.directory / "admin.token"

    def fetch(self, path: str, token: str | None = None, scheme: str = "Bearer") -> tuple[int, str]:
        """Status and body of one request."""
        connection = HTTPConnection(HOST, self.node.admin_port, timeout=10)
        try:
            connection.request("GET", path, headers={} if token is None else {"Authorization": f"{scheme} {token}"})
            response = connection.getresponse()
            self.assertEqual(response.getheader("Connection"), "close")
            if response.status == 401:
                self.assertEqual(response.getheader("WWW-Authenticate"), "Bearer")
            return response.status, response.read().decode()
        finally:
            connection.close()

    def is_open_to(self, token: str) -> bool:
        """Whether this token opens the port."""
        return self.fetch("/status", token)[0] == 200

    def test_token(self) -> None:
        """Only whoever has the token sees what a node tells; probes need none. A new token counts without a restart,
        a broken file changes nothing and is said, and no token ever gets into the log."""
        self.token_path.write_text(TOKEN)
        self.token_path.chmod(0o604)
        self.cluster.start()
        wait_until(lambda: self.fetch("/readyz")[0] == 200, 10.0, "it is ready")
        readable = f"[!]readable_secret: every user of this machine may read {self.token_path}: chmod 600 it"
        self.assertIn(readable, self.fetch("/readyz")[1])
        for path in ("/status", "/metrics", "/nothing", "/", "/status/more"):
            self.assertEqual(self.fetch(path)[0], 401, path)
            self.assertEqual(self.fetch(path, OTHER)[0], 401, path)
            self.assertEqual(self.fetch(path, TOKEN, "Basic")[0], 401, path)
        self.assertEqual(self.fetch("/readyz/../status")[0], 404)
        self.assertEqual([self.fetch(path, TOKEN)[0] for path in ("/status", "/metrics", "/nothing")], [200, 200, 404])
        self.token_path.chmod(0o600)
        self.token_path.write_text(f"{OTHER}\n")
        self.node.signal(signal.SIGHUP)
        wait_until(lambda: self.is_open_to(OTHER), 10.0, "the new token opens the port")
        self.assertEqual(self.fetch("/status", TOKEN)[0], 401)
        self.assertEqual(self.fetch("/readyz")[1], "ok\n")
        self.token_path.write_text("abc")
        self.node.signal(signal.SIGHUP)
        (refused,) = self.node.wait_logged("credentials_refused")
        reason = f"the admin token file {self.token_path}: the token in line 1 has fewer than 20 characters"
        self.assertEqual((refused["kind"], refused["reason"]), ("admin_token", reason))
        told = f"[!]credentials: admin_token: {reason}; what was read before is in force\n"
        self.assertIn(told, self.fetch("/readyz")[1])
        self.assertTrue(self.is_open_to(OTHER))
        log = self.node.log_path.read_text()
        self.assertNotIn(TOKEN, log)
        self.assertNotIn(OTHER, log)

    def test_certificate(self) -> None:
        """The certificate of a user who may do what is `admin` opens the port with TLS; that of another user does not,
        and neither does what opened it before the users were changed."""
        made = Certificates(self.cluster.directory / "certs", "test", [1])
        root, app = made.client("root"), made.client("app")
        users = self.cluster.directory / "users.toml"
        users.write_text(USERS)
        users.chmod(0o600)
        (self.tls_port,) = free_ports(1)
        text = self.cluster.config_path.read_text().replace("admin_token_file = ", "users_file = ")
        text = text.replace("admin.token", "users.toml") + f'admin_tls = "{HOST}:{self.tls_port}"\n'
        self.cluster.config_path.write_text(text + made.settings(client_certificates="optional"))
        self.node.start()
        wait_until(lambda: self.fetch_by_tls(made, "/readyz", None)[0] == 200, 20.0, "it is ready")
        self.assertEqual(self.fetch_by_tls(made, "/status", root)[0], 200)
        for pair in (app, None):
            status, told = self.fetch_by_tls(made, "/status", pair)
            self.assertEqual(status, 401)
            self.assertIn("show the certificate of a user who may do what is `admin`", told)
        users.write_text(USERS.replace('may = ["all"]', 'may = ["read"]'))
        self.node.signal(signal.SIGHUP)
        wait_until(lambda: self.fetch_by_tls(made, "/status", root)[0] == 401, 10.0, "root is no operator any more")

    def fetch_by_tls(self, made: Certificates, path: str, pair: Pair | None) -> tuple[int, str]:
        """Status and body of one request, with a certificate or without; 0 if nobody answers yet."""
        context = ssl.create_default_context(cafile=str(made.ca))
        if pair is not None:
            context.load_cert_chain(pair.certificate, pair.key)
        connection = HTTPSConnection(HOST, self.tls_port, timeout=10, context=context)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except ConnectionError:
            return 0, ""
        finally:
            connection.close()

    def test_no_token_file(self) -> None:
        """A node whose config names a file that is not there does not start without it; one line says why."""
        self.node.start()
        assert self.node.process is not None
        self.assertEqual(self.node.process.wait(20), 1)
        self.node.process = None
        (line,) = [line for line in self.node.log_path.read_text().splitlines() if line.startswith("dkvnode: ")]
        told = f"dkvnode: cannot read the admin token file {self.token_path}: No such file or directory"
        self.assertEqual(line, told)

    def test_beyond_loopback(self) -> None:
        """A port that other machines reach shows strangers nothing; the node says so, and which of its ports are open,
        at its start and wherever an operator looks."""
        text = self.cluster.config_path.read_text().replace('admin_token_file = "admin.token"\n', "")
        self.cluster.config_path.write_text(text.replace(f'"{HOST}:', '"0.0.0.0:').replace(
            f'peer = "0.0.0.0:{self.node.peer_port}"',
            f'peer = {{ bind = "0.0.0.0:{self.node.peer_port}", advertise = "{HOST}:{self.node.peer_port}" }}',
        ))  # fmt: skip
        self.cluster.start()
        status, told = self.fetch("/status")
        self.assertEqual(status, 403)
        self.assertIn("set admin_token_file in the config file, or let the port listen on 127.0.0.1", told)
        wait_until(lambda: self.fetch("/readyz")[0] == 200, 10.0, "it is ready")
        names = ["open_client", "unencrypted_client", "open_peer", "unencrypted_peer", "closed_admin"]
        lines = self.fetch("/readyz")[1].splitlines()
        self.assertEqual([line[3:].partition(":")[0] for line in lines[:-1]], names)
        self.assertIn("open to everyone who reaches it", lines[0])
        logged = [(line["level"], line["exposure"]) for line in self.node.wait_logged("exposed", len(names))]
        self.assertEqual(logged, [("warning", name) for name in names])
