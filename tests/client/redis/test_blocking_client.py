"""What the client sends to the nodes, in which order, and what a program is told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import redis
from redis.exceptions import ResponseError, WatchError
from twisted.trial.unittest import SynchronousTestCase

from dkv.client.redis import AnswerLost, ConnectionPool, MaybeApplied, NotApplied, Redis
from dkv.client.redis.blocking_connections import NodeSSLConnection
from dkv.client.redis.connections import get_connection
from tests.client.redis.scripted_nodes import CUT, OK, QUEUED, ScriptedNode, Words, closed_endpoint, in_turn

TRYAGAIN = b"-TRYAGAIN no leader answered within 5.0 s; not applied, retry\r\n"
UNCERTAIN = b"-UNCERTAIN the write was proposed\r\n"
LOADING = b"-LOADING this node is replaying its log\r\n"
DOWN = b"-CLUSTERDOWN this node hears no majority\r\n"
OLD = b"-IDMPOLD the token is older than what is remembered\r\n"
TAKEN = b"-IDMPMISMATCH the token was used with another write\r\n"
NIL = b"_\r\n"
EMPTY = b"*0\r\n"
ONE = b":1\r\n"


INVALID = b"-ERR invalid cursor: this node does not know it\r\n"


def page(cursor: int, key: bytes) -> bytes:
    """An answer to SCAN."""
    return b"*2\r\n$1\r\n%d\r\n*1\r\n$1\r\n%b\r\n" % (cursor, key)


class ScriptedTests(SynchronousTestCase):
    """A client of scripted nodes."""

    def nodes(self, *scripts: Iterable[bytes]) -> list[ScriptedNode]:
        """A node for each script."""
        found = [ScriptedNode(in_turn([*script])) for script in scripts]
        for node in found:
            self.addCleanup(node.close)
        return found

    def client(self, nodes: Iterable[Any], deadline: float = 20.0, **options: Any) -> Redis:
        """A client of these nodes."""
        endpoints = [getattr(each, "endpoint", each) for each in nodes]
        client = Redis(nodes=endpoints, deadline_seconds=deadline, protocol=3, **options)
        self.addCleanup(client.close)
        return client

    def tokens(self, *nodes: ScriptedNode) -> set[tuple[bytes, bytes]]:
        """The tokens that were sent."""
        return {(words[1], words[2]) for node in nodes for words in node.asked if words[0] == b"IDMP"}


class SingleCommandTests(ScriptedTests):
    def test_a_write_has_a_token_and_a_read_has_none(self) -> None:
        """Reads need no slot of the log, and a word that dkv does not have is refused as it is."""
        (node,) = self.nodes([ONE, ONE, OK, b"$1\r\nx\r\n", b"+PONG\r\n", b"-ERR unknown command 'LPUSH'\r\n", ONE])
        client = self.client([node])
        self.assertEqual((client.incr("a"), client.incr("a"), client.set("b", 1)), (1, 1, True))
        self.assertEqual((client.get("b"), client.ping()), (b"x", True))
        self.assertRaises(ResponseError, client.lpush, "l", 1)
        client.execute_command("del", "a")
        producer = node.asked[0][1]
        self.assertRegex(producer, rb"\Adkv-[0-9a-f]{16}\Z")
        self.assertEqual(
            node.asked,
            [
                (b"IDMP", producer, b"1", b"INCRBY", b"a", b"1"),
                (b"IDMP", producer, b"2", b"INCRBY", b"a", b"1"),
                (b"IDMP", producer, b"3", b"SET", b"b", b"1"),
                (b"GET", b"b"),
                (b"PING",),
                (b"LPUSH", b"l", b"1"),
                (b"IDMP", producer, b"4", b"del", b"a"),
            ],
        )

    def test_a_lost_answer_is_asked_for_at_the_next_node_with_the_same_token(self) -> None:
        """With another token, or none, the counter would count twice."""
        first, second, third = self.nodes([CUT], [UNCERTAIN], [b":7\r\n", b":8\r\n"])
        client = self.client([first, second, third])
        self.assertEqual((client.incr("a"), client.incr("a")), (7, 8))
        self.assertEqual((len(first.asked), len(second.asked)), (1, 1))
        self.assertEqual({first.asked[0], second.asked[0]}, {third.asked[0]})
        self.assertEqual(third.asked[1][2], b"2")

    def test_a_node_that_cannot_serve_is_left(self) -> None:
        """Whoever waits for one node that is starting, or alone, waits for nothing: the others serve."""
        nodes = self.nodes([LOADING], [TRYAGAIN], [DOWN], [b"-ERR max number of clients reached\r\n"], [ONE, ONE])
        client = self.client([closed_endpoint(), *nodes])
        self.assertEqual((client.incr("a"), client.incr("a")), (1, 1))
        self.assertEqual([len(node.asked) for node in nodes], [1, 1, 1, 1, 2])
        self.assertEqual(len(self.tokens(*nodes)), 2)

    def test_a_node_that_is_shutting_down(self) -> None:
        """It refuses whoever connects, in the first answer; the next node serves."""
        leaving, other = self.nodes([], [ONE])
        leaving.own = {b"HELLO": b"-TRYAGAIN this node is shutting down\r\n"}
        self.assertEqual(self.client([leaving, other]).incr("a"), 1)
        self.assertRaises(NotApplied, self.client([leaving], 0.1).incr, "a")
        leaving.own = {b"HELLO": b"-ERR there are no passwords\r\n"}
        self.assertRaises(ResponseError, self.client([leaving]).incr, "a")

    def test_tls(self) -> None:
        """For nodes behind something that ends TLS; one that does not speak it takes no connection."""
        (node,) = self.nodes([])
        client = self.client([node], 0.1, ssl=True)
        self.assertIs(client.connection_pool.connection_class, NodeSSLConnection)
        self.assertRaises(NotApplied, client.incr, "a")
        pool = ConnectionPool.from_url(f"rediss://{node.endpoint}")
        self.assertIs(pool.connection_class, NodeSSLConnection)

    def test_not_applied(self) -> None:
        """A program must know when a write certainly did not happen."""
        (node,) = self.nodes([TRYAGAIN] * 1000)
        error = self.assertRaises(NotApplied, self.client([node], 0.1).incr, "a")
        self.assertIn("no leader", str(error))
        self.assertRaises(NotApplied, self.client([closed_endpoint()], 0.1).incr, "a")

    def test_maybe_applied(self) -> None:
        """A refusal says nothing about an earlier attempt without an answer (B35)."""
        lost, refusing = self.nodes([CUT], [TRYAGAIN] * 1000)
        lost.respond = lambda words: CUT
        error = self.assertRaises(MaybeApplied, self.client([lost, refusing], 0.2).incr, "a")
        self.assertEqual((error.token[0], b"%d" % error.token[1]), self.tokens(lost, refusing).pop())
        for refusal in (b"-MISCONF no room\r\n", b"-ERR the key has 9 bytes, limits.key_bytes_max is 8\r\n"):
            (node,) = self.nodes([CUT, *[refusal] * 1000])
            self.assertRaises(MaybeApplied, self.client([node], 0.1).incr, "a")
            (node,) = self.nodes([refusal])
            self.assertRaises(ResponseError, self.client([node], 0.1).incr, "a")  # not applied, and said so

    def test_a_node_of_another_version_does_not_know_the_script(self) -> None:
        """redis-py would load it, and call it once more with another token."""
        for refusal in (
            b"-NOSCRIPT No matching script. dkv\r\n",
            b"-ERR the script is not in the catalogue of dkv\r\n",
        ):
            (node,) = self.nodes([CUT, *[refusal] * 1000])
            self.assertRaises(MaybeApplied, self.client([node], 0.1).evalsha, "a" * 40, 0)

    def test_an_error_that_the_write_itself_brought(self) -> None:
        """It is the answer, also to a write that is sent again."""
        (node,) = self.nodes([CUT, b"-ERR value is not an integer or out of range\r\n"])
        error = self.assertRaises(ResponseError, self.client([node]).incr, "a")
        self.assertEqual(str(error), "value is not an integer or out of range")

    def test_a_forgotten_token(self) -> None:
        """Without an earlier attempt the write did not happen, and goes on with another token; else nobody knows."""
        (node,) = self.nodes([OLD, ONE])
        self.assertEqual(self.client([node]).incr("a"), 1)
        self.assertEqual(len(self.tokens(node)), 2)
        (node,) = self.nodes([CUT, OLD])
        self.assertRaises(MaybeApplied, self.client([node]).incr, "a")

    def test_what_has_no_token_is_not_sent_again(self) -> None:
        """A message that is published twice is received twice. A read may be sent again."""
        (node,) = self.nodes([CUT, CUT, NIL, TRYAGAIN, ONE])
        client = self.client([node])
        self.assertRaises(redis.ConnectionError, client.publish, "channel", "message")
        self.assertEqual(client.get("a"), None)
        self.assertEqual(client.publish("channel", "message"), 1)  # the first one was refused
        asked = [words[0] for words in node.asked]
        self.assertEqual(asked, [b"PUBLISH", b"GET", b"GET", b"PUBLISH", b"PUBLISH"])

    def test_one_connection(self) -> None:
        """A client with a connection of its own goes on with the next node, too."""
        first, second = self.nodes([ONE, CUT], [ONE, ONE])
        with self.client([first, second]).client() as client:
            self.assertEqual([client.incr("a") for _ in range(3)], [1, 1, 1])
        self.assertEqual((len(first.asked), len(second.asked)), (2, 2))

    def test_all_connections_leave_a_node_that_failed(self) -> None:
        """Each of a hundred threads would have to wait for a node that hangs, if each had to find out by itself."""
        first, second = self.nodes([ONE, CUT], [ONE, ONE])
        client = self.client([first, second])
        held = get_connection(client.connection_pool)
        self.assertEqual([client.incr("a") for _ in range(2)], [1, 1])
        client.connection_pool.release(held)
        self.assertEqual(client.incr("a"), 1)  # on the connection that was held
        self.assertEqual((len(first.asked), len(second.asked)), (2, 2))

    def test_a_scan_begins_anew_at_another_node(self) -> None:
        """A cursor is known to one node; whoever clears a cache by a pattern needs all keys all the same."""
        first, second = self.nodes([page(7, b"a"), CUT], [INVALID, page(9, b"a"), page(0, b"b")])
        self.assertEqual([*self.client([first, second]).scan_iter("*", 1)], [b"a", b"a", b"b"])
        self.assertEqual([words[1] for words in second.asked], [b"7", b"0", b"9"])
        (node,) = self.nodes([page(7, b"a"), INVALID] * 100)
        self.assertRaises(ResponseError, list, self.client([node]).scan_iter())
        self.assertEqual(len(node.asked), 22)

    def test_urls(self) -> None:
        """A list of nodes in a URL is all that a program must change."""
        first, second = self.nodes([CUT], [b"$1\r\nx\r\n"])
        client = Redis.from_url(f"redis://{first.endpoint},{second.endpoint}/0", decode_responses=True)
        self.addCleanup(client.close)
        self.assertEqual(client.get("a"), "x")
        pool = ConnectionPool(nodes=[closed_endpoint(), second.endpoint])
        second.respond = in_turn([ONE])
        self.assertEqual(Redis(connection_pool=pool).incr("a"), 1)
        pool.disconnect()
        self.assertRaises(ValueError, Redis, nodes=["h:1"], connection_pool=pool)
        self.assertRaises(ValueError, Redis, nodes=["h:1"], unix_socket_path="/tmp/socket")


class TransactionTests(ScriptedTests):
    BLOCK = (OK, QUEUED, QUEUED, b"*2\r\n:1\r\n+OK\r\n")

    def test_it_is_sent_again_as_a_whole(self) -> None:
        """The EXEC alone would execute nothing."""
        first, second = self.nodes([OK, QUEUED, QUEUED, CUT], self.BLOCK)
        results = self.client([first, second]).pipeline().incr("a").set("b", 2).execute()
        self.assertEqual(results, [1, True])
        self.assertEqual(first.asked, second.asked)
        ((producer, op),) = self.tokens(first)
        self.assertEqual(first.asked[-1], (b"IDMP", producer, op, b"EXEC"))
        self.assertEqual([words[0] for words in first.asked], [b"MULTI", b"INCRBY", b"SET", b"IDMP"])

    def test_refusals(self) -> None:
        """What stopped a transaction is told; what stopped its repeat says nothing of the first attempt."""
        abort = b"-EXECABORT Transaction discarded because of previous errors.\r\n"
        (node,) = self.nodes([OK, b"-ERR unknown command 'X'\r\n", abort])
        error = self.assertRaises(ResponseError, self.client([node]).pipeline().execute_command("X").execute)
        self.assertIn("unknown command", str(error))
        (node,) = self.nodes([OK, CUT, *[OK, b"-ERR wrong number of arguments\r\n", abort] * 1000])
        self.assertRaises(MaybeApplied, self.client([node], 0.1).pipeline().incr("a").execute)
        (node,) = self.nodes([OK, TRYAGAIN, abort, OK, QUEUED, b"*1\r\n:5\r\n"])
        self.assertEqual(self.client([node]).pipeline().incr("a").execute(), [5])
        (node,) = self.nodes([OK, QUEUED, TRYAGAIN] * 1000)
        self.assertRaises(NotApplied, self.client([node], 0.1).pipeline().incr("a").execute)

    def watched(self, *answers: bytes, deadline: float = 20.0) -> tuple[ScriptedNode, Any]:
        """A node that has answered WATCH, GET and MULTI, and INCR; and the pipeline."""
        (node,) = self.nodes([OK, NIL, OK, QUEUED, *answers])
        pipeline = self.client([node], deadline).pipeline()
        pipeline.watch("a")
        pipeline.get("a")
        pipeline.multi()
        pipeline.incr("a")
        return node, pipeline

    def test_the_answer_to_a_watched_transaction_is_lost_and_it_was_not_executed(self) -> None:
        """It must not be sent again: the keys are not watched any more. An empty one uses up the token instead."""
        node, pipeline = self.watched(CUT, OK, EMPTY)
        self.assertRaises(WatchError, pipeline.execute)
        ((producer, op),) = self.tokens(node)
        execute = (b"IDMP", producer, op, b"EXEC")
        self.assertEqual(node.asked[-4:], [(b"INCRBY", b"a", b"1"), execute, (b"MULTI",), execute])

    def test_the_answer_to_a_watched_transaction_is_lost_and_it_was_executed(self) -> None:
        """A program that was told to begin again would count twice. It gets the first answer."""
        node, pipeline = self.watched(CUT, OK, TAKEN, OK, OK, QUEUED, b"*1\r\n:7\r\n")
        self.assertEqual(pipeline.execute(), [7])
        names = [words[0] for words in node.asked[-4:]]
        self.assertEqual(names, [b"WATCH", b"MULTI", b"INCRBY", b"IDMP"])
        self.assertEqual(len(self.tokens(node)), 1)
        node, pipeline = self.watched(UNCERTAIN, OK, TAKEN, OK, OK, QUEUED, NIL)
        self.assertRaises(WatchError, pipeline.execute)  # executed, and it found that a key had changed
        node, pipeline = self.watched(CUT, OK, TAKEN, OK, OK, QUEUED, OLD)
        self.assertRaises(AnswerLost, pipeline.execute)

    def test_nobody_knows_whether_a_watched_transaction_was_executed(self) -> None:
        """WatchError would be a lie, as redis-py's own is."""
        _, pipeline = self.watched(CUT, OK, OLD)
        self.assertRaises(MaybeApplied, pipeline.execute)
        _, pipeline = self.watched(CUT, *[OK, TRYAGAIN] * 1000, deadline=0.1)
        self.assertRaises(MaybeApplied, pipeline.execute)

    def test_a_refused_watched_transaction(self) -> None:
        """The refusal ends the watch as well: the program begins again."""
        _, pipeline = self.watched(TRYAGAIN)
        self.assertRaises(WatchError, pipeline.execute)
        _, pipeline = self.watched(b"-MISCONF no room\r\n")
        self.assertRaises(ResponseError, pipeline.execute)

    def test_the_connection_is_lost_before_the_transaction(self) -> None:
        """What was watched is lost with the connection; nothing may be executed on another one."""
        (node,) = self.nodes([OK, CUT, b"$1\r\n5\r\n", ONE])
        pipeline = self.client([node]).pipeline()
        pipeline.watch("a")
        self.assertEqual(pipeline.get("a"), b"5")  # answered, and not watched any more
        self.assertEqual(pipeline.incr("other"), 1)
        pipeline.multi()
        pipeline.incr("a")
        self.assertRaises(WatchError, pipeline.execute)
        self.assertEqual([words[0] for words in node.asked], [b"WATCH", b"GET", b"GET", b"IDMP"])

    def test_errors_among_the_results(self) -> None:
        """As in redis-py: raised, or in their places."""
        results = b"*2\r\n-ERR value is not an integer or out of range\r\n+OK\r\n"
        (node,) = self.nodes([OK, QUEUED, QUEUED, results] * 2)
        client = self.client([node])
        self.assertRaises(ResponseError, client.pipeline().incr("a").set("b", 2).execute)
        found = client.pipeline().incr("a").set("b", 2).execute(raise_on_error=False)
        self.assertIsInstance(found[0], ResponseError)
        self.assertEqual(found[1:], [True])


