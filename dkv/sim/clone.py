"""A second process on a copy of a node's directory, beside the first one, at an address of its own (B34).

Only the peers that it dials meet it, because they themselves dial the address of the first process. It is made once
all peers know enough to recognise it, so nobody may let it in. What it thinks by itself does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from dkv.actor import Address, Fenced, Note
from dkv.client_events import Replies
from dkv.identity import Start
from dkv.net.acquaintances import Objection
from dkv.sim.disk import DiskCopy
from dkv.sim.schedule import NodeClock
from dkv.sim.simulated_connection import Life
from dkv.sim.simulated_network import SimulatedNetwork
from dkv.sim.simulated_node import SimulatedNode
from dkv.storage.data_directory import DirectoryError
from dkv.storage.lives import read_identity
from dkv.wire.codec import Hello

BESIDE = 100
"""The clone of node n has the address of a node n + this."""


class Clone:
    """Stands between the network and the clone, whose place in the network is not the one of its id."""

    def __init__(self, network: SimulatedNetwork, violated: Callable[[str], None]) -> None:
        self.node: SimulatedNode
        self.number = 0
        """Its place in the network."""
        self._network = network
        self._violated = violated

    def start(self, node: SimulatedNode, copy: DiskCopy) -> None:
        """Let ``node``, whose network this is, begin a life on ``copy``."""
        identity = read_identity(copy.log)
        assert identity is not None
        self.node = node
        self.number = BESIDE + node.number
        node.incarnation = identity.incarnation
        node.disk.restore(copy)
        self._network.add(self)
        node.start()

    # --- the network, for the node ---

    def add(self, node: SimulatedNode) -> None:
        """Nothing to do: the clone is added when it starts."""

    def began(self, node: SimulatedNode) -> None:
        """A life begins."""
        self._network.began(self)

    def gone(self, number: int) -> None:
        """The life is over."""
        self._network.gone(self.number)

    def send(self, sender: SimulatedNode, to: Address, message: Any) -> None:
        """Send from the other place."""
        self._network.send(self, to, message)

    def peers_are(self, number: int, peers: Collection[int], leaving_seconds: float) -> None:
        """Talk with these."""
        self._network.peers_are(self.number, peers, leaving_seconds)

    def pause_reading(self, number: int) -> None:
        """Take in no more messages."""
        self._network.pause_reading(self.number)

    def resume_reading(self, number: int) -> None:
        """Go on."""
        self._network.resume_reading(self.number)

    # --- the node, for the network ---

    @property
    def up(self) -> bool:
        """Whether the process runs."""
        return self.node.up

    @property
    def clock(self) -> NodeClock:
        """Those of the present life."""
        return self.node.clock

    @property
    def life(self) -> Life:
        """The incarnation and the boot."""
        return self.node.life

    def run(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Handle now."""
        self.node.run(call, *arguments)

    def hello(self) -> Hello:
        """It says that it is the node whose directory it has."""
        return self.node.hello()

    def objection(self, hello: Hello, target: int | None, living: list[Start]) -> Objection | None:
        """Why it refuses the sender of ``hello``."""
        return self.node.objection(hello, target, living)

    def meet(self, hello: Hello) -> None:
        """It takes the sender for its peer, whatever that thinks of it."""
        self.node.meet(hello)

    def refused_for_good(self, reason: str) -> None:
        """It is told that it is a copy."""
        self.node.refused_for_good(reason)

    def told_removed(self, slot: int) -> None:
        """It is told that it is no member any more."""
        self.node.told_removed(slot)

    def peer_up(self, node: int, incarnation: int, boot: int) -> None:
        """Somebody has let it in."""
        self._violated(f"B34: node {node} takes a copy of node {self.node.number}'s directory for the node itself")

    def peer_down(self, node: int) -> None:
        """Nobody was up."""

    def peer_heard(self, node: int) -> None:
        """Bytes came in."""
        self.node.peer_heard(node)

    def deliver(self, to_role: str, sender: Address, message: Any) -> None:
        """A message came in, before its sender has heard whom it is talking to."""
        self.node.deliver(to_role, sender, message)

    def sending(self, to: Address, message: Any, size: int) -> bool:
        """Whether it still lives."""
        return self.node.up


class Unwatched:
    """Watches a clone: it may end only because it was refused."""

    def __init__(self, note: Callable[[int, str, str], None], violated: Callable[[str], None]) -> None:
        self._note = note
        self._violated = violated

    def sending(self, node: SimulatedNode, to: Address, message: Any) -> None:
        """Nothing to check: nobody hears what it says."""

    def oversized(self, node: SimulatedNode, message: Any, size: int) -> None:
        """Nothing to check here either."""

    def started(self, node: SimulatedNode) -> None:
        """A life begins, on the copy."""
        self._note(node.number, "clone", f"starts beside, with boot {node.boot}")

    def ended(self, node: SimulatedNode, reason: str, error: BaseException) -> None:
        """It may end only because it was refused."""
        self._note(node.number, "clone", f"ended: {reason}: {error}")
        if not isinstance(error, Fenced | DirectoryError):
            self._violated(f"a clone of node {node.number} ended itself: {reason}: {error}")

    def died(self, node: SimulatedNode) -> None:
        """Its life is over."""

    def noted(self, node: SimulatedNode, actor: str, event: Note[...], fields: Mapping[str, Any]) -> None:
        """Nothing to check in what it thinks."""

    def delivered(self, node: SimulatedNode, role: str, sender: Address, message: Any) -> None:
        """Nothing to check in what it tells itself."""

    def committing(self, node: SimulatedNode) -> None:
        """Nothing to check in what it writes."""

    def durable(self, node: SimulatedNode, writes: Any) -> None:
        """Nothing to check in what it has written."""

    def state_durable(self, node: SimulatedNode, generation: int, writes: Any) -> None:
        """Nor here."""

    def replied(self, node: SimulatedNode, replies: Replies) -> None:
        """It has no clients."""
        self._violated(f"a clone of node {node.number} answers somebody")
