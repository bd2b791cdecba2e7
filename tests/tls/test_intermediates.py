"""Certificates of nodes from a company's CA, which has a CA of its own for each purpose."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dkv.config.tls_settings import REQUIRE
from dkv.net.peer_tls import PeerTls
from dkv.tls.authority import Authority, Issued
from tests.certificates import LOOPBACK, Pair
from tests.tls.test_peers import CLUSTER, UP, PeerTestCase

PEM = serialization.Encoding.PEM
DAY = timedelta(days=1)


def authority(name: str, issuer: Issued | None = None) -> Issued:
    """The certificate of a CA, signed by its own key or by ``issuer``."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + 30 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return Issued(builder.sign(key if issuer is None else issuer.key, hashes.SHA256()), key)


class IntermediateTests(PeerTestCase):
    def setUp(self) -> None:
        """The nodes believe the root, and know the lists of all CAs."""
        super().setUp()
        self.root = authority("root")
        self.nodes_ca, self.others_ca = authority("for nodes", self.root), authority("for others", self.root)
        self.certificates.ca.write_bytes(self.root.certificate_pem)
        self.write_lists(Authority(self.root, cluster=CLUSTER))

    def write_lists(self, root: Authority) -> None:
        """What each CA has revoked: those below the root nothing."""
        below = [Authority(each, cluster=CLUSTER) for each in (self.nodes_ca, self.others_ca)]
        self.certificates.crl.write_bytes(b"".join(each.crl() for each in (root, *below)))

    def tls_of(self, node: int, issuer: Issued) -> PeerTls:
        """TLS of a node whose certificate ``issuer`` has signed, with that of the issuer behind it in the file."""
        issued = Authority(issuer, cluster=CLUSTER).node(node, LOOPBACK)
        files = Pair(*(self.certificates.directory / f"chain{node}.{kind}" for kind in ("pem", "key")))
        files.certificate.write_bytes(issued.certificate_pem + issuer.certificate_pem)
        files.key.write_bytes(issued.key_pem)
        files.key.chmod(0o600)
        return self.tls(node, REQUIRE, files)

    def test_believed(self) -> None:
        """A node shows the whole chain: the others need the root alone."""
        first, _ = self.meet(self.tls_of(1, self.nodes_ca), self.tls_of(2, self.nodes_ca))
        self.assertEqual((first.events, self.refused), (UP, {1: [], 2: []}))

    def test_revoked_above(self) -> None:
        """A CA that the root has revoked certifies nobody, though it has not revoked the node itself."""
        root = Authority(self.root, cluster=CLUSTER)
        root.revoke(self.others_ca.certificate)
        self.write_lists(root)
        first, _ = self.meet(self.tls_of(1, self.nodes_ca), self.tls_of(2, self.others_ca))
        self.assertEqual(first.events, [])
        self.assertIn("is revoked", self.refused[1][0])
