"""Meshes that meet over ``sites``, and what must hold of all they are told, whatever the network does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dkv.actor import GATEWAY, PROPOSER, Address
from dkv.identity import Acquaintance
from dkv.messages import Submit
from dkv.net.door import Door
from dkv.net.mesh import Mesh
from dkv.net.peer_tls import NO_TLS, PeerTls
from dkv.records import Batch
from dkv.settings import ENCODING_BYTES, KIB, Limits, Timings
from tests.byte_level.sites import Net, Site
from tests.byte_level.streams import End
from tests.net.nodes import Recorder, hello, proofs_of

PORT = 5100
TIMINGS = Timings()
LIMITS = Limits(
    key_bytes_max=1 * KIB,
    value_bytes_max=4 * KIB,
    inline_bytes_max=1 * KIB,
    request_bytes_max=8 * KIB,
    connection_inflight_bytes_max=8 * KIB,
    node_inflight_bytes_max=8 * KIB,
    batch_bytes_max=8 * KIB + ENCODING_BYTES,
    slot_bytes_max=8 * KIB + 2 * ENCODING_BYTES,
    catchup_bytes_max=8 * KIB + 2 * ENCODING_BYTES,
    frame_bytes_max=8 * KIB + 3 * ENCODING_BYTES,
    peer_queue_bytes_max=16 * KIB + 3 * ENCODING_BYTES,
)
"""As small as their order allows."""

BLOB_BYTES_MAX = LIMITS.frame_bytes_max - 64
"""Of a batch that fills a frame but for a few bytes."""

SECRET = b"the secret of the nodes, and of nobody else"

FORGED_BOOT = 99
"""The start that strangers name who claim to be a node. No node here is started so often."""

SETTLE_SECONDS = TIMINGS.silence_seconds * 9 / 8 + TIMINGS.reconnect_seconds_max + 0.5
"""By when all is well again: silence noticed at the next tick, the longest wait for a dial, and some round trips."""


def host_of(node: int) -> str:
    """The address of a node's machine."""
    return f"10.0.0.{node}"


class Inbox(Recorder):
    """Remembers what one life of a node is told, and objects at once to what must never be."""

    def __init__(self, sent: dict[tuple[int, int, int], dict[int, Submit]], node: int) -> None:
        super().__init__()
        self._sent = sent
        self._node = node
        self._last: defaultdict[tuple[int, int], int] = defaultdict(int)
        self.received: defaultdict[int, list[int]] = defaultdict(list)
        """The numbers of the messages that came, by their sender."""
        self.up: dict[int, int] = {}
        """The boot of every peer that is up."""

    def deliver(self, to_role: str, sender: Address, message: Any) -> None:
        """What comes was sent by that node to this one, as it is, once, and in this order."""
        assert (to_role, sender.role) == (PROPOSER, GATEWAY), (to_role, sender)
        (batch,) = message.batches
        assert batch.node == sender.node, f"a message of node {batch.node} is said to come from {sender}"
        sent = self._sent[batch.node, batch.boot, self._node]
        assert sent.get(batch.seq) == message, f"node {batch.node} sent no such message: {message!r:.200}"
        last = self._last[batch.node, batch.boot]
        assert batch.seq > last, f"message {batch.seq} of node {batch.node} came after message {last}"
        self._last[batch.node, batch.boot] = batch.seq
        self.received[batch.node].append(batch.seq)

    def peer_met(self, node: int, acquaintance: Acquaintance) -> None:
        """What the disk keeps of a node was said by that node: a stranger's word for it may shut the node out."""
        assert acquaintance.incarnation == 0xB0 + node
        assert acquaintance.start.boot < FORGED_BOOT, f"a stranger was taken for node {node}"
        super().peer_met(node, acquaintance)

    def fence(self, reason: str) -> None:
        """No directory here has forgotten anything."""
        raise AssertionError(f"a node was told to end for good: {reason}")

    def removed(self, slot: int, addresses: tuple[str, ...]) -> None:
        """No node here was removed."""
        raise AssertionError(f"a node was told that it was removed in slot {slot}")

    def peer_up(self, node: int, incarnation: int, boot: int) -> None:
        """Said of a peer that is down, of a life that is not over since long."""
        assert node not in self.up, f"node {node} is up twice"
        assert boot < FORGED_BOOT, f"a stranger was taken for node {node}"
        assert incarnation == 0xB0 + node
        boots = [event[3] for event in self.events if event[:2] == ("up", node)]
        assert boot >= max(boots, default=0), f"node {node} is up with boot {boot} after {boots}"
        self.up[node] = boot
        super().peer_up(node, incarnation, boot)

    def peer_down(self, node: int) -> None:
        """Said of a peer that is up."""
        assert node in self.up, f"node {node} is down twice"
        del self.up[node]
        super().peer_down(node)


