"""The relay: a message in, and exactly what goes out."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import CLIENTS, LEARNER, PUBSUB, Address
from dkv.client_events import CountsElsewhere, Deliver, KeyEvents, Posted, PublishHere
from dkv.events import PeerDown, PeerUp, TimerFired
from dkv.identity import Identity
from dkv.pubsub.relay import PUBLISHED_BYTES_MAX, TELL_AGAIN_SECONDS, Relay
from dkv.pubsub_messages import CHANNEL, PATTERN, Count, CountsHeard, Posting, Published, SubscriberCounts
from dkv.settings import Limits
from tests.turns import FakeTurn

BOOT = 7
HERE, PORT = Address(1, PUBSUB), Address(1, CLIENTS)
SECOND, THIRD = Address(2, PUBSUB), Address(3, PUBSUB)
NEWS: Posting = (CHANNEL, b"news", b"hello")


class RelayCase(SynchronousTestCase):
    """The relay of node 1."""

    def setUp(self) -> None:
        self.turn = FakeTurn()
        self.relay = Relay(Identity("c", 1, 99, BOOT), Limits())
        self.relay.start(self.turn)

    def after(self, message: Any, sender: Address = PORT) -> list[tuple[Address, Any]]:
        """What the relay sends when this message comes."""
        self.turn.sent.clear()
        self.relay.receive(self.turn, sender, message)
        return list(self.turn.sent)

    def up(self, *peers: Address, boot: int = 3) -> list[tuple[Address, Any]]:
        """These peers connect."""
        return [each for peer in peers for each in self.after(PeerUp(peer.node, 50, boot), peer)]

    def down(self, peer: Address) -> list[tuple[Address, Any]]:
        """This peer is lost."""
        return self.after(PeerDown(peer.node), peer)

    def subscribe(self, *counts: Count) -> list[tuple[Address, Any]]:
        """Counts of this node's subscribers change."""
        return self.after(Posted((), counts or ((CHANNEL, b"news", 1),)))


class PostingTests(RelayCase):
    """What clients publish, there and here."""

    def test_goes_to_all_that_are_connected(self) -> None:
        """A subscriber must not depend on the node that a publisher happens to be connected to."""
        self.up(SECOND, THIRD)
        published = Published(BOOT, 1, (NEWS,))
        self.assertEqual(self.after(Posted((NEWS,), ())), [(SECOND, published), (THIRD, published)])
        self.assertIs(self.turn.sent[0][1], self.turn.sent[1][1])  # it is encoded once
        self.down(SECOND)
        self.assertEqual(self.after(Posted((NEWS,), ())), [(THIRD, Published(BOOT, 2, (NEWS,)))])

    def test_alone(self) -> None:
        """A node without peers sends nothing, and keeps nothing for later."""
        self.assertEqual(self.after(Posted((NEWS,), ())), [])
        self.assertEqual(self.up(SECOND), [])

    def test_comes_in(self) -> None:
        """What others publish reaches the subscribers of this node, if there are any."""
        self.assertEqual(self.after(Published(3, 1, (NEWS,)), SECOND), [])
        self.subscribe()
        self.assertEqual(self.after(Published(3, 2, (NEWS,)), SECOND), [(PORT, Deliver((NEWS,)))])

    def test_twice_or_late(self) -> None:
        """Where two connections with a peer overlap, its subscribers must not hear anything twice, or an old thing."""
        self.subscribe()
        for boot, number, delivered in (
            (3, 5, True),
            (3, 5, False),
            (3, 4, False),
            (3, 9, True),  # what is missing is lost
            (3, 6, False),
            (4, 1, True),  # the peer was started again
            (3, 10, False),  # the last words of its old life
            (4, 2, True),
        ):
            sent = self.after(Published(boot, number, (NEWS,)), SECOND)
            self.assertEqual(bool(sent), delivered, (boot, number))

    def test_words_of_a_life_that_is_over(self) -> None:
        """They may come up long after the peer is back: neither its postings nor its counts hold any more."""
        self.subscribe()
        self.up(SECOND, boot=4)
        self.assertEqual(self.after(Published(3, 50, (NEWS,)), SECOND), [])
        self.assertEqual(self.after(SubscriberCounts(3, 51, True, ((CHANNEL, b"c", 1),)), SECOND), [])

    def test_numbers_outlive_a_connection(self) -> None:
        """A message that was on its way twice, over the old and the new connection, is one message."""
        self.subscribe()
        self.up(SECOND)
        self.after(Published(3, 5, (NEWS,)), SECOND)
        self.down(SECOND)
        self.up(SECOND)
        self.assertEqual(self.after(Published(3, 5, (NEWS,)), SECOND), [])

    def test_each_peer_has_its_numbers(self) -> None:
        """Node 3 has published as many messages as node 2 has: neither may be taken for the other's."""
        self.subscribe()
        for peer in (SECOND, THIRD):
            self.assertEqual(len(self.after(Published(3, 1, (NEWS,)), peer)), 1)

    def test_pieces(self) -> None:
        """However much is published at once, a message between nodes has a bounded size, and all arrives in order."""
        self.up(SECOND)
        postings = tuple((CHANNEL, b"c", b"%d" % number * 10_000) for number in range(100))
        sent = [message for _, message in self.after(Posted(postings, ()))]
        self.assertEqual([message.number for message in sent], [*range(1, len(sent) + 1)])
        self.assertEqual(tuple(posting for message in sent for posting in message.postings), postings)
        sizes = [sum(len(text) for _, _, text in message.postings) for message in sent]
        self.assertGreater(len(sizes), 2)
        self.assertLessEqual(max(sizes), PUBLISHED_BYTES_MAX)

    def test_one_that_is_large(self) -> None:
        """A message as large as a value may be goes by itself."""
        self.up(SECOND)
        large: Posting = (CHANNEL, b"c", b"x" * 1_000_000)
        sent = [message.postings for _, message in self.after(Posted((NEWS, large, NEWS), ()))]
        self.assertEqual(sent, [(NEWS,), (large,), (NEWS,)])


