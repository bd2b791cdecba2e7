"""Whole nodes in one process, on one clock: production actors and host, and codec; memory for disk and network.

Deterministic for a seed. Messages between nodes are encoded, take a random moment, and are lost while a link is cut.
Commits take a random moment. ``crash`` loses what was not committed.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet.task import Clock

from dkv.actor import CLIENTS, GATEWAY, Address, Note, NoteFields, Turn
from dkv.client_events import ClientReplies, ClientRequests, Requests
from dkv.configurations import Configurations, first_configurations, unpack_configurations
from dkv.host.host import Host
from dkv.identity import Acquaintance, Identity, Start
from dkv.keys import CONFIGURATIONS, STATE
from dkv.kv.codes import APPEND, DELETE, GET, KEYS, PUT, READS
from dkv.node.assembly import add_actors
from dkv.settings import LEADER, Limits, Timings
from dkv.sim.memory import MemoryStore
from dkv.sim.simulated_generations import SimulatedGenerations
from dkv.wire.codec import decode, encode

STEPS_MAX = 2_000_000

EPOCH_MS = 1_795_000_000_000
"""What the clocks of machines show at the beginning, in milliseconds since 1970."""


class SlowStore(MemoryStore):
    """Commits that finish after ``delay()`` seconds of the clock; none while it is stuck."""

    def __init__(self, clock: Clock, delay: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._delay = delay
        self._finishing: Any = None
        self._stuck = False
        self.commits = 0

    def commit(self, writes: Any, done: Any) -> None:
        super().commit(writes, done)
        self.commits += 1
        if not self._stuck:
            self._finishing = self._clock.callLater(self._delay(), self._finish)

    def _finish(self) -> None:
        self._finishing = None
        self.complete()

    def stick(self) -> None:
        """No commit that begins from now on ends."""
        self._stuck = True

    def free(self) -> None:
        """Commits end again, the one that was stuck at once."""
        self._stuck = False
        if self.committing and self._finishing is None:
            self._finish()

    def crash(self) -> None:
        """Lose the commit under way."""
        if self._finishing is not None:
            self._finishing.cancel()
            self._finishing = None
        super().crash()


class Waiting:
    """A client's request: ``reply`` is set when it is answered."""

    def __init__(self) -> None:
        self.reply: Any = None
        self.answered = False


class RepliesActor:
    """Stands for the client port."""

    def __init__(self) -> None:
        self.waiting: dict[int, Waiting] = {}

    def start(self, turn: Turn) -> None:
        """Nothing to start."""

    def receive(self, turn: Turn, sender: Address, message: ClientReplies) -> None:
        """Hand the reply to whoever waits."""
        for replies in message.replies:
            waiting = self.waiting.pop(replies.connection)
            waiting.answered = True
            waiting.reply = replies.replies[0]


