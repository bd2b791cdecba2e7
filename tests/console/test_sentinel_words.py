"""SENTINEL and ROLE: a library with a Sentinel setting finds its node, and leaves one that serves nothing."""

from __future__ import annotations

from typing import Any

from dkv.console.sentinel_view import ClientAddress, Other
from dkv.console.sentinel_words import NO_ADDRESS
from dkv.replies import Error, Local, Simple
from dkv.wire.reply_encoder import ReplyEncoder
from tests.console.spoken import Spoken

REACHED = Other(2, ClientAddress("db2", 7379), 0.25, 38)
GONE = Other(3, ClientAddress("db3", 7379), None, 30)

NO_SUCH_MASTER = "ERR No such master with that name"

MASTER_FIELDS = """name ip port runid flags link-pending-commands link-refcount last-ping-sent last-ok-ping-reply
last-ping-reply down-after-milliseconds info-refresh role-reported role-reported-time config-epoch num-slaves
num-other-sentinels quorum failover-timeout parallel-syncs"""
REPLICA_FIELDS = """name ip port runid flags link-pending-commands link-refcount last-ping-sent last-ok-ping-reply
last-ping-reply down-after-milliseconds info-refresh role-reported role-reported-time master-link-down-time
master-link-status master-host master-port slave-priority slave-repl-offset replica-announced"""
SENTINEL_FIELDS = """name ip port runid flags link-pending-commands link-refcount last-ping-sent last-ok-ping-reply
last-ping-reply down-after-milliseconds last-hello-message voted-leader voted-leader-epoch"""


class SentinelWordsTests(Spoken):
    """Node 1 of three; it reaches node 2."""

    def setUp(self) -> None:
        super().setUp()
        view = self.view = self.node.sentinel
        view.others.return_value = [REACHED, GONE]
        view.run_id = lambda node=1: f"{node:040x}"

    def fields(self, line: str) -> dict[str, str]:
        """An answer of fields, or the first one of a list of them."""
        reply = self.reply(line)
        fields: dict[bytes, bytes] = reply[0] if isinstance(reply, list) else reply
        return {name.decode(): value.decode() for name, value in fields.items()}

    def last(self, line: str) -> dict[str, str]:
        """The last of a list of fields."""
        return {name.decode(): value.decode() for name, value in self.reply(line)[-1].items()}

    def test_the_master(self) -> None:
        """Every node is it, with the fields of a Redis 7 sentinel in their order: libraries take them apart."""
        for line in ("SENTINEL MASTERS", "sentinel master c"):
            fields = self.fields(line)
            self.assertEqual(list(fields), MASTER_FIELDS.split())
            expected = {"name": "c", "ip": "db1", "port": "7379", "flags": "master", "role-reported": "master"}
            expected |= {"num-slaves": "2", "num-other-sentinels": "2", "quorum": "2", "config-epoch": "4"}
            self.assertEqual({name: fields[name] for name in expected}, expected)
        self.assertEqual(self.reply("SENTINEL GET-MASTER-ADDR-BY-NAME c"), [b"db1", b"7379"])

    def test_a_node_that_serves_nothing(self) -> None:
        """Its clients walk on: redis-py by the flags, ioredis by the nil, node-redis by the error."""
        self.view.down = True
        fields = self.fields("SENTINEL MASTERS")
        self.assertEqual((fields["flags"], fields["s-down-time"]), ("s_down,master", "0"))
        self.assertEqual(self.refusal("SENTINEL MASTER c"), NO_SUCH_MASTER)
        self.assertIs(self.reply("SENTINEL GET-MASTER-ADDR-BY-NAME c"), NO_ADDRESS)
        self.assertTrue(self.refusal("SENTINEL CKQUORUM c").startswith("NOQUORUM 2 usable Sentinels."))

    def test_the_others(self) -> None:
        """They are replicas that can be read, and sentinels that can be asked; one that is gone is marked."""
        for line in ("SENTINEL REPLICAS c", "SENTINEL SLAVES c"):
            fields, gone = self.fields(line), self.last(line)
            self.assertEqual(list(fields), REPLICA_FIELDS.split())
            expected = {"name": "db2:7379", "ip": "db2", "port": "7379", "flags": "slave", "slave-repl-offset": "38"}
            expected |= {"master-host": "db1", "master-port": "7379", "master-link-status": "ok"}
            self.assertEqual({name: fields[name] for name in expected}, expected)
            self.assertEqual((gone["flags"], gone["master-link-status"]), ("s_down,slave,disconnected", "err"))
        fields, gone = self.fields("SENTINEL SENTINELS c"), self.last("SENTINEL SENTINELS c")
        self.assertEqual(list(fields), SENTINEL_FIELDS.split())
        expected = {"name": f"{2:040x}", "ip": "db2", "port": "7379", "flags": "sentinel", "last-ping-reply": "250"}
        self.assertEqual({name: fields[name] for name in expected}, expected)
        self.assertEqual((gone["ip"], gone["flags"]), ("db3", "s_down,sentinel,disconnected"))

    def test_quorum(self) -> None:
        """Whether this node hears a majority, in the words that Sentinel's users look for."""
        self.assertEqual(
            self.reply("SENTINEL CKQUORUM c"),
            Simple("OK 2 usable Sentinels. Quorum and failover authorization can be reached"),
        )
        self.view.others.return_value = [GONE]
        self.assertTrue(self.refusal("SENTINEL CKQUORUM c").startswith("NOQUORUM 1 usable Sentinels."))

    def test_names(self) -> None:
        """The only master is that of the cluster; another name is answered as Sentinel answers it."""
        for word in ("MASTER", "REPLICAS", "SLAVES", "SENTINELS", "CKQUORUM"):
            self.assertEqual(self.refusal(f"SENTINEL {word} other"), NO_SUCH_MASTER)
        self.assertIs(self.reply("SENTINEL GET-MASTER-ADDR-BY-NAME other"), NO_ADDRESS)
        self.assertEqual(self.reply("SENTINEL MYID"), b"%040x" % 1)

    def test_no_address(self) -> None:
        """A client of a UNIX socket cannot be sent anywhere, and is told so."""
        self.view.address_within = lambda local: None
        self.assertEqual(self.reply("SENTINEL MASTERS"), [])
        self.assertEqual(self.reply("SENTINEL REPLICAS c"), [])
        self.assertEqual(self.refusal("SENTINEL MASTER c"), NO_SUCH_MASTER)
        self.assertIs(self.reply("SENTINEL GET-MASTER-ADDR-BY-NAME c"), NO_ADDRESS)

    def test_wrong_words(self) -> None:
        """As Sentinel refuses them."""
        self.assertEqual(self.refusal("SENTINEL FOO"), "ERR unknown subcommand 'FOO'. Try SENTINEL HELP.")
        self.assertEqual(self.refusal("SENTINEL MASTER"), "ERR wrong number of arguments for 'sentinel|master' command")
        self.assertIn(Simple("MASTERS"), self.reply("SENTINEL HELP"))

    def test_role(self) -> None:
        """A master, as those clients demand that look twice; its replicas are the nodes that it reaches."""
        self.assertEqual(self.reply("ROLE"), [b"master", 0, [[b"db2", b"7379", b"38"]]])

    def test_protocols(self) -> None:
        """Lists of pairs in RESP 2, maps in RESP 3, as a sentinel sends them."""
        for protocol, beginning in ((2, b"*1\r\n*40\r\n$4\r\nname\r\n"), (3, b"*1\r\n%20\r\n$4\r\nname\r\n")):
            encoder = ReplyEncoder()
            encoder.protocol = protocol
            self.assertTrue(encoder.encode([self.local("SENTINEL MASTERS")]).startswith(beginning))


