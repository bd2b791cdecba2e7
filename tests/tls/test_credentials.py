"""The files of a node's certificates: what is wrong with them is one line, before anything rests on them."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID
from twisted.trial.unittest import SynchronousTestCase

from dkv.config.tls_settings import OFF, REQUIRE, TlsSettings
from dkv.net.securing import Shown
from dkv.tls.authority import Authority, Issued
from dkv.tls.credentials import CA, CERTIFICATE, CRL, Credentials, CredentialsError, files_of, load_credentials
from dkv.tls.names import SUBJECT_CHARACTERS_MAX, node_named_by, shown, subject_of, user_names_of
from tests.certificates import LOOPBACK, Certificates, Pair


class CredentialsTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.certificates = Certificates(Path(self.mktemp()), "c")

    def settings(self, pair: Pair | None = None, **more: Any) -> TlsSettings:
        """Those of the node's own files, or of others."""
        home = self.certificates.directory
        pair = pair or Pair(home / "node{id}.pem", home / "node{id}.key")
        settings = TlsSettings(
            str(self.certificates.ca), str(pair.certificate), str(pair.key), str(self.certificates.crl), REQUIRE
        )
        return replace(settings, **more)

    def load(self, pair: Pair | None = None, **more: Any) -> Credentials:
        return load_credentials(self.settings(pair, **more), 1, "c")

    def assertRefused(self, words: str, pair: Pair | None = None, **more: Any) -> None:
        """One line says what is wrong."""
        error = str(self.assertRaises(CredentialsError, self.load, pair, **more))
        self.assertIn(words, error)
        self.assertNotIn("\n", error)

    def file(self, content: bytes) -> str:
        path = Path(self.mktemp())
        path.write_bytes(content)
        return str(path)


