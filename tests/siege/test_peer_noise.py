"""What strangers may send to the peer port before a node knows who they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase

from dkv.net.link import HELLO_BYTES_MAX, TICKS_OF_SILENCE
from dkv.net.peer_proof import NONCE_BYTES
from dkv.settings import KIB
from dkv.wire.codec import Alive, Challenge, PeerProof, Refused
from dkv.wire.frames import frame
from tests.net.nodes import BEAT, HELLO, TIMINGS, hello, mesh_of, proofs_of, told
from tests.siege.noise import endless, most_held, streams

STRANGERS_HELLO = hello(cluster="elsewhere")
GOOD = (
    told(STRANGERS_HELLO),
    told(STRANGERS_HELLO) + told(BEAT),
    told(replace(STRANGERS_HELLO, cluster="x" * 3_000)),
    told(Refused("no")),
    told(Alive()),
    told(Challenge(b"n" * NONCE_BYTES)),
    told(replace(STRANGERS_HELLO, nonce=b"n" * NONCE_BYTES)) + told(PeerProof(1, b"m" * 32)),
    told(replace(HELLO, nonce=b"n" * NONCE_BYTES)) + told(PeerProof(1, b"m" * 32)) + told(BEAT),
    told(HELLO),
    told(BEAT),
)
BOMBS = (
    b"\x8b\x01\x9b\x7f\xff\xff\xff\xff\xff\xff\xff",  # a list of 2**63 - 1 items
    b"\x8b\x01\x5b\x7f\xff\xff\xff\xff\xff\xff\xff",  # so many bytes
    b"\x8b\x01\xbb\x00\x00\x00\x01\x00\x00\x00\x00",  # a map of 2**32 pairs
    b"\x81" * 4_000,  # lists in lists
    b"\xd9\x01\x02" * 1_300,  # tags of tags
    b"\xc2\x59\x0f\x00" + b"\xff" * 3_840,  # a number of 30,000 bits
    b"\x9f" * 4_000,  # lists without an end
)
STREAM_BYTES_MAX = 128 * KIB
"""What a stranger may cost, whatever it sends: a frame of 4 KiB, a line in the log, what a decoder takes at first."""


class PeerNoiseTest(SynchronousTestCase):
    """A stranger stops a user's node, fills its memory or gets in, if one of these fails."""

    def setUp(self) -> None:
        self.begin()

    def begin(self) -> None:
        """A mesh with a secret, to which nobody has said anything."""
        self.reactor = MemoryReactorClock()
        self.mesh, self.inbox = mesh_of(self.reactor, 1, proofs=proofs_of(b"what no stranger knows"))
        self.successResultOf(self.mesh.door.bind())
        self.mesh.startService()

    def accept(self) -> tuple[Any, StringTransport]:
        """A connection from somewhere."""
        factory: Any = self.reactor.tcpServers[0][1]
        link = factory.buildProtocol(None)
        transport = StringTransport()
        link.makeConnection(transport)
        return link, transport

    @given(streams(*GOOD))
    @settings(max_examples=300)
    def test_noise(self, pieces: list[bytes]) -> None:
        """Nothing raises, nothing is delivered, and nobody is let in; the connection is over before long."""
        self.keep_out(pieces)

    def keep_out(self, pieces: list[bytes]) -> None:
        """A connection on which these arrive comes to nothing."""
        self.begin()
        link, transport = self.accept()
        for piece in pieces:
            link.dataReceived(piece)
        self.assertIsNone(link.peer)
        self.assertEqual(self.inbox.delivered, [])
        self.assertEqual(self.inbox.events, [])
        self.assertEqual(self.inbox.met, [])
        self.assertLessEqual(len(transport.value()), HELLO_BYTES_MAX)
        for _ in range(TICKS_OF_SILENCE + 1):
            link.dataReceived(b"\0")  # Dripping on buys no time.
            self.reactor.advance(TIMINGS.silence_seconds / TICKS_OF_SILENCE)
        self.assertTrue(transport.disconnecting)

    @given(st.one_of(st.sampled_from(BOMBS), st.binary(max_size=200)), st.integers(1, 64))
    @settings(max_examples=100)
    def test_frames_of_anything(self, body: bytes, size: int) -> None:
        """The same for whole frames of anything, with a right checksum."""
        data = frame(body)
        self.keep_out([data[at : at + size] for at in range(0, len(data), size)])

    def test_memory(self) -> None:
        """Whatever comes and however long: no stranger costs more than a frame of a Hello."""
        long_frames = (length + b"\0\0\0\0" + b"x" * 4_000 for length in (b"\0\0\x10\0", b"\1\0\0\0"))
        for piece in (*map(frame, BOMBS), *GOOD, b"\0", *long_frames):
            self.begin()

            def feed(piece: bytes = piece) -> None:
                link, _ = self.accept()
                for each in endless(piece, 1_000_000):
                    link.dataReceived(each)

            feed()  # once to fill caches
            self.assertLess(most_held(feed), STREAM_BYTES_MAX, piece[:20])
