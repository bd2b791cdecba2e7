"""Meshes as tests make them, and what they are told and say."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import Address
from dkv.ballot import Ballot
from dkv.identity import NO_VOTES, STARTS_KEPT, Acquaintance, Start, members_hash
from dkv.messages import Heartbeat
from dkv.net.door import Door
from dkv.net.mesh import Mesh
from dkv.net.peer_proof import NONCE_BYTES, PeerProofs, PeerSecrets
from dkv.net.peer_tls import NO_TLS, PeerTls
from dkv.settings import Limits, Timings
from dkv.wire.codec import PROTOCOL, Hello, decode, encode
from dkv.wire.frames import FrameReader, frame
from tests.net.wires import Network

LIMITS = Limits()
TIMINGS = Timings()
BEAT = Heartbeat(Ballot(3, 1), 7, 6, 6, 0)


def hello(
    node: int = 2,
    cluster: str = "blue",
    incarnation: int | None = None,
    mode: str = "leader",
    boot: int = 1,
    members: int = 2,
    **more: Any,
) -> Hello:
    """The Hello of node ``node`` of ``members``. Its incarnation is 0xB0 + its id; ``more`` are other fields."""
    said = Hello(
        PROTOCOL,
        cluster,
        node,
        0xB0 + node if incarnation is None else incarnation,
        mode,
        b"key",
        members_hash(range(1, members + 1)),
        LIMITS.frame_bytes_max,
        starts(boot),
        NO_VOTES,
    )
    return replace(said, **more)


def starts(boot: int) -> tuple[Start, ...]:
    """The starts of a directory that was started ``boot`` times."""
    return tuple(Start(each, 0xF0 + each) for each in range(max(1, boot - STARTS_KEPT + 1), boot + 1))


HELLO = hello()  # of node 2, as node 1 likes it


_nonces = count(1)


def proofs_of(*secrets: bytes, allow: bool = False) -> PeerProofs:
    """Proofs with these secrets, and with nonces that are never the same."""
    return PeerProofs(PeerSecrets(secrets, allow), lambda: next(_nonces).to_bytes(NONCE_BYTES, "big"))


class Recorder:
    """An inbox and a log that remember."""

    def __init__(self) -> None:
        self.delivered: list[tuple[str, Address, Any]] = []
        self.events: list[tuple[Any, ...]] = []
        self.heard: list[int] = []
        self.met: list[tuple[int, Acquaintance]] = []
        self.fenced: list[str] = []
        self.removals: list[tuple[int, tuple[str, ...]]] = []
        self.logged: list[tuple[str, dict[str, Any]]] = []
        self.changed: Deferred[None] | None = None

    def deliver(self, to_role: str, sender: Address, message: Any) -> None:
        self.delivered.append((to_role, sender, message))
        self._change()

    def peer_met(self, node: int, acquaintance: Acquaintance) -> None:
        self.met.append((node, acquaintance))

    def fence(self, reason: str) -> None:
        self.fenced.append(reason)

    def removed(self, slot: int, addresses: tuple[str, ...]) -> None:
        self.removals.append((slot, addresses))

    def peer_up(self, node: int, incarnation: int, boot: int) -> None:
        self.events.append(("up", node, incarnation, boot))
        self._change()

    def peer_down(self, node: int) -> None:
        self.events.append(("down", node))
        self._change()

    def peer_heard(self, node: int) -> None:
        self.heard.append(node)

    def info(self, event: str, **fields: Any) -> None:
        self.logged.append((event, fields))

    warning = info

    def lines(self, event: str) -> list[dict[str, Any]]:
        return [fields for name, fields in self.logged if name == event]

    def _change(self) -> None:
        if self.changed is not None:
            changed, self.changed = self.changed, None
            changed.callback(None)

    def next_change(self) -> Deferred[None]:
        self.changed = Deferred()
        return self.changed


def mesh_of(
    reactor: Any,
    node: int,
    members: int = 2,
    cluster: str = "blue",
    mode: str = "leader",
    boot: int = 1,
    incarnation: int | None = None,
    stored: dict[int, Acquaintance] | None = None,
    limits: Limits = LIMITS,
    proofs: PeerProofs | None = None,
    tls: PeerTls = NO_TLS,
    **more: Any,
) -> tuple[Mesh, Recorder]:
    """Node ``node`` of a cluster whose members listen on 5101, 5102 ...; ``more`` are fields of its Hello."""
    recorder = Recorder()
    more = {"frame_bytes_max": limits.frame_bytes_max} | more
    me = hello(node, cluster, incarnation, mode, boot, members, **more)
    peers = {peer: f"tcp:127.0.0.1:{5100 + peer}" for peer in range(1, members + 1) if peer != node}
    door = Door(reactor, f"tcp:{5100 + node}")
    mesh = Mesh(
        reactor, me, door, peers, stored or {}, limits, TIMINGS, recorder, recorder, proofs or proofs_of(), tls=tls
    )
    return mesh, recorder


def said(data: bytes) -> list[Any]:
    """The messages in what was written."""
    return [decode(body)[2] for body in FrameReader(LIMITS.frame_bytes_max).feed(data)]


def told(message: Any) -> bytes:
    """The frame of a message."""
    return frame(encode(message))


def say(mesh: Mesh, to: Address, sender: Address, message: Any) -> None:
    """Send a message, and let it go."""
    mesh.send(to, sender, message)
    mesh.flush()


class MeshTestCase(SynchronousTestCase):
    """Nodes 1 and 2, joined in memory."""

    def setUp(self) -> None:
        self.network = Network()
        self.one, self.inbox_one = self.start(1)
        self.two, self.inbox_two = self.start(2)
        self.network.pump()
        self.network.advance(0.1)

    def start(self, node: int, **options: Any) -> tuple[Mesh, Recorder]:
        mesh, recorder = mesh_of(self.network.reactor, node, **options)
        self.successResultOf(mesh.door.bind())
        mesh.startService()
        return mesh, recorder

    def stop(self, mesh: Mesh, port: int) -> None:
        """Stop like a process that ends: it listens no more, and its connections close."""
        self.network.closed.add(port)
        stopped = mesh.stopService()
        self.network.pump()
        self.successResultOf(stopped)
