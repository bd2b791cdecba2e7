"""The preparations of dkv cluster: all of them or none, and never over existing data."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.cli import layout
from dkv.cli.layout import Layout, check_ports, client_endpoint, listening, new_config, prepare
from dkv.cli.output import Failure, Status
from dkv.client.admission import OPEN, Admission, Tls
from dkv.client.blocking import Endpoint
from dkv.config.config import Config, Member, load_config, render_config
from dkv.config.exposure import exposures, is_local
from dkv.config.listen_endpoint import parse_endpoint
from dkv.config.tls_settings import TlsSettings
from dkv.identity import Identity
from dkv.settings import CLASSIC, LEADER, Limits, Timings
from dkv.storage.data_directory import DirectoryError, initialise
from dkv.tls.credentials import load_credentials


def one_node(client: str, peer: str) -> Config:
    """A config of one node."""
    return Config(
        "local", "leader", (Member(1, parse_endpoint(client), parse_endpoint(peer, "x:1")),), Limits(), Timings()
    )


class LayoutTestCase(SynchronousTestCase):
    """Prepares ``self.place / "data"``, with no regard to what else listens on this machine's ports."""

    def setUp(self) -> None:
        self.patch(layout, "check_ports", lambda config: None)
        self.place = Path(self.mktemp())
        self.place.mkdir()
        self.data = self.place / "data"

    def prepare(
        self,
        config_path: Path | None = None,
        nodes: int | None = None,
        port: int | None = None,
        mode: str | None = None,
        tls: bool = False,
    ) -> Layout:
        return prepare(self.data, config_path, nodes, port, mode, tls)

    def assert_fails(self, status: Status, words: str, *arguments: Any, **options: Any) -> None:
        with self.assertRaises(Failure) as caught:
            self.prepare(*arguments, **options)
        self.assertEqual(caught.exception.status, status)
        self.assertIn(words, caught.exception.message)

    def files(self) -> list[str]:
        """Everything there is, in order."""
        return sorted(str(path.relative_to(self.place)) for path in self.place.rglob("*"))

    def has_data(self, node: int) -> bool:
        return (self.data / f"node{node}" / "CURRENT").exists()


class New(LayoutTestCase):
    """A first start."""

    def test_defaults(self) -> None:
        """Without a word from the user: three nodes at the ports that the README names."""
        made = self.prepare()
        self.assertEqual(
            [client_endpoint(made.config, member).port for member in made.config.members], [5001, 5002, 5003]
        )
        self.assertEqual(
            [listening(member.peer.bind) for member in made.config.members][2], Endpoint("127.0.0.1", 5103)
        )
        self.assertTrue(all(self.has_data(node) for node in (1, 2, 3)))
        self.assertEqual(made.log_path(2), self.data / "node2.log")

    def test_nobody_else_reaches_it(self) -> None:
        """A lab has no locks, so all its ports are on the loopback address."""
        tls = TlsSettings("ca.pem", "node.pem", "node.key")
        for mode, settings in ((LEADER, None), (CLASSIC, None), (LEADER, tls)):
            made = new_config(5, 7001, mode, settings)
            for member in made.members:
                self.assertEqual([name for name, each in member.endpoints().items() if not is_local(each)], [])
                self.assertEqual(exposures(made, member), [])

    def test_config_is_kept(self) -> None:
        """The second start uses what the first one wrote, whether or not its options are repeated."""
        made = self.prepare(nodes=5, port=7001)
        self.assertEqual(load_config(str(self.data / "cluster.toml")), made.config)
        held = self.files()
        self.assertEqual(self.prepare(), made)
        self.assertEqual(self.prepare(nodes=5, port=7001), made)
        self.assertEqual(self.files(), held)

    def test_config_of_the_user(self) -> None:
        """A config file is used where it is, and not copied."""
        path = self.place / "mine.toml"
        path.write_text(render_config(new_config(1, 6001)))
        self.assertEqual(self.prepare(path).config_path, path)
        self.assertTrue(self.has_data(1))
        self.assertFalse((self.data / "cluster.toml").exists())

    def test_the_current_directory(self) -> None:
        """``--data-dir .`` is one as well."""
        place = Path(self.mktemp())
        place.mkdir()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(place)
        layout = prepare(Path(), None, 2, None)
        self.assertTrue(layout.node_directory(2).joinpath("CURRENT").exists())

    def test_empty_directories(self) -> None:
        """Directories that an administrator made beforehand are used."""
        for node in (1, 2, 3):
            (self.data / f"node{node}").mkdir(parents=True)
        self.prepare()
        self.assertTrue(self.has_data(3))


