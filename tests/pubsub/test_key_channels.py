"""Events of keys reach only those who may know of the keys."""

from __future__ import annotations

from random import Random

from dkv.client_events import KeyEvents
from dkv.pubsub.key_channels import key_named, key_told
from dkv.pubsub_messages import CHANNEL, PATTERN, SHARD
from tests.pubsub.test_exchange import ExchangeCase

SET_A = (CHANNEL, b"__keyevent@0__:set", b"a")
A_IS_SET = (CHANNEL, b"__keyspace@0__:a", b"set")


class KeyToldTests(ExchangeCase):
    """Which key a message is about is read from its channel and its text."""

    def test_what_a_node_tells(self) -> None:
        """Of every event, in both of its forms, the key is found, whatever bytes it has."""
        random = Random(19)
        for _ in range(500):
            db, key = random.randrange(16), bytes(random.choices(b"a:@_*\n\xff0", k=random.randrange(8)))
            for channel, text in KeyEvents(((db, b"set", key),)).messages():
                self.assertEqual(key_told(channel, text), (db, key))

    def test_a_key_in_a_name(self) -> None:
        """The names of channels of one key tell that key; those of events and of clients tell none."""
        self.assertEqual(key_named(b"__keyspace@3__:a:b\n"), (3, b"a:b\n"))
        self.assertEqual(key_named(b"__keyspace@0__:"), (0, b""))
        for channel in (b"__keyevent@0__:set", b"__keyspace@0__", b"__keyspace@*__:a", b"a", b""):
            self.assertIsNone(key_named(channel))

    def test_other_channels(self) -> None:
        """They are about no key."""
        for channel in (
            b"",
            b"news",
            b"__keyspace@__:a",
            b"__keyspace@x__:a",
            b"__keyother@0__:a",
            b" __keyspace@0__:a",
        ):
            self.assertIsNone(key_told(channel, b"a"))


class RestrictedTests(ExchangeCase):
    """A subscriber that may not know of every key."""

    def setUp(self) -> None:
        super().setUp()
        self.exchange.restrict(1, lambda db, key: db == 0 and key.startswith(b"a"))
        for connection in (1, 2):
            self.exchange.subscribe(
                connection, [(CHANNEL, b"__keyevent@0__:set"), (PATTERN, b"__key*"), (CHANNEL, b"n")]
            )

    def readers(self, *postings: tuple[int, bytes, bytes]) -> dict[int, int]:
        """How many messages each connection gets."""
        self.exchange.deliver(postings)
        return {connection: len(told) for connection, told in self.mail().items()}

    def test_keys_that_it_may_know(self) -> None:
        """It is told of these as everybody is, by the channel and by the pattern."""
        self.assertEqual(self.readers(SET_A, A_IS_SET), {1: 3, 2: 3})

    def test_other_keys(self) -> None:
        """Whoever may not read a key would learn from its events when it changes, and that it is there."""
        for posting in (
            (CHANNEL, b"__keyevent@0__:set", b"b"),
            (CHANNEL, b"__keyspace@0__:b", b"set"),
            (CHANNEL, b"__keyevent@1__:del", b"a"),
            (CHANNEL, b"__keyspace@1__:a", b"set"),
        ):
            self.assertEqual(self.readers(posting).get(1), None, posting)
        self.assertEqual(self.readers((CHANNEL, b"__keyevent@0__:set", b"b"), SET_A), {1: 2, 2: 4})

    def test_what_clients_publish(self) -> None:
        """A message of a client to such a channel is judged alike; other channels are not about keys."""
        self.assertEqual(self.exchange.publish((CHANNEL, b"__keyevent@0__:set", b"b")), 2)
        self.assertEqual(self.mail().keys(), {2})
        self.assertEqual(self.readers((CHANNEL, b"n", b"b")), {1: 1, 2: 1})
        self.exchange.subscribe(1, [(SHARD, b"__keyspace@0__:b")])
        self.assertEqual(self.readers((SHARD, b"__keyspace@0__:b", b"set")), {1: 1})

    def test_other_rights(self) -> None:
        """They hold at once, and not for the connection that gets the number next."""
        self.exchange.restrict(1, None)
        self.assertEqual(self.readers((CHANNEL, b"__keyevent@0__:set", b"b")), {1: 2, 2: 2})
        self.exchange.restrict(2, lambda db, key: False)
        self.exchange.leave(2)
        self.exchange.subscribe(2, [(PATTERN, b"*")])
        self.assertEqual(self.readers(SET_A).get(2), None)

    def test_what_is_judged_is_counted(self) -> None:
        """Events that nobody gets take time, too: it is counted as work of the exchange."""
        before = self.exchange.work
        self.readers(*[(CHANNEL, b"__keyevent@0__:set", b"b")] * 10)
        self.assertGreaterEqual(self.exchange.work - before, 10 * 2 * 2)
