"""What is remembered of passwords that were right, and what counts as an attempt of an address."""

from __future__ import annotations

from dkv.console import logins
from dkv.security.login_attempts import FREE_ATTEMPTS
from tests.console.logins import USERS, WRONG, LoginCase, hashed, lines

SHORT = f"""
[user.a]
password = "{hashed("bc")}"
may = ["read"]

[user.ab]
password = "{hashed("secret")}"
may = ["all"]
"""


class RememberedTests(LoginCase):
    def test_of_one_user(self) -> None:
        """A password that was right is right for its own user alone, wherever one puts the end of the name."""
        self.assertEqual(self.call("AUTH app secret"), b"+OK\r\n")
        self.assertEqual(self.call("AUTH root secret"), WRONG)
        self.begin(SHORT)
        self.assertEqual(self.call("AUTH a bc"), b"+OK\r\n")
        self.assertEqual(self.call("AUTH ab c"), WRONG)

    def test_bounded(self) -> None:
        """A node with many users keeps the passwords that were used last, and no more of them."""
        self.patch(logins, "REMEMBERED_MAX", 2)
        for line in ("AUTH root old", "AUTH root new", "AUTH root old", "AUTH app secret"):
            self.assertEqual(self.call(line), b"+OK\r\n")
        self.assertEqual(self.port.checks.count, 3)
        self.call("AUTH root old", "AUTH app secret")
        self.assertEqual(self.port.checks.count, 3)
        self.call("AUTH root new")
        self.assertEqual(self.port.checks.count, 4)


class CountedTests(LoginCase):
    def test_right_ones_do_not_count(self) -> None:
        """A fleet of clients behind one address, each with a password of its own, is not slowed down."""
        names = [f"user{number}" for number in range(3 * FREE_ATTEMPTS)]
        self.begin(USERS + "".join(f'[user.{name}]\npassword = "{hashed(name)}"\nmay = ["read"]\n' for name in names))
        for name in names:
            self.connection, self.transport = self.port.connect()
            self.assertEqual(self.call(f"AUTH {name} {name}"), b"+OK\r\n", name)

    def test_each_wrong_one_counts(self) -> None:
        """Also those that waited for the same one: else a crowd would try a password for the price of one attempt."""
        crowd = [self.port.connect() for _ in range(FREE_ATTEMPTS)]
        for connection, _ in crowd:
            connection.dataReceived(lines("AUTH app wrong"))
        self.port.checks.end_all()
        self.assertEqual({transport.value() for _, transport in crowd}, {WRONG})
        self.assertEqual(self.port.checks.count, 1)
        self.assertEqual(self.call("AUTH app other"), WRONG)  # the last one that does not wait
        self.assertEqual(self.call("AUTH app third"), b"")

    def test_users_that_do_not_exist(self) -> None:
        """How long a refusal takes does not tell who is a user: as many hashes are tried for every name."""
        tried = []
        for name in ("root", "app", "nobody", "default"):
            self.connection.dataReceived(lines(f"AUTH {name} wrong"))
            (check,) = self.port.checks.waiting
            tried.append([each.cost for each in check[0]])
            self.port.checks.end_all()
        self.assertEqual(tried, [tried[0]] * 4)
        self.assertEqual(len(tried[0]), 2)
