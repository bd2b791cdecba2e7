"""The users of a node: their file, what is told of a wrong one, and living connections when it changes."""

from __future__ import annotations

import threading
import tomllib
from collections.abc import Callable, Sequence
from hashlib import scrypt
from pathlib import Path
from typing import Any
from unittest.mock import Mock, patch

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from dkv.console.client_session import ClientSession
from dkv.node.node_users import NodeUsers, load_users
from dkv.node.password_checks import WAITING_MAX, PasswordChecks
from dkv.security.passwords import Cost, PasswordHash, hash_of
from dkv.security.rights import NONE
from dkv.security.users import User, Users, UsersError, parse_users
from tests.console.logins import USERS, LoginCase, hashed, lines


class FileTests(SynchronousTestCase):
    """What is told of a file that cannot be used."""

    def refusal(self, content: bytes) -> str:
        """The one line."""
        path = Path(self.mktemp())
        path.write_bytes(content)
        text = str(self.assertRaises(UsersError, load_users, str(path)))
        self.assertNotIn("\n", text)
        self.assertIn(str(path), text)
        return text

    def test_wrong_files(self) -> None:
        """The line says what and where, and never quotes what stands there."""
        self.assertIn("is not TOML (line 2, column ", self.refusal(b'[user.a]\npassword = "hunter2\n'))
        self.assertNotIn("hunter2", self.refusal(b'[user.a]\npassword = hunter2"\n'))
        self.assertIn("it is not UTF-8", self.refusal(b"# \xff"))
        self.assertIn("nested too deeply", self.refusal(b"x = " + b"[" * 100_000))
        self.assertIn("nested too deeply", self.refusal(b"x" + b".x" * 200_000 + b" = 1"))
        self.assertIn("nested too deeply", self.refusal(b"['x'" + b' . "x"' * 100_000 + b"]"))
        self.assertIn("it begins with a byte order mark", self.refusal(b"\xef\xbb\xbf[user.a]\nmay = []\n"))
        self.assertIn("a number in it has too many digits", self.refusal(b"x = " + b"1" * 5000))
        self.assertIn("has more than 4194304 bytes", self.refusal(b"#" * (4 << 20) + b"#"))
        self.assertNotIn("hunter2", self.refusal(b'[user.a]\npassword = "hunter2"\n'))
        missing = str(self.assertRaises(UsersError, load_users, "/no/such/file"))
        self.assertEqual(missing, "cannot read the file of users /no/such/file: No such file or directory")


class CautionTests(SynchronousTestCase):
    """What a node warns of."""

    def test_nobody_gets_in(self) -> None:
        """Whoever has removed the last user wonders why all clients are turned away."""
        proof = f'password = "{hashed("secret")}"'
        for text, warned in (
            ("", ["no_user"]),
            ('[user.app]\nmay = ["all"]\nkeys = ["*"]\n', ["no_user"]),
            (f"[user.app]\n{proof}\n", []),
            ('[user.app]\ncertificate = "app"\n', []),
            ('[user.default]\nmay = ["read"]\nkeys = ["*"]\n', []),
        ):
            protection: Any = Mock(watch=lambda kind, paths, load, apply, text=text: parse_users(tomllib.loads(text)))
            users = NodeUsers(Mock(reactor=Clock()), Mock(users_file="users.toml"), protection)
            self.addCleanup(users.stop)
            self.assertEqual([each.name for each in users.cautions()], warned, text)

    def test_an_empty_file(self) -> None:
        """Nobody is thrown out because a disk is full, or an editor empties the file first; without users a node may
        start, and the last one can be removed."""
        path = Path(self.mktemp())
        path.touch()
        loads: list[Callable[[], Users]] = []

        def watch(kind: str, paths: Sequence[str], load: Callable[[], Users], apply: object) -> Users:
            loads.append(load)
            return load()

        owner: Any = Mock(reactor=Clock())
        users = NodeUsers(owner, Mock(users_file=str(path)), Mock(watch=watch))
        self.addCleanup(users.stop)
        self.assertIn("is empty; to let nobody in, ", str(self.assertRaises(UsersError, loads[0])))
        path.write_text("# nobody\n")
        self.assertEqual(loads[0]().names, [])