class WithTls(LayoutTestCase):
    """Certificates for a first start."""

    def test_new(self) -> None:
        """Every port has TLS, and the certificates are where the config file says. The next start finds all of it."""
        made = self.prepare(tls=True)
        settings = load_config(str(made.config_path)).tls
        assert settings is not None
        self.assertEqual((settings, settings.peers), (made.config.tls, "require"))
        for member in made.config.members:
            self.assertTrue(member.client_is_tls and member.admin_is_tls)
            self.assertEqual(client_endpoint(made.config, member).access, Admission(Tls(settings.ca)))
            load_credentials(settings, member.id, made.config.cluster)
        before = self.files()
        for tls in (True, False):
            self.assertEqual(self.prepare(tls=tls), made)
        self.assertEqual(self.files(), before)

    def test_without(self) -> None:
        """A plain cluster stays plain; whoever asks for TLS learns that it has none."""
        made = self.prepare()
        self.assertIsNone(made.config.tls)
        self.assertEqual(client_endpoint(made.config, made.config.members[0]).access, OPEN)
        self.assert_fails(Status.USAGE, "says nothing of TLS; leave out --tls, or start a new cluster in", tls=True)

    def test_a_directory_of_that_name(self) -> None:
        """Certificates that are there are not overwritten, and nothing else is made."""
        (self.data / "certs").mkdir(parents=True)
        (self.data / "certs" / "ca.pem").touch()
        before = self.files()
        self.assert_fails(Status.FAILED, "certs exists and is not an empty directory", tls=True)
        self.assertEqual(self.files(), before)


class Refused(LayoutTestCase):
    """Starts that would harm, or not do what the user thinks."""

    def test_other_options(self) -> None:
        """A cluster does not change its size or ports because a later command line says so."""
        self.prepare()
        self.assert_fails(Status.USAGE, "says 3 nodes; leave out --nodes 5", nodes=5)
        self.assert_fails(Status.USAGE, "leave out --base-port 7001", port=7001)

    def test_other_mode(self) -> None:
        """The mode of an existing cluster is not changed either: the refusal names the file where all nodes read it."""
        self.prepare()
        path = self.data / "cluster.toml"
        self.assert_fails(Status.USAGE, f"{path} says mode = 'leader'; to switch", mode="classic")
        self.assert_fails(Status.USAGE, 'write mode = "classic" into that file', mode="classic")
        self.assertEqual(self.prepare(mode="leader").config.mode, "leader")

    def test_new_in_classic_mode(self) -> None:
        """A new cluster has the mode that was asked for, and keeps it."""
        self.assertEqual(self.prepare(mode="classic").config.mode, "classic")
        self.assertEqual(self.prepare().config.mode, "classic")

    def test_some_missing(self) -> None:
        """A node whose data is gone is not made anew in silence: it would vote on what it forgot."""
        self.prepare()
        (self.data / "node2").rename(self.place / "elsewhere")
        self.assert_fails(
            Status.USAGE, f"no data in {self.data}/node2, but in {self.data}/node1 {self.data}/node3; put back"
        )
        self.assertFalse((self.data / "node2").exists())

    def test_config_missing(self) -> None:
        """Data of a cluster that some other config describes is not run by a config made up here."""
        initialise(str(self.data / "node1"), "production", 1)
        for node in (2, 3):
            initialise(str(self.data / f"node{node}"), "production", node)
        self.assert_fails(Status.USAGE, "--config")
        self.assertFalse((self.data / "cluster.toml").exists())

    def test_no_config_file(self) -> None:
        """A config file that is not there is one clear line, and nothing is made."""
        self.assert_fails(Status.USAGE, "cannot read the config file", self.place / "none.toml")
        self.assertEqual(self.files(), [])

    def test_not_tcp(self) -> None:
        """A config that only twistd can run is not half run."""
        path = self.place / "cluster.toml"
        path.write_text(render_config(one_node("unix:/run/dkv.socket", "127.0.0.1:5101")))
        self.assert_fails(Status.USAGE, "needs host:port", path, port=5001)


