"""The peer secret: how two nodes show each other that they know it, without a word that would give it away.

The dialler's Hello carries a nonce. The node that was dialled answers with a Challenge, which has a nonce of its own.
The dialler answers with a PeerProof, and only now the other end judges the Hello. Its own proof goes ahead of its
answer:

    dialler                                 the node that was dialled
            Hello(nonce)           ->
                                   <-       Challenge(nonce)
            PeerProof(target, mac) ->
                                   <-       PeerProof(target, mac), then Hello, RefusedForGood or Removed

A proof is an HMAC-SHA256 under the secret of all that makes this handshake this one: the role of the prover, the node
that the dialler meant to reach, both nonces and the Hellos of both as far as the prover has seen them. So a proof that
was recorded does not fit another connection, one that is sent back does not fit the other role, and one that was made
for node 3 does not open node 2.

Nothing here does I/O or draws anything. Nonces come from a source that is handed in.

What this does not do: a plain connection is neither encrypted nor signed behind its handshake. The secret keeps out
everybody who can connect. To keep out somebody who can change what is on its way takes TLS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from hashlib import sha256
from hmac import compare_digest
from hmac import new as new_hmac

from dkv.wire.codec import Challenge, Hello, PeerProof, encode
from dkv.wire.packing import CodecError

NONCE_BYTES = 32
"""So many that no two connections ever have the same."""

DIALLER, DIALLED = b"dialler", b"dialled"
"""The roles of provers."""

_PURPOSE = b"dkv peer proof 1"


class PeerSecrets:
    """The secrets of a node: it proves that it knows the first one, and takes a proof of any of them.

    With none it proves nothing and asks for nothing. If ``allow`` it also talks with nodes that have none: a cluster is
    switched over in this way, node by node. They are never shown, in no ``repr`` either.
    """

    __slots__ = ("_secrets", "allow")

    def __init__(self, secrets: Iterable[bytes] = (), allow: bool = False) -> None:
        self._secrets = tuple(secrets)
        self.allow = allow

    def __bool__(self) -> bool:
        return bool(self._secrets)

    def __repr__(self) -> str:
        return f"<{len(self._secrets)} peer secrets>"

    @property
    def required(self) -> bool:
        """Whether a node that proves nothing is refused."""
        return bool(self._secrets) and not self.allow

    @property
    def own(self) -> bytes:
        """The one that this node shows its knowledge of."""
        return self._secrets[0]

    def used_for(self, mac: bytes, statement: bytes) -> bytes | None:
        """The secret under which ``mac`` stands for ``statement``; None if it is none of these."""
        fitting = [secret for secret in self._secrets if compare_digest(_mac(secret, statement), mac)]
        return fitting[0] if fitting else None


NO_SECRETS = PeerSecrets()


def _mac(secret: bytes, statement: bytes) -> bytes:
    return new_hmac(secret, statement, sha256).digest()


def _statement(role: bytes, target: int, challenge: bytes, dialler: Hello, dialled: Hello | None = None) -> bytes:
    """What a proof is about. Each part has its length before it, so that no two statements are the same bytes.

    The dialler's nonce is in its Hello.
    """
    hellos = encode(dialler), b"" if dialled is None else encode(dialled)
    parts = (_PURPOSE, role, b"%d" % target, challenge, *hellos)
    return b"".join(b"%d:%b" % (len(part), part) for part in parts)


class PeerProofs:
    """What the connections of one node share. ``secrets`` may be set anew; handshakes under way keep the old ones.

    ``draw`` makes ``NONCE_BYTES`` new random bytes.
    """

    def __init__(self, secrets: PeerSecrets, draw: Callable[[], bytes]) -> None:
        self.secrets = secrets
        self._draw = draw

    def adopt(self, secrets: PeerSecrets) -> None:
        """These count for handshakes that begin."""
        self.secrets = secrets

    def dialling(self, me: Hello, target: int) -> DiallersProof:
        """The dialler's side of a handshake, with a nonce of its own if there is a secret."""
        return DiallersProof(self.secrets, replace(me, nonce=self._draw()) if self.secrets else me, target)

    def dialled(self, me: Hello, hello: Hello) -> DialledProof:
        """The side of the node ``me`` that was dialled and has read ``hello``."""
        return DialledProof(self.secrets, me, hello, self._draw)


