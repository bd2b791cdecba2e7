"""The messages of clients' requests that stay inside one node: gateway, learner and clients (``dkv.events``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dkv.ballot import Ballot
from dkv.pubsub_messages import Count, Posting
from dkv.records import Entry, ShortDisk
from dkv.replies import Local, Result


@dataclass(frozen=True, slots=True)
class LeaderIs:
    """The leader is ``node`` in ``ballot``; node 0 says that none is known."""

    node: int
    ballot: Ballot


@dataclass(frozen=True, slots=True)
class QuorumHeard:
    """Whether a majority of the members, this node included, was heard lately."""

    heard: bool


@dataclass(frozen=True, slots=True)
class ShortOfSpace:
    """The decision for the whole cluster: writes that grow data are refused while any ``disks`` are named."""

    disks: tuple[ShortDisk, ...]


@dataclass(frozen=True, slots=True)
class BatchApplied:
    """The gateway's own batch (boot, ``seq``) took effect; one result per entry of it."""

    seq: int
    results: list[Result]


@dataclass(frozen=True, slots=True)
class Passed:
    """The gateway's own batches up to ``seq`` took effect in slots that a snapshot stands for: no results are known."""

    seq: int


@dataclass(frozen=True, slots=True)
class Read:
    """Evaluate the read ``entries`` once every slot up to ``through`` is applied."""

    number: int
    through: int
    entries: list[Entry]


@dataclass(frozen=True, slots=True)
class ReadResults:
    """The results of read ``number``, one per entry, after slot ``through``."""

    number: int
    results: list[Result]
    through: int = 0


@dataclass(frozen=True, slots=True)
class Survey:
    """Answer a read that looks through many keys, by the state as it is after slot ``through`` or a later one."""

    number: int
    entry: Entry
    through: int


@dataclass(frozen=True, slots=True)
class SurveyOver:
    """Nobody waits for survey ``number`` any more."""

    number: int


@dataclass(frozen=True, slots=True)
class Surveyed:
    """The reply to survey ``number``."""

    number: int
    reply: Local


@dataclass(frozen=True, slots=True)
class Replayed:
    """The learner has applied the log that its acceptor held at the start, up to ``through``: the node can serve."""

    through: int


class Requests(NamedTuple):
    """Requests of one connection, in order: entries for the log, and ``Local`` replies that keep their place.

    ``writes`` and ``reads`` count the entries; ``size`` is the size of the requests on the wire, in bytes. ``alone``
    says that this is one read that may take long: it waits until the connection has nothing else under way, and what
    comes behind it waits for its reply.
    """

    connection: int
    items: list[Entry | Local]
    writes: int
    reads: int
    size: int
    alone: bool = False


class Replies(NamedTuple):
    """Replies to the oldest unanswered requests of one connection, in order, and the bytes those had taken."""

    connection: int
    replies: Sequence[Result | Local]
    size: int


@dataclass(frozen=True, slots=True)
class ClientRequests:
    """The requests of all connections since the last message, in order: one turn of the gateway handles them all."""

    requests: list[Requests]


@dataclass(frozen=True, slots=True)
class ClientReplies:
    """All replies of one turn of the gateway, in order."""

    replies: list[Replies]


@dataclass(frozen=True, slots=True)
class ClientGone:
    """The connection is closed: nobody waits for its replies."""

    connection: int


@dataclass(frozen=True, slots=True)
class RepliesUnread:
    """Whether too many replies wait for clients to read them, so that no more should be made."""

    full: bool


# --- Publish/subscribe (``dkv.pubsub``) ---


@dataclass(frozen=True, slots=True)
class Posted:
    """Clients of this node have published this since the last message; and counts of its subscribers have changed."""

    postings: tuple[Posting, ...]
    counts: tuple[Count, ...]


@dataclass(frozen=True, slots=True)
class Deliver:
    """This was published, elsewhere or by the node itself, for subscribers of this node."""

    postings: tuple[Posting, ...]


@dataclass(frozen=True, slots=True)
class CountsElsewhere:
    """Peer ``node`` has so many subscribers; ``anew``: what it told before is not so any more."""

    node: int
    anew: bool
    counts: tuple[Count, ...]


@dataclass(frozen=True, slots=True)
class PublishHere:
    """The node itself publishes ``message`` to ``channel``, for subscribers of this node alone."""

    channel: bytes
    message: bytes


KeyEvent = tuple[int, bytes, bytes]
"""The database, the event's name, and the key."""


@dataclass(frozen=True, slots=True)
class KeyEvents:
    """What has happened to keys in ``slot``, in order, as far as it is wanted (``dkv.kv.key_events``).

    ``by_key`` says that the channels of the keys are told, ``by_event`` those of the events.
    """

    events: tuple[KeyEvent, ...]
    by_key: bool = True
    by_event: bool = True
    slot: int = 0

    def messages(self) -> Iterator[tuple[bytes, bytes]]:
        """The messages that tell them, in Redis's order: the channel of each, and its text."""
        for db, event, key in self.events:
            if self.by_key:
                yield b"__keyspace@%d__:%b" % (db, key), event
            if self.by_event:
                yield b"__keyevent@%d__:%b" % (db, event), key
