"""Whole nodes: production actors, host, mesh and codec, over ``sites``; only the disk and the client port are not."""

from __future__ import annotations

from random import Random
from typing import Any

from dkv.actor import CLIENTS, GATEWAY, Address, Note, NoteFields
from dkv.client_events import ClientRequests, Requests
from dkv.configurations import first_configurations
from dkv.host.host import Host
from dkv.identity import Identity
from dkv.keys import STATE
from dkv.kv.codes import APPEND, GET
from dkv.net.door import Door
from dkv.net.mesh import Mesh
from dkv.node.assembly import add_actors
from dkv.sim.memory import MemoryStore
from dkv.sim.simulated_generations import SimulatedGenerations
from dkv.storage.lives import read_members, votes_of
from tests.byte_level.members import LIMITS, PORT, SECRET, TIMINGS, host_of
from tests.byte_level.sites import Net, Site
from tests.memory_cluster import RepliesActor, Waiting
from tests.net.nodes import Recorder, hello, proofs_of


class Node:
    """One node and its disk; ``start`` begins another life on it."""

    def __init__(self, net: Net, number: int, numbers: tuple[int, ...]) -> None:
        self._net = net
        self._numbers = numbers
        self.number = number
        self.store = MemoryStore(auto=True)
        self.generations = SimulatedGenerations(lambda _: MemoryStore(auto=True))
        self.boot = 0
        self.requests = 0
        self.failures: list[str] = []

    def start(self) -> None:
        """Open the disk, listen and dial."""
        self.boot += 1
        self.site = Site(self._net, host_of(self.number))
        identity = Identity("blue", self.number, 0xB0 + self.number, self.boot)
        self.host = Host(
            self.number,
            clock=self.site,
            wall_clock=lambda: round(self.site.seconds() * 1000),
            generations=self.generations,
            store=self.store,
            random=Random(self._net.random.getrandbits(64)),
            limits=LIMITS,
            timings=TIMINGS,
            note=_forget,
            fail=lambda reason, error: self.failures.append(f"{reason}: {error}"),
        )
        peers = {node: f"tcp:{host_of(node)}:{PORT}" for node in self._numbers if node != self.number}
        self.log = Recorder()
        door = Door(self.site, f"tcp:{PORT}")
        votes, size = votes_of(self.store), len(self._numbers)
        me = hello(self.number, boot=self.boot, members=size, frame_bytes_max=LIMITS.frame_bytes_max, votes=votes)
        known = read_members(self.store)
        mesh = Mesh(self.site, me, door, peers, known, LIMITS, TIMINGS, self.host, self.log, proofs_of(SECRET))
        self.clients = self.new_clients()
        add_actors(self.host.add, identity, first_configurations(self._numbers), LIMITS, TIMINGS, self.clients)
        self.host.connect(mesh)
        door.bind()
        self.host.start()
        mesh.startService()

    def new_clients(self) -> RepliesActor:
        """The place of the client port, in the life that begins."""
        return RepliesActor()

    def die(self, power: bool) -> None:
        """The process is killed, or its machine loses power."""
        self.site.die(power)
        self.host.stop()

    def request(self, *entry: Any) -> Waiting:
        """Send one entry as a client of this node would, on a connection of its own."""
        self.requests += 1
        waiting = self.clients.waiting[self.requests] = Waiting()
        write = entry[0] != GET
        requests = Requests(self.requests, [list(entry)], int(write), int(not write), 64)
        self.host.deliver(GATEWAY, Address(self.number, CLIENTS), ClientRequests([requests]))
        return waiting

    def state(self) -> dict[bytes, bytes]:
        """Every key and value as the node's state machine has them."""
        return dict(self.host.layers.scan(STATE))


class Cluster:
    """Three nodes, and clients that append words of their own to a key."""

    def __init__(self, seed: int, kind: type[Node] = Node) -> None:
        self.net = Net(seed)
        # A round trip must fit between heartbeats, and a batch into it: what is slower is another test's matter.
        self.net.window_bytes = max(self.net.window_bytes, 65536)
        self.net.delay_seconds_max = min(self.net.delay_seconds_max, 0.01)
        numbers = (1, 2, 3)
        self.nodes = {number: kind(self.net, number, numbers) for number in numbers}
        self.appends: list[tuple[bytes, Waiting]] = []
        self.reads: list[tuple[Waiting, set[bytes]]] = []
        self._writing = True
        for node in self.nodes.values():
            node.start()
        self._write()

    def stop_writing(self) -> None:
        """No request comes from now on."""
        self._writing = False

    def _write(self) -> None:
        random = self.net.random
        if not self._writing:
            return
        node = self.nodes[random.choice(sorted(self.nodes))]
        if node.site.alive:
            if random.random() < 0.7:
                word = b"%d," % len(self.appends)
                self.appends.append((word, node.request(APPEND, b"k", word, LIMITS.value_bytes_max)))
            else:
                before = {word for word, waiting in self.appends if type(waiting.reply) is int}
                self.reads.append((node.request(GET, b"k"), before))
        self.net.clock.callLater(random.uniform(0.01, 0.1), self._write)

    def call(self, node: Node, *entry: Any, seconds: float = 20.0) -> Any:
        """Request, and run until the answer is there."""
        waiting = node.request(*entry)
        self.net.until(lambda: waiting.answered, seconds, f"{entry} is answered")
        return waiting.reply


def _forget(actor: str, event: Note[NoteFields], /, *_: NoteFields.args, **fields: NoteFields.kwargs) -> None:
    """No test here looks at notes."""
