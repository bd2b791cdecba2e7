"""Addresses as people write them, and the endpoint strings that they mean."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from dkv.config.listen_endpoint import (
    EndpointError,
    ListenEndpoint,
    dialled_address,
    listening_address,
    listening_port,
    parse_endpoint,
    shortest,
)

HOSTS = st.one_of(
    st.from_regex(r"[a-z][a-z0-9-]{0,20}(\.[a-z][a-z0-9]{0,5}){1,3}", fullmatch=True),
    st.ip_addresses(v=4).map(str).filter(lambda host: host != "0.0.0.0"),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]").filter(lambda host: host != "[::]"),
)


class ParseEndpointTests(SynchronousTestCase):
    def test_the_shorthand(self) -> None:
        """host:port must listen on that address and no other, and be found there."""
        for text, bind, advertise in (
            ("127.0.0.1:5001", "tcp:5001:interface=127.0.0.1", "tcp:host=127.0.0.1:port=5001"),
            ("node1.example:5001", "tcp:5001:interface=node1.example", "tcp:host=node1.example:port=5001"),
            ("localhost:1", "tcp:1:interface=localhost", "tcp:host=localhost:port=1"),
            ("[::1]:65535", r"tcp6:65535:interface=\:\:1", r"tcp:host=\:\:1:port=65535"),
            ("*:5001", "tcp:5001", ""),
            ("0.0.0.0:5001", "tcp:5001:interface=0.0.0.0", ""),
            ("[::]:5001", r"tcp6:5001:interface=\:\:", ""),
        ):
            self.assertEqual(parse_endpoint(text), ListenEndpoint(bind, advertise))

    def test_where_clients_dial(self) -> None:
        """A library gets a host and a port, whatever the operator wrote; or nothing, where there are none."""
        for text, address in (
            ("127.0.0.1:5001", ("127.0.0.1", 5001)),
            ("[::1]:5001", ("::1", 5001)),
            ("db1.example:7379", ("db1.example", 7379)),
            (r"tcp:host=\:\:1:port=5001", ("::1", 5001)),
            ("tcp:db1.example:7379:timeout=3", ("db1.example", 7379)),
            ("tls:db1.example:7379", ("db1.example", 7379)),
            ("unix:/run/dkv.sock", None),
            ("*:5001", None),
            ("", None),
        ):
            self.assertEqual(dialled_address(text), address, text)

    def test_its_port(self) -> None:
        """Monitoring tells nodes of one machine apart by it."""
        for text, port in (("[::1]:5001", 5001), ("*:5002", 5002), ("tcp:5003:interface=10.0.0.1", 5003)):
            self.assertEqual(listening_port(parse_endpoint(text)), port)
        for text in ("unix:/run/dkv.sock", "systemd:domain=INET:index=0"):
            self.assertIsNone(listening_port(parse_endpoint(text)))

    @given(
        st.sampled_from(("*", "0.0.0.0", "localhost", "10.1.2.3", "[::]", "[::1]", "[fe80::1]")), st.integers(1, 65_535)
    )
    def test_its_port_and_its_address_agree(self, host: str, port: int) -> None:
        """What INFO shows and what `dkv cluster` tries are read from one string in two ways."""
        endpoint = parse_endpoint(f"{host}:{port}")
        address = listening_address(endpoint.bind)
        assert address is not None
        self.assertEqual((address[1], listening_port(endpoint)), (port, port))
        self.assertEqual(address[0], "" if host in ("*", "0.0.0.0") else host.strip("[]"))

    def test_a_relative_path(self) -> None:
        """twistd may go to another directory before the socket is made, or somebody connects to it."""
        here = self.mktemp() + ":x"
        os.makedirs(here)
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(here)
        root = os.getcwd().replace(":", r"\:")
        for text, bind in (
            ("unix:dkv.sock", f"unix:{root}/dkv.sock"),
            ("unix:run/dkv.sock:mode=660", f"unix:{root}/run/dkv.sock:mode=660"),
            ("unix:mode=660:address=dkv.sock", f"unix:mode=660:address={root}/dkv.sock"),
            (r"unix:a\:b.sock", rf"unix:{root}/a\:b.sock"),
            ("unix:/run/dkv.sock:lockfile=0", "unix:/run/dkv.sock:lockfile=0"),
        ):
            self.assertEqual(parse_endpoint(text).bind, bind)
        self.assertEqual(parse_endpoint("tcp:1", "unix:path=peer.sock").advertise, f"unix:path={root}/peer.sock")

    def test_endpoint_strings_of_twisted_are_taken_as_they_are(self) -> None:
        """Whatever Twisted can listen on, a node can."""
        for text in ("tcp:5001", "tcp:5001:interface=10.0.0.1", r"tcp6:5001:interface=\:\:1", "unix:/run/dkv.sock"):
            self.assertEqual(parse_endpoint(text), ListenEndpoint(text, ""))
        self.assertEqual(parse_endpoint("systemd:domain=INET:index=0").bind, "systemd:domain=INET:index=0")
        self.assertEqual(
            parse_endpoint("tcp:5101", "tcp:node1.example:5101"), ListenEndpoint("tcp:5101", "tcp:node1.example:5101")
        )

    def test_both_addresses_may_be_given(self) -> None:
        """A node behind a container's or a cloud's address must be found at the outer one."""
        self.assertEqual(
            parse_endpoint("*:5101", "node1.example:6101"),
            ListenEndpoint("tcp:5101", "tcp:host=node1.example:port=6101"),
        )
        self.assertEqual(parse_endpoint("10.0.0.1:5101", "[fd00::1]:5101").advertise, r"tcp:host=fd00\:\:1:port=5101")

    def test_mistakes(self) -> None:
        """A mistyped address must be told when the file is read, with the words that were written."""
        for text in ("5001", "", "localhost", "a:b", "a:0", "a:65536", "a:99999999999", ":5001", "::1:5001", "a b:5001",
                     "tcp:x", "tcp:5001:colour=red", "tcpp:interface=x:5001", "a:5001:", "[]:1"):  # fmt: skip
            error = self.assertRaises(EndpointError, parse_endpoint, text)
            self.assertIn(repr(text), str(error))
        for text in ("*:5001", "0.0.0.0:5001", "[::]:5001", "localhost", "tcp:host=a:port=x", "carrier-pigeon:a:b"):
            self.assertRaises(EndpointError, parse_endpoint, "127.0.0.1:5001", text)

    @given(HOSTS, st.integers(1, 65_535))
    def test_twisted_reads_what_the_shorthand_became(self, host: str, port: int) -> None:
        """An address that passes the check and then cannot be used would stop the node at its start."""
        reactor = MemoryReactorClock()
        endpoint = parse_endpoint(f"{host}:{port}")
        server = serverFromString(reactor, endpoint.bind)
        self.assertEqual((server._port, server._interface), (port, host.strip("[]")))
        client = clientFromString(reactor, endpoint.advertise)
        self.assertEqual((client._host, client._port), (host.strip("[]"), port))
        self.assertEqual(shortest(endpoint), f"{host}:{port}")

    @given(st.text())
    def test_any_text_is_an_endpoint_or_an_error(self, text: str) -> None:
        """No word in a config file may end in a traceback."""
        try:
            endpoint = parse_endpoint(text)
        except EndpointError:
            return
        self.assertTrue(endpoint.bind)

    def test_the_shortest_form(self) -> None:
        """A printed config should read as a person would write it, and mean the same."""
        self.assertIsNone(shortest(ListenEndpoint("tcp:5001", "")))
        self.assertIsNone(shortest(ListenEndpoint("tcp:5001", "tcp:host=a:port=5001")))
        self.assertIsNone(shortest(ListenEndpoint("tcp:5001:interface=a", "tcp:a:5001")))
