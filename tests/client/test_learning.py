"""A session learns where the voters are now, from the nodes that it reaches, and asks no more often than it must."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from dkv.client import session
from dkv.client.blocking import Endpoint, ServerError
from dkv.client.itinerary import LEARN_SECONDS, MOVED_SECONDS
from dkv.client.outcome import REMOVED, Unreachable
from dkv.client.session import Session
from dkv.configurations import Configuration, Configurations, first_configurations
from dkv.events import MembersAre
from dkv.gateway.belonging import Belonging
from tests.client.fakes import Answers, FakeNodes

GONE = f"-{REMOVED}; the request was not applied: send it elsewhere\r\n".encode()
SERVED = (b"+OK\r\n",) * 20


class LearningTests(SynchronousTestCase):
    """Nodes a, b, ...; ``tell`` has what each tells of the voters, ``asked`` whom the session asked."""

    def setUp(self) -> None:
        self.tell: dict[str, str] = {}
        self.asked: list[str] = []
        self.now = 1_000.0

    def session(self, given: str, **answers: Answers) -> Session:
        self.nodes = FakeNodes(self, **answers)
        self.patch(session, "voters", self.voters)
        self.patch(session, "monotonic", lambda: self.now)
        made = Session([Endpoint(name, 1) for name in given], 5.0)
        self.addCleanup(made.close)
        return made

    def voters(self, whom: Sequence[Endpoint], answer_seconds: float) -> list[Endpoint]:
        names = [each.host for each in whom]
        self.asked.append("".join(names))
        return [Endpoint(told, 1) for name in names for told in self.tell.get(name, "")]

    def put(self, made: Session) -> str:
        """Where a write was answered."""
        self.assertEqual(made.call(b"PUT", b"k", b"v"), "OK")
        assert made.endpoint is not None
        return made.endpoint.host

    def test_goes_on_when_all_that_were_given_are_gone(self) -> None:
        """Each node is replaced, and what it knew stands in for what was given."""
        answers: dict[str, Answers] = {"a": (*SERVED[:1], GONE), "b": SERVED[:1], "c": None, "d": SERVED}
        self.tell = {"a": "abc", "b": "bcd", "d": "def"}
        made = self.session("abc", **answers)
        self.assertEqual(self.put(made), "a")
        self.now += MOVED_SECONDS
        self.assertEqual(self.put(made), "b", "a says that it was removed")
        self.now += MOVED_SECONDS
        self.assertEqual(self.put(made), "d", "b has hung up, and c is down")
        self.assertEqual(self.asked, ["a", "b", "d"])

    def test_only_a_removed_node_is_known(self) -> None:
        """It tells who serves, and the request goes there: it was not applied."""
        self.tell = {"a": "bc"}
        made = self.session("a", a=GONE, b=None, c=SERVED)
        self.assertEqual(self.put(made), "c")
        self.assertEqual(self.nodes.asked, ["a", "b", "c"])

    def test_a_removed_node_that_knows_nobody(self) -> None:
        """Its refusal is the answer, and it is not asked again at once."""
        made = self.session("a", a=(GONE, GONE, GONE))
        for _ in range(3):
            self.assertRaises(ServerError, made.call, b"PUT", b"k", b"v")
        self.assertEqual(self.asked, ["a"])

    def test_no_storm(self) -> None:
        """One question at first, and one a minute; nothing is asked for a node that stays."""
        made = self.session("a", a=SERVED)
        for _ in range(5):
            self.put(made)
        self.assertEqual(self.asked, ["a"])
        self.now += LEARN_SECONDS
        self.put(made)
        self.put(made)
        self.assertEqual(self.asked, ["a", "a"])

    def test_no_storm_while_it_moves(self) -> None:
        """Nodes that hang up after each answer: one question a second."""
        made = self.session("ab", a=b"+OK\r\n", b=b"+OK\r\n")
        for _ in range(6):
            self.put(made)
        self.assertEqual(len(self.asked), 1)
        self.now += MOVED_SECONDS
        self.put(made)
        self.assertEqual(len(self.asked), 2)

    def test_what_was_told_before_is_forgotten(self) -> None:
        """The list does not grow: it has what was given, and what was told last."""
        self.tell = {"a": "bcd"}
        made = self.session("a", a=SERVED[:2], e=None)
        self.put(made)
        self.tell = {"a": "e"}
        self.now += LEARN_SECONDS
        self.put(made)
        self.nodes._answers["a"] = None
        self.assertRaises(Unreachable, made.call, b"PUT", b"k", b"v")
        self.assertEqual(set(self.nodes.asked), {"a", "e"})

    def test_a_transaction_does_not_move(self) -> None:
        """What was queued at a node that is removed now is not executed elsewhere in parts."""
        made = self.session("a", a=(b"+OK\r\n", GONE), b=SERVED)
        made.call(b"MULTI")
        self.tell = {"a": "b"}
        self.now += MOVED_SECONDS
        self.assertRaises(ServerError, made.call, b"PUT", b"k", b"v")
        self.assertEqual(self.nodes.asked, ["a"])

    def test_the_words_of_a_removed_node(self) -> None:
        """They begin as clients expect them."""
        left = Configurations((*first_configurations((1, 2)).sets, Configuration(5, 69, frozenset((2,)))), (), 2)
        belonging = Belonging(1, left)
        assert belonging.refusal is None
        belonging.hear(MembersAre(left, 100))
        assert belonging.refusal is not None
        self.assertTrue(belonging.refusal.text.startswith(REMOVED))
