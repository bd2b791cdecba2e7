"""Permissions at a real node: what a user may not do does not happen, and what it may not know it is not told."""

from __future__ import annotations

from typing import Any, cast

import redis
from twisted.trial.unittest import TestCase

from dkv.security.passwords import Cost, hash_of
from tests.integration.processes import Connection, RealCluster, Refused, wait_until

PASSWORD = "of the test"
DENIED = "NOPERM No permissions to access a key"

USERS = """
[user.default]
may = ["read", "admin"]
keys = ["*"]

[user.root]
password = "{hash}"
may = ["all"]
keys = ["*"]
channels = ["*"]

[user.app]
password = "{hash}"
may = ["read", "write", "pubsub"]
keys = ["app:*"]
channels = ["__key*", "app:*"]
[user.app.database.1]
keys = ["*"]
"""


class PermissionsTest(TestCase):
    """One node with users, and what each of them gets."""

    def setUp(self) -> None:
        self.cluster = RealCluster(size=1, top='users_file = "users.toml"')
        self.addCleanup(self.cluster.close)
        self.write_users(USERS)
        self.cluster.start()
        self.root, self.app = self.connect("root"), self.connect("app")

    def write_users(self, text: str) -> None:
        """This is the users file from now on."""
        path = self.cluster.directory / "users.new"
        path.touch(mode=0o600)
        path.write_text(text.format(hash=hash_of(PASSWORD.encode(), b"s" * 16, Cost(4, 1)).text))
        path.rename(self.cluster.directory / "users.toml")

    def connect(self, user: str) -> Connection:
        """A connection of this user."""
        connection = self.cluster.nodes[0].connect()
        self.addCleanup(connection.close)
        self.assertEqual(connection.call("AUTH", user, PASSWORD), "OK")
        return connection

    def library(self, protocol: int, user: str) -> redis.Redis:
        """A client of redis-py for this user."""
        port = self.cluster.nodes[0].port
        client = redis.Redis(port=port, protocol=protocol, username=user, password=PASSWORD, decode_responses=True)
        self.addCleanup(client.close)
        return client

    def check_denied(self, error: str, *words: str) -> None:
        """The user app is refused this."""
        with self.assertRaises(Refused) as caught:
            self.app.call(*words)
        self.assertEqual(str(caught.exception), error)

    def test_permissions(self) -> None:
        """Requests of every form, lists of keys, events and a change of the rights."""
        self.check_requests()
        self.check_lists()
        self.check_events()
        self.check_library()
        self.check_changed_rights()

    def check_requests(self) -> None:
        """A key of others is neither read nor written, however a client asks."""
        root, app = self.root, self.app
        for key in ("app:a", "other"):
            root.call("SET", key, "v")
        self.assertEqual(app.call("GET", "app:a"), b"v")
        for words in (
            ("GET", "other"),
            ("MGET", "app:a", "other"),
            ("SET", "other", "x"),
            ("IDMP", "p", "1", "SET", "other", "x"),
            ("COPY", "other", "app:b"),
            ("EVALSHA", "delete-if-equal", "1", "other", "v"),
            ("OBJECT", "ENCODING", "other"),
            ("WATCH", "other"),
        ):
            self.check_denied(DENIED, *words)
        self.assertEqual(app.call("MULTI"), "OK")
        self.assertEqual(app.call("SET", "app:a", "w"), "QUEUED")
        self.check_denied(DENIED, "SET", "other", "x")
        self.check_denied("EXECABORT Transaction discarded because of previous errors.", "EXEC")
        self.assertEqual(app.call("COPY", "app:a", "any", "DB", "1"), 1)
        self.check_denied(DENIED, "COPY", "app:a", "any")
        self.assertEqual(root.call("MGET", "app:a", "other", "any"), [b"v", b"v", None])
        for refused in (
            ("FLUSHALL",),
            ("DKV.LOG",),
            ("DKV.BACKUP", "BEGIN", "0"),
            ("CONFIG", "GET", "*"),
            ("CLIENT", "LIST"),
        ):
            with self.assertRaises(Refused):
                app.call(*refused)
        self.assertIn(b"user=app", root.call("CLIENT", "LIST"))
        self.assertEqual(app.call("ACL", "WHOAMI"), b"app")

    def check_lists(self) -> None:
        """KEYS and SCAN do not tell which keys others have, alone and in a transaction."""
        app = self.app
        self.assertEqual(app.call("KEYS", "*"), [b"app:a"])
        self.assertEqual(app.call("SCAN", "0", "COUNT", "100"), [b"0", [b"app:a"]])
        app.call("MULTI")
        app.call("KEYS", "*")
        app.call("PING")
        app.call("GET", "app:a")
        self.assertEqual(app.call("EXEC"), [[b"app:a"], "PONG", b"v"])
        keys = [f"{whose}:{number}" for number in range(1_500) for whose in ("app", "others")]
        self.root.call("MSET", *(word for key in keys for word in (key, "v")))
        expected = [key.encode() for key in keys if key.startswith("app") and key.endswith("7")]
        self.assertEqual(sorted(app.call("KEYS", "*7")), sorted(expected))  # so many that a survey looks for them
        self.assertEqual(sorted(app.call("KEYS", "app:*7")), sorted(expected))

    def check_events(self) -> None:
        """A subscriber hears what happens to its own keys."""
        root, listener = self.root, self.connect("app")
        root.call("CONFIG", "SET", "notify-keyspace-events", "KEA")
        listener.call("PSUBSCRIBE", "__key*")
        for key in ("other", "app:e"):
            root.call("SET", key, "v")
        told: list[Any] = [listener.read() for _ in range(2)]
        self.assertEqual(
            [each[2:] for each in told], [[b"__keyspace@0__:app:e", b"set"], [b"__keyevent@0__:set", b"app:e"]]
        )
        self.listener = listener

    def check_library(self) -> None:
        """redis-py knows the refusals, and reads what ACL tells."""
        for protocol in (2, 3):
            app, root = (self.library(protocol, name) for name in ("app", "root"))
            with self.assertRaises(redis.exceptions.NoPermissionError):
                app.get("other")
            self.assertEqual(app.acl_whoami(), "app")
            told: Any = root.acl_getuser("app")
            self.assertEqual((told["keys"], told["enabled"], told["passwords"]), (["~app:*"], True, ["(hidden)"]))
            self.assertIn("+@pubsub", told["categories"])
            self.assertIn("get", cast(list[str], root.acl_cat("read")))
            self.assertEqual(root.acl_dryrun("app", "get", "app:a"), "OK")
            self.assertIsNone(root.acl_getuser("nobody"))

    def check_changed_rights(self) -> None:
        """Other rights hold at once: a transaction that is under way is not executed, a subscriber has to go."""
        app = self.app
        app.call("MULTI")
        self.assertEqual(app.call("SET", "app:a", "later"), "QUEUED")
        self.write_users(USERS.replace('keys = ["app:*"]', 'keys = ["new:*"]').replace('"__key*", ', ""))
        wait_until(lambda: b"~new:*" in b"".join(self.root.call("ACL", "LIST")), 20, "the node has read the new file")
        self.check_denied("EXECABORT Transaction discarded because of previous errors.", "EXEC")
        self.check_denied(DENIED, "GET", "app:a")
        self.assertEqual(app.call("SET", "new:a", "v"), "OK")
        self.assertEqual(self.root.call("GET", "app:a"), b"v")
        self.assertRaises((EOFError, ConnectionResetError), self.listener.read)
