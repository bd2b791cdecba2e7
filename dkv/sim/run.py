"""One run of a seed: a safety phase under faults, then a majority is healed and must finish all work and agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TextIO

from dkv.gateway.belonging import NO_MEMBER_YET
from dkv.paxos.quorum import quorum_size
from dkv.replies import Error
from dkv.settings import LEADER
from dkv.sim.audience import Audience
from dkv.sim.audience_end import settles
from dkv.sim.audience_rules import AudienceRules
from dkv.sim.constants import constants
from dkv.sim.disk import TOTAL_BYTES
from dkv.sim.invariants import applied_state
from dkv.sim.plan import FAULTS, SUBSCRIBERS
from dkv.sim.simulated_client import SimulatedClient
from dkv.sim.simulated_node import SimulatedNode
from dkv.sim.trace import Happening
from dkv.sim.verdict import judge
from dkv.sim.wordy_history import judge_words, replicated_clock
from dkv.sim.world import World

SETTLE_SECONDS = 30.0
"""How long a healed majority may take for each of its tasks."""
QUIET_SECONDS = 3.0
"""Leadership has settled when no node has become leader for this long."""
DISTURBED_QUIET_SECONDS = 8.0
"""The same if the healed nodes hear one that does not hear them: a futile phase 1 takes its time."""
TRIES = 5
RETRY_SECONDS = 1.0
SETTLED = -1_000
"""The number of the client that asks node 0; those of the other nodes lie below it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a run. ``violation`` is the broken invariant in one sentence, or None if all held."""

    seed: int
    violation: str | None
    simulated_seconds: float
    requests: int
    unknown: int
    slots: int
    elections: int
    events: list[Happening]


def run(
    seed: int,
    nodes: int,
    seconds: float,
    faults: frozenset[str] = frozenset(FAULTS),
    out: TextIO | None = None,
    mode: str = LEADER,
    meanwhile: Callable[[World], bool] | None = None,
) -> Outcome:
    """Run one seed: ``nodes`` nodes, ``seconds`` of faults, the trace written to ``out``.

    ``meanwhile`` may let the time of the faults pass itself, and returns False if an invariant was broken.
    """
    world = World(seed, nodes, seconds, faults, out, mode)
    audience = _audience(world) if SUBSCRIBERS in faults else None
    with constants(world.plan.constants):
        if _begin(world):
            if audience is not None:
                audience.begin()
            if world.run(seconds) if meanwhile is None else meanwhile(world):
                _heal(world, Random(f"{seed}/heal"), audience)
    world.check_replies()
    if world.violation is None:
        complaint = judge(world.crowd.requests, world.executions, world.flushes) or _judge_words(world)
        if complaint is not None:
            world.violated(complaint)
    requests = world.crowd.requests
    return Outcome(
        seed,
        world.violation,
        world.schedule.now,
        len(requests),
        sum(request.was_sent and not (request.known or request.failed) for request in requests),
        world.invariants.chosen.through,
        len(world.elected),
        list(world.trace.events),
    )


def _judge_words(world: World) -> str | None:
    """A sentence about what the clients with all words were told, if something is wrong with it."""
    chosen = world.invariants.chosen
    stamps = [chosen.values[slot].time for slot in range(1, chosen.through + 1)]
    clock = replicated_clock(stamps, world.chosen_at[1 : chosen.through + 1])
    return judge_words(world.wordy.asked, clock, chosen.reference.evicted)


def _audience(world: World) -> Audience:
    rules = AudienceRules(world.violated)
    return Audience(world.schedule, Random(f"{world.seed}/audience"), world.nodes, world.plan.limits, rules)


def _begin(world: World) -> bool:
    """Start everything. If the seed says so, no fault strikes before each member has met every other."""
    if world.plan.early:
        for node in world.nodes:
            wait = world.random.choice((0.0, 0.0, 0.5, 3.0)) * world.random.random()
            world.schedule.after(wait, world.faults.start, node)
    else:
        loss, world.network.wires.weather.loss = world.network.wires.weather.loss, 0.0
        for node in world.nodes:
            node.start()
        if not _must_meet(world, world.nodes):
            return False
        world.network.wires.weather.loss = loss
    world.mode.begin_changes()
    world.crowd.begin()
    world.wordy.begin()
    world.event_switch.begin()
    world.faults.begin()
    world.wall_clocks.begin()
    return True


def _must_meet(world: World, nodes: list[SimulatedNode]) -> bool:
    """Wait until each member has met every other: before that, a cluster needs them all."""
    if not world.run_until(lambda: all(map(world.invariants.may_vote, nodes)), SETTLE_SECONDS):
        world.violated("the members did not meet though nothing was wrong")
        return False
    return True


def _heal(world: World, random: Random, audience: Audience | None) -> None:
    """End all faults for a majority with whole disks; the others must not keep it from its work."""
    world.faults.stop()
    world.wall_clocks.stop()
    if audience is not None:
        audience.stopped = True
    world.calm_down()
    for node in world.nodes:
        node.disk.faults.full, node.disk.faults.free_bytes = False, TOTAL_BYTES  # that of one keeps all from writes
    if world.operators.acted and not _settle_members(world):
        return
    voters = [node for node in world.nodes if node.number in world.to_come[-1].voters]
    whole = [node for node in voters if not node.damaged]
    if not _find_altered(world, whole):
        return
    if not all(map(world.invariants.may_vote, whole)):
        _repair(world, whole)
        if not _must_meet(world, whole):
            return
    size = random.randint(quorum_size(len(voters)), len(whole)) if world.plan.strikes else len(whole)
    healed = sorted(random.sample(whole, size), key=lambda node: node.number)
    world.note(0, "heal", " ".join(f"node {node.number}" for node in healed))
    away = [node for node in world.nodes if node not in healed]
    disturbed = [node for node in away if _put_away(world, node, healed, random) == "deaf"]
    _repair(world, healed)
    world.stop_asking()
    world.crowd.habits.patience = 2 * world.plan.timings.request_seconds
    if _finish(world, healed, DISTURBED_QUIET_SECONDS if disturbed else QUIET_SECONDS) and audience is not None:
        settles(world, audience, healed)


def _settle_members(world: World) -> bool:
    """Let changes that are under way come to their ends, with all nodes that are whole, as operators do."""
    _repair(world, [node for node in world.nodes if not node.damaged])
    # Where nobody leads, one of many nodes that all write may wait for very long.
    world.stop_asking()
    world.crowd.habits.patience = 2 * world.plan.timings.request_seconds
    for node in world.nodes:
        if not _ends_what_it_began(world, node):
            return False
    return _must(world, lambda: _is_complete(world), "a change never takes force")


def _is_complete(world: World) -> bool:
    """Whether nodes that have left may be switched off: the new voters have on disk all that was decided before."""
    newest = world.to_come[-1]
    voters = [node for node in world.nodes if node.number in newest.voters and not node.damaged]
    return len(world.to_come) == 1 and all(node.chosen_through >= newest.from_slot - 1 for node in voters)


def _ends_what_it_began(world: World, node: SimulatedNode) -> bool:
    """Let a member write: a change that was proposed there before is chosen before, however long it was under way.

    One that has not learned yet that it is a member has proposed nothing.
    """
    client = SimulatedClient(world.crowd, SETTLED - node.number)
    for _ in range(TRIES + len(world.nodes)):
        if node.damaged or node.number not in world.members:
            return True
        request = client.ask(node, [b"delete", b"settled"])
        if not _must(world, lambda request=request: request.returned is not None, "a request is not answered"):
            return False
        if not isinstance(request.reply, Error) or request.reply == NO_MEMBER_YET:
            return True
        world.run(RETRY_SECONDS)
    world.violated(f"all that is whole runs, and member {node.number} answers {request.reply!r}")
    return False


def _find_altered(world: World, whole: list[SimulatedNode]) -> bool:
    """A node whose state changed at rest must find that out by itself, as long as the others can compare theirs."""
    voters = world.to_come[-1].voters
    altered = [node for node in world.nodes if node.disk.altered and node.up and node.number in voters]
    if altered and all(map(world.invariants.may_vote, whole)):
        _repair(world, whole + altered)
        if not world.run_until(lambda: not any(node.up for node in altered), SETTLE_SECONDS):
            world.violated(f"B38: node {altered[0].number} has gone on with another state than the others")
            return False
    return True


def _repair(world: World, nodes: list[SimulatedNode]) -> None:
    """Let these nodes run, in one mode, on disks that work."""
    mode = world.mode.settle()
    for node in nodes:
        node.disk.faults.full = node.disk.faults.broken = False
        node.disk.unstick()
        world.faults.resume(node)
        if not node.up:
            node.start()
        elif node.mode != mode:
            node.crash()
            node.start()


def _put_away(world: World, node: SimulatedNode, healed: list[SimulatedNode], random: Random) -> str:
    """Decide how a node that is not healed ends: down, cut off, not heard by the healed ones, or not hearing them."""
    wires, fate = world.network.wires, random.choice(("down", "down", "cut off", "mute", "deaf"))
    if fate == "down":
        node.crash()
    for other in healed:
        if fate == "mute":
            wires.block(node.number, other.number)
        elif fate == "deaf":
            wires.block(other.number, node.number)
        else:
            wires.cut(node.number, other.number)
            wires.cut(other.number, node.number)
    return fate


def _finish(world: World, healed: list[SimulatedNode], quiet_seconds: float) -> bool:
    """Check that all requests finish, leadership settles, and every replica serves and converges."""
    healed_at = world.schedule.now

    def led() -> bool:
        return healed[0].classic or any(node.number in world.leading for node in healed)

    def quiet() -> bool:
        return world.schedule.now - max(healed_at, world.elected_at) >= quiet_seconds

    waiting = [client for client in world.crowd.clients if client.node in healed]
    if not _must(world, lambda: not any(client.busy for client in waiting), "requests were never answered"):
        return False
    if not _must(world, led, "nobody came to lead"):
        return False
    if not _must(world, lambda: not any(map(world.space.refuses, healed)), "there is no end to a shortage of space"):
        return False
    world.wordy.leave_a_key(healed[0])
    for node in healed:
        if not _serves(world, node):
            return False
    if not _must(world, quiet, "it goes on electing leaders"):
        return False
    if not _must(world, lambda: _converged(world, healed), "the replicas did not converge"):
        return False
    if not _must(world, lambda: all(map(world.events.has_told, healed)), "events of keys are never told (I13)"):
        return False
    if not _must(world, lambda: not world.time.due.is_waiting(), "a key stays though it is dead"):
        return False
    if not world.run(healed[0].request_seconds):  # for this long nobody asks for anything
        return False
    unready = [node.number for node in healed if not node.readiness.ready]
    if unready:
        world.violated(
            f"B41: a majority was healed and serves, and of its nodes {unready} do not say that they are ready"
        )
    return not unready


def _must(world: World, condition: object, complaint: str) -> bool:
    if not world.run_until(condition, SETTLE_SECONDS):
        world.violated(f"a majority was healed {SETTLE_SECONDS:g} s ago, and {complaint}")
        return False
    return True


def _serves(world: World, node: SimulatedNode) -> bool:
    """The node must answer a write and a read, given a few tries.

    One that is behind may first ask each node that has left for what it lacks, and wait a moment for the answer.
    """
    tries = TRIES + (len(world.nodes) if world.operators.acted else 0)
    for words in ([b"append", b"healed", b"%d." % node.number], [b"get", b"healed"]):
        for _ in range(tries):
            client = SimulatedClient(world.crowd, -node.number)
            request = client.ask(node, words)
            if not _must(world, lambda request=request: request.returned is not None, "a request is not answered"):
                return False
            if not isinstance(request.reply, Error):
                break
            world.run(RETRY_SECONDS)
            if not _must(world, lambda: not world.space.refuses(node), "there is no end to a shortage of space"):
                return False
        else:
            world.violated(f"a majority was healed, and node {node.number} answers {request.reply!r}")
            return False
    return True


def _converged(world: World, healed: list[SimulatedNode]) -> bool:
    chosen = world.invariants.chosen
    expected = chosen.reference.state_at(chosen.through)
    return all(applied_state(node.host.layers) == expected for node in healed)
