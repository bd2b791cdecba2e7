"""Whom a certificate names. A node: ``dkv://CLUSTER/node/ID`` in the subjectAltName, and nothing else makes a node. A
client: ``dkv://CLUSTER/user/NAME`` there, or else its common name."""

from __future__ import annotations

import re

from cryptography import x509
from cryptography.x509.oid import NameOID

from dkv.net.securing import Shown

SUBJECT_CHARACTERS_MAX = 200
"""How much is told of the name in a certificate."""

_NODE = re.compile(r"dkv://([^/]+)/node/([1-9][0-9]{0,9})")
_USER = re.compile(r"dkv://([^/]+)/user/(.+)")


def node_named_by(certificate: x509.Certificate) -> tuple[str, int] | None:
    """The cluster and the number of the node; None if no node is named, or more than one."""
    found = {(match[1], int(match[2])) for match in map(_NODE.fullmatch, _uris(certificate)) if match is not None}
    return found.pop() if len(found) == 1 else None


def user_names_of(certificate: x509.Certificate, cluster: str) -> tuple[str, ...]:
    """The names by which a user of ``cluster`` is found.

    The common name counts only in a certificate that has no URI of dkv: that of a node, or of another cluster's user,
    is nobody's here.
    """
    uris = _uris(certificate)
    if any(uri.startswith("dkv:") for uri in uris):
        found = (match for match in map(_USER.fullmatch, uris) if match is not None and match[1] == cluster)
        return tuple(dict.fromkeys(match[2] for match in found))
    common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return (str(common[0].value),) if len(common) == 1 and common[0].value else ()


def shown(certificate: x509.Certificate, cluster: str) -> Shown:
    """Whom the certificate of the other end names. One that cannot be read names nobody."""
    try:
        node, users = node_named_by(certificate), user_names_of(certificate, cluster)
    except Exception:  # several classes of cryptography's, one for each way to be no certificate
        node, users = None, ()
    return Shown(node, users, subject_of(certificate))


def subject_of(certificate: x509.Certificate) -> str:
    """Whose certificate it is, for a line that people read. A stranger may have written anything there."""
    try:
        text = certificate.subject.rfc4514_string()
    except Exception:  # as above
        return "a name that cannot be read"
    text = "".join(each if each.isprintable() else "?" for each in text[: SUBJECT_CHARACTERS_MAX + 1])
    return text if len(text) <= SUBJECT_CHARACTERS_MAX else f"{text[:SUBJECT_CHARACTERS_MAX]}..."


def _uris(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.UniformResourceIdentifier)
