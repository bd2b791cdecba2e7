"""The certificates of one node: read, and judged before anything rests on them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from OpenSSL import SSL, crypto

from dkv.config.plain_file import open_plain
from dkv.config.tls_settings import OFF, TlsSettings
from dkv.tls.contexts import Contexts, build_contexts
from dkv.tls.names import node_named_by, subject_of
from dkv.tls.reasons import reason_of

CERTIFICATE = "certificate"
CA = "ca"
CRL = "crl"
"""The kinds of what may expire."""

DAY_SECONDS = 86_400.0
SOON_DAYS = 14.0
"""From so many days before something expires on, it is said."""

_NO_CHECK_TIME = 0x200000
"""A flag of OpenSSL's stores that pyOpenSSL has no name for: what has expired is told in other words."""

_CRL = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)
_END = re.compile(rb"-----END [A-Z0-9 ]+-----")


class CredentialsError(ValueError):
    """The files cannot be used. The text is one line that says what to mend."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a node shows, and whom it believes. ``warnings`` are lines about what is no reason to do without."""

    cluster: str
    node: int
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    """What stands behind the certificate in its file."""
    authorities: tuple[x509.Certificate, ...]
    crls: tuple[x509.CertificateRevocationList, ...]
    contexts: Contexts
    warnings: tuple[str, ...] = ()

    @property
    def has_expired(self) -> bool:
        """Whether others refuse the certificate, as its time is over."""
        return self.expire_days()[CERTIFICATE] < 0

    def expire_days(self, now: datetime | None = None) -> dict[str, float]:
        """For each kind how many days from ``now`` the first one of it expires, less than 0 if it has."""
        now = now or datetime.now(UTC)
        ends = {
            CERTIFICATE: [each.not_valid_after_utc for each in (self.certificate, *self.chain)],
            CA: [each.not_valid_after_utc for each in self.authorities],
            CRL: [each.next_update_utc for each in self.crls if each.next_update_utc is not None],
        }
        return {kind: (min(each) - now).total_seconds() / DAY_SECONDS for kind, each in ends.items() if each}

    def expiring(self, now: datetime | None = None) -> list[str]:
        """A line for each kind of which something has expired, or does so soon."""
        days = self.expire_days(now)
        return [f"{_KINDS[kind]} {_in_words(kind, left)}" for kind, left in days.items() if left < SOON_DAYS]


def _in_words(kind: str, days: float) -> str:
    if days >= 0:
        return f"expires in {_count(days)}"
    return f"has expired {_count(-days)} ago{', and counts all the same' if kind == CRL else ': others refuse it'}"


def _count(days: float) -> str:
    whole = int(days)
    return f"{whole} day{'' if whole == 1 else 's'}" if whole else f"{int(days * 24)} h"


_KINDS = {CERTIFICATE: "the certificate", CA: "a certificate of the CA", CRL: "the list of revoked certificates"}


def files_of(settings: TlsSettings, node: int) -> list[str]:
    """The files from which ``load_credentials`` reads."""
    return [settings.ca, settings.certificate_of(node), settings.key_of(node), *filter(None, (settings.crl,))]


def load_credentials(settings: TlsSettings, node: int, cluster: str) -> Credentials:
    """Read the files and judge them; ``CredentialsError`` if they cannot be used.

    The key must belong to the certificate. The certificate must have been issued by the node's own CA and, if nodes
    show it to each other, must name this node of this cluster. One that has expired, or is not valid yet, is a warning:
    a clock may be wrong, and the others say what they refuse.
    """
    certificate, *chain = _certificates(settings.certificate_of(node))
    key_path = settings.key_of(node)
    key = _key(key_path, certificate, settings.certificate_of(node))
    authorities = _certificates(settings.ca)
    crls = _crls(settings.crl, authorities, chain) if settings.crl is not None else []
    _check_chain(settings, node, certificate, chain, authorities)
    if settings.peers != OFF:
        _check_name(settings.certificate_of(node), certificate, cluster, node)
    return Credentials(
        cluster,
        node,
        certificate,
        tuple(chain),
        tuple(authorities),
        tuple(crls),
        _contexts(settings, certificate, chain, key, authorities, crls),
        (*_warnings(certificate, settings.certificate_of(node), crls), *_of_no_ca(settings.ca, authorities)),
    )


# --- reading ---


def _read(path: str) -> bytes:
    try:
        with open_plain(path) as file:
            return file.read()
    except OSError as error:
        raise CredentialsError(f"cannot read {path}: {error.strerror}") from None


def _read_pem(path: str) -> bytes:
    """A bundle that somebody is still writing looks like one with fewer certificates, and would shut out nodes."""
    content = _read(path)
    if content.count(b"-----BEGIN ") > len(_END.findall(content)):
        raise CredentialsError(f"{path} is cut off: something that begins in it does not end; write the file again")
    return content


