"""Which actors make a node: the one place where they meet."""

from __future__ import annotations

from collections.abc import Iterable

from dkv.actor import ACCEPTOR, CATCHUP, CLIENTS, ELECTOR, GATEWAY, LEARNER, PROPOSER, Actor
from dkv.identity import Identity
from dkv.kv.machine import Machine
from dkv.node.gateway import Gateway
from dkv.node.host import Host
from dkv.paxos.acceptor import Acceptor
from dkv.paxos.catchup import Catchup
from dkv.paxos.elector import Elector
from dkv.paxos.learner import Learner
from dkv.paxos.proposer import Proposer
from dkv.settings import Limits, Timings
from dkv.wire.codec import decode_entries, encode_entries


def add_actors(
    host: Host, identity: Identity, members: Iterable[int], limits: Limits, timings: Timings, clients: Actor
) -> None:
    """Give ``host`` the actors of the node that ``identity`` names; ``clients`` takes the replies."""
    ids, node = tuple(members), identity.node
    host.add(ACCEPTOR, Acceptor(node, ids, limits))
    host.add(LEARNER, Learner(identity, Machine(decode_entries)))
    host.add(PROPOSER, Proposer(node, ids, limits, timings))
    host.add(ELECTOR, Elector(node, ids, limits, timings))
    host.add(CATCHUP, Catchup(node, ids, timings))
    host.add(GATEWAY, Gateway(identity, limits, timings, encode_entries))
    host.add(CLIENTS, clients)
