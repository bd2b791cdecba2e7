"""Certificates for tests: a cluster's CA in a directory of the test, certificates that are right, and wrong ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from dkv.tls.authority import Authority, Issued, crls

AUTHORITY_KEY = x509.AuthorityKeyIdentifier.oid
LOOPBACK = ("127.0.0.1", "localhost")


@dataclass(frozen=True, slots=True)
class Pair:
    """The files of a certificate and its key."""

    certificate: Path
    key: Path


class Certificates:
    """Files in ``directory``: ``ca.pem``, ``crl.pem`` (nothing is revoked), and ``node1.pem`` with ``node1.key`` and so
    on. All methods return the files of a certificate of their own; its name can be chosen."""

    def __init__(self, directory: Path, cluster: str = "local", nodes: Iterable[int] = (1, 2, 3)) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory.absolute()
        self.cluster = cluster
        self.authority = Authority.create(cluster)
        self.ca = self._file("ca.pem", self.authority.own.certificate_pem)
        self.crl = self._file("crl.pem", self.authority.crl())
        for number in nodes:
            self.node(number)

    def settings(self, **more: str) -> str:
        """The ``[tls]`` table of a config file with these certificates, and ``more`` settings, all strings."""
        fields = {
            "ca": str(self.ca),
            "certificate": str(self.directory / "node{id}.pem"),
            "key": str(self.directory / "node{id}.key"),
        }
        return "\n".join(["[tls]", *(f'{name} = "{value}"' for name, value in (fields | more).items()), ""])

    # --- right ones ---

    def node(self, number: int, name: str = "", days: int = 365) -> Pair:
        """The certificate of a node, at first or anew."""
        return self.write(name or f"node{number}", self.authority.node(number, LOOPBACK, days))

    def client(self, user: str, name: str = "") -> Pair:
        """The certificate of a client that is ``user``."""
        return self.write(name or user, self.authority.client(user))

    # --- wrong ones ---

    def expired(self, number: int, name: str = "expired") -> Pair:
        """A node's certificate that expired yesterday."""
        begins = datetime.now(UTC) - timedelta(days=31)
        return self.write(name, self.authority.node(number, LOOPBACK, days=30, begins=begins))

    def expired_client(self, user: str, name: str = "expired-client") -> Pair:
        """A client's certificate that expired yesterday."""
        begins = datetime.now(UTC) - timedelta(days=31)
        return self.write(name, self.authority.client(user, days=30, begins=begins))

    def other_authority(self, number: int, name: str = "other-authority") -> Pair:
        """With all the right names, from a CA that nobody here knows."""
        return self.write(name, Authority.create(self.cluster).node(number, LOOPBACK))

    def other_authoritys_client(self, user: str, name: str = "other-authoritys-client") -> Pair:
        """The same for a client."""
        return self.write(name, Authority.create(self.cluster).client(user))

    def other_cluster(self, number: int, name: str = "other-cluster") -> Pair:
        """From the same CA, for a node of another cluster."""
        return self.write(name, Authority(self.authority.own, cluster="elsewhere").node(number, LOOPBACK))

    def self_signed(self, number: int, name: str = "self-signed") -> Pair:
        """With all the right names, signed by its own key."""
        model = self.authority.node(number, LOOPBACK)
        extensions = [each for each in model.certificate.extensions if each.oid != AUTHORITY_KEY]
        builder = (
            x509.CertificateBuilder(extensions=extensions)
            .subject_name(model.certificate.subject)
            .issuer_name(model.certificate.subject)
            .public_key(model.key.public_key())
            .serial_number(model.certificate.serial_number)
            .not_valid_before(model.certificate.not_valid_before_utc)
            .not_valid_after(model.certificate.not_valid_after_utc)
        )
        return self.write(name, Issued(builder.sign(model.key, hashes.SHA256()), model.key))

    def revoked(self, number: int, name: str = "revoked") -> Pair:
        """A node's certificate that is in ``crl.pem``, which is written anew."""
        return self.revoke(self.authority.node(number, LOOPBACK), name)

    def revoked_client(self, user: str, name: str = "revoked-client") -> Pair:
        """The same for a client."""
        return self.revoke(self.authority.client(user), name)

    def stale_crl(self) -> bytes:
        """What is revoked, in a list that should have been replaced yesterday."""
        own, now = self.authority.own, datetime.now(UTC)
        builder = (
            x509.CertificateRevocationListBuilder(revoked_certificates=list(crls(self.crl.read_bytes())[0]))
            .issuer_name(own.certificate.subject)
            .last_update(now - timedelta(days=9))
            .next_update(now - timedelta(days=1, hours=1))
        )
        return builder.sign(own.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def revoke(self, issued: Issued, name: str) -> Pair:
        """Write the files of ``issued``, and a CRL in which it is."""
        self.authority.revoke(issued.certificate)
        self._file("crl.pem", self.authority.crl())
        return self.write(name, issued)

    def write(self, name: str, issued: Issued) -> Pair:
        """Write a certificate and its key; files of that name are replaced, each in one step, the key first."""
        key = self._file(f"{name}.key", issued.key_pem)
        return Pair(self._file(f"{name}.pem", issued.certificate_pem), key)

    def _file(self, name: str, content: bytes) -> Path:
        path, part = self.directory / name, self.directory / f"{name}.part"
        part.touch(mode=0o600)
        part.write_bytes(content)
        return part.rename(path)