def _certificates(path: str) -> list[x509.Certificate]:
    try:
        found = x509.load_pem_x509_certificates(_read_pem(path))
        for each in found:
            _ = each.extensions, each.subject, each.issuer  # read at first use, and what is broken shows only then
    except ValueError as error:
        if isinstance(error, CredentialsError):
            raise
        raise CredentialsError(f"{path} has no certificates in PEM") from None
    return found


def _key(path: str, certificate: x509.Certificate, certificate_path: str) -> PrivateKeyTypes:
    try:
        key = serialization.load_pem_private_key(_read(path), None)
        belongs = key.public_key() == certificate.public_key()
    except TypeError:
        raise CredentialsError(
            f"the key in {path} is protected by a passphrase, and a node has nobody to ask; store it without one, "
            f"readable by the node's user alone"
        ) from None
    except Exception as error:  # several classes of cryptography's, one for each way to be no key
        if isinstance(error, CredentialsError):
            raise
        raise CredentialsError(f"{path} has no private key in PEM that can be used for TLS") from None
    if not belongs:
        raise CredentialsError(f"the key in {path} does not belong to the certificate in {certificate_path}")
    return key


def _crls(
    path: str, authorities: Sequence[x509.Certificate], chain: Sequence[x509.Certificate]
) -> list[x509.CertificateRevocationList]:
    """The lists in the file at ``path``. Each CA must have one: without it, nobody whom it certified would get in."""
    try:
        found = [x509.load_pem_x509_crl(text) for text in _CRL.findall(_read_pem(path))]
    except ValueError as error:
        if isinstance(error, CredentialsError):
            raise
        raise CredentialsError(f"{path} has a list of revoked certificates that cannot be read") from None
    if not found:
        raise CredentialsError(f"{path} has no list of revoked certificates (X509 CRL) in PEM")
    for issuer in (*authorities, *chain):
        if not any(crl.issuer == issuer.subject and _signed(crl, issuer) for crl in found):
            name = issuer.subject.rfc4514_string()
            raise CredentialsError(
                f"{path} has no list of the CA {name}; put one list for each CA into the file, one behind the other"
            )
    return found


def _signed(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    try:
        return crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]  # TypeError for other kinds of keys
    except (TypeError, ValueError):
        return False


# --- judging ---


def _check_chain(
    settings: TlsSettings,
    node: int,
    certificate: x509.Certificate,
    chain: Sequence[x509.Certificate],
    authorities: Sequence[x509.Certificate],
) -> None:
    store = crypto.X509Store()
    for each in authorities:
        store.add_cert(crypto.X509.from_cryptography(each))
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN | _NO_CHECK_TIME)
    behind = [crypto.X509.from_cryptography(each) for each in chain]
    try:
        crypto.X509StoreContext(store, crypto.X509.from_cryptography(certificate), behind).verify_certificate()
    except crypto.X509StoreContextError as error:
        raise CredentialsError(
            f"the certificate in {settings.certificate_of(node)} was not issued by the CA in {settings.ca}: {error}"
        ) from None


def _check_name(path: str, certificate: x509.Certificate, cluster: str, node: int) -> None:
    named = node_named_by(certificate)
    wanted = f"dkv://{cluster}/node/{node}"
    if named is None:
        raise CredentialsError(f"the certificate in {path} names no node; its subjectAltName needs the URI {wanted}")
    if named != (cluster, node):
        raise CredentialsError(
            f"the certificate in {path} is that of node {named[1]} of cluster {named[0]!r}, and this is node {node} of "
            f"{cluster!r}; its subjectAltName needs the URI {wanted}"
        )


def _contexts(
    settings: TlsSettings,
    certificate: x509.Certificate,
    chain: Sequence[x509.Certificate],
    key: PrivateKeyTypes,
    authorities: Sequence[x509.Certificate],
    crls: Sequence[x509.CertificateRevocationList],
) -> Contexts:
    try:
        return build_contexts(certificate, chain, key, authorities, crls, settings.client_certificates)
    except SSL.Error as error:
        raise CredentialsError(f"OpenSSL does not accept the certificates of [tls]: {reason_of(error)}") from None


def _warnings(certificate: x509.Certificate, path: str, crls: Sequence[x509.CertificateRevocationList]) -> list[str]:
    lines = []
    now = datetime.now(UTC)
    if certificate.not_valid_before_utc > now:
        lines.append(f"the certificate in {path} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M}")
    for crl in crls:
        number = certificate.serial_number
        if crl.issuer == certificate.issuer and crl.get_revoked_certificate_by_serial_number(number) is not None:
            lines.append(f"the certificate in {path} is revoked: others refuse it")
    return lines


def _of_no_ca(path: str, authorities: Sequence[x509.Certificate]) -> list[str]:
    """A line for each certificate that may not issue any: another file than was meant, as a rule."""
    wrong = [subject_of(each) for each in authorities if not _may_issue(each)]
    return [f"{subject} in {path} is no CA: it speaks for itself alone" for subject in wrong]


def _may_issue(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return True  # of the first version of X.509, which had no word for it