MakeTls = Callable[[Site, int], PeerTls]


def without_tls(site: Site, node: int) -> PeerTls:
    """As nodes talk by default."""
    return NO_TLS


class Member:
    """One node, as far as its mesh goes: its lives one after the other."""

    def __init__(self, meeting: Meeting, node: int) -> None:
        self._meeting = meeting
        self.node = node
        self.host = host_of(node)
        self.boot = 0
        self.proofs = proofs_of(*meeting.secrets)
        self.site: Site
        self.mesh: Mesh
        self.inbox: Inbox

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.site.alive

    def lost(self, node: int) -> bool:
        """Whether it counts ``node`` as down."""
        return node not in self.inbox.up

    def start(self) -> None:
        """Begin a new life."""
        self.boot += 1
        self.site = Site(self._meeting.net, self.host)
        self.inbox = Inbox(self._meeting.sent, self.node)
        size = len(self._meeting.numbers)
        me = hello(self.node, boot=self.boot, members=size, frame_bytes_max=LIMITS.frame_bytes_max)
        peers = {node: f"tcp:{host_of(node)}:{PORT}" for node in self._meeting.numbers if node != self.node}
        log, door = self.inbox, Door(self.site, f"tcp:{PORT}")
        tls = self._meeting.tls(self.site, self.node)
        self.mesh = Mesh(self.site, me, door, peers, {}, LIMITS, TIMINGS, self.inbox, log, self.proofs, tls=tls)
        door.bind()
        assert door.port is not None
        self.mesh.startService()

    def send(self, to: int, size: int) -> int:
        """Send a message with ``size`` bytes of nonsense; its number."""
        meeting = self._meeting
        meeting.numbered += 1
        blob = meeting.net.random.randbytes(size)
        message = Submit((Batch(self.node, 0xB0 + self.node, self.boot, meeting.numbered, blob),))
        meeting.sent[self.node, self.boot, to][meeting.numbered] = message
        # The mesh is given a copy, so that nothing it did to the message would go unnoticed.
        self.mesh.send(Address(to, PROPOSER), Address(self.node, GATEWAY), replace(message))
        self.mesh.flush()
        return meeting.numbered


class Meeting:
    """``size`` nodes numbered from 1, started at once on a network that follows from ``seed``.

    They have a peer secret if ``secret``; else with an odd seed. ``tls`` makes that of one life of a node.
    """

    def __init__(self, size: int, seed: int, secret: bool = False, tls: MakeTls = without_tls) -> None:
        self.net = Net(seed)
        self.numbers = tuple(range(1, size + 1))
        self.numbered = 0
        self.tls = tls
        self.secrets = (SECRET,) if secret or seed % 2 else ()
        self.sent: defaultdict[tuple[int, int, int], dict[int, Submit]] = defaultdict(dict)
        """What was sent, by sender, its boot, and receiver; and by number, which grows."""
        self.members = {node: Member(self, node) for node in self.numbers}
        for member in self.members.values():
            member.start()

    def pairs(self) -> list[tuple[Member, Member]]:
        """Everyone with everyone else."""
        members = self.members.values()
        return [(one, other) for one in members for other in members if one is not other]

    def all_well(self) -> bool:
        """Every node knows every other as it is, and may send to it."""
        return all(
            one.inbox.up.get(other.node) == other.boot and other.node in one.mesh.connected
            for one, other in self.pairs()
        )

    def settle(self) -> None:
        """All is well soon, and a while later it still is: nobody is lost in between, and every message arrives."""
        self.net.run(SETTLE_SECONDS)
        assert self.all_well(), self.what_is_known()
        known = self.what_is_known()
        numbers = [(one, other, one.send(other.node, size)) for size in (0, 3000) for one, other in self.pairs()]
        self.net.run(2 * TIMINGS.silence_seconds)
        assert known == self.what_is_known(), (known, self.what_is_known())
        for one, other, number in numbers:
            assert number in other.inbox.received[one.node], f"{number} from {one.node} to {other.node} did not arrive"

    def what_is_known(self) -> dict[int, tuple[frozenset[int], list[tuple[Any, ...]]]]:
        """By node, to whom it may send, and what it was told of who is there."""
        return {node: (member.mesh.connected, list(member.inbox.events)) for node, member in self.members.items()}

    def dialled(self, one: int, other: int) -> tuple[End, End]:
        """The two ends of the one connection that carries the messages from ``one`` to ``other``."""
        (connection,) = self.net.connections(host_of(one), host_of(other))
        return connection
