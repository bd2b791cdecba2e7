"""The exchange: who gets what of that which is published, and what the relay hears of it."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.client_events import Posted
from dkv.kv.glob import Glob
from dkv.pubsub.elsewhere import Elsewhere
from dkv.pubsub.exchange import Exchange
from dkv.pubsub.patterns import Patterns, weight_of
from dkv.pubsub_messages import CHANNEL, KINDS, PATTERN, SHARD, Name
from dkv.replies import NOTICE_OVERHEAD_BYTES, Notice
from dkv.settings import Limits

NAMES = st.sampled_from([b"a", b"ab", b"b", b"", b"*", b"a*", b"?", b"[ab]", b"a\\*", b"*b*b"])
CHANNELS = st.sampled_from([b"a", b"ab", b"b", b"", b"a*", b"bxb"])

Told = tuple[int, bytes | None, bytes, bytes]


def told(notices: list[Notice]) -> list[Told]:
    """What these notices say."""
    return [(each.kind, each.pattern, each.channel, each.text) for each in notices]


class ExchangeCase(SynchronousTestCase):
    """An exchange, and how often it woke its node."""

    def begin(self, limits: Limits | None = None) -> Exchange:
        """Another one."""
        self.woken = 0
        self.exchange = Exchange(limits or Limits(), self._wake)
        return self.exchange

    def _wake(self) -> None:
        self.woken += 1

    def setUp(self) -> None:
        self.begin()

    def mail(self) -> dict[int, list[Told]]:
        """What each connection is to get."""
        return {connection: told(notices) for connection, notices in self.exchange.take(1000)}


class DeliveryTests(ExchangeCase):
    """Who gets what."""

    def test_who_has_subscribed(self) -> None:
        """A message reaches all subscribers of its channel, and nobody else."""
        exchange = self.exchange
        exchange.subscribe(1, [(CHANNEL, b"news")])
        exchange.subscribe(2, [(CHANNEL, b"news"), (CHANNEL, b"sport")])
        exchange.subscribe(3, [(CHANNEL, b"sport")])
        self.assertEqual(exchange.publish((CHANNEL, b"news", b"x")), 2)
        expected = (CHANNEL, None, b"news", b"x")
        self.assertEqual(self.mail(), {1: [expected], 2: [expected]})
        self.assertEqual(self.mail(), {})

    def test_once_for_each_name(self) -> None:
        """As in Redis, who has subscribed to a channel and to two patterns gets three messages."""
        self.exchange.subscribe(1, [(PATTERN, b"n*"), (CHANNEL, b"news"), (PATTERN, b"*s")])
        self.assertEqual(self.exchange.publish((CHANNEL, b"news", b"x")), 3)
        channel, *patterns = self.mail()[1]
        self.assertEqual(channel, (CHANNEL, None, b"news", b"x"))
        self.assertEqual({pattern for _, pattern, _, _ in patterns}, {b"n*", b"*s"})

    def test_shard_channels_are_a_space_of_their_own(self) -> None:
        """A channel and a shard channel of the same name have nothing to do with each other."""
        self.exchange.subscribe(1, [(SHARD, b"c")])
        self.exchange.subscribe(2, [(CHANNEL, b"c"), (PATTERN, b"*")])
        self.assertEqual(self.exchange.publish((SHARD, b"c", b"x")), 1)
        self.assertEqual(self.mail(), {1: [(SHARD, None, b"c", b"x")]})

    def test_from_elsewhere(self) -> None:
        """What came from other nodes is delivered, and not sent on to them."""
        self.exchange.subscribe(1, [(CHANNEL, b"c")])
        self.exchange.take_posted()
        self.exchange.deliver([(CHANNEL, b"c", b"x"), (CHANNEL, b"d", b"y")])
        self.assertEqual(self.mail(), {1: [(CHANNEL, None, b"c", b"x")]})
        self.assertIsNone(self.exchange.take_posted())

    def test_unsubscribed(self) -> None:
        """What was published before is read before the confirmation, and nothing is read behind it."""
        self.exchange.subscribe(1, [(CHANNEL, b"c")])
        self.exchange.publish((CHANNEL, b"c", b"before"))
        before = self.exchange.unsubscribe(1, [(CHANNEL, b"c")])
        self.exchange.publish((CHANNEL, b"c", b"behind"))
        self.assertEqual(told(before), [(CHANNEL, None, b"c", b"before")])
        self.assertEqual(self.mail(), {})

    def test_left(self) -> None:
        """A connection that is gone leaves nothing behind."""
        exchange = self.exchange
        exchange.subscribe(1, [(CHANNEL, b"c"), (PATTERN, b"*")])
        exchange.publish((CHANNEL, b"c", b"x"))
        exchange.leave(1)
        exchange.leave(1)
        self.assertEqual((self.mail(), exchange.subscribers, exchange.names(CHANNEL)), ({}, 0, []))
        self.assertEqual(exchange.publish((CHANNEL, b"c", b"x")), 0)

    def test_a_few_at_a_time(self) -> None:
        """Ten thousand subscribers must not keep a node from its peers: they get their messages in turns."""
        for connection in range(5):
            self.exchange.subscribe(connection, [(CHANNEL, b"c")])
        self.exchange.publish((CHANNEL, b"c", b"x"))
        self.assertEqual([connection for connection, _ in self.exchange.take(2)], [0, 1])
        self.exchange.publish((CHANNEL, b"c", b"y"))
        self.assertEqual([connection for connection, _ in self.exchange.take(3)], [2, 3, 4])
        self.assertTrue(self.exchange.has_mail)
        self.assertEqual([len(notices) for _, notices in self.exchange.take(9)], [1, 1])
        self.assertFalse(self.exchange.has_mail)

    def test_too_much(self) -> None:
        """Who cannot be written to as fast as others publish is cut off, and takes no more memory."""
        size = NOTICE_OVERHEAD_BYTES + 1 + 100
        exchange = self.begin(Limits(subscriber_bytes_max=3 * size))
        exchange.subscribe(1, [(CHANNEL, b"c")])
        exchange.subscribe(2, [(CHANNEL, b"d")])
        for _ in range(3):
            exchange.publish((CHANNEL, b"c", b"x" * 100))
        self.assertEqual(exchange.take_overfull(), [])
        exchange.publish((CHANNEL, b"c", b"x" * 100))
        self.assertEqual((exchange.take_overfull(), exchange.take_overfull()), ([1], []))
        self.assertEqual((self.mail(), exchange.subscribers), ({}, 1))

    def test_one_message_is_never_too_much(self) -> None:
        """A message that is longer than the limit of what may wait does not wait for anything."""
        exchange = self.begin(Limits(subscriber_bytes_max=10))
        exchange.subscribe(1, [(CHANNEL, b"c")])
        exchange.publish((CHANNEL, b"c", b"x" * 100))
        self.assertEqual((exchange.take_overfull(), len(self.mail()[1])), ([], 1))


class PostedTests(ExchangeCase):
    """What the relay hears."""

    def test_in_order(self) -> None:
        """A publisher's order is that in which the relay gets it."""
        postings = tuple((CHANNEL, b"c", b"%d" % number) for number in range(5))
        for posting in postings:
            self.exchange.publish(posting)
        self.assertGreater(self.woken, 0)
        self.assertEqual(self.exchange.take_posted(), Posted(postings, ()))
        self.assertIsNone(self.exchange.take_posted())

    def test_counts(self) -> None:
        """Only what has changed is told, once for all that happened in a turn."""
        exchange = self.exchange
        exchange.subscribe(1, [(CHANNEL, b"c"), (PATTERN, b"*")])
        exchange.subscribe(2, [(CHANNEL, b"c")])
        exchange.unsubscribe(1, [(PATTERN, b"*")])
        self.assertEqual(exchange.take_posted(), Posted((), ((CHANNEL, b"c", 2), (PATTERN, b"*", 0))))
        exchange.subscribe(2, [(CHANNEL, b"c")])
        exchange.unsubscribe(2, [(CHANNEL, b"never")])
        self.assertIsNone(exchange.take_posted())
        exchange.leave(2)
        self.assertEqual(exchange.take_posted(), Posted((), ((CHANNEL, b"c", 1),)))