class ReloadTests(LoginCase):
    """Connections that are there when the file changes."""

    def setUp(self) -> None:
        super().setUp()
        owner: Any = Mock(reactor=Clock())
        users = NodeUsers(owner, Mock(users_file=None), Mock())
        users.serve(self.port.clients)
        users._logins = self.port.logins
        self.users = users

    def change(self, text: str) -> None:
        """The file has this text from now on."""
        path = Path(self.mktemp())
        path.write_text(text)
        self.users._changed(load_users(str(path)))

    def test_new_rights(self) -> None:
        """Who is connected has the new rights at once."""
        self.call("AUTH app secret")
        self.assertEqual(self.call("SET other x")[:7], b"-NOPERM")
        self.change(USERS.replace('"app:*"', '"*"'))
        self.assertFalse(self.transport.aborted)
        self.assertEqual(self.call("SET other x"), b"+OK\r\n")

    def test_gone(self) -> None:
        """A user who is gone, or has no such proof any more, is disconnected; others are not."""
        app, root, boss = (self.port.connect() for _ in range(3))
        self.call("AUTH app secret", to=app)
        self.call("AUTH root old", to=root)
        boss[0].interpreter.proved(["boss"])
        self.change(USERS.replace("[user.app]", "[user.apx]").replace('certificate = "boss"', 'certificate = "bass"'))
        self.assertEqual([each[1].aborted for each in (app, root, boss)], [True, False, True])
        self.assertFalse(self.transport.aborted)  # It has not said who it is, and may still do so.

    def test_nobody_becomes_default(self) -> None:
        """Where a default user comes, who had to say who it is need not any more; where it goes, it is disconnected."""
        self.change(USERS + '[user.default]\nmay = ["read"]\nkeys = ["*"]\n')
        self.assertEqual(self.call("GET x"), b"$5\r\nvalue\r\n")
        self.assertEqual(len(self.port.clients.unnamed), 0)
        self.change(USERS)
        self.assertTrue(self.transport.aborted)

    def test_a_subscriber(self) -> None:
        """Who listens to what it may not hear any more is disconnected."""
        self.call("AUTH app secret", "SUBSCRIBE news")
        self.change(USERS.replace('channels = ["news"]', 'channels = ["other"]'))
        self.assertTrue(self.transport.aborted)

    def test_between_multi_and_exec(self) -> None:
        """What was queued with more rights is not executed with fewer."""
        self.call("AUTH app secret", "MULTI", "SET app:1 x")
        self.change(USERS.replace('may = ["read", "write", "pubsub"]', 'may = ["read"]'))
        self.transport.clear()
        self.connection.dataReceived(lines("EXEC"))
        self.assertEqual(self.transport.value()[:10], b"-EXECABORT")

    def test_another_kind_of_client(self) -> None:
        """What is no session of a client is left alone."""
        self.connection.interpreter = Mock()
        self.change(f'[user.x]\npassword = "{hashed("x")}"')
        self.assertNotIsInstance(self.connection.interpreter, ClientSession)
        self.assertFalse(self.transport.aborted)


def waits() -> bool:
    """A client waits for what comes of it."""
    return True


class ChecksTests(TestCase):
    """The thread."""

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.checks = PasswordChecks(self.reactor)
        self.addCleanup(self.checks.stop)
        self.hashes = [hash_of(b"right", b"s" * 16, Cost(4, 1)), hash_of(b"second", b"t" * 16, Cost(4, 1))]

    async def tried(self, password: bytes, hashes: Sequence[PasswordHash] | None = None) -> bool | None:
        """What is told of a password that a client waits for."""
        told: Deferred[bool | None] = Deferred()
        self.assertTrue(self.checks.try_password(hashes or self.hashes, password, told.callback, waits))
        return await told

    async def test_told(self) -> None:
        """Each hash counts, and nothing else does."""
        for password, right in ((b"right", True), (b"second", True), (b"third", False), (b"", False)):
            self.assertIs(await self.tried(password), right)

    async def test_not_on_the_reactors_thread(self) -> None:
        """The node goes on meanwhile."""
        threads: list[threading.Thread] = []
        noticing = Mock()
        noticing.matches.side_effect = lambda _: threads.append(threading.current_thread())
        self.hashes = [noticing]
        await self.tried(b"x")
        self.assertNotEqual(threads, [threading.current_thread()])

    async def test_bounded(self) -> None:
        """No more wait than may; what fails on the thread is no right password."""
        go_on = threading.Event()
        waiting = Mock()
        waiting.matches.side_effect = lambda _: go_on.wait(10) and 1 / 0
        told: list[Deferred[bool | None]] = [Deferred() for _ in range(WAITING_MAX)]
        for each in told:
            self.assertTrue(self.checks.try_password([waiting], b"x", each.callback, waits))
        self.assertFalse(self.checks.try_password([waiting], b"x", lambda _: None, waits))
        go_on.set()
        self.assertEqual({await each for each in told}, {False})
        self.assertTrue(self.checks.try_password([waiting], b"x", lambda _: None, waits))

    async def test_nobody_waits(self) -> None:
        """A client that is gone before its turn costs no more time."""
        untouched = Mock()
        told: Deferred[bool | None] = Deferred()
        self.checks.try_password([untouched], b"x", told.callback, lambda: False)
        self.assertIsNone(await told)
        untouched.matches.assert_not_called()

    async def test_every_name_costs_the_same(self) -> None:
        """A stranger who measures a refusal cannot tell a user from a name of nobody, nor who has more passwords."""
        hashes = self.hashes
        one, two = (User(name, own, frozenset(), NONE) for name, own in (("one", (hashes[0],)), ("two", tuple(hashes))))
        users = Users([one, two, User("dear", (hash_of(b"x", b"u" * 16, Cost(5, 2)),), frozenset(), NONE)])
        work: list[list[dict[str, int]]] = []
        for name, password in (
            ("one", b"wrong"), ("one", b"right"), ("two", b"right"), ("two", b"second"), ("dear", b"x"),
            ("dear", b""), ("stranger", b"right"), ("", b"x"),
        ):  # fmt: skip
            with patch("dkv.security.passwords.scrypt", wraps=scrypt) as computed:
                await self.tried(password, users.hashes_to_try(name))
            calls = [{each: call.kwargs[each] for each in ("n", "r", "p", "dklen")} for call in computed.call_args_list]
            work.append(sorted(calls, key=repr))
        self.assertEqual(len(work[0]), 3)
        for each in work[1:]:
            self.assertEqual(each, work[0])

    async def test_stopped(self) -> None:
        """A node that stops waits for one check at most, and hears of none."""
        told: list[bool | None] = []
        for _ in range(5):
            self.checks.try_password(self.hashes, b"right", told.append, waits)
        self.checks.stop()
        self.assertFalse(self.checks.try_password(self.hashes, b"right", told.append, waits))
        turn: Deferred[None] = Deferred()
        self.reactor.callFromThread(turn.callback, None)
        await turn
        self.assertEqual(told, [])
