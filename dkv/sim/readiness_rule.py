"""The rule of readiness (B41), checked from outside: a node that says it is ready is in touch with the nodes it needs.

Within the time that a request may take, a follower and its leader have each got messages of the other. A leader, and
every node in classic mode, has got messages of a quorum whose members have got its own. Only messages that arrived
count here, so the rule holds whatever kept the others away. A set that has just taken force is not asked for yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dkv.sim.in_force import SetsInForce
from dkv.sim.simulated_node import SimulatedNode

LOOK_SECONDS = 0.25
"""The time between two questions to every node whether it is ready."""


def complaint(
    nodes: Sequence[SimulatedNode], sets: SetsInForce, arrived_at: Mapping[tuple[int, int], float], now: float
) -> str | None:
    """A sentence about the first node that says it is ready and is not in touch; ``arrived_at`` is by (from, to)."""
    members = [node.number for node in nodes]
    for node in nodes:
        if not node.up or node.clock.paused or not node.readiness.ready:
            continue
        me, leader = node.number, node.readiness.leader
        # Its clock may be slow. In classic mode a peer may finish a slot that this node began.
        since = now - node.request_seconds / node.clock_rate - (node.silence_seconds if node.classic else 0.0)

        def in_touch(other: int, me: int = me, since: float = since) -> bool:
            return min(arrived_at.get((me, other), -1.0), arrived_at.get((other, me), -1.0)) >= since

        touched = {other for other in members if other != me and in_touch(other)}
        if not node.classic and leader != me and leader not in touched:
            return (
                f"B41: node {me} says that it is ready, and nothing has passed between it and node {leader}, its leader"
            )
        needs_quorum = (node.classic or leader == me) and sets.since(node) <= since
        if needs_quorum and not sets.of(node).decides(touched | {me}):
            return f"B41: node {me} says that it is ready, and is in touch with {sorted(touched)} only"
    return None