class RoomTests(ExchangeCase):
    """How much may be subscribed to."""

    def test_room(self) -> None:
        """Clients must not take a node's memory by subscribing."""
        exchange = self.begin(Limits(subscriptions_max=3))
        self.assertEqual([exchange.reserve(2), exchange.reserve(2), exchange.reserve(1)], [True, False, True])
        exchange.release(2)
        self.assertEqual((exchange.reserve(2), exchange.weight), (True, 3))

    def test_weights(self) -> None:
        """What takes more memory counts for more."""
        self.assertEqual(weight_of(False, b"x" * 255), 1)
        self.assertEqual(weight_of(False, b"x" * 1024), 5)
        self.assertEqual(weight_of(True, b"user:*"), 1)
        self.assertEqual(weight_of(True, b"*:news"), 10)
        self.assertEqual(weight_of(True, b"a*b*c*"), 17)
        self.assertEqual(weight_of(False, b"*a*b*"), 1)


class ElsewhereTests(SynchronousTestCase):
    """What peers have told."""

    def test_counts(self) -> None:
        """PUBLISH and PUBSUB answer for the whole cluster."""
        elsewhere = Elsewhere(100)
        elsewhere.tell(2, True, ((CHANNEL, b"c", 2), (PATTERN, b"c*", 1), (SHARD, b"c", 5)))
        elsewhere.tell(3, True, ((CHANNEL, b"c", 4), (PATTERN, b"c*", 3), (PATTERN, b"d*", 7)))
        self.assertEqual(elsewhere.count((CHANNEL, b"c")), 6)
        self.assertEqual(elsewhere.receivers(CHANNEL, b"c"), 10)
        self.assertEqual(elsewhere.receivers(SHARD, b"c"), 5)
        self.assertEqual(sorted(elsewhere.names(PATTERN)), [b"c*", b"d*"])
        elsewhere.tell(3, False, ((CHANNEL, b"c", 1), (PATTERN, b"d*", 0)))
        self.assertEqual(elsewhere.receivers(CHANNEL, b"c"), 7)
        elsewhere.tell(2, True, ())
        self.assertEqual((elsewhere.receivers(CHANNEL, b"c"), elsewhere.receivers(SHARD, b"c")), (4, 0))
        elsewhere.tell(3, True, ())
        self.assertEqual([[*elsewhere.names(kind)] for kind in KINDS], [[], [], []])

    def test_one_that_tells_too_much(self) -> None:
        """A peer whose limits are larger must not take this node's memory."""
        elsewhere = Elsewhere(10)
        elsewhere.tell(2, True, tuple((CHANNEL, b"%d" % number, 1) for number in range(1000)))
        elsewhere.tell(2, False, ((PATTERN, b"x" * 5000, 1), (9, b"x", 1)))
        self.assertEqual(len([*elsewhere.names(CHANNEL), *elsewhere.names(PATTERN)]), 10)
        elsewhere.tell(2, False, tuple((CHANNEL, b"%d" % number, 0) for number in range(1000)))
        elsewhere.tell(2, False, ((CHANNEL, b"new", 1),))
        self.assertEqual([*elsewhere.names(CHANNEL)], [b"new"])

    @given(
        st.lists(
            st.tuples(
                st.integers(2, 4),
                st.booleans(),
                st.lists(st.tuples(st.sampled_from(KINDS), NAMES, st.integers(0, 2)), max_size=4),
            )
        ),
        CHANNELS,
    )
    def test_as_a_plain_table(self, tellings: list[tuple[int, bool, list[tuple[int, bytes, int]]]], to: bytes) -> None:
        """The sums are those of the tables, whatever was told in whatever order."""
        elsewhere = Elsewhere(1000)
        tables: dict[int, dict[Name, int]] = defaultdict(dict)
        for node, anew, counts in tellings:
            elsewhere.tell(node, anew, tuple(counts))
            if anew:
                tables[node].clear()
            for kind, name, count in counts:
                tables[node][kind, name] = count
        for kind in KINDS:
            names = {
                name for table in tables.values() for (each, name), count in table.items() if each == kind and count
            }
            self.assertEqual({*elsewhere.names(kind)}, names)
            for name in names:
                total = sum(table.get((kind, name), 0) for table in tables.values())
                self.assertEqual(elsewhere.count((kind, name)), total)
        expected = sum(
            count
            for table in tables.values()
            for (kind, name), count in table.items()
            if (kind == CHANNEL and name == to) or (kind == PATTERN and matches(name, to))
        )
        self.assertEqual(elsewhere.receivers(CHANNEL, to), expected)