class PipelineTests(ScriptedTests):
    def test_it_goes_on_behind_the_last_answer(self) -> None:
        """Each write has its own token, so what was executed before the cut is not executed again."""
        first, second = self.nodes([ONE, NIL, CUT], [b":2\r\n", b":3\r\n"])
        pipeline = self.client([first, second]).pipeline(transaction=False)
        self.assertEqual(pipeline.incr("a").get("b").incr("a").incr("a").execute(), [1, None, 2, 3])
        self.assertEqual(first.asked[2:], second.asked[:1])
        self.assertEqual(len(self.tokens(first, second)), 3)

    def test_what_was_refused_is_not_sent_behind_what_was_executed(self) -> None:
        """Of two SETs of one key the last one must win."""
        (node,) = self.nodes([TRYAGAIN, OK, UNCERTAIN, OK, DOWN, OK])
        pipeline = self.client([node]).pipeline(transaction=False)
        for value in range(5):
            pipeline.set("a", value)
        found = pipeline.execute(raise_on_error=False)
        self.assertEqual([type(each) for each in found], [NotApplied, bool, MaybeApplied, bool, bool])
        self.assertEqual(node.asked[-1][-1], b"4")  # nothing was executed behind it
        (node,) = self.nodes([TRYAGAIN, OK])
        pipeline = self.client([node]).pipeline(transaction=False)
        self.assertRaises(NotApplied, pipeline.set("a", 1).set("a", 2).execute)

    def test_errors_that_are_no_answers(self) -> None:
        """A token that is forgotten, or a full disk, do not tell what an attempt before did."""
        error = b"-ERR value is not an integer or out of range\r\n"
        full = b"-MISCONF no room\r\n"
        (node,) = self.nodes([OLD, full, error, CUT, OLD, full, error])
        pipeline = self.client([node]).pipeline(transaction=False)
        for _ in range(6):
            pipeline.incr("a")
        found = pipeline.execute(raise_on_error=False)
        kinds = [NotApplied, ResponseError, ResponseError, MaybeApplied, MaybeApplied, ResponseError]
        self.assertEqual([type(each) for each in found], kinds)

    def test_what_has_no_token_ends_it(self) -> None:
        """A message may have been published, so the pipeline is not sent again."""
        (node,) = self.nodes([ONE, CUT])
        pipeline = self.client([node]).pipeline(transaction=False)
        self.assertRaises(redis.ConnectionError, pipeline.incr("a").publish("c", "m").incr("a").execute)
        self.assertEqual(len(node.asked), 2)

    def test_the_deadline(self) -> None:
        """What may have been executed is not called refused."""
        (node,) = self.nodes([CUT, *[TRYAGAIN] * 1000])
        self.assertRaises(MaybeApplied, self.client([node], 0.1).pipeline(False).incr("a").incr("b").execute)
        (node,) = self.nodes([TRYAGAIN] * 1000)
        self.assertRaises(NotApplied, self.client([node], 0.1).pipeline(False).incr("a").incr("b").execute)

    def test_a_long_one_is_sent_in_pieces(self) -> None:
        """A node remembers a thousand answers of a producer: more writes must not wait for their answers at once."""
        behind: list[Words] = []
        (node,) = self.nodes([])

        def respond(words: Words) -> bytes:
            behind.append(words)
            return CUT if len(behind) == 700 else ONE

        node.respond = respond
        pipeline = self.client([node]).pipeline(transaction=False)
        for _ in range(1500):
            pipeline.incr("a")
        self.assertEqual(pipeline.execute(), [1] * 1500)
        ops = [int(words[2]) for words in behind]
        self.assertEqual(sorted(set(ops)), [*range(1, 1501)])  # of one producer
        self.assertEqual(ops[698:701], [699, 700, 700])
