"""The exchange of a node: what its clients subscribe to, publish and get.

The client port drives it. A client's SUBSCRIBE or PUBLISH takes effect here at once, in its place among the requests of
its connection. What is to be written to subscribers is gathered, and taken once per turn. What goes to other nodes and
comes from them is the relay's (``relay.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from itertools import islice

from dkv.client_events import Posted
from dkv.pubsub.elsewhere import Elsewhere
from dkv.pubsub.key_channels import MayKnow, key_told
from dkv.pubsub.subscriptions import Subscriptions
from dkv.pubsub_messages import CHANNEL, PATTERN, Count, Name, Posting
from dkv.replies import Notice
from dkv.settings import Limits

COMPARISON = 10
"""What the comparison of a channel with a pattern takes, in notices that are put into outboxes."""


class Outbox:
    """The notices that a connection is to get with its next write, and what they take, in bytes."""

    __slots__ = ("notices", "size")

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.size = 0


class Exchange:
    """The exchange of one node; ``wake`` says that there is something to take."""

    def __init__(self, limits: Limits, wake: Callable[[], None]) -> None:
        self._limits = limits
        self._wake = wake
        self._here = Subscriptions()
        self._may_know: dict[int, MayKnow] = {}
        self._judged = 0  # how often it was asked whether a client may know of a key
        self._elsewhere = Elsewhere(limits.subscriptions_max)
        self._weight = 0
        self._outboxes: dict[int, Outbox] = {}
        self._overfull: list[int] = []
        self._posted: list[Posting] = []
        self.published = 0
        """How many messages clients of this node have published so far."""
        self.delivered = 0
        """How many notices were put into outboxes so far."""
        self.work = 0
        """How much all that was published has taken so far, in notices that are put into outboxes."""

    # --- room for subscriptions ---

    @property
    def weight(self) -> int:
        """For how many subscriptions those of all clients count."""
        return self._weight

    def reserve(self, weight: int) -> bool:
        """Count more subscriptions, or say that there is no room for them."""
        if self._weight + weight > self._limits.subscriptions_max:
            return False
        self._weight += weight
        return True

    def release(self, weight: int) -> None:
        """So many are not needed any more."""
        self._weight -= weight

    # --- whom what happens to keys is told ---

    def restrict(self, connection: int, may_know: MayKnow | None) -> None:
        """A connection is told only what happens to keys that it ``may_know`` of; of all keys if that is None."""
        if may_know is None:
            self._may_know.pop(connection, None)
        else:
            self._may_know[connection] = may_know

    def _knowing(self, receivers: Collection[int], key: tuple[int, bytes]) -> Collection[int]:
        """Those of the receivers that may know of the key."""
        self._judged += len(receivers)
        may_know = self._may_know
        return [each for each in receivers if each not in may_know or may_know[each](*key)]

    # --- what clients do ---

    def subscribe(self, connection: int, names: Iterable[Name]) -> None:
        """A connection subscribes to these."""
        for name in names:
            self._here.add(connection, name)
        self._wake()

    def unsubscribe(self, connection: int, names: Iterable[Name]) -> list[Notice]:
        """It does not want these any more. What it is still to get is returned: it goes before the confirmation."""
        for name in names:
            self._here.remove(connection, name)
        self._wake()
        return self.take_for(connection)

    def leave(self, connection: int) -> None:
        """A connection wants nothing any more, or is gone."""
        self._outboxes.pop(connection, None)
        if self._here.remove_all(connection):
            self._wake()

    def publish(self, posting: Posting) -> int:
        """A client publishes; how many subscribers that has in the cluster, as far as this node knows."""
        self.published += 1
        self._posted.append(posting)
        self._wake()
        count = self._put_out(posting) + self._elsewhere.receivers(*posting[:2])
        self._count_work()
        return count

    # --- what comes from the relay ---

    def deliver(self, postings: Iterable[Posting]) -> None:
        """For subscribers of this node alone."""
        for posting in postings:
            self._put_out(posting)
        self._count_work()

    def _count_work(self) -> None:
        self.work = self.delivered + self._judged + COMPARISON * (self._here.compared + self._elsewhere.compared)

    def counts_elsewhere(self, node: int, anew: bool, counts: tuple[Count, ...]) -> None:
        """A peer tells how many subscribers it has."""
        self._elsewhere.tell(node, anew, counts)

    def _put_out(self, posting: Posting) -> int:
        kind, channel, text = posting
        key = key_told(channel, text) if self._may_know and kind == CHANNEL else None
        receivers = self._here.of((kind, channel))
        if key is not None:
            receivers = self._knowing(receivers, key)
        count = len(receivers)
        if receivers:
            self._put(Notice(kind, None, channel, text), receivers)
        if kind == CHANNEL:
            for pattern, receivers in self._here.matching(channel):
                if key is not None:
                    receivers = self._knowing(receivers, key)
                self._put(Notice(PATTERN, pattern, channel, text), receivers)
                count += len(receivers)
        self.delivered += count
        return count

    def _put(self, notice: Notice, receivers: Iterable[int]) -> None:
        outboxes, size, bytes_max = self._outboxes, notice.size, self._limits.subscriber_bytes_max
        overfull = []
        for connection in receivers:
            outbox = outboxes.get(connection)
            if outbox is None:
                outbox = outboxes[connection] = Outbox()
            elif outbox.size + size > bytes_max:
                overfull.append(connection)
                continue
            outbox.notices.append(notice)
            outbox.size += size
        for connection in overfull:
            self.leave(connection)
        self._overfull += overfull

    # --- what is taken ---

    @property
    def has_mail(self) -> bool:
        """Whether somebody is to get something."""
        return bool(self._outboxes)

    def take(self, connections_max: int) -> list[tuple[int, list[Notice]]]:
        """What connections are to get that have waited longest; ``connections_max`` of them at most."""
        taken = []
        for connection in list(islice(self._outboxes, connections_max)):
            taken.append((connection, self._outboxes.pop(connection).notices))
        return taken

    def take_for(self, connection: int) -> list[Notice]:
        """What this connection is to get by now."""
        outbox = self._outboxes.pop(connection, None)
        return [] if outbox is None else outbox.notices

    def take_overfull(self) -> list[int]:
        """Connections that were to get more than they may have waiting: they get nothing more, and must be cut off."""
        overfull, self._overfull = self._overfull, []
        return overfull

    def take_posted(self) -> Posted | None:
        """What the relay has to know of: what was published, and counts that have changed; None for nothing."""
        if not self._posted and not self._here.has_changed:  # nearly always: this is asked in every turn
            return None
        postings, self._posted = self._posted, []
        return Posted(tuple(postings), self._here.changes())

    # --- what clients ask ---

    def count(self, name: Name) -> int:
        """How many clients of the cluster have subscribed to this name itself."""
        return len(self._here.of(name)) + self._elsewhere.count(name)

    def names(self, kind: int) -> Iterable[bytes]:
        """All names of one kind that any client of the cluster has subscribed to, in order."""
        return sorted({*self._here.names(kind), *self._elsewhere.names(kind)})

    def names_here(self, kind: int) -> int:
        """How many names of one kind clients of this node have subscribed to."""
        return sum(1 for _ in self._here.names(kind))

    @property
    def subscribers(self) -> int:
        """How many clients of this node have subscribed to anything."""
        return self._here.connections