def matches(pattern: bytes, channel: bytes) -> bool:
    """Whether a channel matches: each pattern is looked at by itself."""
    return Glob(pattern).matches(channel) if channel else not pattern


class PatternTests(SynchronousTestCase):
    """Finding the patterns that a channel matches."""

    @given(st.lists(st.tuples(st.booleans(), NAMES)), CHANNELS)
    def test_as_one_after_the_other(self, changes: list[tuple[bool, bytes]], channel: bytes) -> None:
        """An index that misses a pattern loses messages."""
        patterns, held = Patterns(), set[bytes]()
        for adds, pattern in changes:
            if adds and pattern not in held:
                patterns.add(pattern)
                held.add(pattern)
            elif not adds and pattern in held:
                patterns.remove(pattern)
                held.remove(pattern)
        self.assertEqual(sorted(patterns.matching(channel)), sorted(each for each in held if matches(each, channel)))


ACTS: st.SearchStrategy[tuple[str, int, int, list[bytes]]] = st.one_of(
    st.tuples(st.just("subscribe"), st.integers(1, 3), st.sampled_from(KINDS), st.lists(NAMES, max_size=3)),
    st.tuples(st.just("unsubscribe"), st.integers(1, 3), st.sampled_from(KINDS), st.lists(NAMES, max_size=3)),
    st.tuples(st.just("leave"), st.integers(1, 3), st.just(0), st.just([])),
    st.tuples(st.just("publish"), st.sampled_from([CHANNEL, SHARD]), st.just(0), st.lists(CHANNELS, max_size=1)),
)