class DiallersProof:
    """The handshake of one connection as its dialler sees it; ``hello`` is what it says first."""

    def __init__(self, secrets: PeerSecrets, hello: Hello, target: int) -> None:
        self.hello = hello
        self._secrets = secrets
        self._target = target
        self._challenge: bytes | None = None
        self._mac: bytes | None = None

    def challenged(self, challenge: Challenge) -> PeerProof:
        """The answer to a Challenge. ``CodecError`` if none was to be expected."""
        if not self.hello.nonce or self._challenge is not None:
            raise CodecError("a Challenge that was not asked for")
        if len(challenge.nonce) != NONCE_BYTES or challenge.nonce == self.hello.nonce:
            # Its own nonce sent back is the beginning of an attempt to use its proof as somebody else's.
            raise CodecError("a Challenge without a nonce of its own")
        self._challenge = challenge.nonce
        statement = _statement(DIALLER, self._target, self._challenge, self.hello)
        return PeerProof(self._target, _mac(self._secrets.own, statement))

    def proof_received(self, proof: PeerProof) -> None:
        """Keep what the other end shows, until its Hello is there. ``CodecError`` if it is not its turn."""
        if self._challenge is None or self._mac is not None:
            raise CodecError("a PeerProof that was not asked for")
        self._mac = proof.mac

    def doubt(self, dialled: Hello) -> str | None:
        """Why the sender of ``dialled`` is not to be believed, in words for both operators; None if it is."""
        me, they = f"node {self.hello.node}", f"node {dialled.node}"
        if self._challenge is None:
            if not self._secrets.required:
                return None
            return f"{they} asks for no proof of the peer secret: set peer_secret_file in the config file of {they}"
        statement = _statement(DIALLED, self._target, self._challenge, self.hello, dialled)
        if self._mac is None or self._secrets.used_for(self._mac, statement) is None:
            return _not_shown(they, me)
        return None


class DialledProof:
    """The handshake of one connection as the node ``me`` sees it that was dialled by the sender of ``hello``."""

    def __init__(self, secrets: PeerSecrets, me: Hello, hello: Hello, draw: Callable[[], bytes]) -> None:
        self._secrets = secrets
        self._me = me
        self._hello = hello
        self._draw = draw
        self._challenge = b""

    @property
    def missing(self) -> str | None:
        """Why the sender of the Hello is refused at once; None if it is to be challenged, or may do without a proof."""
        me, they = f"node {self._me.node}", f"node {self._hello.node}"
        if self._secrets.required and not self._hello.nonce:
            return f"{they} has no peer secret and {me} asks for it: set peer_secret_file in the config file of {they}"
        return None

    def challenge(self) -> Challenge | None:
        """What the other end is to answer before its Hello is judged; None if it may do without a proof."""
        if not self._secrets or not self._hello.nonce:
            return None
        self._challenge = self._draw()
        return Challenge(self._challenge)

    def answer(self, proof: PeerProof) -> PeerProof | str:
        """This node's own proof, if the one of the other end is right; else why not, in words for both operators."""
        me, they = f"node {self._me.node}", f"node {self._hello.node}"
        statement = _statement(DIALLER, proof.target, self._challenge, self._hello)
        secret = self._secrets.used_for(proof.mac, statement)
        if secret is None:
            return _not_shown(they, me)
        if proof.target != self._me.node:
            return f"{they} dials node {proof.target} and reaches {me}: correct the addresses in the configuration"
        # Under the secret that the other end has used: while secrets change, it may not have the first one yet.
        statement = _statement(DIALLED, proof.target, self._challenge, self._hello, self._me)
        return PeerProof(proof.target, _mac(secret, statement))


def _not_shown(they: str, me: str) -> str:
    return (
        f"{they} does not know the peer secret of {me}: the first line of the peer_secret_file of {they} must be a line"
        f" of that of {me}"
    )
