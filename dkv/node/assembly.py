"""Which actors make a node: the one place where they meet."""

from __future__ import annotations

from collections.abc import Callable, Collection

from dkv.actor import (
    ACCEPTOR,
    CATCHUP,
    CHECKER,
    CLIENTS,
    DONOR,
    ELECTOR,
    GATEWAY,
    LEARNER,
    PROPOSER,
    PUBSUB,
    RECEIVER,
    ROSTER,
    SURVEYOR,
    Actor,
)
from dkv.configurations import Configurations
from dkv.gateway.gateway import Gateway
from dkv.identity import Identity
from dkv.kv.machine import Machine
from dkv.kv.sessions import BOUNDS, Bounds
from dkv.kv.surveyor import Surveyor
from dkv.node.roster import Roster, TellMembers
from dkv.paxos.acceptor import Acceptor
from dkv.paxos.catchup import Catchup
from dkv.paxos.classic.acceptor import ClassicAcceptor
from dkv.paxos.classic.presence import Presence
from dkv.paxos.classic.proposer import ClassicProposer
from dkv.paxos.elector import Elector
from dkv.paxos.learner import Learner
from dkv.paxos.proposer import Proposer
from dkv.paxos.snapshots.donor import SnapshotDonor
from dkv.paxos.snapshots.receiver import SnapshotReceiver
from dkv.paxos.state_checker import StateChecker
from dkv.pubsub.relay import Relay
from dkv.settings import CLASSIC, LEADER, Limits, Timings
from dkv.wire.codec import decode_entries, encode_entries
from dkv.wire.reply_encoder import encode_items


def add_actors(
    add: Callable[[str, Actor], None],
    identity: Identity,
    configurations: Configurations,
    limits: Limits,
    timings: Timings,
    clients: Actor,
    bounds: Bounds = BOUNDS,
    mode: str = LEADER,
    hints: Collection[int] = (),
    tell_members: TellMembers = lambda configurations, applied: None,
) -> Machine:
    """Hand ``add``, a host's, the actors of the node that ``identity`` names; ``clients`` takes the replies.

    The state machine is returned, for those who ask how much it holds.

    ``configurations`` are the sets of members as the state on disk has them, or the first ones. ``mode`` is the
    cluster's way to agree: in classic mode no node leads, and other actors play three of the roles. ``hints`` are the
    peers that a node which joins asks for the log until that names it. ``tell_members`` is called whenever the members
    change, or may have.
    """
    node, classic = identity.node, mode == CLASSIC
    acceptor: Actor
    proposer: Actor
    elector: Actor
    if classic:
        acceptor = ClassicAcceptor(identity, configurations, limits, timings)
        proposer = ClassicProposer(node, configurations, limits, timings)
        elector = Presence(node, configurations, timings)
    else:
        acceptor = Acceptor(identity, configurations, limits)
        proposer = Proposer(node, configurations, limits, timings)
        elector = Elector(node, configurations, limits, timings)
    add(ACCEPTOR, acceptor)
    machine = Machine(decode_entries, configurations, bounds)
    add(LEARNER, Learner(identity, limits, timings, machine))
    add(PROPOSER, proposer)
    add(ELECTOR, elector)
    add(CATCHUP, Catchup(node, configurations, timings, hints))
    add(DONOR, SnapshotDonor(node, configurations, limits, timings))
    add(RECEIVER, SnapshotReceiver(identity, configurations, limits, timings, hints))
    add(CHECKER, StateChecker(node, configurations, limits, timings))
    add(SURVEYOR, Surveyor(node, encode_items))
    add(GATEWAY, Gateway(identity, configurations, limits, timings, encode_entries, classic))
    add(PUBSUB, Relay(identity, limits))
    add(ROSTER, Roster(node, tell_members))
    add(CLIENTS, clients)
    return machine
