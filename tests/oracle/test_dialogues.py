"""What a connection is told, line by line as by a real server: databases, transactions, and the words around them.

These words are about the server or the connection, so the random requests of the search leave most of them out.
"""

from __future__ import annotations

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from dkv.wire.inline import split_line
from tests.oracle.comparison import Comparison
from tests.oracle.memory_node import MemoryNode
from tests.oracle.reply_tree import read_reply
from tests.oracle.servers import references

OF_ALL = (
    """
    SELECT | SELECT 15 | SELECT 16 | SELECT -1 | SELECT x | SELECT 01 | SELECT 99999999999999999999 | SELECT 3000000000
    """,
    """
    HELLO abc | HELLO 4 | HELLO 02 | HELLO 3 SETNAME | HELLO 3 FOO | HELLO 3 SETNAME 'a b' | CLIENT GETNAME
    | PING | PING x | PING a b | ECHO | ECHO x | RESET | RESET x
    """,
    """
    EXEC | DISCARD | UNWATCH | UNWATCH x | WATCH | MULTI x | EXEC x | DISCARD x
    | MULTI | EXEC | MULTI | DISCARD | EXEC
    """,
    """
    MULTI | GET x y | SET x | SET x 1 | EXEC | GET x
    | MULTI | NOPE a b | GET x | DISCARD | MULTI | ECHO | EXEC | MULTI | CLIENT NOPE | EXEC | MULTI | CLIENT ID x | EXEC
    | MULTI | OBJECT NOPE x | EXEC | MULTI | OBJECT ENCODING | EXEC
    | MULTI | EXEC x | EXEC | MULTI | DISCARD x | EXEC | MULTI | WATCH | EXEC
    """,
    """
    MULTI | SET x 1 | SELECT 3 | CLIENT SETNAME me | PING | UNWATCH | GET x | SELECT 16 | HELLO 9 | EXEC
    | CLIENT GETNAME | GET x | SELECT 0 | GET x
    """,
    """
    MULTI | SET x 1 | RESET | EXEC | GET x | MULTI | SET x 1 | DISCARD | GET x
    """,
    """
    WATCH x | MULTI | EXEC | WATCH x | SET x 2 | MULTI | PING | SELECT 3 | EXEC | GET x
    | WATCH x | MULTI | SET x 3 | EXEC | GET x | WATCH x y x | DEL y | MULTI | GET x | EXEC
    | WATCH y | SET y 1 | DEL y | MULTI | GET x | EXEC | WATCH x | SET x 4 | UNWATCH | MULTI | GET x | EXEC
    | WATCH x | SET x 5 | MULTI | DISCARD | MULTI | GET x | EXEC | WATCH x | SET x 6 | MULTI | NOPE | EXEC
    """,
    """
    HELLO 3 | CLIENT GETNAME | WATCH x | SET x 1 | MULTI | GET x | EXEC | MULTI | GET nope | EXEC | GET nope
    """,
    """
    CLIENT | CLIENT NOPE | CLIENT ID x | CLIENT GETNAME | CLIENT SETNAME me | CLIENT GETNAME | CLIENT SETNAME 'a b'
    | CLIENT SETNAME '' | CLIENT GETNAME | CLIENT NO-EVICT ON | CLIENT NO-EVICT x | CLIENT REPLY x | CLIENT REPLY ON
    | CLIENT LIST TYPE replica | CLIENT LIST TYPE nope | CLIENT LIST ID | CLIENT LIST FOO
    | CLIENT KILL | CLIENT KILL foo | CLIENT KILL ID 99999 | CLIENT KILL ID 0 | CLIENT KILL ADDR 127.0.0.1:1
    | CLIENT KILL TYPE foo | CLIENT KILL TYPE pubsub | CLIENT KILL USER foo | CLIENT KILL SKIPME foo
    | CLIENT KILL ID 1 ADDR | CLIENT KILL FOO 1
    """,
    """
    COMMAND NOPE | COMMAND COUNT x | COMMAND DOCS nope | COMMAND INFO nope | COMMAND LIST x | COMMAND LIST FILTERBY
    | COMMAND LIST FILTERBY FOO x | COMMAND LIST FILTERBY MODULE x | COMMAND LIST FILTERBY ACLCAT nope
    | COMMAND GETKEYS | COMMAND GETKEYS get x | COMMAND GETKEYS nope x | COMMAND GETKEYS del a b
    | COMMAND GETKEYS set a b | COMMAND GETKEYS watch a b | COMMAND GETKEYS client nope | COMMAND GETKEYS client id
    """,
    """
    ACL | ACL NOPE | ACL WHOAMI | ACL WHOAMI x | ACL USERS | ACL USERS x | ACL LIST | ACL LIST x | ACL CAT nope
    | ACL CAT a b | ACL GETUSER | ACL GETUSER nobody | ACL DRYRUN | ACL DRYRUN nobody get a | ACL DRYRUN default nope a
    | ACL DRYRUN default get | ACL DRYRUN default get a | ACL DRYRUN default client | ACL DRYRUN default client id
    | ACL DRYRUN default client nope | ACL DRYRUN default client kill | MULTI | ACL WHOAMI | ACL NOPE | EXEC
    """,
    """
    LATENCY | LATENCY NOPE | LATENCY LATEST | LATENCY LATEST x | LATENCY HISTORY | LATENCY HISTORY x | LATENCY RESET
    | LATENCY RESET x | CONFIG | CONFIG NOPE | CONFIG GET | CONFIG GET databases | CONFIG GET nope | CONFIG GET data*
    | OBJECT | OBJECT NOPE | OBJECT NOPE x | OBJECT ENCODING | MEMORY | MEMORY NOPE | MEMORY USAGE
    | INFO nope | ROLE x | WAIT | WAIT x 0 | WAIT 0 x | WAIT 0 -1
    """,
    """
    CONFIG SET | CONFIG SET x | CONFIG SET nope 1 | CONFIG SET databases 3 | CONFIG SET notify-keyspace-events
    | CONFIG SET notify-keyspace-events q | CONFIG SET notify-keyspace-events kea | CONFIG SET nope 1 databases 3
    | CONFIG SET notify-keyspace-events KEA nope 1 | CONFIG SET notify-keyspace-events q databases 3
    | CONFIG SET notify-keyspace-events KEA notify-keyspace-events E | CONFIG SET notify-keyspace-events KEA x
    | CONFIG SET Notify-Keyspace-Events g$lshzxetdnKE | MULTI | CONFIG SET notify-keyspace-events q | CONFIG SET x
    | EXEC | MULTI | CONFIG SET notify-keyspace-events q | CONFIG SET notify-keyspace-events Ex | SET x 1 | EXEC
    | CONFIG SET notify-keyspace-events '' | CONFIG GET notify-keyspace-events
    """,
)
"""Dialogues in which Redis 7.0 and Valkey 9.1 say the same."""

