"""Somebody on the network who hears all and owns no secret, and does what he can with that.

He dials nodes: he says what he has recorded, claims to be a node, guesses proofs, stops anywhere. He answers in the
place of a node that is down: with recorded answers, with the dialler's own words, with what he gets by dialling another
node meanwhile, with orders to end for good. ``members.Inbox`` objects to whatever that leads to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.protocol import Factory, Protocol

from dkv.messages import Submit
from dkv.net.peer_proof import NONCE_BYTES
from dkv.records import Batch
from dkv.wire.codec import Alive, Challenge, Hello, PeerProof, Refused, RefusedForGood, Removed, decode
from dkv.wire.frames import FrameReader
from tests.byte_level.members import FORGED_BOOT, LIMITS, PORT, Meeting, Member
from tests.byte_level.sites import Site
from tests.net.nodes import hello, told

HOST = "10.9.9.9"
ATTACK_SECONDS = 0.05
"""How often he begins something new, about."""

MAC_BYTES = 32


class Wire(Protocol):
    """His end of a connection: says ``words``, then lets ``react`` answer each message that comes."""

    transport: Any

    def __init__(self, words: bytes = b"", react: Callable[[Wire, Any], None] | None = None) -> None:
        self._words = words
        self._react = react
        self._reader = FrameReader(LIMITS.frame_bytes_max)
        self.dialled: Wire | None = None  # the other end of what is relayed

    def connectionMade(self) -> None:
        self.transport.write(self._words)

    def dataReceived(self, data: bytes) -> None:
        for body in self._reader.feed(data):
            message = decode(body)[2]
            if self._react is not None:
                self._react(self, message)

    def say(self, *messages: Any) -> None:
        """Write these."""
        if self.connected:
            self.transport.write(b"".join(map(told, messages)))


class WireFactory(Factory):
    """Makes his end of each connection, dialled or accepted."""

    noisy = False

    def __init__(self, make: Callable[[], Wire]) -> None:
        self._make = make

    def startedConnecting(self, dial: Any) -> None:
        pass

    def clientConnectionFailed(self, dial: Any, reason: Any) -> None:
        pass

    def buildProtocol(self, address: Any) -> Wire:
        return self._make()


class Adversary:
    """Attacks ``meeting`` until ``rest``; only by dialling if ``dials_only``, and then no node loses another."""

    def __init__(self, meeting: Meeting, dials_only: bool) -> None:
        self._meeting = meeting
        self._net = meeting.net
        self._site = Site(meeting.net, HOST)
        self._on = True
        self._impersonated: tuple[Member, Site] | None = None
        self._dials = [self._replay, self._claim, self._claim]
        self._answers = [self._recorded, self._mirror, self._own_nonce, self._plainly, self._order, self._relay]
        self._dials_only = dials_only
        self.attempts = 0
        self._next()

    def rest(self) -> None:
        """No more attacks; a node that was impersonated is started."""
        self._on = False
        self._give_back()

    def _next(self) -> None:
        self._net.clock.callLater(self._net.random.expovariate(1 / ATTACK_SECONDS), self._strike)

    def _strike(self) -> None:
        if not self._on:
            return
        self.attempts += 1
        if not self._dials_only and self._net.random.random() < 0.05:
            self._impersonate()
        else:
            self._net.random.choice(self._dials)()
        self._next()

    def _dial(self, host: str, wire: Wire) -> None:
        self._site.connectTCP(host, PORT, WireFactory(lambda: wire))

    # --- he dials ---

    def _replay(self) -> None:
        """Everything that a dialler has said, or the beginning of it."""
        dialler, acceptor = self._net.random.choice(self._net.overheard)
        words = bytes(dialler.wrote)
        if self._net.random.random() < 0.3:
            words = words[: self._net.random.randint(0, len(words))]
        if acceptor.host != HOST:
            self._dial(acceptor.host, Wire(words))

    def _claim(self) -> None:
        """Say that he is a node, show something for a proof, and vote at once."""
        random = self._net.random
        member, other = random.choice(self._meeting.pairs())
        nonce = random.choice((b"", random.randbytes(NONCE_BYTES)))
        claim = told(self._forged(member.node, nonce))

        def react(wire: Wire, message: Any) -> None:
            if isinstance(message, Challenge):
                wire.say(PeerProof(other.node, self._any_mac()), self._message(member.node))

        self._dial(other.host, Wire(claim, react) if random.random() < 0.8 else Wire(claim + self._out_of_turn()))

    def _out_of_turn(self) -> bytes:
        """What may follow a Hello of a node that waits for nothing."""
        message = self._net.random.choice((Alive(), self._message(1), Refused("no"), Challenge(bytes(NONCE_BYTES))))
        return told(message)

    def _forged(self, node: int, nonce: bytes = b"") -> Hello:
        """The Hello of a node as it would be after many more starts."""
        size = len(self._meeting.numbers)
        more: dict[str, Any] = {"frame_bytes_max": LIMITS.frame_bytes_max, "nonce": nonce}
        return hello(node, boot=FORGED_BOOT, members=size, **more)

    def _message(self, node: int) -> Submit:
        return Submit((Batch(node, 0xB0 + node, FORGED_BOOT, 1, b"forged"),))

    def _any_mac(self) -> bytes:
        """A proof that somebody has made for something, or none."""
        random = self._net.random
        shown = [message.mac for message in self._overheard_messages() if isinstance(message, PeerProof)]
        return random.choice([bytes(MAC_BYTES), random.randbytes(MAC_BYTES), b"", *shown[-5:]])

    def _overheard_messages(self) -> Iterable[Any]:
        for pair in self._net.overheard[-5:]:
            for end in pair:
                if end.host != HOST:
                    yield from _messages(bytes(end.wrote))

    # --- he answers ---

    def _impersonate(self) -> None:
        """Take the place of a node that is down."""
        if self._impersonated is not None:
            return
        random = self._net.random
        member = self._meeting.members[random.choice(self._meeting.numbers)]
        member.site.die(power=False)
        place = Site(self._net, member.host)
        answer = random.choice(self._answers)
        place.listenTCP(PORT, WireFactory(lambda: answer(member)))
        self._impersonated = member, place
        self._net.clock.callLater(random.uniform(0.4, 1.5), self._give_back)

    def _give_back(self) -> None:
        if self._impersonated is not None:
            (member, place), self._impersonated = self._impersonated, None
            if self._on:
                fooled = [
                    each.node for each in self._meeting.members.values() if each.alive and not each.lost(member.node)
                ]
                assert not fooled, f"nodes {fooled} take him for node {member.node}, which does not run"
            place.die(power=False)
            member.start()

    def _recorded(self, member: Member) -> Wire:
        """What the node has answered before."""
        answers = [bytes(a.wrote) for d, a in self._net.overheard if a.host == member.host and d.host != HOST]
        return Wire(self._net.random.choice(answers) if answers else b"")

    def _mirror(self, member: Member) -> Wire:
        """The dialler's own proof."""
        nonce = self._net.random.randbytes(NONCE_BYTES)

        def react(wire: Wire, message: Any) -> None:
            if isinstance(message, Hello):
                wire.say(Challenge(nonce))
            elif isinstance(message, PeerProof):
                wire.say(message, self._forged(member.node))

        return Wire(b"", react)

    def _own_nonce(self, member: Member) -> Wire:
        """The dialler's own nonce, and any proof or none."""
        skip = self._net.random.random() < 0.5

        def react(wire: Wire, message: Any) -> None:
            if isinstance(message, Hello):
                wire.say(Challenge(message.nonce))
            elif isinstance(message, PeerProof):
                proofs = () if skip else (PeerProof(member.node, self._any_mac()),)
                wire.say(*proofs, self._forged(member.node))

        return Wire(b"", react)

    def _plainly(self, member: Member) -> Wire:
        """A Hello as of a node without a secret; or behind a challenge, and without a proof."""
        challenges = self._net.random.random() < 0.5

        def react(wire: Wire, message: Any) -> None:
            if isinstance(message, Hello) and challenges:
                wire.say(Challenge(self._net.random.randbytes(NONCE_BYTES)))
            elif isinstance(message, (Hello, PeerProof)):
                wire.say(self._forged(member.node))

        return Wire(b"", react)

    def _order(self, member: Member) -> Wire:
        """The order never to take part again, as the node would give it."""
        size = len(self._meeting.numbers)
        me = hello(member.node, boot=member.boot, members=size, frame_bytes_max=LIMITS.frame_bytes_max)
        order = self._net.random.choice((RefusedForGood("end", me), Removed("gone", 7, (), me)))

        def react(wire: Wire, message: Any) -> None:
            if isinstance(message, Hello) and self._net.random.random() < 0.5:
                wire.say(Challenge(self._net.random.randbytes(NONCE_BYTES)))
            elif isinstance(message, (Hello, PeerProof)):
                wire.say(order)

        return Wire(b"", react)

    def _relay(self, member: Member) -> Wire:
        """All that the dialler says, told to another node, and its answers told to the dialler."""
        others = [each for each in self._meeting.members.values() if each is not member and each.alive]
        target = self._net.random.choice(others)
        forged = self._message

        def back(wire: Wire, message: Any) -> None:
            if isinstance(message, Hello):
                wire.say(forged(target.node))  # The other node takes him for the dialler: vote in its name.
            else:
                there.say(message)

        def forward(_: Wire, message: Any) -> None:
            if isinstance(message, Hello):
                there.dialled = Wire(told(message), back)
                self._dial(target.host, there.dialled)
            elif there.dialled is not None:
                there.dialled.say(message)

        there = Wire(b"", forward)
        return there


def _messages(data: bytes) -> list[Any]:
    """The whole messages at the beginning of a stream."""
    try:
        return [decode(body)[2] for body in FrameReader(LIMITS.frame_bytes_max).feed(data)]
    except ValueError:
        return []