class HereTests(RelayCase):
    """What a node itself publishes."""

    def test_for_this_node_alone(self) -> None:
        """Every node says it to its own subscribers; from two nodes they would hear it twice."""
        self.up(SECOND)
        here = PublishHere(b"+switch-master", b"c 127.0.0.1 1 127.0.0.1 2")
        self.assertEqual(self.after(here), [])
        self.down(SECOND)
        self.subscribe()
        self.up(SECOND)
        posting = (CHANNEL, b"+switch-master", b"c 127.0.0.1 1 127.0.0.1 2")
        self.assertEqual(self.after(here), [(PORT, Deliver((posting,)))])

    def test_events_of_keys(self) -> None:
        """One event is in two channels: that of its key has the event, and that of the event has the key."""
        self.subscribe()
        events = ((0, b"set", b"k"), (3, b"del", b"q"))
        by_key = ((CHANNEL, b"__keyspace@0__:k", b"set"), (CHANNEL, b"__keyspace@3__:q", b"del"))
        by_event = ((CHANNEL, b"__keyevent@0__:set", b"k"), (CHANNEL, b"__keyevent@3__:del", b"q"))
        for flags, expected in (
            ((True, True), (by_key[0], by_event[0], by_key[1], by_event[1])),
            ((True, False), by_key),
            ((False, True), by_event),
        ):
            sent = self.after(KeyEvents(events, *flags), Address(1, LEARNER))
            self.assertEqual(sent, [(PORT, Deliver(expected))])