OF_REDIS = ("MULTI | MULTI | EXEC | MULTI | WATCH x | EXEC | CLIENT LIST ID x",)
"""What Valkey has changed: there, the first two refuse the whole transaction."""

OF_VALKEY = (
    """
    CLIENT SETINFO lib-name x | CLIENT SETINFO lib-name 'x y' | CLIENT SETINFO foo x | CLIENT SETINFO lib-name
    | CLIENT NO-TOUCH ON | CLIENT NO-TOUCH x | CLIENT KILL MAXAGE 1000 | CLIENT KILL MAXAGE x
    | WAITAOF | WAITAOF 2 0 0 | WAITAOF 0 0 -1 | WAITAOF 0 x 1 | WAITAOF 0 -1 1 | WAITAOF x 1 1
    | COMMAND GETKEYS get | COMMAND GETKEYS ping
    """,
)
"""What came with Redis 7.2, which Valkey 9.1 is."""


class DialogueTests(SynchronousTestCase):
    """Each dialogue is held on a connection of its own."""

    def compare(self, name: str, dialogues: tuple[str, ...]) -> None:
        """The server and dkv answer alike."""
        start = references().get(name)
        if start is None:
            raise SkipTest(f"{name}-server is not installed")
        reference = start()
        self.addCleanup(reference.stop)
        comparison = Comparison()
        for dialogue in dialogues:
            reference.clear()
            theirs, ours = reference.connect(), MemoryNode(reference.time_ms()).connect()
            self.addCleanup(theirs.close)
            for line in dialogue.split("|"):
                words = split_line(line.strip().encode())
                assert words
                read, expected = read_reply(ours.ask(words)), theirs.ask(words)
                assert read is not None
                if not comparison.same(words, expected, read[0]):
                    self.assertEqual(read[0].data, expected.data, (line.strip(), dialogue))

    def test_as_redis(self) -> None:
        """Libraries for Redis recognise what they are told."""
        self.compare("redis", OF_ALL + OF_REDIS)

    def test_as_valkey(self) -> None:
        """Those for Valkey do, too, and what is newer than the Redis of a Debian is as it is there."""
        self.compare("valkey", OF_ALL + OF_VALKEY)
