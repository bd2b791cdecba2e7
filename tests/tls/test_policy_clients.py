"""TLS with clients: which certificates and versions a port takes."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import DeferredList, inlineCallbacks
from twisted.protocols.tls import TLSMemoryBIOFactory

from dkv.config.tls_settings import OFF, OPTIONAL, REQUIRED
from dkv.net.securing import ADMIN, CLIENTS, PEERS
from dkv.tls import policy
from tests.certificates import Pair
from tests.tls.policy_case import PolicyCase, Talks


class ClientPortTests(PolicyCase):
    @inlineCallbacks
    def test_certificates_of_clients(self) -> Any:
        """They are asked for as the config says: not at all, if there is one, or always."""
        client = self.certificates.client("app")
        seen = []
        for words in (OFF, OPTIONAL, REQUIRED):
            yield self.listen(CLIENTS, client_certificates=words)
            for pair in (client, None):
                seen.append((yield self.visit(pair)))
        named, unnamed = ("app",), ()
        self.assertEqual(seen, [unnamed, unnamed, named, unnamed, named, None])
        self.assertEqual(self.refused, [(CLIENTS, "it has shown no certificate")])

    @inlineCallbacks
    def test_what_is_revoked_counts_on_every_port(self) -> Any:
        """Whether a certificate is wanted there or only taken: a list that one port forgets is no list."""
        revoked, crl = self.certificates.revoked_client("app"), str(self.certificates.crl)
        for port, words in ((PEERS, OFF), (CLIENTS, OPTIONAL), (CLIENTS, REQUIRED), (ADMIN, OPTIONAL)):
            yield self.listen(port, client_certificates=words, crl=crl)
            self.assertIsNone((yield self.visit(revoked)), port)
            self.assertIn("is revoked", self.refused[-1][1])

    @inlineCallbacks
    def visit(self, pair: Pair | None, *options: int, **more: Any) -> Any:
        """Connect as a client does; the users that its certificate names, None if it does not get in."""
        context = SSL.Context(SSL.TLS_METHOD)
        context.load_verify_locations(str(self.certificates.ca))
        context.set_verify(SSL.VERIFY_PEER, lambda *found: bool(found[-1]))
        for option in options:
            context.set_options(option)
        if pair is not None:
            context.use_certificate_file(str(pair.certificate))
            context.use_privatekey_file(str(pair.key))
        accepted, talks = self.talks.next, Talks()
        factory = TLSMemoryBIOFactory(policy._Creator(lambda: context), True, talks)
        talk = yield self.endpoint.connect(factory)
        told = self.told
        talk.wrappedProtocol.transport.write(b"hello")
        theirs = yield DeferredList([accepted, told], fireOnOneCallback=True, consumeErrors=True)
        self.version = talk.getHandle().get_protocol_version_name()
        talk.wrappedProtocol.transport.abortConnection()
        yield talk.wrappedProtocol.lost
        if theirs[1] == 1:
            return None
        yield theirs[0].lost
        return theirs[0].shown.users if theirs[0].shown is not None else ()

    @inlineCallbacks
    def test_versions(self) -> Any:
        """TLS 1.2 and 1.3, and nothing before."""
        yield self.listen(CLIENTS)
        for options, version in (((), "TLSv1.3"), ((SSL.OP_NO_TLSv1_3,), "TLSv1.2")):
            yield self.visit(None, *options)
            self.assertEqual(self.version, version)
        contexts = self.listening.credentials.contexts
        for context in (*contexts.listening.values(), contexts.dialling):
            names = SSL.Connection(context, None).get_cipher_list()
            self.assertTrue(all("GCM" in name or "CHACHA20" in name for name in names), names)
            old = [name for name in names if not name.startswith(("TLS_", "ECDHE-"))]
            self.assertEqual(old, [])