class CountTests(RelayCase):
    """How many subscribers there are, told and heard."""

    def test_nothing_is_told_of_nothing(self) -> None:
        """A cluster that nobody subscribes in has no messages more than before."""
        self.assertEqual(self.up(SECOND, THIRD), [])

    def test_all_at_first_then_changes(self) -> None:
        """A peer that has just come knows all counts, and from then on what changes, one message at a time."""
        self.subscribe((CHANNEL, b"news", 2), (PATTERN, b"n*", 1))
        first = SubscriberCounts(BOOT, 1, True, ((CHANNEL, b"news", 2), (PATTERN, b"n*", 1)))
        self.assertEqual(self.up(SECOND), [(SECOND, first)])
        self.assertEqual(self.subscribe((CHANNEL, b"news", 3)), [])
        self.assertEqual(self.subscribe((PATTERN, b"n*", 0)), [])
        heard = CountsHeard(BOOT, 1)
        changes = SubscriberCounts(BOOT, 2, False, ((CHANNEL, b"news", 3), (PATTERN, b"n*", 0)))
        self.assertEqual(self.after(heard, SECOND), [(SECOND, changes)])
        self.assertEqual(self.after(heard, SECOND), [])  # an old answer says nothing of the newer message
        self.assertEqual(self.after(CountsHeard(BOOT, 2), SECOND), [])

    def test_lost(self) -> None:
        """A message that was dropped, or its answer, must not leave a peer with wrong counts for ever."""
        self.subscribe()
        self.up(SECOND)
        self.turn.now += TELL_AGAIN_SECONDS
        again = SubscriberCounts(BOOT, 2, True, ((CHANNEL, b"news", 1),))
        self.assertEqual(self.after(TimerFired("tell again"), HERE), [(SECOND, again)])
        self.after(CountsHeard(BOOT, 2), SECOND)
        self.turn.now += TELL_AGAIN_SECONDS
        self.assertEqual(self.after(TimerFired("tell again"), HERE), [])

    def test_heard(self) -> None:
        """What a peer tells goes to the exchange, once, and the peer hears that it may go on."""
        self.up(SECOND)
        counts = ((CHANNEL, b"c", 4),)
        expected = [(PORT, CountsElsewhere(2, True, counts)), (SECOND, CountsHeard(3, 9))]
        told = SubscriberCounts(3, 9, True, counts)
        self.assertEqual(self.after(told, SECOND), expected)
        self.assertEqual(self.after(told, SECOND), [])

    def test_gone(self) -> None:
        """Subscribers of a node that is gone are not counted; when it is back, it tells everything again."""
        self.up(SECOND)
        self.after(SubscriberCounts(3, 9, True, ((CHANNEL, b"c", 4),)), SECOND)
        self.assertEqual(self.down(SECOND), [(PORT, CountsElsewhere(2, True, ()))])
        self.assertEqual(self.after(SubscriberCounts(3, 10, False, ((CHANNEL, b"d", 1),)), SECOND), [])
        self.assertEqual(self.up(SECOND), [(SECOND, CountsHeard(0, 0))])
        self.assertEqual(
            self.after(SubscriberCounts(3, 11, False, ((CHANNEL, b"d", 2),)), SECOND), [(SECOND, CountsHeard(0, 0))]
        )
        told = SubscriberCounts(3, 12, True, ((CHANNEL, b"d", 2),))
        self.assertEqual(self.after(told, SECOND)[0], (PORT, CountsElsewhere(2, True, ((CHANNEL, b"d", 2),))))
        self.assertEqual(self.down(THIRD), [])

    def test_asked(self) -> None:
        """A peer that has lost what it knew asks, and is told all of it."""
        self.up(SECOND)
        self.assertEqual(self.after(CountsHeard(0, 0), SECOND), [(SECOND, SubscriberCounts(BOOT, 1, True, ()))])
        self.assertEqual(self.after(CountsHeard(0, 0), THIRD), [])  # it is not connected

    def test_many(self) -> None:
        """However many names there are, no message is large."""
        names = [(CHANNEL, b"%d" % number * 100, 1) for number in range(1_000)]
        self.subscribe(*names)
        sent = [self.up(SECOND)[0][1]]
        while more := self.after(CountsHeard(BOOT, sent[-1].number), SECOND):
            sent.append(more[0][1])
        self.assertEqual([each for message in sent for each in message.counts], names)
        self.assertEqual([message.anew for message in sent], [True] + [False] * (len(sent) - 1))
        self.assertGreater(len(sent), 2)

    def test_of_an_earlier_life(self) -> None:
        """What a peer heard of this node's last life says nothing about this one's."""
        self.subscribe()
        self.up(SECOND)
        self.subscribe((CHANNEL, b"d", 1))
        self.assertEqual(self.after(CountsHeard(BOOT - 1, 1), SECOND), [])

    def test_who_does_not_answer_costs_a_bounded_memory(self) -> None:
        """Names come and go while a peer is stopped: what it is to be told may not grow with each of them."""
        self.up(SECOND)
        self.subscribe()
        for number in range(40_000):
            name = b"%d" % number
            self.subscribe((CHANNEL, name, 1))
            self.subscribe((CHANNEL, name, 0))
        telling = self.relay._peers[2].telling
        self.assertLess(len(telling._due), 11_000)
        self.assertEqual(self.relay._counts, {(CHANNEL, b"news"): 1})
