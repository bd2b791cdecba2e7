"""Which role sends each message between nodes to which role, which mode speaks it, and what it shows of a disk."""

from __future__ import annotations

from dkv.actor import ACCEPTOR, CATCHUP, CHECKER, DONOR, ELECTOR, GATEWAY, LEARNER, PROPOSER, PUBSUB, RECEIVER
from dkv.messages import (
    Accept,
    Accepted,
    AcceptedSlot,
    AcceptSlot,
    Barrier,
    BarrierRequest,
    ChosenMark,
    ChosenOtherwise,
    ChosenThrough,
    Confirm,
    Confirmed,
    DiskSpace,
    GiveWay,
    Heartbeat,
    HeartbeatAck,
    Nack,
    NackSlot,
    Poll,
    PollAnswer,
    Prepare,
    PrepareSlot,
    Promise,
    PromiseSlot,
    Resigned,
    SlotChosen,
    SlotSettled,
    Submit,
    TakeOver,
    Voted,
    Want,
)
from dkv.pubsub_messages import CountsHeard, Published, SubscriberCounts
from dkv.state_messages import (
    AppliedDigest,
    ChosenSlots,
    CompactedThrough,
    ReadChosen,
    SnapshotChunk,
    SnapshotRefused,
    SnapshotRequest,
    SnapshotTaken,
    StateCheck,
    StateDigest,
)

ROUTES: dict[type, tuple[str, str]] = {
    Prepare: (PROPOSER, ACCEPTOR),
    Promise: (ACCEPTOR, PROPOSER),
    Nack: (ACCEPTOR, PROPOSER),
    Accept: (PROPOSER, ACCEPTOR),
    Accepted: (ACCEPTOR, PROPOSER),
    ChosenOtherwise: (ACCEPTOR, PROPOSER),
    GiveWay: (ACCEPTOR, PROPOSER),
    ChosenMark: (PROPOSER, ACCEPTOR),
    PrepareSlot: (PROPOSER, ACCEPTOR),
    PromiseSlot: (ACCEPTOR, PROPOSER),
    NackSlot: (ACCEPTOR, PROPOSER),
    AcceptSlot: (PROPOSER, ACCEPTOR),
    AcceptedSlot: (ACCEPTOR, PROPOSER),
    SlotSettled: (ACCEPTOR, PROPOSER),
    SlotChosen: (PROPOSER, ACCEPTOR),
    ChosenThrough: (ACCEPTOR, ACCEPTOR),
    Voted: (ACCEPTOR, ACCEPTOR),
    Submit: (GATEWAY, PROPOSER),
    Want: (PROPOSER, GATEWAY),
    BarrierRequest: (GATEWAY, PROPOSER),
    Barrier: (PROPOSER, GATEWAY),
    Confirm: (PROPOSER, ACCEPTOR),
    Confirmed: (ACCEPTOR, PROPOSER),
    ReadChosen: (CATCHUP, ACCEPTOR),
    ChosenSlots: (ACCEPTOR, CATCHUP),
    CompactedThrough: (ACCEPTOR, CATCHUP),
    AppliedDigest: (LEARNER, LEARNER),
    StateCheck: (CHECKER, CHECKER),
    StateDigest: (CHECKER, CHECKER),
    SnapshotRequest: (RECEIVER, DONOR),
    SnapshotChunk: (DONOR, RECEIVER),
    SnapshotRefused: (DONOR, RECEIVER),
    SnapshotTaken: (RECEIVER, DONOR),
    Poll: (ELECTOR, ELECTOR),
    PollAnswer: (ELECTOR, ELECTOR),
    Resigned: (ELECTOR, ELECTOR),
    TakeOver: (ELECTOR, ELECTOR),
    Heartbeat: (ELECTOR, ELECTOR),
    HeartbeatAck: (ELECTOR, ELECTOR),
    DiskSpace: (ELECTOR, ELECTOR),
    Published: (PUBSUB, PUBSUB),
    SubscriberCounts: (PUBSUB, PUBSUB),
    CountsHeard: (PUBSUB, PUBSUB),
}
"""Each class goes from one role to one other role, so a peer cannot hand an actor a message it does not know."""

_CLASSIC = frozenset(
    (PrepareSlot, PromiseSlot, NackSlot, AcceptSlot, AcceptedSlot, SlotSettled, SlotChosen, ChosenThrough)
)
_STATE = frozenset((AppliedDigest, StateCheck, StateDigest))
_PUBSUB = frozenset((Published, SubscriberCounts, CountsHeard))
_SNAPSHOTS = frozenset((SnapshotRequest, SnapshotChunk, SnapshotRefused, SnapshotTaken))
SPOKEN: dict[str, frozenset[type]] = {
    "leader": frozenset(ROUTES) - _CLASSIC,
    "classic": _CLASSIC | _SNAPSHOTS | _STATE | _PUBSUB | {ReadChosen, ChosenSlots, CompactedThrough, Voted, DiskSpace},
}
"""The classes that nodes of each mode send to each other: no actor of that mode would know any other."""

MAY_BE_LOST: frozenset[type] = frozenset((Published,))
"""What the mesh drops first if a peer is slow to read: it must not fill a queue that votes wait in."""

VOTES: dict[type, bool] = {
    Prepare: False,
    Promise: True,
    Accepted: True,
    PrepareSlot: False,
    PromiseSlot: True,
    AcceptedSlot: True,
    Voted: True,
    Heartbeat: False,
}
"""The sender of one of these has the promise of its ``ballot`` on disk, and if True has cast ``votes`` votes.

That count is for the mesh alone, which compares it with those of later lives (B34). It is not part of a message's
meaning, and equal messages may differ in it.
"""