class Node:
    """One node: what survives a crash, and the host of its current life if it is up."""

    def __init__(self, cluster: MemoryCluster, number: int) -> None:
        self.cluster = cluster
        self.number = number
        self.store = SlowStore(cluster.clock, lambda: cluster.random.uniform(0.0002, cluster.commit_seconds))
        self.generations = SimulatedGenerations(
            lambda _: SlowStore(cluster.clock, lambda: cluster.random.uniform(0.0002, cluster.commit_seconds))
        )
        self.boot = 0
        self.incarnation = cluster.random.getrandbits(64)
        self.up = False
        self.mode = cluster.mode
        self.failure: BaseException | None = None
        self.wrong_ms = 0
        """How far the clock of its machine is ahead."""
        self.notes: list[tuple[str, str, dict[str, Any]]] = []

    def start(self) -> None:
        """Begin a new life on what the disk holds."""
        cluster = self.cluster
        self.boot += 1
        self.up = True
        self.notes.append(("host", "started", {}))
        identity = Identity("test", self.number, self.incarnation, self.boot)
        self.host = Host(
            self.number,
            clock=cluster.clock,
            wall_clock=lambda: EPOCH_MS + round(cluster.clock.seconds() * 1000) + self.wrong_ms,
            store=self.store,
            generations=self.generations,
            random=Random(cluster.random.getrandbits(64)),
            limits=cluster.limits,
            timings=cluster.timings,
            note=self._note,
            fail=self._failed,
        )
        self.clients = RepliesActor()
        add_actors(
            self.host.add,
            identity,
            self._configurations(),
            cluster.limits,
            cluster.timings,
            self.clients,
            mode=self.mode,
            hints=tuple(cluster.nodes),
        )
        self.host.connect(Link(cluster, self.number))
        self.host.start()
        for other in cluster.nodes.values():
            if other.up and other is not self and not cluster.is_cut(self.number, other.number):
                cluster.introduce(self, other)

    def _configurations(self) -> Configurations:
        """The sets of members that the state has; the first one if it has none."""
        stored = self.generations.current.get(CONFIGURATIONS)
        return first_configurations(self.cluster.numbers) if stored is None else unpack_configurations(stored)

    def _failed(self, reason: str, error: BaseException) -> None:
        self.failure = error
        self.up = False

    def crash(self) -> None:
        """kill -9: what was not committed is lost, and so is every message on its way."""
        self.up = False
        self.host.stop()
        self.store.crash()
        self.generations.crash()
        for other in self.cluster.nodes.values():
            if other.up:
                other.host.peer_down(self.number)

    def request(self, *entry: Any) -> Waiting:
        """Send one entry as a client of this node would, on a connection of its own."""
        cluster = self.cluster
        cluster.connections += 1
        waiting = self.clients.waiting[cluster.connections] = Waiting()
        write = entry[0] not in READS
        requests = Requests(cluster.connections, [list(entry)], int(write), int(not write), 64, alone=entry[0] == KEYS)
        self.host.deliver(GATEWAY, Address(self.number, CLIENTS), ClientRequests([requests]))
        return waiting

    def put(self, key: bytes, value: bytes) -> Waiting:
        """PUT."""
        return self.request(PUT, key, value)

    def get(self, key: bytes) -> Waiting:
        """GET."""
        return self.request(GET, key)

    def append(self, key: bytes, suffix: bytes) -> Waiting:
        """APPEND."""
        return self.request(APPEND, key, suffix, 1 << 20)

    def delete(self, *keys: bytes) -> Waiting:
        """DELETE."""
        return self.request(DELETE, *keys)

    def state(self) -> dict[bytes, bytes]:
        """Every key and value as the node's state machine has them."""
        return dict(self.host.layers.scan(STATE))

    def _note(self, actor: str, event: Note[NoteFields], /, *_: NoteFields.args, **fields: NoteFields.kwargs) -> None:
        assert actor in event.by, f"{event.name} is noted by {actor}, which is not in the table"
        if event.level is not None:
            self.notes.append((actor, event.name, fields))

    def noted(self, event: str) -> list[dict[str, Any]]:
        """The fields of each note of ``event``."""
        return [fields for _, noted, fields in self.notes if noted == event]


class Link:
    """A node's way to the others."""

    def __init__(self, cluster: MemoryCluster, node: int) -> None:
        self._cluster = cluster
        self._node = node
        self._boot = cluster.nodes[node].boot

    def send(self, to: Address, sender: Address, message: Any) -> None:
        """Encode, and deliver a moment later to the life that the receiver has by then, in order."""
        self._cluster.transmit(self._node, to, encode(message))

    def flush(self) -> None:
        """Nothing was kept back."""

    def pause_reading(self) -> None:
        """Memory does not run out here."""

    def resume_reading(self) -> None:
        """Nor is anything waited for."""


