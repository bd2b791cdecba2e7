"""The authority: what OpenSSL accepts of its certificates, what it refuses, and what it says of wrong input."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import crypto
from twisted.trial.unittest import SynchronousTestCase

from dkv.tls.authority import Authority, AuthorityError, Issued, crls
from tests.certificates import Certificates, Pair

SECONDS_MAX = 20.0


def verdict(authorities: list[Authority], certificate: x509.Certificate, lists: bytes = b"") -> str:
    """What OpenSSL finds wrong with a certificate, and with that a peer: empty if nothing."""
    store = crypto.X509Store()
    for each in authorities:
        store.add_cert(crypto.X509.from_cryptography(each.own.certificate))
    for crl in crls(lists):
        store.add_crl(crl)
    if lists:
        store.set_flags(crypto.X509StoreFlags.CRL_CHECK)
    try:
        crypto.X509StoreContext(store, crypto.X509.from_cryptography(certificate)).verify_certificate()
    except crypto.X509StoreContextError as error:
        return str(error)
    return ""


def uris(certificate: x509.Certificate) -> list[str]:
    """The URIs that name the holder of a certificate."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.UniformResourceIdentifier)


def usages(issued: Issued) -> list[x509.ObjectIdentifier]:
    """What a certificate may be used for."""
    return list(issued.certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


class IssuingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.authority = Authority.create("shop")

    def test_a_node(self) -> None:
        """A node both listens and dials, and its peers know it by cluster and id; clients by its hosts."""
        issued = self.authority.node(2, ["db2.example", "10.0.0.2", "::1", "db2.example"])
        self.assertEqual(verdict([self.authority], issued.certificate), "")
        self.assertEqual(uris(issued.certificate), ["dkv://shop/node/2"])
        names = issued.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        self.assertEqual(names.get_values_for_type(x509.DNSName), ["db2.example"])
        self.assertEqual(list(map(str, names.get_values_for_type(x509.IPAddress))), ["10.0.0.2", "::1"])
        self.assertEqual(usages(issued), [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])

    def test_a_client(self) -> None:
        """A client's certificate that could be a server's would let a user pretend to be the cluster."""
        issued = self.authority.client("app")
        self.assertEqual(verdict([self.authority], issued.certificate), "")
        self.assertEqual(uris(issued.certificate), ["dkv://shop/user/app"])
        self.assertEqual(usages(issued), [ExtendedKeyUsageOID.CLIENT_AUTH])

    def test_what_is_issued_cannot_issue(self) -> None:
        """Otherwise every holder of a certificate could make certificates of nodes."""
        node = self.authority.node(1, ["127.0.0.1"])
        for extension in (x509.BasicConstraints, x509.KeyUsage):
            self.assertTrue(node.certificate.extensions.get_extension_for_class(extension).critical)
        forged = Authority(node, cluster="shop")
        chain = [crypto.X509.from_cryptography(node.certificate)]
        store = crypto.X509Store()
        store.add_cert(crypto.X509.from_cryptography(self.authority.own.certificate))
        certificate = crypto.X509.from_cryptography(forged.client("root").certificate)
        context = crypto.X509StoreContext(store, certificate, chain)
        self.assertRaises(crypto.X509StoreContextError, context.verify_certificate)

    def test_no_certificate_outlives_its_ca(self) -> None:
        """It would be shown as valid, and be refused by everybody."""
        authority = Authority.create("shop", days=3)
        issued = authority.node(1, ["127.0.0.1"], days=365)
        self.assertEqual(issued.certificate.not_valid_after_utc, authority.own.certificate.not_valid_after_utc)

    def test_a_ca_that_has_expired_issues_nothing(self) -> None:
        """Such certificates would be refused by everybody, with an error that names the wrong one."""
        authority = Authority.create("shop", days=3, begins=datetime.now(UTC) - timedelta(days=4))
        self.assertRaisesRegex(AuthorityError, "expired on", authority.client, "app")

    def test_names_that_are_none(self) -> None:
        """A name with a slash could be read as another one; a host that no client can ask for is a slip."""
        for name in ("", "a/b", "a b", "-", "x" * 65, "ü"):
            self.assertRaises(AuthorityError, self.authority.client, name)
        for host in (
            "",
            " ",
            "a b",
            "bücher.example",
            "a..b",
            "a-",
            "10.0.0.1:5001",
            "*",
            "*.a",
            "http://a",
            "fe80::1%lo",
        ):
            self.assertRaisesRegex(AuthorityError, "is neither a host name nor", self.authority.node, 1, [host])
        for host in ("10.0.0.999", "10.0.1", "1234", "0x7f.1", "a.1", "010.0.0.1"):
            self.assertRaisesRegex(
                AuthorityError, "looks like an IP address, and is none", self.authority.node, 1, [host]
            )
        for host in ("localhost", "1a", "db-1.example", "db_1", "10.0.0.1", "::1", "a" * 63):
            self.authority.node(1, [host])

    def test_renewal(self) -> None:
        """The same names, another key; also from the next CA."""
        old = self.authority.node(2, ["db2.example", "10.0.0.2"], days=1)
        authority = Authority.create("shop")
        renewed = authority.renewed(old.certificate)
        self.assertEqual(verdict([authority], renewed.certificate), "")
        self.assertEqual((uris(renewed.certificate), usages(renewed)), (uris(old.certificate), usages(old)))
        self.assertEqual(renewed.certificate.subject, old.certificate.subject)
        self.assertNotEqual(renewed.certificate.public_key(), old.certificate.public_key())
        self.assertGreater(renewed.certificate.not_valid_after_utc, old.certificate.not_valid_after_utc)

    def test_a_certificate_and_its_key_keep_the_key_to_themselves(self) -> None:
        """A key in a traceback or a log is everybody's."""
        issued = self.authority.client("app")
        body = issued.key_pem.splitlines()[1].decode()
        self.assertNotIn(body, repr(issued))
        self.assertNotIn(body, repr(vars(self.authority)))


class RevokingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.authority = Authority.create("shop")

    def test_revoked(self) -> None:
        """What is revoked is refused, and nothing else is."""
        good, bad = self.authority.client("good"), self.authority.client("bad")
        before = self.authority.crl()
        self.authority.revoke(bad.certificate)
        after = self.authority.crl()
        self.assertEqual(verdict([self.authority], bad.certificate, before), "")
        self.assertIn("revoked", verdict([self.authority], bad.certificate, after))
        self.assertEqual(verdict([self.authority], good.certificate, after), "")

    def test_what_was_revoked_stays_so(self) -> None:
        """A CA that is loaded goes on with its last list, whose number grows."""
        first, second = self.authority.client("first"), self.authority.client("second")
        self.authority.revoke(first.certificate)
        crl = self.authority.crl()
        own = self.authority.own
        loaded = Authority.load(own.certificate_pem, own.key_pem, crl)
        loaded.revoke(second.certificate)
        loaded.revoke(second.certificate)  # again: it is revoked once
        after = loaded.crl()
        for each in (first, second):
            self.assertIn("revoked", verdict([loaded], each.certificate, after))
            self.assertTrue(loaded.is_revoked(each.certificate))
        numbers = [
            each.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number for each in crls(crl + after)
        ]
        self.assertEqual(numbers, [1, 2])
        self.assertEqual(len(list(crls(after)[0])), 2)

    def test_of_another_ca(self) -> None:
        """A list that names a foreign certificate revokes nothing, and its user believes that it does."""
        foreign = Authority.create("shop").client("app")
        self.assertRaisesRegex(AuthorityError, "another CA", self.authority.revoke, foreign.certificate)

    def test_two_cas_at_once(self) -> None:
        """While a CA is replaced, nodes have both, and a list of each."""
        new = Authority.create("shop")
        both, old_one, new_one = [self.authority, new], self.authority.client("app"), new.client("app")
        self.authority.revoke(old_one.certificate)
        lists = self.authority.crl() + new.crl()
        self.assertIn("revoked", verdict(both, old_one.certificate, lists))
        self.assertEqual(verdict(both, new_one.certificate, lists), "")
        bundle = new.own.certificate_pem + self.authority.own.certificate_pem
        loaded = Authority.load(bundle, self.authority.own.key_pem, new.crl() + self.authority.crl())
        self.assertTrue(loaded.is_revoked(old_one.certificate))


class LoadingTests(SynchronousTestCase):
    def test_what_is_none(self) -> None:
        """Each mistake is one line that says what the file is not."""
        own, other = Authority.create("shop").own, Authority.create("shop").own
        for certificate, key, crl, words in (
            (own.certificate_pem, other.key_pem, b"", "belongs to none"),
            (b"", own.key_pem, b"", "no certificate"),
            (own.certificate_pem, b"?", b"", "no private key"),
            (
                own.certificate_pem,
                own.key_pem,
                b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
                "revocation list",
            ),
        ):
            error = self.assertRaises(AuthorityError, Authority.load, certificate, key, crl)
            self.assertIn(words, str(error))
            self.assertNotIn("\n", str(error))


class HelperTests(SynchronousTestCase):
    """The certificates of other tests are right and wrong in the way that they say."""

    def setUp(self) -> None:
        self.files = Certificates(Path(self.mktemp()))

    def openssl(self, pair: Pair) -> str:
        """What ``openssl verify`` says, with the list of what is revoked."""
        words = ["openssl", "verify", "-crl_check", "-CRLfile", str(self.files.crl), "-CAfile", str(self.files.ca)]
        done = subprocess.run([*words, str(pair.certificate)], capture_output=True, text=True, timeout=SECONDS_MAX)
        return (done.stdout + done.stderr).replace(str(pair.certificate), "it")

    def test_right_ones(self) -> None:
        """openssl accepts them, and their keys are their owner's alone."""
        for pair in (self.files.node(2), self.files.client("app")):
            self.assertEqual(self.openssl(pair), "it: OK\n")
            self.assertEqual(pair.key.stat().st_mode & 0o777, 0o600)

    def test_wrong_ones(self) -> None:
        """Each is refused for its own reason alone: a test with two reasons would show neither."""
        for pair, words in (
            (self.files.expired(1), "certificate has expired"),
            (self.files.expired_client("app"), "certificate has expired"),
            (self.files.other_authority(1), "unable to get local issuer certificate"),
            (self.files.other_authoritys_client("app"), "unable to get local issuer certificate"),
            (self.files.self_signed(1), "self-signed certificate"),
            (self.files.revoked(1), "certificate revoked"),
            (self.files.revoked_client("app"), "certificate revoked"),
        ):
            self.assertIn(words, self.openssl(pair))
        other = self.files.other_cluster(1)
        self.assertEqual(self.openssl(other), "it: OK\n")
        names = x509.load_pem_x509_certificate(other.certificate.read_bytes())
        self.assertEqual(uris(names), ["dkv://elsewhere/node/1"])
