"""OpenSSL's contexts: which versions, ciphers and certificates count. One set for each set of credentials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from OpenSSL import SSL, crypto

from dkv.config.tls_settings import OFF, REQUIRED
from dkv.net.securing import ADMIN, CLIENTS, PEERS
from dkv.tls.names import subject_of
from dkv.tls.reasons import CRL_EXPIRED, verdict_on

CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2: forward secrecy and authenticated encryption only. All ciphers of TLS 1.3 are so."""

_OPTIONS = (
    SSL.OP_NO_RENEGOTIATION  # a client could ask for costly handshakes again and again
    | SSL.OP_NO_COMPRESSION  # its size tells of what is compressed
    | SSL.OP_NO_TICKET  # a session that goes on would not look at the list of revoked certificates again
    | SSL.OP_CIPHER_SERVER_PREFERENCE
)


@dataclass(frozen=True, slots=True)
class Contexts:
    """A context for each kind of port that a node listens on, and one to dial peers with."""

    listening: dict[str, SSL.Context]
    dialling: SSL.Context


def build_contexts(
    certificate: x509.Certificate,
    chain: Sequence[x509.Certificate],
    key: PrivateKeyTypes,
    authorities: Sequence[x509.Certificate],
    crls: Sequence[x509.CertificateRevocationList],
    client_certificates: str,
) -> Contexts:
    """The contexts of a node; ``SSL.Error`` if OpenSSL does not accept what they are made of."""

    def context(verify: int) -> SSL.Context:
        made = SSL.Context(SSL.TLS_METHOD)
        made.set_min_proto_version(SSL.TLS1_2_VERSION)
        made.set_options(_OPTIONS)
        made.set_mode(SSL.MODE_RELEASE_BUFFERS)  # thousands of clients do nothing most of the time
        made.set_cipher_list(CIPHERS)
        made.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        made.set_session_id(b"dkv")
        made.use_certificate(certificate)
        for each in chain:
            made.add_extra_chain_cert(each)
        made.use_privatekey(key)  # type: ignore[arg-type]  # other kinds of keys are refused with an error
        made.set_verify(verify, _judge)
        store = made.get_cert_store()
        assert store is not None, "every context has one"
        for each in authorities:
            store.add_cert(crypto.X509.from_cryptography(each))
        flags = crypto.X509StoreFlags.PARTIAL_CHAIN  # whoever is in the file is trusted, also one that is no root
        for crl in crls:
            store.add_crl(crl)
            flags |= crypto.X509StoreFlags.CRL_CHECK | crypto.X509StoreFlags.CRL_CHECK_ALL
        store.set_flags(flags)
        return made

    everybody = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
    of_clients = {OFF: SSL.VERIFY_NONE, REQUIRED: everybody}.get(client_certificates, SSL.VERIFY_PEER)
    of_operators = SSL.VERIFY_NONE if client_certificates == OFF else SSL.VERIFY_PEER  # a probe, or a token, needs none
    ports = {CLIENTS: of_clients, ADMIN: of_operators, PEERS: everybody}
    return Contexts({port: context(verify) for port, verify in ports.items()}, context(everybody))


def _judge(connection: SSL.Connection, certificate: crypto.X509, number: int, depth: int, good: int) -> bool:
    """OpenSSL asks about each certificate of the other end. What is wrong is kept, to be told.

    A list of revoked certificates that should have been replaced counts as it is: what it names stays revoked, and a
    cluster must not stop as a whole since a file was forgotten. That it has expired is said loudly elsewhere.
    """
    if good or number == CRL_EXPIRED:
        return True
    transport = connection.get_app_data()
    if transport is not None:
        transport.refused = verdict_on(number, subject_of(certificate.to_cryptography()))
    return False
