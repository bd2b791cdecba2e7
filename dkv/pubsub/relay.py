"""The relay: what clients publish goes to the other nodes, and what theirs publish comes in.

It promises little, and what it promises costs no disk and no agreement. A posting goes once to each peer that is
connected at that moment. What is lost with a connection stays lost. Messages of a node are numbered within its boot: a
message that is not later than the last one is dropped. So nothing is delivered twice or out of order where two
connections with the same peer overlap, or where an old life of it is heard after a new one.

Nodes also tell each other how many subscribers they have (``telling.py``). Counts are for those who ask; a posting goes
to every peer, whatever that has told.
"""

from __future__ import annotations

from typing import assert_never

from dkv.actor import CLIENTS, PUBSUB, Address, Turn
from dkv.client_events import CountsElsewhere, Deliver, KeyEvents, Posted, PublishHere
from dkv.events import PeerDown, PeerUp, TimerFired
from dkv.identity import Identity
from dkv.pubsub.telling import Telling
from dkv.pubsub_messages import CHANNEL, CountsHeard, Name, Posting, Published, SubscriberCounts
from dkv.settings import Limits

RelayMessage = (
    Posted | Published | SubscriberCounts | CountsHeard | KeyEvents | PublishHere | PeerUp | PeerDown | TimerFired
)

PUBLISHED_BYTES_MAX = 256 * 1024
"""How many bytes of postings one message to a peer has; one posting at least."""

POSTING_BYTES = 16
"""What a posting takes in a message beside channel and text, at most."""

TELL_AGAIN_SECONDS = 1.0
"""A peer that has not confirmed counts by then is told all of them anew: the message or its answer was dropped."""


class _Peer:
    """One peer: what it is told, and what was heard of it."""

    __slots__ = ("boot", "counts", "has_counts", "must_ask", "published", "telling", "up")

    def __init__(self, telling: Telling) -> None:
        self.telling = telling
        self.up = False
        self.boot = 0
        """That of the life that was connected last."""
        self.published = (0, 0)
        """The latest (boot, number) of its postings."""
        self.counts = (0, 0)
        """The latest (boot, number) of its counts."""
        self.has_counts = False
        """Whether the exchange has counts of it."""
        self.must_ask = False
        """Whether something that it told was dropped, so that it has to tell all of it."""


