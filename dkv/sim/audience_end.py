"""The end of a run with an audience: nothing fails any more, so everything must arrive, and all must be counted."""

from __future__ import annotations

from collections.abc import Sequence

from dkv.pubsub_messages import CHANNEL, PATTERN
from dkv.sim.audience import Audience
from dkv.sim.simulated_node import SimulatedNode
from dkv.sim.world import World

SETTLE_SECONDS = 30.0
TRIES = 5
TRY_SECONDS = 3.0
"""A message may be lost with a connection that breaks just then: so others are published, so many times."""


def settles(world: World, audience: Audience, healed: Sequence[SimulatedNode]) -> bool:
    """Whether subscribers of all healed nodes get what is published on any of them, and all nodes count them."""
    audience.end()
    here = audience.gather(healed)

    def counted() -> bool:
        exchanges = [node.port.deliveries.exchange for node in healed]
        names = [(CHANNEL, b"a"), (PATTERN, b"a*")]
        return all(exchange.count(name) == len(healed) for exchange in exchanges for name in names)

    if not world.run_until(counted, SETTLE_SECONDS):
        counts = [node.port.deliveries.exchange.count((CHANNEL, b"a")) for node in healed]
        world.violated(f"{len(healed)} nodes have a subscriber each, and count {counts}")
        return False
    for _ in range(TRIES):
        texts = {audience.publish(each, b"publish a", behind_a_write=False) for each in here for _ in range(3)}

        def arrived(texts: set[bytes] = texts) -> bool:
            return all(audience.rules.heard.get(each.connection, set()) >= texts for each in here)

        if world.run_until(arrived, TRY_SECONDS):
            return True
        if world.violation is not None:
            return False
    world.violated("nothing fails any more, and what is published does not reach all subscribers")
    return False
