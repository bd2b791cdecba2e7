"""A certificate authority (CA) for one cluster: it issues the certificates of nodes and of clients, and revokes them.

All keys are ECDSA on P-256. A certificate names its holder in a URI of its subjectAltName: ``dkv://CLUSTER/node/ID`` or
``dkv://CLUSTER/user/NAME``. A node's names its hosts beside that, for clients that check the name they connect to.
Nothing here touches a file: certificates, keys and CRLs go in and out as PEM.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 365
DAYS_MAX = 36_500

_BACKDATED = timedelta(hours=1)
"""Certificates are valid from a little before they are made, so that a machine whose clock is behind takes them too."""

_CLUSTER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*")
_NUMERIC = re.compile(r"(.*\.)?([0-9]+|0[xX][0-9A-Fa-f]*)")
"""What ends in a number would be an IPv4 address, in one of its old spellings: no host has such a name."""

_BEGINNING = re.compile(rb"-----BEGIN [A-Z0-9 ]*CERTIFICATE-----")


class AuthorityError(ValueError):
    """Something cannot be issued, revoked or read. The text is one line for a person."""


class UnknownKeyError(AuthorityError):
    """The key of a CA has no certificate."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and the private key that belongs to it."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The private key as PEM, in the clear: for a file that only its owner may read."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


