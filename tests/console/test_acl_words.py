"""ACL tells who may do what, in the forms of Redis, and no secret."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

from dkv.console.client_session import TABLE
from dkv.kv.registry import wrong_number_of_arguments
from dkv.replies import OK, Error, Local, SetOf
from dkv.security.passwords import Cost, hash_of
from dkv.security.rights import Rights
from dkv.security.users import EVERYBODY, User, Users
from tests.console.spoken import Spoken

SECRET = hash_of(b"secret", b"s" * 16, Cost(1, 1))
APP = User(
    "app",
    (SECRET, SECRET),
    frozenset(("cert",)),
    Rights.of(["read", "write"], [b"app:*", b"x"], {1: [b"*"], 2: []}, [b"news"]),
)
ROOT = User("root", (SECRET,), frozenset(), EVERYBODY.rights)
GUEST = User("default", (), frozenset(), Rights.of(["read"], [b"public:*"]))


class AclTests(Spoken):
    """The users of a node, as it tells of them."""

    def setUp(self) -> None:
        super().setUp()
        self.node.logins = Mock(users=Users((GUEST, APP, ROOT)))

    def trial(self, line: str) -> Any:
        """What the trial of a request by the user app answers."""
        answer = self.reply(f"ACL DRYRUN app {line}")
        return answer.decode() if isinstance(answer, bytes) else answer

    def test_who_one_is(self) -> None:
        """A client that is unsure asks."""
        self.assertEqual(self.reply("ACL WHOAMI"), b"default")
        self.session.become(APP)
        self.assertEqual(self.reply("acl whoami"), b"app")
        self.assertEqual(self.refusal("ACL WHOAMI x"), wrong_number_of_arguments("acl|whoami").text)

    def test_list(self) -> None:
        """A line for each user has all that it may do, and nothing of its passwords."""
        self.assertEqual(
            self.reply("ACL LIST"),
            [
                b"user default on nopass ~public:* resetchannels -@all +@connection +@read",
                b"user app on #(hidden) #(hidden) certificate=cert ~app:* ~x resetchannels &news"
                b" db1~* db2 -@all +@connection +@read +@write",
                b"user root on #(hidden) ~* &* +@all",
            ],
        )
        self.assertEqual(self.reply("ACL USERS"), [b"default", b"app", b"root"])

    def test_one_user(self) -> None:
        """The same in fields, which libraries know; nil if there is no such user."""
        self.assertEqual(
            self.reply("ACL GETUSER app"),
            {
                b"flags": SetOf([b"on"]),
                b"passwords": [b"(hidden)"] * 2,
                b"certificates": [b"cert"],
                b"commands": b"-@all +@connection +@read +@write",
                b"keys": b"~app:* ~x",
                b"channels": b"&news",
                b"databases": [[1, b"~*"], [2, b""]],
                b"selectors": [],
            },
        )
        self.assertIsNone(self.reply("ACL GETUSER nobody"))
        self.assertIsNone(self.session.interpret([b"ACL", b"GETUSER", b"\xff"]).reply)  # type: ignore[union-attr]

    def test_no_secret_is_told(self) -> None:
        """Whoever has a hash can try passwords at leisure."""
        told = repr([self.reply(f"ACL {words}") for words in ("LIST", "GETUSER app", "GETUSER root", "USERS")])
        for secret in (SECRET.text, SECRET.text.rpartition("$")[2], "scrypt"):
            self.assertNotIn(secret, told)

    def test_categories(self) -> None:
        """What stands behind a category is what the gate goes by."""
        self.assertEqual(self.reply("ACL CAT"), [b"connection", b"read", b"write", b"admin", b"fault", b"pubsub"])
        self.assertEqual(self.reply("ACL CAT fault"), [b"dkv.fault"])
        readers = self.reply("ACL CAT READ")
        for name in (b"get", b"object|encoding", b"eval", b"getex", b"scan"):
            self.assertIn(name, readers)
        self.assertNotIn(b"set", readers)
        self.assertIn(b"dkv.member", self.reply("ACL CAT admin"))
        everything = {name for each in self.reply("ACL CAT") for name in self.reply(f"ACL CAT {each.decode()}")}
        leaves = {each.name for command in TABLE.values() for each in command.subcommands or (command,)}
        self.assertEqual({each.decode() for each in everything}, leaves)
        self.assertEqual(self.refusal("ACL CAT keyspace"), "ERR Unknown category 'keyspace'")
        self.assertTrue(self.refusal("ACL CAT a b").startswith("ERR unknown subcommand or wrong number"))

    def test_trial(self) -> None:
        """An operator finds out why a client is refused, without being that client."""
        self.assertEqual(self.trial("GET app:a"), OK)
        self.assertEqual(self.trial("IDMP p 1 SET app:a 1"), OK)
        self.assertEqual(self.trial("COPY app:a b DB 1"), OK)
        self.assertEqual(self.trial("COPY app:a b"), "User app has no permissions to access the 'b' key")
        self.assertEqual(self.trial("IDMP p 1 SET b 1"), "User app has no permissions to access the 'b' key")
        self.assertEqual(self.trial("client kill x"), "User app has no permissions to run the 'client|kill' command")
        self.assertEqual(
            self.trial("FLUSHDB"), "User app has no permissions to run the 'flushdb' command, as it needs all keys"
        )
        self.reply("SELECT 1")
        self.assertEqual(self.trial("FLUSHDB"), OK)

    def test_trials_of_nothing(self) -> None:
        """A trial of what is no request says so, as in Redis."""
        for line, text in (
            ("nobody get a", "User 'nobody' not found"),
            ("app nonsense a", "Command 'nonsense' not found"),
            ("app get", "wrong number of arguments for 'get' command"),
            ("app client", "wrong number of arguments for 'client' command"),
        ):
            self.assertEqual(self.refusal(f"ACL DRYRUN {line}"), f"ERR {text}")

    def test_nothing_is_executed(self) -> None:
        """A trial only judges."""
        self.session.become(ROOT)
        self.assertEqual(self.reply("ACL DRYRUN root QUIT"), OK)
        self.assertEqual(self.reply("ACL DRYRUN root MULTI"), OK)
        self.assertFalse(self.session.transaction.gathering)

    def test_who_may_ask(self) -> None:
        """Who the others are is for operators."""
        self.session.become(APP)
        for line in ("LIST", "USERS", "GETUSER app", "DRYRUN app get x"):
            name = line.split()[0].lower()
            expected = f"NOPERM User app has no permissions to run the 'acl|{name}' command"
            self.assertEqual(self.refusal(f"ACL {line}"), expected)
        self.assertNotIsInstance(self.reply("ACL CAT"), Error)

    def test_without_users(self) -> None:
        """Everybody is the one user that there is, who may do everything."""
        self.node.logins.users = None
        self.assertEqual(self.reply("ACL LIST"), [b"user default on nopass ~* &* +@all"])
        self.assertEqual(self.reply("ACL DRYRUN default FLUSHALL"), OK)

    def test_what_is_not_there(self) -> None:
        """Users are changed in their file alone."""
        answer = self.session.interpret([b"ACL", b"SETUSER", b"x"])
        self.assertEqual(answer, Local(Error("ERR unknown subcommand 'SETUSER'. Try ACL HELP.")))
