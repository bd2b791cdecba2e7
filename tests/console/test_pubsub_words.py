"""What a session makes of the words of publish/subscribe, beyond what dialogues with real servers show."""

from __future__ import annotations

from typing import Any

from dkv.pubsub.exchange import Exchange
from dkv.pubsub_messages import CHANNEL, SHARD
from dkv.replies import InPlace, Local, Push, Series
from dkv.security.rights import Rights
from dkv.security.users import EVERYBODY, User
from dkv.settings import Limits
from dkv.wire.reply_encoder import ReplyEncoder
from tests.console.spoken import Spoken


class PubSubWordsTests(Spoken):
    """One session with an exchange."""

    def made(self, line: str) -> Any:
        """The reply to ``line`` once its place has come."""
        reply = self.reply(line)
        assert isinstance(reply, InPlace), (line, reply)
        return reply.make()

    def begin(self, limits: Limits) -> None:
        self.node.exchange = Exchange(limits, lambda: None)
        super().begin(limits)

    def test_nothing_before_its_place(self) -> None:
        """A reply that is not made has done nothing, and what follows is interpreted as if it had."""
        confirmation = self.local("SUBSCRIBE c")
        self.assertEqual(self.node.exchange.count((CHANNEL, b"c")), 0)
        self.assertTrue(self.session.listens)
        self.assertTrue(self.refusal("GET x").startswith("ERR Can't execute 'get'"))
        assert isinstance(confirmation.reply, InPlace)
        self.assertEqual(confirmation.reply.make(), Series([Push([b"subscribe", b"c", 1])]))
        self.assertEqual(self.node.exchange.count((CHANNEL, b"c")), 1)

    def test_room(self) -> None:
        """What is beyond the limit is refused as a whole, and room that was given back is there again."""
        self.begin(Limits(subscriptions_max=3))
        self.made("SUBSCRIBE a b")
        self.assertIn("limits.subscriptions_max is 3", self.refusal("PSUBSCRIBE c d"))
        self.assertEqual(self.session.subscribed.count(CHANNEL), 2)
        self.made("SUBSCRIBE a c")
        self.made("UNSUBSCRIBE a")
        self.made("SSUBSCRIBE s")
        self.assertEqual(self.session.subscribed.count(SHARD), 1)
        self.session.gone()
        self.assertEqual((self.node.exchange.weight, self.node.exchange.subscribers), (0, 0))

    def test_long_names(self) -> None:
        """A name or a message beyond its limit is refused, and the error says which limit."""
        self.begin(Limits(key_bytes_max=2000))
        long = "x" * 2001
        for line in (f"SUBSCRIBE {long}", f"SSUBSCRIBE {long}", f"PUBLISH {long} m"):
            self.assertIn("limits.key_bytes_max is 2000", self.refusal(line))
        for line in (f"PSUBSCRIBE {long[:1025]}", f"PUBSUB CHANNELS {long[:1025]}"):
            self.assertIn("the most is 1024", self.refusal(line))

    def test_reset(self) -> None:
        """A connection is as new."""
        self.made("SUBSCRIBE c")
        self.made("RESET")
        self.assertEqual((self.session.listens, self.node.exchange.weight), (False, 0))
        self.assertEqual(self.node.exchange.subscribers, 0)
        self.meaning("GET x")

    def test_silent_clients_hear(self) -> None:
        """CLIENT REPLY OFF holds back replies, not what was subscribed to; and all takes effect all the same."""
        encoder = ReplyEncoder()
        lines = ("CLIENT REPLY OFF", "SUBSCRIBE c", "PING", "PUBLISH d x", "RESET")
        replies = []
        for line in lines[:3]:
            replies.append(self.local(line))
        self.assertEqual(encoder.encode(replies), b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n")
        self.assertEqual(self.node.exchange.subscribers, 1)
        self.begin(Limits())
        self.local("HELLO 3")
        encoder = ReplyEncoder()
        replies = [self.local(line) for line in ("CLIENT REPLY OFF", "PUBLISH d x", "CLIENT REPLY ON")]
        self.assertEqual(encoder.encode(replies), b"+OK\r\n")
        self.assertEqual(self.node.exchange.published, 1)

    def test_names_that_tell_of_keys(self) -> None:
        """Whoever may use every channel, but not a key, is not told that others listen to what happens to it."""
        mine, others = b"__keyspace@0__:app:1", b"__keyspace@0__:secret"
        for kind in (CHANNEL, SHARD):
            self.node.exchange.subscribe(9, [(kind, name) for name in (mine, others, b"__keyevent@0__:set", b"n")])
        for may, seen in ((["pubsub", "read"], [mine]), (["pubsub"], [])):
            self.session.become(User("app", (), frozenset(), Rights.of(may, [b"app:*"], channels=[b"*"])))
            for words in ("CHANNELS", "SHARDCHANNELS"):
                self.assertEqual(self.made(f"PUBSUB {words}"), [b"__keyevent@0__:set", *seen, b"n"])
                self.assertEqual(self.made(f"PUBSUB {words} *secret"), [])
            for words in ("NUMSUB", "SHARDNUMSUB"):
                counts = self.made(f"PUBSUB {words} {mine.decode()} {others.decode()} n")
                self.assertEqual(counts, [mine, len(seen), others, 0, b"n", 1])
        self.session.become(EVERYBODY)
        self.assertEqual(self.made("PUBSUB CHANNELS *secret"), [others])
        self.assertEqual(self.made(f"PUBSUB NUMSUB {others.decode()}"), [others, 1])

    def test_made_once(self) -> None:
        """A reply that switches replies on again is made once, though it is met by both ways of encoding."""
        made = []
        switch = self.local("CLIENT REPLY ON")
        count = Local(InPlace(lambda: made.append(1)), replying=switch.replying)
        self.assertEqual(ReplyEncoder().encode([self.local("CLIENT REPLY OFF"), count]), b"$-1\r\n")
        self.assertEqual(made, [1])
