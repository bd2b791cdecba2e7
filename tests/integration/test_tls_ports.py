"""TLS beside plain ports on a real node: who gets in, and certificates that change while clients are connected."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import ssl
import threading
import time
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.settings import MIB
from tests.certificates import Certificates, Pair
from tests.integration.processes import HOST, Connection, RealCluster, Refused, free_ports, wait_until
from tests.integration.test_hostile_clients import resident_kib

SECONDS = 15.0

SLOW_BYTES_PER_SECOND = 8 * MIB
"""50 MiB take more time than a client has that does not read, by any of the deadlines for one."""


class TlsConnection(Connection):
    """As a plain connection, over TLS. An end without TLS's own word for it is an ``ssl.SSLEOFError``."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        super().__init__(port)
        self._file.close()
        self.socket = context.wrap_socket(self.socket, suppress_ragged_eofs=False)
        self._file = self.socket.makefile("rb")


class TlsPortTests(SynchronousTestCase):
    """One node, which is enough for its ports: `client_tls` and `admin_tls` beside the plain ones."""

    def setUp(self) -> None:
        self.cluster = RealCluster(1)
        self.addCleanup(self.cluster.close)
        self.node = self.cluster.nodes[0]
        self.certificates = Certificates(self.cluster.directory / "certs", "test", [1])
        self.client_port, self.admin_port = free_ports(2)

    def start(self, more: str = "", **tls: str) -> None:
        """Start the node with these settings of TLS, and ``more`` tables."""
        path = self.cluster.set_mode("leader")
        ports = f'client_tls = "{HOST}:{self.client_port}"\nadmin_tls = "{HOST}:{self.admin_port}"\n'
        path.write_text(path.read_text() + ports + self.certificates.settings(**tls) + more)
        self.cluster.start()

    def context(self, pair: Pair | None = None) -> ssl.SSLContext:
        """That of a client, with a certificate or without."""
        context = ssl.create_default_context(cafile=str(self.certificates.ca))
        context.check_hostname = False
        if pair is not None:
            context.load_cert_chain(pair.certificate, pair.key)
        return context

    def connect(self, pair: Pair | None = None) -> TlsConnection:
        """A connection to the port for clients."""
        connection = TlsConnection(self.client_port, self.context(pair))
        self.addCleanup(connection.close)
        return connection

    def get(self, path: str, pair: Pair | None = None) -> str:
        """A page of the port for operators."""
        connection = HTTPSConnection(HOST, self.admin_port, timeout=10, context=self.context(pair))
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def refused(self, port: int, pair: Pair | None) -> None:
        """Nobody is served there with this certificate. In TLS 1.3 a client learns that when it reads."""
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            connection = TlsConnection(port, self.context(pair))
            try:
                connection.socket.sendall(b"PING\r\n")
                if not connection.socket.recv(1):
                    raise ConnectionError("closed")
            finally:
                connection.close()

    def serial(self) -> bytes:
        """The number of the certificate that the node shows now."""
        connection = TlsConnection(self.client_port, self.context())
        assert isinstance(connection.socket, ssl.SSLSocket)
        found = connection.socket.getpeercert()
        connection.close()
        assert found is not None
        number: Any = found["serialNumber"]
        return bytes(str(number), "ascii")

    def test_both_ways_side_by_side(self) -> None:
        """Clients move to TLS one by one, and see the same data; what they pipeline is answered in order."""
        self.start()
        secured, plain = self.connect(), self.node.connect()
        self.addCleanup(plain.close)
        secured.call("SET", "k", b"v" * 300_000)
        self.assertEqual(plain.call("GET", "k"), b"v" * 300_000)
        for _ in range(1000):
            secured.send("INCR", "count")
        self.assertEqual([secured.read() for _ in range(1000)], list(range(1, 1001)))
        (line,) = self.node.logged("started")
        endpoint = f"tcp:{self.client_port}:interface={HOST}"
        self.assertEqual((line["clients_tls"], line["admin_tls"] is None), (endpoint, False))
        wait_until(lambda: self.get("/readyz").endswith("ok\n"), SECONDS, "the node is ready")
        self.assertEqual(secured.call("QUIT"), "OK")
        self.assertEqual(secured.socket.recv(1), b"")
        self.assert_no_session_goes_on()

    def assert_no_session_goes_on(self) -> None:
        """A client that comes again shows its certificate again: it may have been revoked."""
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context, session = self.context(), None
            context.maximum_version = version
            for _ in range(2):
                plain = socket.create_connection((HOST, self.client_port), 10)
                with context.wrap_socket(plain, session=session) as secured:
                    secured.sendall(b"PING\r\n")
                    self.assertEqual(secured.recv(10), b"+PONG\r\n")
                    self.assertFalse(secured.session_reused)
                    session = secured.session
                    secured.unwrap()

    def test_clients_that_do_not_read_or_do_not_stop(self) -> None:
        """Flow control, errors and ends are over TLS what they are without it."""
        self.start()
        secured, value = self.connect(), bytes(range(256)) * 4096
        secured.call("SET", "big", value)
        self.assertEqual(secured.call("GET", "big"), value)  # from now on the node expects replies as large as this one
        before = resident_kib(self.node)
        for _ in range(200):  # 200 MiB, which the node may not make before they are read
            secured.send("GET", "big")
        for _ in range(20):
            self.assertEqual(self.node.call("PING"), "PONG")
        self.assertLess(resident_kib(self.node) - before, 120_000)
        for _ in range(200):
            self.assertEqual(secured.read(), value)
        secured.socket.sendall(b"*2\r\n$3\r\nGET\r\n$999999999\r\n")
        with contextlib.suppress(ssl.SSLError, ConnectionError):  # The node may close before all is sent.
            secured.socket.sendall(b"x" * 20_000_000)
        self.assertIn("request_bytes_max", str(self.assertRaises(Refused, secured.read)))
        self.assertRaises(EOFError, secured.read)
        leaving = self.connect()
        leaving.call("PING")
        assert isinstance(leaving.socket, ssl.SSLSocket)
        leaving.socket.unwrap()  # returns when the node has said that it closes, too
        for connection in (secured, leaving):
            connection.close()
        quitting = self.connect()
        quitting.socket.sendall(b"SET last orders\r\nQUIT\r\n")
        self.assertEqual([quitting.read(), quitting.read()], ["OK", "OK"])
        # The node does not wait for this client to close, too: it would do so for five seconds.
        wait_until(lambda: b"connected_clients:1\r\n" in self.node.call("INFO"), 4.0, "all clients are gone")
        killed = self.connect()
        number = killed.call("CLIENT", "ID")
        self.assertEqual(self.node.call("CLIENT", "KILL", "ID", number), 1)
        self.assertRaises((EOFError, ConnectionError, ssl.SSLError), killed.call, "PING")
        idle = self.connect()
        idle.call("PING")
        self.node.stop()
        self.assertRaises(EOFError, idle.read)

    def test_a_slow_reader_and_one_that_does_not_read(self) -> None:
        """Over TLS, too: replies that fill the memory reach a client that reads steadily, to the last one before its
        QUIT; who reads nothing is cut off meanwhile, although it has said QUIT as well."""
        self.start(f"[limits]\nnode_replies_bytes_max = {16 * MIB}\n")
        self.node.call("SET", "big", bytes(MIB))
        slow, still = self.connect(), self.connect()
        for each in (still, slow):
            each.socket.sendall(b"GET big\r\n" * 50 + b"QUIT\r\n")
        wanted, read, began, tick = 50 * (MIB + 12) + 5, 0, time.monotonic(), threading.Event()
        while read < wanted:
            read += len(slow.socket.recv(65_536))
            tick.wait(max(0.0, began + read / SLOW_BYTES_PER_SECOND - time.monotonic()))
        self.assertEqual(slow.socket.recv(1), b"")
        self.assertEqual(len(self.node.wait_logged("client_cut_off")), 1)
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            while still.socket.recv(65_536):
                pass

    def test_certificates_that_are_refused(self) -> None:
        """On every port alike: the list of revoked certificates, the dates and the CA count everywhere."""
        wrong = [
            self.certificates.revoked_client("app"),
            self.certificates.expired_client("app"),
            self.certificates.other_authoritys_client("app"),
            None,
        ]
        self.start(client_certificates="required", crl=str(self.certificates.crl), peers="require")
        good = self.certificates.client("app")
        self.assertEqual(self.connect(good).call("PING"), "PONG")
        for pair in wrong:
            for port in (self.client_port, self.admin_port, self.node.peer_port):
                if pair is not None or port != self.admin_port:  # a probe needs no certificate
                    self.refused(port, pair)
        self.assertIn("show the certificate of a user who may do what is `admin`", self.get("/status"))
        self.assertEqual(self.get("/livez"), "ok\n")
        self.assertIn("dkv_tls_refused_total 11.0", self.get("/metrics", good))
        wait_until(lambda: "shown no" in self.cluster.tail(self.node), SECONDS, "the last one is told")
        told = [line["reason"] for line in self.node.logged("tls_refused") if line["port"] == "peer"]
        name = "its certificate (CN=app,O=test)"
        reasons = [
            f"{name} is revoked",
            f"{name} has expired",
            f"{name} is of another CA",
            "it has shown no certificate",
        ]
        self.assertEqual(told, reasons)
        line = self.node.wait_logged("tls_refused")[0]
        self.assertEqual((line["port"], line["reason"]), ("client", "its certificate (CN=app,O=test) is revoked"))

    def test_certificates_that_change(self) -> None:
        """New ones are in force without a restart, and no connection ends; broken ones change nothing, and are told."""
        self.start()
        connection, first = self.connect(), self.serial()
        self.certificates.node(1)
        self.node.signal(signal.SIGHUP)
        wait_until(lambda: self.serial() != first, SECONDS, "the new certificate is shown")
        second = self.serial()
        self.assertEqual(connection.call("PING"), "PONG")
        good = self.cluster.directory / "good.pem"
        shutil.copy(self.certificates.ca, good)
        Path(self.certificates.ca).write_text("rubbish")
        self.node.signal(signal.SIGHUP)
        (line,) = self.node.wait_logged("credentials_refused")
        self.assertIn("ca.pem has no certificates in PEM", line["reason"])
        shutil.copy(good, self.cluster.directory / "ca-copy.pem")
        self.certificates.ca, broken = self.cluster.directory / "ca-copy.pem", self.certificates.ca
        self.assertEqual(self.serial(), second)
        self.assertIn("[!]credentials: tls: ", self.get("/readyz"))
        metrics = self.get("/metrics")
        self.assertIn('dkv_credentials_refused{kind="tls"} 1.0', metrics)
        self.assertRegex(metrics, r'dkv_credentials_expire_days\{kind="certificate"\} 36[45]\.')
        shutil.copy(good, broken)  # nobody sends a signal: the node looks by itself
        taken = 'dkv_credentials_refused{kind="tls"} 0.0'
        wait_until(lambda: taken in self.get("/metrics"), SECONDS, "what is mended is in force")
        self.assertEqual(connection.call("PING"), "PONG")
