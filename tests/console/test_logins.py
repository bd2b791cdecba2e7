"""Who clients are: AUTH and HELLO on real connections."""

from __future__ import annotations

from dkv.console.login_words import HELLO_FIRST, LISTENS, NO_PASSWORD
from dkv.replies import Watched
from tests.console.logins import NOAUTH, USERS, WRONG, LoginCase, hashed, lines
from tests.net.client_port import encoded


class LoginTests(LoginCase):
    """Who may ask what, and what AUTH answers."""

    # --- who may ask what ---

    def test_before(self) -> None:
        """Who has not said who it is learns nothing, not even which commands there are."""
        for line in ("GET app:1", "PING", "FOO", "GET", "CLIENT ID", "MULTI", "SUBSCRIBE news", "COMMAND"):
            self.assertEqual(self.call(line), NOAUTH, line)
        self.assertEqual(self.call("HELLO"), b"-" + HELLO_FIRST.encode() + b"\r\n")
        self.assertEqual(self.call("RESET"), b"+RESET\r\n")
        self.assertEqual(self.call("HELLO 4"), b"-NOPROTO unsupported protocol version\r\n")
        self.assertEqual(self.call("QUIT"), b"+OK\r\n")

    def test_auth(self) -> None:
        """A password opens what its user may do, and no more."""
        self.assertEqual(self.call("AUTH app secret"), b"+OK\r\n")
        self.assertEqual(self.call("SET app:1 x", "GET app:1"), b"+OK\r\n$5\r\nvalue\r\n")
        self.assertTrue(self.call("SET other x").startswith(b"-NOPERM "))
        self.assertIn(b" user=app ", self.call("CLIENT INFO"))

    def test_wrong(self) -> None:
        """A wrong password, an unknown user and a password too long are refused alike, and change nothing."""
        for line in (
            "AUTH app Secret",
            "AUTH nobody secret",
            "AUTH app " + "s" * 1025,
            "AUTH \\xff x",
            "AUTH default x",
        ):
            self.assertEqual(self.call(line), WRONG, line)
            self.port.clock.pump([1.0] * 30)
            self.connection, self.transport = self.port.connect()
        self.call("AUTH app secret")
        self.assertEqual(self.call("AUTH root nonsense"), WRONG)
        self.assertIn(b" user=app ", self.call("CLIENT INFO"))

    def test_refusals_are_counted(self) -> None:
        """Somebody who tries passwords, or keys that are not its own, shows in the metrics."""
        self.call("GET app:1", "AUTH app wrong", "AUTH app secret", "GET app:1", "GET other", "GET another")
        self.assertEqual(self.port.logins.refused, {"NOAUTH": 1, "WRONGPASS": 1, "NOPERM": 2})

    def test_two_passwords(self) -> None:
        """While a password is changed, the old and the new one are right."""
        for password in ("old", "new"):
            self.assertEqual(self.call(f"AUTH root {password}"), b"+OK\r\n")
            self.assertEqual(self.call("SET any x"), b"+OK\r\n")

    def test_arguments(self) -> None:
        """The words of Redis 7.0 for what is no AUTH."""
        self.assertEqual(self.call("AUTH"), b"-ERR wrong number of arguments for 'auth' command\r\n")
        self.assertEqual(self.call("AUTH a b c"), b"-ERR syntax error\r\n")
        self.assertEqual(self.call("AUTH secret"), b"-" + NO_PASSWORD.encode() + b"\r\n")

    def test_hello(self) -> None:
        """HELLO logs in, names and switches at once, or does nothing of it."""
        self.assertEqual(self.call("HELLO 3 AUTH app wrong SETNAME me"), WRONG)
        self.assertEqual(self.call("HELLO 3 AUTH app secret SETNAME 'a b'")[:5], b"-ERR ")
        self.assertEqual(self.call("HELLO 3 AUTH app"), b"-ERR Syntax error in HELLO option 'AUTH'\r\n")
        self.assertEqual(self.call("PING"), NOAUTH)
        self.assertEqual(self.call("HELLO 3 AUTH app secret SETNAME me")[:3], b"%7\r")
        self.assertIn(b" name=me ", self.call("CLIENT INFO"))
        self.assertEqual(self.call("GET nothing")[:8], b"-NOPERM ")
        self.assertEqual(self.call("HELLO 2")[:4], b"*14\r")

    def test_reset(self) -> None:
        """RESET leaves the user, so that a pool may lend the connection to somebody else."""
        self.call("AUTH app secret")
        self.assertEqual(self.call("RESET", "GET app:1"), b"+RESET\r\n" + NOAUTH)

    def test_multi(self) -> None:
        """Who asks is known before a request is queued."""
        self.call("AUTH app secret")
        refused = b"-ERR Command not allowed inside a transaction\r\n"
        self.assertEqual(self.call("MULTI", "AUTH root old", "DISCARD"), b"+OK\r\n" + refused + b"+OK\r\n")
        self.transport.clear()
        self.connection.dataReceived(lines("MULTI", "HELLO 3 AUTH root old", "GET app:1", "EXEC"))
        self.port.reply(self.port.requests(), [[b"value"]])
        self.assertEqual(self.transport.value(), b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n" + refused + b"$5\r\nvalue\r\n")
        self.assertIn(b" user=app ", self.call("CLIENT INFO"))

    def test_another_user_while_subscribed(self) -> None:
        """A connection does not take along what the other user may not listen to."""
        self.call("HELLO 3 AUTH root old", "SUBSCRIBE news secret")
        refused = b"-" + LISTENS.text.encode() + b"\r\n"
        self.assertEqual(self.call("AUTH app secret"), refused)
        self.assertEqual(self.call("HELLO 3 AUTH app secret SETNAME me"), refused)
        self.assertIn(b" name= ", self.call("CLIENT INFO"))
        self.assertIn(b" user=root ", self.call("CLIENT INFO"))
        self.call("UNSUBSCRIBE secret")
        self.assertEqual(self.call("AUTH app secret"), b"+OK\r\n")
        self.assertIn(b" user=app ", self.call("CLIENT INFO"))

    def test_requirepass(self) -> None:
        """A default user with a password is what requirepass is in Redis."""
        self.begin(f'[user.default]\npassword = "{hashed("pw")}"\nmay = ["all"]\nkeys = ["*"]')
        self.assertEqual(self.call("GET x"), NOAUTH)
        self.assertEqual(self.call("AUTH wrong"), WRONG)
        self.assertEqual(self.call("AUTH pw", "SET x y"), b"+OK\r\n+OK\r\n")
        self.assertEqual(self.call("RESET", "AUTH default pw", "SET x y"), b"+RESET\r\n+OK\r\n+OK\r\n")

    def test_default_without_a_password(self) -> None:
        """Whoever says nothing is the default user, if that may do something."""
        self.begin('[user.default]\nmay = ["read"]\nkeys = ["public:*"]')
        self.assertEqual(self.call("GET public:1"), b"$5\r\nvalue\r\n")
        self.assertEqual(self.call("SET public:1 x")[:8], b"-NOPERM ")
        self.assertEqual(self.call("AUTH default whatever"), b"+OK\r\n")
        self.assertEqual(self.call("AUTH other whatever"), WRONG)
        self.assertEqual(len(self.port.clients.unnamed), 0)

    def test_no_users(self) -> None:
        """Without a file of users all is as before, and AUTH answers as a Redis without passwords does."""
        self.begin(None)
        self.assertEqual(self.call("SET x y"), b"+OK\r\n")
        self.assertEqual(self.call("AUTH x"), b"-" + NO_PASSWORD.encode() + b"\r\n")
        self.assertEqual(self.call("AUTH default x"), b"+OK\r\n")
        self.assertEqual(self.call("AUTH app x"), WRONG)
        self.assertEqual(self.call("HELLO 3 AUTH default x")[:3], b"%7\r")
        self.assertEqual(self.port.checks.count, 0)

    def test_a_certificate(self) -> None:
        """A client with a certificate of a user is that user at once, and again after RESET."""
        self.connection.interpreter.proved(["nobody", "boss"])
        self.assertIn(b" user=root ", self.call("CLIENT INFO"))
        self.assertEqual(self.call("AUTH app secret", "CLIENT INFO").count(b" user=app "), 1)
        self.assertIn(b" user=root ", self.call("RESET", "CLIENT INFO"))
        self.assertEqual(len(self.port.clients.unnamed), 0)


class TimeTests(LoginCase):
    """A check of a password takes its time."""

    def test_replies_keep_their_order(self) -> None:
        """What is sent behind AUTH is judged when AUTH is decided, whatever is under way before it."""
        self.call("AUTH app secret")
        self.connection.dataReceived(lines("SET app:1 x", "PING", "AUTH root old", "SET any x", "PING"))
        (message,) = self.port.messages
        self.assertEqual(len(message.items), 2)
        self.transport.clear()
        self.port.checks.end_all()
        self.assertEqual(self.transport.value(), b"")
        self.port.answer_all()
        self.assertEqual(self.transport.value(), b"+OK\r\n+PONG\r\n+OK\r\n+OK\r\n+PONG\r\n")

    def test_earlier_answers_come_meanwhile(self) -> None:
        """The gateway's answers to what was sent before do not wait for a password."""
        self.call("AUTH app secret")
        self.transport.clear()
        self.connection.dataReceived(lines("SET app:1 x", "AUTH root old", "GET any"))
        self.port.answer_all()
        self.assertEqual(self.transport.value(), b"+OK\r\n")
        self.assertEqual(len(self.port.messages), 0)
        self.port.checks.end_all()
        self.assertEqual(self.port.answer_all(), 1)
        self.assertEqual(self.transport.value(), b"+OK\r\n+OK\r\n$5\r\nvalue\r\n")

    def test_gone_while_it_is_checked(self) -> None:
        """A client that does not wait is nobody's user."""
        self.connection.dataReceived(lines("AUTH app secret", "SET app:1 x"))
        session = self.connection.interpreter
        self.lose()
        self.port.checks.end_all()
        self.assertTrue(session.is_unnamed)
        self.assertEqual(self.port.checks.computed, 0)
        self.assertEqual(self.port.clients.connections, 0)
        self.assertFalse([each for each in self.port.messages if getattr(each, "items", None)])

    def test_half_closed_while_it_is_checked(self) -> None:
        """``printf 'AUTH app secret\\nGET app:1\\n' | nc -N`` gets both answers."""
        self.connection.dataReceived(lines("AUTH app secret", "GET app:1"))
        self.connection.readConnectionLost()
        self.assertFalse(self.transport.disconnecting)
        self.port.checks.end_all()
        self.port.answer_all()
        self.assertEqual(self.transport.value(), b"+OK\r\n$5\r\nvalue\r\n")
        self.assertTrue(self.transport.disconnecting)

    def test_the_node_stops_while_it_is_checked(self) -> None:
        """A node that stops still answers the AUTH that it took, and nothing behind it."""
        self.connection.dataReceived(lines("AUTH app secret", "GET app:1"))
        self.port.clients.drain(5.0)
        self.assertFalse(self.transport.disconnecting)
        self.port.checks.end_all()
        self.assertEqual(self.transport.value(), b"+OK\r\n")
        self.assertTrue(self.transport.disconnecting)

    def test_the_node_stops_and_waits_no_longer(self) -> None:
        """A check that takes too long keeps no node from stopping."""
        self.connection.dataReceived(lines("AUTH app secret"))
        self.port.clients.drain(5.0)
        self.port.clock.advance(5.0)
        self.assertTrue(self.transport.aborted)
        self.lose()
        self.port.checks.end_all()
        self.assertEqual(self.transport.value(), b"")

    def test_cut_anywhere(self) -> None:
        """AUTH and what follows it may arrive in any pieces."""
        stream = encoded(b"AUTH", b"app", b"secret") + encoded(b"SET", b"app:1", b"x" * 20) + lines("PING")
        for cut in range(len(stream)):
            self.begin(USERS)
            self.connection.dataReceived(stream[:cut])
            self.port.checks.end_all()
            self.connection.dataReceived(stream[cut:])
            while self.port.checks.waiting or self.port.messages:
                self.port.checks.end_all()
                self.port.answer_all()
            self.assertEqual(self.transport.value(), b"+OK\r\n+OK\r\n+PONG\r\n", cut)

    def test_rights_that_change_while_a_key_is_being_watched(self) -> None:
        """An EXEC would tell whether a key has changed that the user may not know of any more."""
        self.call("AUTH app secret")
        self.transport.clear()
        self.connection.dataReceived(lines("WATCH app:1"))
        message = self.port.requests()
        self.connection.interpreter.become(self.port.reload(USERS.replace("app:*", "other:*")).find("app"))
        self.port.reply(message, [Watched(1, ((1, 0),))])
        self.assertEqual(self.transport.value(), b"-NOPERM the rights of this user have changed meanwhile\r\n")
        self.assertIn(b"-EXECABORT ", self.call("MULTI", "EXEC"))
        self.assertEqual(self.call("MULTI", "EXEC"), b"+OK\r\n*0\r\n")