class Failing(LayoutTestCase):
    """Starts that fail in the middle."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(layout, "initialise", self.initialise)
        self.error: BaseException = DirectoryError("the disk is full")

    def initialise(self, directory: str, cluster: str, node: int, *more: Any) -> Identity:
        """As the real one, but node 3's fails."""
        if node == 3:
            raise self.error
        return initialise(directory, cluster, node, *more)

    def test_no_certificates_are_left(self) -> None:
        """The same of a cluster with TLS: a key that nobody knows of could be taken by anybody later."""
        self.assert_fails(Status.FAILED, "the disk is full", tls=True)
        self.assertEqual(self.files(), [])

    def test_nothing_is_left(self) -> None:
        """After a failure the next start is a first start again, not one with a node missing."""
        self.assert_fails(Status.FAILED, "the disk is full")
        self.assertEqual(self.files(), [])

    def test_interrupted(self) -> None:
        """Nothing is left either when the user stops the command."""
        self.error = KeyboardInterrupt()
        with self.assertRaises(KeyboardInterrupt):
            self.prepare()
        self.assertEqual(self.files(), [])

    def test_what_was_there_stays(self) -> None:
        """Only what this start made is removed."""
        (self.data / "node1").mkdir(parents=True)
        (self.data / "notes").touch()
        held = self.files()
        self.assert_fails(Status.FAILED, "the disk is full")
        self.assertEqual(self.files(), held)

    def test_unusable_directory(self) -> None:
        """A data directory that cannot be made is one clear line."""
        self.data.touch()
        self.assert_fails(Status.FAILED, "Not a directory")


class Ports(SynchronousTestCase):
    """Addresses, and whether they are free."""

    def test_listening(self) -> None:
        """Every way in which a config can say host and port is understood."""
        for text, expected in (
            ("127.0.0.1:5001", Endpoint("127.0.0.1", 5001)),
            ("[::1]:5001", Endpoint("::1", 5001)),
            ("*:5001", Endpoint("", 5001)),
            ("0.0.0.0:5001", Endpoint("", 5001)),
            ("tcp:port=5001:interface=localhost:backlog=50", Endpoint("localhost", 5001)),
            ("tcp6:5001", Endpoint("::", 5001)),
        ):
            self.assertEqual(listening(parse_endpoint(text).bind), expected, text)
        self.assertIsNone(listening("unix:/run/dkv.socket"))
        self.assertIsNone(listening("systemd:domain=INET:index=0"))

    def test_client_endpoint(self) -> None:
        """A node that listens everywhere is reached on this machine."""
        for text, expected in (("*:5001", "127.0.0.1:5001"), ("[::]:5001", "[::1]:5001"), ("[::1]:1", "[::1]:1")):
            config = one_node(text, "127.0.0.1:2")
            self.assertEqual(str(client_endpoint(config, config.members[0])), expected)

    def test_in_use(self) -> None:
        """A port that another program has is named before anything starts, with what to do."""
        with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            taken, other = server.getsockname()[1], free.getsockname()[1]
            free.close()
            for client, peer in ((taken, other), (other, taken)):
                with self.assertRaises(Failure) as caught:
                    check_ports(one_node(f"127.0.0.1:{client}", f"127.0.0.1:{peer}"))
                self.assertEqual(caught.exception.status, Status.FAILED)
                self.assertIn(f"port {taken} of 127.0.0.1: Address already in use", caught.exception.message)

    def test_free(self) -> None:
        """A port just freed, or checked, can be used at once."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        check_ports(one_node(f"127.0.0.1:{port}", "unix:/run/dkv.socket"))
        check_ports(one_node(f"127.0.0.1:{port}", "unix:/run/dkv.socket"))
