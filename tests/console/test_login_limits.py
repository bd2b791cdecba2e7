"""What a client may do before it has said who it is, and what checks of passwords cost."""

from __future__ import annotations

from dkv.net.unnamed_clients import SECONDS_MAX
from tests.console.logins import USERS, WRONG, LoginCase, LoginPort, hashed, lines
from tests.net.client_port import encoded


class LimitsTests(LoginCase):
    """Small limits before, and bounded work."""

    def test_limits_before(self) -> None:
        """A client without a name may send 10 words and 16 KiB; it is told so, and closed."""
        for data, error in (
            (encoded(*[b"x"] * 11), b"invalid multibulk length: 11 arguments, before AUTH the limit is 10"),
            (b"*2\r\n$16384\r\n", b"before AUTH the limit is 16384"),
            (b"x" * 16_385, b"too big inline request, before AUTH the limit is 16384"),
            (lines("x " * 11), b"an inline request of 11 words, before AUTH the limit is 10"),
        ):
            self.connection, self.transport = self.port.connect()
            self.connection.dataReceived(data)
            self.assertIn(error, self.transport.value())
            self.assertTrue(self.transport.half_closed)

    def test_limits_vanish(self) -> None:
        """What stands behind AUTH in one piece is measured by the limits of a user; after RESET by the small ones."""
        large = encoded(b"SET", b"app:1", b"x" * 20_000)
        many = encoded(b"MGET", *[b"app:%d" % number for number in range(20)])
        self.connection.dataReceived(encoded(b"AUTH", b"app", b"secret") + large + many)
        self.port.checks.end_all()
        (message,) = self.port.messages
        self.assertEqual(len(message.items), 2)
        self.port.answer_all()
        self.transport.clear()
        self.connection.dataReceived(lines("RESET"))
        self.connection.dataReceived(large)
        self.assertIn(b"before AUTH the limit is 16384", self.transport.value())

    def test_ten_seconds(self) -> None:
        """Who does not say who it is has to go, and a user stays."""
        named = self.port.connect()
        self.call("AUTH app secret", to=named)
        late = self.port.connect()
        self.port.clock.advance(SECONDS_MAX / 2)
        self.call("PING", to=late)
        self.port.clock.advance(SECONDS_MAX / 2)
        self.assertEqual([each[1].aborted for each in ((None, self.transport), named, late)], [True, False, True])
        (line,) = [fields for event, fields in self.port.log.lines if event == "unnamed_client_ended"][:1]
        self.assertEqual(line["reason"], "it has not authenticated within 10 s")

    def test_a_check_at_the_deadline(self) -> None:
        """One whose password is being checked at the deadline is told what came of it."""
        self.port.clock.advance(SECONDS_MAX - 1)
        self.connection.dataReceived(lines("AUTH app secret"))
        self.port.clock.advance(2)
        self.assertFalse(self.transport.aborted)
        self.port.checks.end_all()
        self.assertEqual(self.transport.value(), b"+OK\r\n")
        self.assertTrue(self.transport.disconnecting)

    def test_not_many_at_once(self) -> None:
        """A crowd that says nothing keeps itself out, and nobody else."""
        self.port = LoginPort(connections_max=40)
        crowd = [self.port.connect("192.0.2.7") for _ in range(10)]
        other = self.port.connect("192.0.2.8")
        self.assertEqual([transport.aborted for _, transport in crowd], [True] + [False] * 9)
        self.assertFalse(other[1].aborted)
        self.assertEqual(len(self.port.clients.unnamed), 10)

    # --- what checks cost ---

    def test_a_right_password_is_remembered(self) -> None:
        """A thousand clients that come back do not cost a thousand checks."""
        for _ in range(3):
            self.connection, self.transport = self.port.connect()
            self.assertEqual(self.call("AUTH app secret"), b"+OK\r\n")
        self.assertEqual(self.port.checks.count, 1)
        self.call("AUTH app wrong")
        self.call("AUTH app wrong")
        self.assertEqual(self.port.checks.count, 3)

    def test_the_same_at_once(self) -> None:
        """Nor do a thousand that come at the same time."""
        clients = [self.port.connect() for _ in range(90)]
        for connection, _ in clients:
            connection.dataReceived(lines("AUTH app secret"))
        self.assertEqual(self.port.checks.count, 1)
        self.port.checks.end_all()
        self.assertEqual({transport.value() for _, transport in clients}, {b"+OK\r\n"})

    def test_too_many(self) -> None:
        """Beyond what may wait, a client is told to come again, and a remembered password is right all the same."""
        self.call("AUTH app secret")
        self.port.checks.full = True
        self.assertEqual(self.call("AUTH root old"), b"-TRYAGAIN too many passwords are being checked\r\n")
        self.assertEqual(self.call("AUTH app secret"), b"+OK\r\n")

    def test_slow_after_failures(self) -> None:
        """Wrong passwords slow down their address, and no other one; a right one waits its turn there."""
        for _ in range(5):
            self.assertEqual(self.call("AUTH app wrong"), WRONG)
        self.assertEqual(self.call("AUTH app wrong"), WRONG)  # The last one that does not wait.
        self.assertEqual(self.call("AUTH app secret"), b"")
        other = self.port.connect("192.0.2.9")
        self.assertEqual(self.call("AUTH app secret", to=other), b"+OK\r\n")
        self.port.clock.pump([0.1] * 10)
        self.port.checks.end_all()
        self.assertEqual(self.transport.value(), b"+OK\r\n")
        for _ in range(40):
            client = self.port.connect()
            client[0].dataReceived(lines("AUTH app wrong"))
        self.assertIn(b"-TRYAGAIN too many wrong passwords came from your address", client[1].value())

    def test_gone_before_its_turn(self) -> None:
        """A crowd that asks and does not wait for the answer takes no time of others, nor slows its address down."""
        for number in range(20):
            self.connection.dataReceived(lines(f"AUTH app wrong{number}"))
            self.lose()
            self.connection, self.transport = self.port.connect()
        self.port.checks.end_all()
        self.assertEqual(self.port.checks.computed, 0)
        self.port.messages.clear()  # the gateway was told that they are gone
        self.assertEqual(self.call("AUTH app secret"), b"+OK\r\n")

    def test_gone_while_it_stands_in_line(self) -> None:
        """Nor is one checked whose address was slowed down."""
        for _ in range(6):
            self.call("AUTH app wrong")
        for password in ("wrong", "secret"):
            self.connection.dataReceived(lines(f"AUTH app {password}"))
            self.assertEqual(self.port.checks.count, 6)
        self.lose()
        self.port.clock.pump([0.1] * 100)
        self.assertEqual(self.port.checks.count, 6)

    def test_another_waits_for_the_same(self) -> None:
        """Of clients with one password, the one that stays gets its answer, also if it came as the others left."""
        self.connection.dataReceived(lines("AUTH app secret"))
        other = self.port.connect()
        other[0].dataReceived(lines("AUTH app secret"))
        self.lose()
        self.port.checks.end_all()
        self.assertEqual(other[1].value(), b"+OK\r\n")
        self.begin(USERS)
        self.connection.dataReceived(lines("AUTH app secret"))
        self.lose()
        then = self.port.checks.waiting.pop()[2]
        other = self.port.connect()
        other[0].dataReceived(lines("AUTH app secret"))
        then(None)  # which the thread has said before
        self.port.checks.end_all()
        self.assertEqual(other[1].value(), b"+OK\r\n")

    # --- other users ---

    def test_other_users_while_it_is_checked(self) -> None:
        """A password that was right by the file before does not count by the file in force."""
        self.connection.dataReceived(lines("AUTH app secret"))
        self.port.reload(USERS.replace(hashed("secret"), hashed("changed")))
        self.port.checks.end_all()
        self.assertEqual(self.transport.value(), WRONG)
        self.assertEqual(self.call("AUTH app changed"), b"+OK\r\n")

    def test_nothing_is_remembered_then(self) -> None:
        """A password that is no more is wrong, though it was right a moment ago."""
        self.call("AUTH app secret")
        self.port.reload(USERS.replace(hashed("secret"), hashed("changed")))
        self.assertEqual(self.call("AUTH app secret"), WRONG)

    # --- secrets stay secret ---

    def test_no_secret_is_told(self) -> None:
        """No list of clients and no line of the log has a password, wherever a client has put it."""
        watcher = self.port.connect("192.0.2.9")
        self.call("AUTH root old", to=watcher)
        for line in (
            "AUTH app hunter2",
            "AUTH hunter2 app",
            "auth hunter2",
            "AUTH a hunter2 c",
            "HELLO 3 AUTH app hunter2",
            "ATUH hunter2",
        ):
            self.connection, self.transport = self.port.connect()
            self.call(line)
            self.assertNotIn(b"hunter2", self.call("CLIENT LIST", to=watcher), line)
            self.assertNotIn("hunter2", repr(self.connection.last_words), line)
            self.lose()
        self.assertNotIn("hunter2", repr(self.port.log.lines))
        self.assertNotIn("hunter2", repr(vars(self.port.logins)))

    def test_users_change_while_many_are_checked(self) -> None:
        """A right password is not called wrong since there was no time to check it again: libraries give up then."""
        self.connection.dataReceived(lines("AUTH app secret"))
        self.port.reload(USERS)
        self.port.checks.full = True
        self.port.checks.end_one()
        self.assertEqual(self.transport.value(), b"-TRYAGAIN too many passwords are being checked\r\n")
        self.port.checks.full = False
        self.assertEqual(self.call("AUTH app secret"), b"+OK\r\n")