class LoadingTests(CredentialsTestCase):
    def test_what_is_good(self) -> None:
        """It has nothing to warn of, and says how long it is good."""
        credentials = self.load()
        self.assertEqual((credentials.warnings, credentials.expiring()), ((), []))
        days = credentials.expire_days()
        self.assertEqual([round(days[kind] / 100) for kind in (CERTIFICATE, CA, CRL)], [4, 36, 36])
        self.assertNotIn(CRL, self.load(crl=None).expire_days())
        names = [os.path.basename(path) for path in files_of(self.settings(), 1)]
        self.assertEqual(names, ["ca.pem", "node1.pem", "node1.key", "crl.pem"])

    def test_files_that_are_not_there_or_are_no_pem(self) -> None:
        """The line names the file."""
        for name in ("ca", "certificate", "key", "crl"):
            self.assertRefused("cannot read /nowhere: No such file", None, **{name: "/nowhere"})
        rubbish = self.file(b"rubbish")
        self.assertRefused(f"{rubbish} has no certificates in PEM", ca=rubbish)
        self.assertRefused(f"{rubbish} has no certificates in PEM", certificate=rubbish)
        self.assertRefused(f"{rubbish} has no private key in PEM", key=rubbish)
        self.assertRefused(f"{rubbish} has no list of revoked certificates", crl=rubbish)
        broken = self.file(b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n")
        self.assertRefused(f"{broken} has a list of revoked certificates that cannot be read", crl=broken)

    def test_a_bundle_that_is_cut_off(self) -> None:
        """It looks like one with fewer certificates. Taken over, it would shut out the nodes of the CA that is gone."""
        node = self.certificates.directory / "node1.pem"
        for name, path in (("ca", self.certificates.ca), ("crl", self.certificates.crl), ("certificate", node)):
            whole = path.read_bytes()
            for left in (len(whole) // 2, len(whole) - 5):
                cut = self.file(whole + whole[:left])
                self.assertRefused(f"{cut} is cut off", None, **{name: cut})

    def test_what_does_not_belong_together(self) -> None:
        """A mixture of two files may come of a copy that was not finished."""
        other = self.certificates.directory / "node2.key"
        self.assertRefused("node2.key does not belong to the certificate in", key=str(other))
        self.assertRefused("was not issued by the CA in", self.certificates.other_authority(1))
        self.assertRefused("was not issued by the CA in", self.certificates.self_signed(1))

    def test_a_node_in_the_place_of_the_ca(self) -> None:
        """The node believes itself and nobody else, so it says why nobody gets in."""
        warnings = self.load(ca=str(self.certificates.directory / "node1.pem"), crl=None).warnings
        self.assertEqual([each.endswith("node1.pem is no CA: it speaks for itself alone") for each in warnings], [True])

    def test_a_key_with_a_passphrase(self) -> None:
        """A node has nobody to ask for it."""
        issued = self.certificates.authority.node(1, LOOPBACK)
        form = serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
        path = self.file(issued.key.private_bytes(serialization.Encoding.PEM, *form))
        pair = self.certificates.write("mine", issued)
        self.assertRefused("is protected by a passphrase", pair, key=path)

    def test_whom_it_names(self) -> None:
        """Where nodes show them to each other, a certificate must be this node's of this cluster."""
        self.assertRefused("that of node 2 of cluster 'c', and this is node 1", self.certificates.node(2))
        self.assertRefused("cluster 'elsewhere', and this is node 1 of 'c'", self.certificates.other_cluster(1))
        self.assertRefused("names no node; its subjectAltName needs the URI dkv://c/node/1", self.client())
        for pair in (self.certificates.node(2), self.client()):
            self.assertEqual(self.load(pair, peers=OFF).warnings, ())

    def client(self) -> Pair:
        return self.certificates.client("app")

    def test_each_authority_needs_a_list(self) -> None:
        """Without the list of a new CA, nobody whom it certified would get in: that is said before it is in force."""
        other = Authority.create("c")
        both = self.file(self.certificates.ca.read_bytes() + other.own.certificate_pem)
        self.assertRefused("has no list of the CA CN=dkv CA", ca=both)
        lists = self.file(self.certificates.crl.read_bytes() + other.crl())
        self.assertEqual(len(self.load(ca=both, crl=lists).crls), 2)
        forged = self.file(Authority(Issued(self.certificates.authority.own.certificate, other.own.key)).crl())
        self.assertRefused("has no list of the CA", crl=forged)

    def test_what_is_only_warned_of(self) -> None:
        """A clock may be wrong: the node starts, and others say what they refuse."""
        expired = self.load(self.certificates.expired(1))
        self.assertEqual(expired.expiring(), ["the certificate has expired 1 day ago: others refuse it"])
        early = self.certificates.authority.node(1, LOOPBACK, begins=datetime.now(UTC) + timedelta(days=2))
        self.assertIn("is not valid before", self.load(self.certificates.write("early", early)).warnings[0])
        self.assertIn("is revoked: others refuse it", self.load(self.certificates.revoked(1)).warnings[0])
        soon = self.load(self.certificates.node(1, days=3))
        self.assertEqual(soon.expiring(), ["the certificate expires in 2 days"])

    def test_a_list_that_should_have_been_replaced(self) -> None:
        """It is told, and it counts: a forgotten file must not stop the whole cluster."""
        lines = self.load(crl=self.file(self.certificates.stale_crl())).expiring()
        self.assertEqual(lines, ["the list of revoked certificates has expired 1 day ago, and counts all the same"])

    def test_no_secret_in_words(self) -> None:
        """A key is in no text that could be logged."""
        credentials = self.load()
        key = (self.certificates.directory / "node1.key").read_text(encoding="ascii").splitlines()[1]
        self.assertNotIn(key[:20], repr(credentials))


class NamesTests(CredentialsTestCase):
    def test_nodes_and_users(self) -> None:
        """Nothing but a URI makes a node, and a node is no user."""
        authority = self.certificates.authority
        node, user = authority.node(7, LOOPBACK).certificate, authority.client("app").certificate
        self.assertEqual((node_named_by(node), user_names_of(node, "c")), (("c", 7), ()))
        self.assertEqual((node_named_by(user), user_names_of(user, "c")), (None, ("app",)))
        self.assertEqual(user_names_of(user, "elsewhere"), ())
        self.assertEqual(shown(user, "c"), Shown(None, ("app",), "CN=app,O=c"))

    def test_names_of_other_authorities(self) -> None:
        """A CA that knows nothing of dkv names a user by the common name; who claims two nodes is none."""
        self.assertEqual(user_names_of(self.issued("app", []), "c"), ("app",))
        self.assertEqual(user_names_of(self.issued("node1", ["https://x"]), "c"), ("node1",))
        two = self.issued("x", ["dkv://c/node/1", "dkv://c/node/2"])
        self.assertEqual((node_named_by(two), user_names_of(two, "c")), (None, ()))
        for uri in (
            "dkv://c/node/0",
            "dkv://c/node/01",
            "dkv://c/node/1/2",
            "dkv://c/node/99999999999",
            "dkv:/c/node/1",
        ):
            self.assertEqual(node_named_by(self.issued("x", [uri])), None, uri)

    def test_a_name_of_a_stranger(self) -> None:
        """It comes into the log, so it must not look like a line of it, nor fill it."""
        self.assertEqual(subject_of(self.issued("a\nb\x1b[2J", [])), "CN=a?b?[2J")
        long = subject_of(self.issued("x" * 64, [], parts=9))
        self.assertEqual((len(long), long[-4:]), (SUBJECT_CHARACTERS_MAX + 3, "x..."))

    def issued(self, name: str, uris: list[str], parts: int = 1) -> x509.Certificate:
        """A certificate with any names; the common one as often as ``parts`` says."""
        own = self.certificates.authority.own
        now = datetime.now(UTC)
        builder: Any = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] * parts))
            .issuer_name(own.certificate.subject)
            .public_key(own.key.public_key())
            .serial_number(1)
            .not_valid_before(now)
            .not_valid_after(now + timedelta(days=1))
        )
        if uris:
            names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris])
            builder = builder.add_extension(names, critical=False)
        made: x509.Certificate = builder.sign(own.key, hashes.SHA256())
        return made
