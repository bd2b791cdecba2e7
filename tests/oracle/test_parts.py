"""The parts of the oracle: forms of commands, replies, the comparison, and that a wrong answer is found and shrunk."""

from __future__ import annotations

from random import Random
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.differences import Difference
from tests.oracle.comparison import Comparison
from tests.oracle.fake_reference import FakeReference
from tests.oracle.grammar import Choice, Form, Words, parse
from tests.oracle.memory_node import MemoryClient
from tests.oracle.reply_tree import read_reply, read_whole
from tests.oracle.search import Search


class GrammarTests(SynchronousTestCase):
    def test_forms(self) -> None:
        """A form that is read wrongly makes requests up that no client sends, and none that clients do."""
        nx, get = Choice((Form(("NX",)), Form(("XX",))), optional=True), Choice((Form(("GET",)),), True)
        self.assertEqual(parse("key value [NX|XX] [GET]"), Form(("key", "value", nx, get)))
        self.assertEqual(parse("key [key ...]").parts[1], Choice((Form((Choice(("key",), False, True),)),), True))
        life = Choice((Form(("EX", "seconds")), Form(("PERSIST",))), optional=True)
        self.assertEqual(parse("[EX seconds|PERSIST]"), Form((life,)))
        self.assertEqual(parse("2|3 name"), Form((Choice(("2", "3")), "name")))
        nested = parse("[A [B b]|C]").parts[0]
        self.assertEqual(nested, Choice((Form(("A", Choice((Form(("B", "b")),), True))), Form(("C",))), True))

    def test_words(self) -> None:
        """Requests of a form have what it has, in its order, unless they are to be wrong."""
        form = parse("key [NX|XX] [EX seconds]")
        words = Words(Random(1), lambda: 1_000_000, wrong=False)
        made = [words.arguments(form) for _ in range(200)]
        self.assertEqual({len(each) for each in made}, {1, 2, 3, 4})
        marks = {word.upper() for each in made for word in each[1:] if word.isalpha()}
        self.assertEqual(marks, {b"NX", b"XX", b"EX"})
        wrong = Words(Random(1), lambda: 1_000_000)
        self.assertIn(5, {len(wrong.arguments(form)) for _ in range(200)})


class ReplyTests(SynchronousTestCase):
    def test_whole_and_in_pieces(self) -> None:
        """A reply that is cut elsewhere would make each one behind it differ."""
        for data in (
            b"+OK\r\n", b"-ERR no\r\n", b":-1\r\n", b"$-1\r\n", b"$0\r\n\r\n", b"$4\r\n\r\n\r\n\r\n", b"_\r\n",
            b",1.5\r\n", b"*-1\r\n", b"*0\r\n", b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n", b"%1\r\n+a\r\n_\r\n", b"~1\r\n#t\r\n",
        ):  # fmt: skip
            self.assertEqual(read_whole(data).data, data)
            self.assertEqual(read_reply(data + b"+next\r\n"), (read_whole(data), len(data)))
            self.assertEqual([read_reply(data[:end]) for end in range(len(data))], [None] * len(data))


class ComparisonTests(SynchronousTestCase):
    def test_what_is_allowed(self) -> None:
        """A difference is allowed for its command and its replies alone, within a transaction too."""
        order = Difference(("keys",), "", "", (), unordered=True)
        text = Difference(("set",), "", "", (), rb"-ERR syntax.*", rb"-ERR SET has no option .*")
        comparison = Comparison((order, text))
        ours, theirs = read_whole(b"*2\r\n+a\r\n+b\r\n"), read_whole(b"*2\r\n+b\r\n+a\r\n")
        self.assertTrue(comparison.same([b"KEYS", b"*"], theirs, ours))
        self.assertFalse(comparison.same([b"MGET", b"*"], theirs, ours))
        self.assertFalse(comparison.same([b"KEYS", b"*"], theirs, read_whole(b"*2\r\n+b\r\n+b\r\n")))
        syntax, refused = read_whole(b"-ERR syntax error\r\n"), read_whole(b"-ERR SET has no option X\r\n")
        self.assertTrue(comparison.same([b"set"], syntax, refused))
        self.assertFalse(comparison.same([b"set"], refused, syntax))
        self.assertEqual(comparison.used, {order: 1, text: 1})
        both = [[b"KEYS", b"*"], [b"SET", b"a"]]
        executed = (
            read_whole(b"*2\r\n%b%b" % (theirs.data, syntax.data)),
            read_whole(b"*2\r\n%b%b" % (ours.data, refused.data)),
        )
        self.assertTrue(comparison.same([b"EXEC"], *executed, both))
        self.assertFalse(comparison.same([b"EXEC"], *executed, both[::-1]))

    def test_values(self) -> None:
        """fakeredis tells no bulk string from a status, and has errors of its own."""
        comparison = Comparison((), exact=False)
        for theirs, ours in ((b"$2\r\nOK\r\n", b"+OK\r\n"), (b"$-1\r\n", b"_\r\n"), (b"-ERR a\r\n", b"-WRONG b\r\n")):
            self.assertTrue(comparison.same([b"get"], read_whole(theirs), read_whole(ours)))
        for theirs, ours in ((b"$1\r\n1\r\n", b":1\r\n"), (b"$-1\r\n", b"$0\r\n\r\n"), (b"-ERR\r\n", b"$3\r\nERR\r\n")):
            self.assertFalse(comparison.same([b"get"], read_whole(theirs), read_whole(ours)))


class PlantedTests(SynchronousTestCase):
    def test_a_wrong_answer_is_found_and_shrunk(self) -> None:
        """An oracle that finds nothing would look the same as one that cannot find."""
        ask = MemoryClient.ask

        def wrong(client: MemoryClient, words: list[bytes]) -> bytes:
            data = ask(client, words)
            return b":6\r\n" if data == b":1\r\n" else data

        with patch.object(MemoryClient, "ask", wrong):
            reference = FakeReference()
            self.addCleanup(reference.stop)
            found = next(Search(reference, 1).find(100))
        self.assertEqual(len(found.steps), 1, str(found))
