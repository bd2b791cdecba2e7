"""The network of a script: every message between two nodes is in flight until it is told to arrive, or to be lost."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from dkv.actor import Address
from dkv.sim.simulated_node import SimulatedNode
from dkv.wire.codec import decode, encode
from tests.scripts import words
from tests.scripts.witness import Witness

DELIVERIES_MAX = 10_000
"""More messages than this in one ``settle`` mean that the nodes go in circles."""


@dataclass(frozen=True, eq=False)
class Letter:
    """A message in flight from one node to another, decoded as it will arrive."""

    sender: Address
    to: Address
    message: Any

    @property
    def pair(self) -> tuple[int, int]:
        """The nodes that it comes from and goes to."""
        return self.sender.node, self.to.node

    def __str__(self) -> str:
        return f"{self.sender.node}>{self.to.node} {words.message(self.message)}"


class Mail:
    """The ``Place`` of all nodes; ``run`` lets them handle what they have."""

    def __init__(self, witness: Witness, run: Callable[[], None]) -> None:
        self.in_flight: list[Letter] = []
        """In the order in which they were sent."""
        self.passing: set[str] = set()
        """Messages of these classes arrive by themselves."""
        self.nodes: dict[int, SimulatedNode] = {}
        self._witness = witness
        self._run = run
        self._cut: set[tuple[int, int]] = set()
        self._settling: frozenset[int] = frozenset()

    # --- connections ---

    def cut(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Let nothing pass from one node to the other of each pair, without telling either."""
        self._cut.update(pairs)
        self.drop([letter for letter in self.in_flight if letter.pair in self._cut])

    def heal(self) -> None:
        """Let everything pass again; nodes that were cut off find each other anew."""
        healed = sorted({(min(pair), max(pair)) for pair in self._cut})
        self._cut.clear()
        for one, other in healed:
            self.connect(one, other)
        self._run()

    def connect(self, number: int, peer: int) -> None:
        """Exchange Hellos, which each judges by what its directory knows of the other."""
        one, other = self.nodes[number], self.nodes[peer]
        if not (one.up and other.up) or self._are_cut(number, peer):
            return
        for judge, judged in ((other, one), (one, other)):
            objection = judge.objection(judged.hello(), judged.number, [])
            if objection is not None:
                self._witness.tell(judge.number, f"refuses node {judged.number}: {words.reason(objection.reason)}")
                if objection.for_good:
                    judged.refused_for_good(objection.reason)
                return
        for host, guest in ((one, other), (other, one)):
            host.meet(guest.hello())
            host.peer_up(guest.number, guest.incarnation, guest.boot)

    def _are_cut(self, one: int, other: int) -> bool:
        return bool({(one, other), (other, one)} & self._cut)

    # --- messages ---

    def deliver(self, letters: Iterable[Letter]) -> None:
        """Let these arrive, one after the other."""
        for letter in letters:
            if letter in self.in_flight:  # What arrived before it may have lost it, or let it pass.
                self.in_flight.remove(letter)
                self._tell(letter, "=>")
                self.nodes[letter.to.node].peer_heard(letter.sender.node)
                self.nodes[letter.to.node].deliver(letter.to.role, letter.sender, letter.message)
                self._run()

    def drop(self, letters: Iterable[Letter]) -> None:
        """Let these never arrive."""
        for letter in letters:
            self.in_flight.remove(letter)
            self._tell(letter, "-x")

    def settle(self, numbers: Iterable[int]) -> None:
        """Deliver all that is in flight among these nodes, and what follows from it, until nothing is."""
        self._settling = frozenset(numbers)
        for _ in range(DELIVERIES_MAX):
            letter = next((each for each in self.in_flight if self._settles(each)), None)
            if letter is None:
                self._settling = frozenset()
                return
            self.deliver([letter])
        self._witness.violated("the nodes go in circles: there is no end to what they say")

    def _settles(self, letter: Letter) -> bool:
        return self._settling.issuperset(letter.pair)

    def let_pass(self) -> None:
        """Deliver what arrives by itself."""
        self.deliver([each for each in self.in_flight if type(each.message).__name__ in self.passing])

    def tell_in_flight(self) -> None:
        """Say what is in flight, as if it were sent now."""
        for letter in self.in_flight:
            self._tell(letter, "->")

    def _tell(self, letter: Letter, arrow: str) -> None:
        self._witness.tell_message(letter.sender.node, arrow, letter.to.node, letter.message)

    # --- the Place ---

    def add(self, member: SimulatedNode) -> None:
        """A node of the cluster; it is connected when it has started."""
        self.nodes[member.number] = member

    def began(self, member: SimulatedNode) -> None:
        """A life begins, without connections."""

    def peers_are(self, number: int, peers: Collection[int], leaving_seconds: float) -> None:
        """Who is connected with whom is for the script to say."""

    def gone(self, number: int) -> None:
        """The process has ended: what it sent and what was sent to it is lost, and its peers notice."""
        self.drop([letter for letter in self.in_flight if number in letter.pair])
        for other in self.nodes.values():
            if other.number != number and not self._are_cut(number, other.number):
                other.peer_down(number)

    def send(self, sender: SimulatedNode, to: Address, message: Any) -> None:
        """Put the message in flight, if a connection would carry it; in a ``settle`` only its arrival is told."""
        body = encode(message)
        if not sender.sending(to, message, len(body)):
            return
        role, to_role, arriving = decode(body)
        letter = Letter(Address(sender.number, role), Address(to.node, to_role), arriving)
        if letter.pair in self._cut or not self.nodes[to.node].up:
            self._tell(letter, "-x")
            return
        self.in_flight.append(letter)
        if not self._settles(letter):
            self._tell(letter, "->")

    def pause_reading(self, number: int) -> None:
        """Nothing arrives but by order."""

    def resume_reading(self, number: int) -> None:
        """As above."""
