"""The beginnings of conversations with a node that stop in the middle, by name.

A talk is a generator. It yields what the stranger sends, and is sent what the node answers. What it returns is sent
last; then the stranger falls silent, or goes on dripping. None of them has a right to anything.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cache

from dkv.identity import NO_VOTES, Start
from dkv.net.link import mesh_frame
from dkv.net.peer_proof import NONCE_BYTES
from dkv.settings import LEADER, MIB
from dkv.wire.codec import PROTOCOL, Hello, PeerProof
from dkv.wire.frames import frame

Talk = Generator[bytes, bytes, bytes]

CLIENT, CLIENT_TLS, PEER, ADMIN, ADMIN_TLS = "client", "client_tls", "peer", "admin", "admin_tls"
"""The ports of a node."""

TLS_KINDS = (CLIENT_TLS, PEER, ADMIN_TLS)


@dataclass(frozen=True, slots=True)
class Beginning:
    """How a stranger begins; ``drip`` is what it then sends again and again, a byte at a time.

    A node closes such a connection within ``seconds``, whatever drips in. ``tls``: the port must speak TLS for that.
    ``users``: the port must ask for a password.
    """

    talk: Callable[[], Talk]
    seconds: float
    drip: bytes = b""
    tls: bool = False
    users: bool = False


def said(*pieces: bytes) -> Callable[[], Talk]:
    """A talk that says these pieces, each behind an answer to the one before."""

    def talk() -> Talk:
        for piece in pieces[:-1]:  # noqa: UP028 - what iterates over a tuple cannot be sent the answer
            yield piece
        return pieces[-1]

    return talk


# --- in clear text ---

AUTH_SECONDS = 10.0
HELLO_SECONDS = 2.5
"""``silence_seconds``, and the quarter of it in which a mesh looks at its links."""
HTTP_SECONDS = 15.0

_SOME_BODY = frame(b"x" * 300)
_HELLO = mesh_frame(
    Hello(PROTOCOL, "besieged", 2, 1, LEADER, b"key", b"hash", MIB, (Start(1, 1),), NO_VOTES, b"n" * NONCE_BYTES)
)
_PROOF = mesh_frame(PeerProof(1, b"m" * 32))
_HEADER = b"GET /status HTTP/1.1\r\nHost: node\r\n"

# --- in TLS ---

TLS_SECONDS = 10.0


@cache
def _context() -> ssl.SSLContext:
    """A stranger's: it does not care whom it talks with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class HalfOfTls:
    """A handshake that somebody else carries the bytes of."""

    def __init__(self) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = _context().wrap_bio(self._incoming, self._outgoing, server_hostname="node")
        self.done = False

    def step(self, received: bytes = b"") -> bytes:
        """What to send after ``received``."""
        self._incoming.write(received)
        try:
            self._tls.do_handshake()
            self.done = True
        except ssl.SSLWantReadError:
            pass
        return self._outgoing.read()

    def sealed(self, data: bytes) -> bytes:
        """Data as it is sent once the handshake is done."""
        self._tls.write(data)
        return self._outgoing.read()


@cache
def client_hello() -> bytes:
    """The first words of a handshake. No node remembers them, so all strangers may say the same."""
    return HalfOfTls().step()


def _half_a_finish() -> Talk:
    tls = HalfOfTls()
    answer = yield tls.step()
    while not (last := tls.step(answer)):
        answer = yield b""
    return last[: len(last) // 2]


def after_handshake(*pieces: bytes) -> Callable[[], Talk]:
    """A talk that finishes its handshake, and says these pieces in it."""

    def talk() -> Talk:
        tls = HalfOfTls()
        answer = yield tls.step()
        while True:
            last = tls.step(answer)
            if tls.done:
                break
            answer = yield last
        return last + b"".join(map(tls.sealed, pieces))

    return talk


def _tls(talk: Callable[[], Talk], drip: bytes = b"") -> Beginning:
    return Beginning(talk, TLS_SECONDS, drip, tls=True)


_LONG_AUTH = b"*3\r\n$4\r\nAUTH\r\n$3\r\napp\r\n$9999\r\n"
_AUTH = b"*3\r\n$4\r\nAUTH\r\n$3\r\napp\r\n$100\r\nsecre"
_HANDSHAKES = {
    "half a ClientHello": _tls(lambda: said(client_hello()[: len(client_hello()) // 2])()),
    "a ClientHello": _tls(lambda: said(client_hello())()),
    "a ClientHello, dripping": _tls(said(b""), b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03" + b"r" * 16_000),
    "half a Finished": _tls(_half_a_finish),
}
BEGINNINGS: dict[str, dict[str, Beginning]] = {
    CLIENT: {
        "nothing": Beginning(said(b""), AUTH_SECONDS, users=True),
        "half an AUTH": Beginning(said(_AUTH), AUTH_SECONDS, users=True),
        "half an inline AUTH": Beginning(said(b"AUTH app sec"), AUTH_SECONDS, users=True),
        "an AUTH, dripping": Beginning(said(_LONG_AUTH), AUTH_SECONDS, b"s", users=True),
        "PING, dripping": Beginning(said(b""), AUTH_SECONDS, b"PING\r\n", users=True),
    },
    CLIENT_TLS: {
        **_HANDSHAKES,
        "half an AUTH in TLS": Beginning(after_handshake(_AUTH), AUTH_SECONDS, tls=True, users=True),
    },
    PEER: {
        "no Hello": Beginning(said(b""), HELLO_SECONDS),
        "half a Hello": Beginning(said(_SOME_BODY[:100]), HELLO_SECONDS),
        "a Hello, dripping": Beginning(said(b""), HELLO_SECONDS, _SOME_BODY),
        "a Hello, no PeerProof": Beginning(said(_HELLO, b""), HELLO_SECONDS),
        "half a PeerProof": Beginning(said(_HELLO, _PROOF[:20]), HELLO_SECONDS),
        "a wrong PeerProof": Beginning(said(_HELLO, _PROOF), HELLO_SECONDS),
        **_HANDSHAKES,
        "half a Hello in TLS": Beginning(after_handshake(_SOME_BODY[:100]), HELLO_SECONDS, tls=True),
    },
    ADMIN: {
        "half a request": Beginning(said(b"GET /stat"), HTTP_SECONDS),
        "half a header": Beginning(said(_HEADER), HTTP_SECONDS),
        "a header, dripping": Beginning(said(_HEADER), HTTP_SECONDS, b"X-More: and more\r\n"),
        "half a body": Beginning(said(_HEADER + b"Content-Length: 4000\r\n\r\nhalf"), HTTP_SECONDS),
        "a body, dripping": Beginning(said(_HEADER + b"Content-Length: 4000\r\n\r\n"), HTTP_SECONDS, b"b"),
    },
    ADMIN_TLS: {
        **_HANDSHAKES,
        "a header in TLS": Beginning(after_handshake(_HEADER), HTTP_SECONDS, tls=True),
    },
}
"""All beginnings, by port and name."""