class ModelTests(SynchronousTestCase):
    """Any sequence, against sets of names."""

    @given(st.lists(ACTS, max_size=40))
    def test_any_sequence(self, acts: list[tuple[str, int, int, list[bytes]]]) -> None:
        """What everybody gets, and what is counted, is what the plainest table says."""
        exchange = Exchange(Limits(), lambda: None)
        table: dict[int, set[Name]] = defaultdict(set)
        due: dict[int, list[Told]] = defaultdict(list)
        got: dict[int, list[Told]] = defaultdict(list)
        counts: dict[Name, int] = {}
        for number, (act, one, kind, names) in enumerate(acts):
            wanted: list[Name] = [(kind, name) for name in names]
            match act:
                case "subscribe":
                    exchange.subscribe(one, wanted)
                    table[one] |= set(wanted)
                case "unsubscribe":
                    got[one] += told(exchange.unsubscribe(one, wanted))
                    table[one] -= set(wanted)
                case "leave":
                    exchange.leave(one)
                    table.pop(one, None)
                    del due[one][len(got[one]) :]
                case "publish":
                    for channel in names:
                        receivers = 0
                        for connection, subscribed in table.items():
                            messages = expected(subscribed, one, channel, b"%d" % number)
                            due[connection] += messages
                            receivers += len(messages)
                        self.assertEqual(exchange.publish((one, channel, b"%d" % number)), receivers)
            posted = exchange.take_posted()
            counts |= {(kind, name): count for kind, name, count in (posted.counts if posted else ())}
            for connection, notices in exchange.take(number % 3):
                got[connection] += told(notices)
        for connection, notices in exchange.take(1000):
            got[connection] += told(notices)
        self.assertEqual(
            {key: sorted(value, key=repr) for key, value in got.items() if value},
            {key: sorted(value, key=repr) for key, value in due.items() if value},
        )
        for connection in got:  # in the order in which it was published
            numbers = [int(text) for _, _, _, text in got[connection]]
            self.assertEqual(numbers, sorted(numbers))
        held = [name for subscribed in table.values() for name in subscribed]
        self.assertEqual({name: count for name, count in counts.items() if count}, {n: held.count(n) for n in held})


def expected(subscribed: set[Name], kind: int, channel: bytes, text: bytes) -> list[Told]:
    """The messages for one who has subscribed to these names."""
    found: list[Told] = [(kind, None, channel, text)] if (kind, channel) in subscribed else []
    if kind == CHANNEL:
        patterns = sorted(name for each, name in subscribed if each == PATTERN and matches(name, channel))
        found += [(PATTERN, pattern, channel, text) for pattern in patterns]
    return found