class Authority:
    """Issues and revokes certificates of ``cluster``, which its own certificate names unless told otherwise.

    ``revoked`` are those of its certificates that must not be accepted any more, and ``crl_number`` that of its last
    CRL.
    """

    def __init__(
        self,
        own: Issued,
        revoked: Iterable[x509.RevokedCertificate] = (),
        crl_number: int = 0,
        cluster: str | None = None,
    ) -> None:
        self.own = own
        self.cluster = _organisation(own.certificate) if cluster is None else cluster
        self._revoked = {each.serial_number: each for each in revoked}
        self._crl_number = crl_number

    @classmethod
    def create(cls, cluster: str, days: int = AUTHORITY_DAYS, begins: datetime | None = None) -> Authority:
        """A new CA for ``cluster``. Its name has a random part, which tells it from an earlier CA of the same
        cluster."""
        if not _CLUSTER.fullmatch(cluster):
            raise AuthorityError(f"the cluster's name {cluster!r}: use up to 64 letters, digits, '.', '_' and '-'")
        key = _new_key()
        number = x509.random_serial_number()
        name = _name(cluster, f"dkv CA {number:040x}"[:15])
        builder = (
            _builder(name, name, key.public_key(), number, _validity(days, begins))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        return cls(Issued(builder.sign(key, hashes.SHA256()), key))

    @classmethod
    def load(cls, certificate_pem: bytes, key_pem: bytes, crl_pem: bytes = b"") -> Authority:
        """The CA whose key is ``key_pem``, with its certificate and its CRL among those of two files that may hold
        those of other CAs as well."""
        key = private_key(key_pem)
        for certificate in certificates(certificate_pem):
            if certificate.public_key() == key.public_key():
                break
        else:
            raise UnknownKeyError("the key of the CA belongs to none of the CA's certificates")
        for crl in crls(crl_pem):
            if crl.issuer == certificate.subject and crl.is_signature_valid(key.public_key()):
                return cls(Issued(certificate, key), crl, _crl_number(crl))
        return cls(Issued(certificate, key))

    @property
    def has_list(self) -> bool:
        """Whether it knows its last CRL, and so what is revoked."""
        return self._crl_number > 0

    def node(
        self, node: int, hosts: Sequence[str], days: int = CERTIFICATE_DAYS, begins: datetime | None = None
    ) -> Issued:
        """A certificate with which a node both listens and dials. ``hosts`` are host names and IP addresses."""
        names = [x509.UniformResourceIdentifier(node_uri(self.cluster, node)), *map(_host, dict.fromkeys(hosts))]
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        return self._issue(f"node{node}", names, usages, _validity(days, begins))

    def client(self, name: str, days: int = CERTIFICATE_DAYS, begins: datetime | None = None) -> Issued:
        """A certificate with which a client may say which user it is; it cannot be used by a server."""
        if not _USER.fullmatch(name):
            raise AuthorityError(f"the name {name!r} of a client: use up to 64 letters, digits, '.', '_', '@' and '-'")
        names = [x509.UniformResourceIdentifier(user_uri(self.cluster, name))]
        return self._issue(name, names, [ExtendedKeyUsageOID.CLIENT_AUTH], _validity(days, begins))

    def renewed(self, certificate: x509.Certificate, days: int = CERTIFICATE_DAYS) -> Issued:
        """A certificate with the names and uses of an earlier one, which may be of an earlier CA, and a new key."""
        if not uri_of(certificate).startswith(f"dkv://{self.cluster}/"):
            raise AuthorityError(f"the certificate names neither a node nor a user of cluster {self.cluster!r}")
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        return self._issue(_common_name(certificate), list(names), list(usages), _validity(days, None))

    def revoke(self, certificate: x509.Certificate) -> None:
        """From the next CRL on ``certificate`` is revoked; ``AuthorityError`` if another CA issued it."""
        if not self.issued(certificate):
            raise AuthorityError("the certificate is of another CA: only the CA that issued it can revoke it")
        builder = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number)
        self._revoked.setdefault(certificate.serial_number, builder.revocation_date(_now()).build())

    def issued(self, certificate: x509.Certificate) -> bool:
        """Whether this CA has signed ``certificate``."""
        try:
            certificate.verify_directly_issued_by(self.own.certificate)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    def is_revoked(self, certificate: x509.Certificate) -> bool:
        """Whether this CA issued ``certificate`` and has revoked it."""
        return certificate.serial_number in self._revoked and self.issued(certificate)

    def crl(self, days: int | None = None) -> bytes:
        """A new list of what is revoked, as PEM. Unless told otherwise it is valid as long as the CA: nobody has to
        renew it while nothing is revoked."""
        self._crl_number += 1
        own = self.own.certificate
        begins, ends = _validity(DAYS_MAX if days is None else days, None)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(own.subject)
            .last_update(begins)
            .next_update(min(ends, own.not_valid_after_utc))
            .add_extension(x509.CRLNumber(self._crl_number), critical=False)
            .add_extension(_authority_key(own), critical=False)
        )
        for each in self._revoked.values():
            builder = builder.add_revoked_certificate(each)
        return builder.sign(self.own.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _issue(
        self,
        name: str,
        names: Sequence[x509.GeneralName],
        usages: list[x509.ObjectIdentifier],
        validity: tuple[datetime, datetime],
    ) -> Issued:
        own, key = self.own.certificate, _new_key()
        begins, ends = validity
        if own.not_valid_after_utc <= _now():
            raise AuthorityError(f"the CA has expired on {own.not_valid_after_utc:%Y-%m-%d}: make a new one")
        validity = (begins, min(ends, own.not_valid_after_utc))
        subject = _name(self.cluster, name)
        builder = (
            _builder(subject, own.subject, key.public_key(), x509.random_serial_number(), validity)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(_authority_key(own), critical=False)
        )
        return Issued(builder.sign(self.own.key, hashes.SHA256()), key)


def node_uri(cluster: str, node: int) -> str:
    """What names a node in its certificate."""
    return f"dkv://{cluster}/node/{node}"


def user_uri(cluster: str, name: str) -> str:
    """What names a user in the certificate of a client."""
    return f"dkv://{cluster}/user/{name}"


def uri_of(certificate: x509.Certificate) -> str:
    """The URI that names the holder of a certificate; empty if there is none of dkv's."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ""
    found = names.get_values_for_type(x509.UniformResourceIdentifier)
    return next((each for each in found if each.startswith("dkv://")), "")


# --- what is read ---


def certificates(pem: bytes) -> list[x509.Certificate]:
    """All certificates of a PEM file, at least one, and none that begins and does not end."""
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise AuthorityError("there is no certificate in PEM") from None
    if len(found) != len(_BEGINNING.findall(pem)):
        raise AuthorityError("it is cut off, or damaged: a certificate in it does not end")
    return found


def crls(pem: bytes) -> list[x509.CertificateRevocationList]:
    """All CRLs of a PEM file; none in an empty one."""
    pieces = re.findall(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", pem, re.DOTALL)
    try:
        return [x509.load_pem_x509_crl(piece + b"\n") for piece in pieces]
    except ValueError:
        raise AuthorityError("the revocation list is not one in PEM") from None


def private_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """The private key of a PEM file, as this module makes them."""
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError):  # TypeError: it is encrypted
        raise AuthorityError("there is no private key in PEM, or it needs a password") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise AuthorityError("the private key is not one for ECDSA")
    return key


def _organisation(certificate: x509.Certificate) -> str:
    found = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    if not found:
        raise AuthorityError("the CA's certificate does not name a cluster (as its organisation)")
    return str(found[0].value)


def _common_name(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def _crl_number(crl: x509.CertificateRevocationList) -> int:
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


# --- the parts of a certificate ---


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _validity(days: int, begins: datetime | None) -> tuple[datetime, datetime]:
    since = _now() if begins is None else begins
    return since - _BACKDATED, since + timedelta(days=days)


def _name(cluster: str, name: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, cluster), x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )


def _host(host: str) -> x509.GeneralName:
    if "%" not in host:  # which an IPv6 address may have, but not in a certificate
        try:
            return x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            pass
    if _NUMERIC.fullmatch(host):
        raise AuthorityError(f"{host!r} looks like an IP address, and is none; a host's name does not end in a number")
    if not _HOST.fullmatch(host):
        raise AuthorityError(f"{host!r} is neither a host name nor an IP address; a port or a scope is no part of one")
    return x509.DNSName(host)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    number: int,
    validity: tuple[datetime, datetime],
) -> x509.CertificateBuilder:
    begins, ends = validity
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(number)
        .not_valid_before(begins)
        .not_valid_after(ends)
    )


def _usage(digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_key(own: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = own.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