class MemoryCluster:
    """``size`` nodes numbered from 1, started."""

    def __init__(
        self,
        size: int = 3,
        seed: int = 1,
        limits: Limits | None = None,
        timings: Timings | None = None,
        mode: str = LEADER,
    ) -> None:
        self.clock = Clock()
        self.random = Random(seed)
        self.limits = limits or Limits()
        self.timings = timings or Timings()
        self.mode = mode
        self.commit_seconds = 0.002
        self.loss = 0.0
        self.connections = 0
        self.numbers = tuple(range(1, size + 1))
        self._cut: set[tuple[int, int]] = set()
        self._last_arrival: dict[tuple[int, int], float] = {}
        self.nodes = {number: Node(self, number) for number in self.numbers}
        for node in self.nodes.values():
            node.start()
        self._give_signs_of_life()

    def join(self, number: int) -> Node:
        """Start a node that is no first member: it is connected with all others, and the log has to name it."""
        node = self.nodes[number] = Node(self, number)
        node.start()
        return node

    # --- network ---

    def transmit(self, sender: int, to: Address, body: bytes) -> None:
        """Carry one frame, in order with the others of its direction, unless it is lost."""
        if self.is_cut(sender, to.node) or self.random.random() < self.loss:
            return
        receiver = self.nodes[to.node]
        life = receiver.boot
        arrival = self.clock.seconds() + self.random.uniform(0.00005, 0.001)
        arrival = max(arrival, self._last_arrival.get((sender, to.node), 0.0))
        self._last_arrival[sender, to.node] = arrival

        def arrive() -> None:
            if receiver.up and receiver.boot == life and not self.is_cut(sender, to.node):
                role, to_role, message = decode(body)
                receiver.host.peer_heard(sender)
                receiver.host.deliver(to_role, Address(sender, role), message)

        self.clock.callLater(arrival - self.clock.seconds(), arrive)

    def _give_signs_of_life(self) -> None:
        """What meshes do on every connection."""
        for sender in self.nodes:
            for receiver in self.nodes.values():
                alive = self.nodes[sender].up and receiver.up and receiver.number != sender
                if alive and not self.is_cut(sender, receiver.number):
                    receiver.host.peer_heard(sender)
        self.clock.callLater(self.timings.silence_seconds / 4, self._give_signs_of_life)

    def is_cut(self, one: int, other: int) -> bool:
        """Whether nothing passes from ``one`` to ``other``; between nodes of two modes nothing ever does."""
        return (one, other) in self._cut or self.nodes[one].mode != self.nodes[other].mode

    def introduce(self, one: Node, other: Node) -> None:
        """Each hears that the other is up."""
        for host, peer in ((one.host, other), (other.host, one)):
            host.peer_met(peer.number, Acquaintance(peer.incarnation, Start(peer.boot, peer.boot)))
        one.host.peer_up(other.number, other.incarnation, other.boot)
        other.host.peer_up(one.number, one.incarnation, one.boot)

    def cut(self, one: int, other: int, both: bool = True) -> None:
        """Let nothing pass from ``one`` to ``other``, nor back if ``both``."""
        self._cut.add((one, other))
        if both:
            self._cut.add((other, one))

    def isolate(self, number: int) -> None:
        """Cut one node off from all others."""
        for other in self.numbers:
            if other != number:
                self.cut(number, other)

    def heal(self) -> None:
        """Let everything pass again."""
        healed = {(min(pair), max(pair)) for pair in self._cut}
        self._cut.clear()
        for one, other in sorted(healed):
            if self.nodes[one].up and self.nodes[other].up and not self.is_cut(one, other):
                self.introduce(self.nodes[one], self.nodes[other])

    # --- time ---

    def step(self, until: float) -> bool:
        """Run the next call that is due by ``until``; False if there is none."""
        calls = self.clock.getDelayedCalls()
        if not calls:
            return False
        due = min(call.getTime() for call in calls)
        if due > until:
            return False
        self.clock.advance(max(0.0, due - self.clock.seconds()))
        return True

    def run(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        until = self.clock.seconds() + seconds
        while self.step(until):
            pass
        self.clock.advance(until - self.clock.seconds())

    def until(self, condition: Callable[[], bool], seconds: float = 30.0) -> float:
        """Run until ``condition()``; how long it took. AssertionError after ``seconds``."""
        began = self.clock.seconds()
        while not condition():
            if not self.step(began + seconds):
                raise AssertionError(f"not within {seconds} simulated seconds")
        return self.clock.seconds() - began

    # --- questions ---

    def leader(self) -> Node | None:
        """The node that announced its leadership last and has not stepped down, if it is up."""
        leading = [node for node in self.nodes.values() if node.up and _leads(node)]
        return max(leading, key=lambda node: node.noted("leading")[-1]["ballot"], default=None)

    def wait_for_leader(self) -> Node:
        """Run until some node leads."""
        self.until(lambda: self.leader() is not None)
        leader = self.leader()
        assert leader is not None
        return leader

    def call(self, node: Node, *entry: Any, seconds: float = 10.0) -> Any:
        """Request and run until the reply is there."""
        waiting = node.request(*entry)
        self.until(lambda: waiting.answered, seconds)
        return waiting.reply


def _leads(node: Node) -> bool:
    events = [event for _, event, _ in node.notes if event in ("leading", "stepped_down", "started")]
    return bool(events) and events[-1] == "leading"
