"""Users at a real node: passwords, certificates, a file that changes, and what is told of all that to nobody."""

from __future__ import annotations

import shutil
import signal
import ssl
import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.certificates import Certificates
from tests.cli.commands import run
from tests.integration.processes import HOST, Connection, RealCluster, Refused, free_ports, wait_until

SECRET = "hunter2-of-the-app"
WRONG = "WRONGPASS invalid username-password pair or user is disabled."


class UsersTest(SynchronousTestCase):
    """One node with a port for TLS, whose users ``dkv user`` makes."""

    def setUp(self) -> None:
        (self.tls_port,) = free_ports(1)
        self.cluster = RealCluster(size=1, top='users_file = "users.toml"')
        self.addCleanup(self.cluster.close)
        self.node = self.cluster.nodes[0]
        self.file = self.cluster.directory / "users.toml"
        self.password_file = self.cluster.directory / "password"
        self.certificates = Certificates(self.cluster.directory / "certs", self.cluster.name, [1])
        text = self.cluster.config_path.read_text().replace(
            "[[node]]", f'[[node]]\nclient_tls = "{HOST}:{self.tls_port}"'
        )
        self.cluster.config_path.write_text(f"{text}\n{self.certificates.settings(client_certificates='optional')}")
        self.user(
            "add", "app", "--may", "read", "--may", "write", "--keys", "app:*", "--certificate", "app", password=SECRET
        )
        self.user("add", "root", "--may", "all", "--keys", "*", "--channels", "*", password="root's")
        self.node.start()
        wait_until(self.answers, 20.0, lambda: f"the node serves: {self.cluster.tail(self.node)}")

    def user(self, *words: str, password: str = "") -> None:
        """Change the file of users."""
        if password:
            self.password_file.write_text(password)
            words = (*words, "--password-file", str(self.password_file))
        result = run("user", *words, "--file", str(self.file))
        self.assertEqual(result.exit_code, 0, result.output)

    def answers(self) -> bool:
        """Whether the node serves its users."""
        try:
            return self.login("root", "root's").call("GET", "app:x") is None
        except (OSError, EOFError, Refused):
            return False

    def login(self, user: str, password: str) -> Connection:
        """A connection of this user."""
        connection = self.node.connect()
        self.addCleanup(connection.close)
        self.assertEqual(connection.call("AUTH", user, password), "OK")
        return connection

    def refusal(self, connection: Connection, *words: str) -> str:
        """Why a request is refused."""
        return str(self.assertRaises(Refused, connection.call, *words))

    def test_users(self) -> None:
        """What users, strangers and holders of certificates get; passwords are nowhere; a changed file takes force."""
        self.check_strangers()
        self.check_pipeline()
        self.check_certificate()
        self.check_redis_cli()
        self.check_reload()
        self.check_nothing_is_told()

    def check_strangers(self) -> None:
        """Nothing for those who do not say who they are, and no difference between a wrong name and a wrong word."""
        stranger = self.node.connect()
        self.addCleanup(stranger.close)
        for words in (("GET", "app:1"), ("NONSENSE",), ("CLIENT", "LIST"), ("DKV.STATUS",)):
            self.assertEqual(self.refusal(stranger, *words), "NOAUTH Authentication required.")
        for name in ("app", "nobody", "default"):
            self.assertEqual(self.refusal(stranger, "AUTH", name, "wrong"), WRONG)
        stranger.send("MGET", *["app:1"] * 10)
        self.assertIn("before AUTH the limit is 10", str(self.assertRaises(Refused, stranger.read)))
        self.assertRaises(EOFError, stranger.read)

    def check_pipeline(self) -> None:
        """All at once, with more behind AUTH than a stranger may send."""
        connection = self.node.connect()
        self.addCleanup(connection.close)
        value = b"x" * 100_000
        connection.send("AUTH", "app", SECRET)
        connection.send("SET", "app:1", value)
        connection.send("GET", "app:1")
        connection.send("GET", "other")
        self.assertEqual([connection.read() for _ in range(3)], ["OK", "OK", value])
        self.assertRaises(Refused, connection.read)

    def check_certificate(self) -> None:
        """A certificate of a user needs no password; one of nobody opens nothing."""
        self.assertEqual(self.over_tls("app", b"GET nothing\r\nAUTH x\r\nRESET\r\nGET app:2\r\n")[-5:], b"$-1\r\n")
        self.assertEqual(self.over_tls("else", b"GET app:2\r\n"), b"-NOAUTH Authentication required.\r\n")

    def over_tls(self, name: str, requests: bytes) -> bytes:
        """What the holder of a certificate is answered."""
        pair = self.certificates.client(name)
        context = ssl.create_default_context(cafile=str(self.certificates.ca))
        context.load_cert_chain(pair.certificate, pair.key)
        connection = Connection(self.tls_port)
        with context.wrap_socket(connection.socket, server_hostname="localhost") as secured:
            secured.sendall(requests)
            heard = b""
            while heard.count(b"\r\n") < requests.count(b"\r\n"):
                heard += secured.recv(65536)
        connection.close()
        return heard

    def check_redis_cli(self) -> None:
        """Redis's own client logs in as it does anywhere."""
        binary = shutil.which("redis-cli")
        if binary is not None:
            command = [binary, "-p", str(self.node.port), "--user", "app", "--pass", SECRET, "--no-auth-warning"]
            done = subprocess.run([*command, "STRLEN", "app:1"], capture_output=True, timeout=20, check=True)
            self.assertEqual(done.stdout.strip(), b"100000")

    def check_reload(self) -> None:
        """A password is changed while clients run; then the user goes, and its connections with it."""
        app, root = self.login("app", SECRET), self.login("root", "root's")
        self.user("password", "app", "--keep-old", password="another one")
        self.change_taken(1)
        self.login("app", "another one")
        self.login("app", SECRET)
        self.user("password", "app", "--drop-old")
        self.change_taken(2)
        self.assertEqual(self.refusal(root, "AUTH", "app", SECRET), WRONG)
        self.assertEqual(app.call("STRLEN", "app:1"), 100_000)
        kept = self.file.read_text()
        self.file.write_text("[user.app")
        self.node.signal(signal.SIGHUP)
        self.node.wait_logged("credentials_refused")
        self.assertEqual(app.call("STRLEN", "app:1"), 100_000)
        self.file.write_text(kept)
        self.user("remove", "app")
        self.change_taken(3)
        self.assertRaises((EOFError, OSError), app.call, "PING")
        self.assertEqual(root.call("PING"), "PONG")

    def change_taken(self, times: int) -> None:
        """The node has taken over the file as it is."""

        def taken() -> bool:
            self.node.signal(signal.SIGHUP)
            return len(self.node.logged("users_changed")) >= times

        wait_until(taken, 20.0, "the users have changed")

    def check_nothing_is_told(self) -> None:
        """No password is in the log or on the disk of the node, whether it was right or wrong."""
        root = self.login("root", "root's")
        for words in (("AUTH", "root", "mistyped-hunter3"), ("HELLO", "3", "AUTH", "hunter3-in-place", "x")):
            self.assertEqual(self.refusal(root, *words), WRONG)
        self.assertNotIn(b"hunter", root.call("CLIENT", "LIST"))
        self.assertTrue(self.node.wait_logged("login_refused"))
        self.assertIn(b'dkv_refused_requests_total{reason="WRONGPASS"}', root.call("DKV.METRICS"))
        self.node.stop()
        kept = [self.node.log_path, *(path for path in Path(self.node.directory).rglob("*") if path.is_file())]
        self.assertEqual([str(path) for path in kept if b"hunter" in path.read_bytes()], [])