class Relay:
    """The relay of the node that ``identity`` names. What a client may ask in one request fits one message."""

    def __init__(self, identity: Identity, limits: Limits) -> None:
        self._identity = identity
        self._bytes_max = min(PUBLISHED_BYTES_MAX, limits.request_bytes_max)
        self._clients = Address(identity.node, CLIENTS)
        self._number = 0  # of the last message that was numbered
        self._counts: dict[Name, int] = {}  # of this node's subscribers
        self._peers: dict[int, _Peer] = {}
        self._watching = False  # the timer is set

    def start(self, turn: Turn) -> None:
        """Nothing to load: subscriptions end with their connections."""

    def receive(self, turn: Turn, sender: Address, message: RelayMessage) -> None:
        """React to one message."""
        match message:
            case Posted():
                self._on_posted(turn, message)
            case Published():
                self._on_published(turn, sender.node, message)
            case SubscriberCounts():
                self._on_counts(turn, sender, message)
            case CountsHeard():
                self._on_counts_heard(turn, sender.node, message)
            case KeyEvents():
                self._on_key_events(turn, message)
            case PublishHere():
                self._deliver(turn, ((CHANNEL, message.channel, message.message),))
            case PeerUp():
                self._on_peer_up(turn, message)
            case PeerDown():
                self._on_peer_down(turn, message)
            case TimerFired():
                self._on_timer(turn)
            case _:
                assert_never(message)

    # --- postings ---

    def _on_posted(self, turn: Turn, message: Posted) -> None:
        """Clients of this node have published, and subscribed: tell the peers that are connected."""
        up = {node: peer for node, peer in self._peers.items() if peer.up}
        for postings in _pieces(message.postings, self._bytes_max) if up else ():
            self._number += 1
            published = Published(self._identity.boot, self._number, postings)
            for node in up:
                turn.send(Address(node, PUBSUB), published)
        for kind, text, count in message.counts:
            name = (kind, text)
            if count:
                self._counts[name] = count
            else:
                self._counts.pop(name, None)
            for peer in up.values():
                peer.telling.changed(name)
        if message.counts:
            for node, peer in up.items():
                self._tell(turn, node, peer.telling)

    def _on_published(self, turn: Turn, node: int, message: Published) -> None:
        """Clients of a peer have published: deliver that, unless it or something later was delivered before."""
        peer = self._peer(node)
        if message.boot >= peer.boot and (message.boot, message.number) > peer.published:
            peer.published = (message.boot, message.number)
            self._deliver(turn, message.postings)

    def _on_key_events(self, turn: Turn, message: KeyEvents) -> None:
        """Something happened to keys: this node's subscribers hear of it, those of others from their own nodes."""
        if self._counts:  # else nobody is there
            self._deliver(turn, tuple((CHANNEL, channel, text) for channel, text in message.messages()))

    def _deliver(self, turn: Turn, postings: tuple[Posting, ...]) -> None:
        if self._counts:  # else nobody is there
            turn.send(self._clients, Deliver(postings))

    # --- counts ---

    def _on_counts(self, turn: Turn, sender: Address, message: SubscriberCounts) -> None:
        """A peer tells how many subscribers it has. If something before that was dropped here, it must tell all."""
        peer = self._peer(sender.node)
        if message.boot < peer.boot or (message.boot, message.number) <= peer.counts:
            return  # What an earlier life told is over with it.
        if not peer.up:
            peer.must_ask = True
            return
        if peer.must_ask and not message.anew:
            turn.send(sender, CountsHeard(0, 0))
            return
        peer.must_ask = False
        peer.has_counts = True
        peer.counts = (message.boot, message.number)
        turn.send(self._clients, CountsElsewhere(sender.node, message.anew, message.counts))
        turn.send(sender, CountsHeard(message.boot, message.number))

    def _on_counts_heard(self, turn: Turn, node: int, message: CountsHeard) -> None:
        """A peer has heard what it was told, or knows nothing any more. What concerns an earlier life is over."""
        peer = self._peer(node)
        if peer.up and message.boot in (0, self._identity.boot):
            peer.telling.heard(message.number)
            self._tell(turn, node, peer.telling)

    def _tell(self, turn: Turn, node: int, telling: Telling) -> None:
        piece = telling.next_piece(self._identity.boot, self._number + 1, turn.now)
        if piece is None:
            return
        self._number += 1
        turn.send(Address(node, PUBSUB), piece)
        if not self._watching:
            self._watching = True
            turn.set_timer("tell again", TELL_AGAIN_SECONDS)

    def _on_timer(self, turn: Turn) -> None:
        """Tell those again that have not answered."""
        up = {node: peer.telling for node, peer in self._peers.items() if peer.up}
        for node, telling in up.items():
            if telling.has_waited(TELL_AGAIN_SECONDS, turn.now):
                telling.begin_anew()
                self._tell(turn, node, telling)
        self._watching = any(telling.waits for telling in up.values())
        if self._watching:
            turn.set_timer("tell again", TELL_AGAIN_SECONDS)

    # --- peers ---

    def _on_peer_up(self, turn: Turn, message: PeerUp) -> None:
        """A peer is connected: tell it everything. It may not know that it was gone, and then it has to be asked."""
        peer = self._peer(message.node)
        peer.up, peer.boot = True, message.boot
        peer.telling.begin_anew()
        self._tell(turn, message.node, peer.telling)
        if peer.must_ask:
            turn.send(Address(message.node, PUBSUB), CountsHeard(0, 0))

    def _on_peer_down(self, turn: Turn, message: PeerDown) -> None:
        """A peer is gone: its subscribers get nothing. Its numbers are kept: an old connection may still be heard."""
        peer = self._peer(message.node)
        peer.up = False
        if peer.has_counts:
            peer.has_counts = False
            peer.must_ask = True
            turn.send(self._clients, CountsElsewhere(message.node, True, ()))

    def _peer(self, node: int) -> _Peer:
        peer = self._peers.get(node)
        if peer is None:
            peer = self._peers[node] = _Peer(Telling(self._counts, self._bytes_max))
        return peer


def _pieces(postings: tuple[Posting, ...], bytes_max: int) -> list[tuple[Posting, ...]]:
    """The postings in order, so many together that a message has ``bytes_max`` bytes at most, or a single one."""
    pieces: list[tuple[Posting, ...]] = []
    begin = size = 0
    for place, (_, channel, text) in enumerate(postings):
        more = len(channel) + len(text) + POSTING_BYTES
        if size and size + more > bytes_max:
            pieces.append(postings[begin:place])
            begin, size = place, 0
        size += more
    if begin < len(postings):
        pieces.append(postings[begin:])
    return pieces