class RefusedWordsTests(Spoken):
    """The log tells which library would need which word."""

    def told(self) -> list[tuple[Any, ...]]:
        """What the log was told of so far."""
        return [call.args for call in self.node.word_refused.call_args_list]

    def test_commands_and_subcommands(self) -> None:
        """Once for each word; what stands behind it is nobody's business."""
        for line in ("HGETALL k", "hgetall other", "CONFIG REWRITE", "OBJECT NOPE x", "CLIENT", "GET", "GET k v"):
            self.meaning(line)
        peer = "192.0.2.1:4000"
        self.assertEqual(
            self.told(), [(peer, "HGETALL", "", ""), (peer, "CONFIG REWRITE", "", ""), (peer, "OBJECT NOPE", "", "")]
        )

    def test_the_library(self) -> None:
        """What it calls itself, and else the name of the connection."""
        self.meaning("CLIENT SETNAME worker-1")
        self.meaning("HGETALL k")
        self.meaning("CLIENT SETINFO LIB-NAME redis-py")
        self.meaning("CLIENT SETINFO LIB-VER 8.1.0")
        self.meaning("XREAD k")
        self.assertEqual(
            [each[1:] for each in self.told()], [("HGETALL", "worker-1", ""), ("XREAD", "redis-py", "8.1.0")]
        )

    def test_within_a_transaction(self) -> None:
        """A word that is refused when it is gathered counts as well."""
        for line in ("MULTI", "LPUSH k v", "CONFIG NOPE", "EXEC"):
            self.meaning(line)
        self.assertEqual([each[1] for each in self.told()], ["LPUSH", "CONFIG NOPE"])

    def test_bound(self) -> None:
        """A client that tries all words does not fill the log."""
        for number in range(40):
            reply = self.local(f"WORD{number}").reply
            assert isinstance(reply, Error)
        self.assertEqual(len(self.told()), 16)
        self.assertTrue(all(len(each[1]) <= 16 for each in self.told()))

    def test_what_every_server_is_asked(self) -> None:
        """redis-py asks for it with each connection, and goes without: a line each would say nothing."""
        self.assertIsInstance(self.local("CLIENT MAINT_NOTIFICATIONS ON").reply, Error)
        self.assertEqual(self.told(), [])

    def test_refused_is_not_unknown(self) -> None:
        """A word that is there, and was used in a wrong way, is no news."""
        for line in ("SET k", "CONFIG GET", "IDMP x", "CLIENT KILL"):
            answer = self.meaning(line)
            assert type(answer) is Local
            self.assertIsInstance(answer.reply, Error)
        self.assertEqual(self.told(), [])
