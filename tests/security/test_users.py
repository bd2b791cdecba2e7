"""The file of users: what it means, and the one line that says what is wrong with it."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.security.passwords import Cost, hash_of, parse_hash
from dkv.security.users import EVERYBODY, NOBODY, Users, UsersError, check_name, parse_users

CHEAP = Cost(log_n=2, block=1)
SALT = b"s" * 16
SECRET = hash_of(b"secret", SALT, CHEAP).text
OTHER = hash_of(b"other", b"t" * 16, CHEAP).text
DEAR = hash_of(b"dear", SALT, Cost(log_n=3, block=1)).text


def users_of(text: str) -> Users:
    """The users of a file with this text."""
    return parse_users(tomllib.loads(text))


class UsersTests(SynchronousTestCase):
    """What a right file says."""

    def test_a_user(self) -> None:
        """A user has what its table says: operators write nothing twice."""
        users = users_of(f"""
            [user.app]
            password = "{SECRET}"
            certificate = "app"
            may = ["read", "write", "pubsub"]
            keys = ["app:*", "é"]
            channels = ["news"]
            [user.app.database.1]
            keys = ["*"]
        """)
        user = users.find("app")
        assert user is not None
        self.assertEqual(user.name, "app")
        self.assertTrue(user.hashes[0].matches(b"secret"))
        self.assertFalse(user.hashes[0].matches(b"Secret"))
        self.assertEqual(user.certificates, {"app"})
        self.assertTrue(user.rights.allows("write"))
        self.assertFalse(user.rights.allows("admin"))
        self.assertTrue(user.rights.allows_channel(b"news"))
        self.assertFalse(user.rights.allows_channel(b"new"))
        self.assertIsNone(users.find("App"))
        self.assertIsNone(users.default)

    def test_all_is_every_category(self) -> None:
        """``all`` spares an operator the list of categories, and allows no key by itself."""
        user = users_of('[user.root]\nmay = ["all"]').find("root")
        assert user is not None
        self.assertTrue(all(map(user.rights.allows, ("read", "write", "admin", "fault", "pubsub"))))
        self.assertFalse(user.rights.allows_channel(b"any"))

    def test_the_default_user(self) -> None:
        """Clients may do without a name only what a default user without a password allows."""
        self.assertIsNone(users_of("").default)
        self.assertIsNone(users_of("[user.default]").default)
        self.assertIsNone(users_of(f'[user.default]\nmay = ["all"]\npassword = "{SECRET}"').default)
        default = users_of('[user.default]\nmay = ["read"]\nkeys = ["public:*"]').default
        assert default is not None
        self.assertFalse(default.rights.allows("write"))

    def test_two_passwords(self) -> None:
        """While a password is being changed, both are right."""
        user = users_of(f'[user.app]\npassword = ["{SECRET}", "{OTHER}"]').find("app")
        assert user is not None
        tried = [[each.matches(word) for each in user.hashes] for word in (b"secret", b"other", b"third")]
        self.assertEqual(tried, [[True, False], [False, True], [False, False]])

    def test_certificates(self) -> None:
        """A certificate proves one user, by any of its names."""
        users = users_of('[user.a]\ncertificate = ["a", "b"]\n[user.c]\ncertificate = "c"')
        self.assertEqual(users.by_certificate(["x", "b", "c"]), users.find("a"))
        self.assertIsNone(users.by_certificate(["x"]))

    def test_every_name_costs_the_same(self) -> None:
        """Who is a user is nothing that a stranger may learn from how long a refusal takes."""
        users = users_of(f"""
            user.one.password = "{SECRET}"
            user.two.password = ["{SECRET}", "{OTHER}"]
            user.dear.password = "{DEAR}"
            user.none.certificate = "none"
        """)
        costs = {name: sorted(each.cost for each in users.hashes_to_try(name)) for name in (*users.names, "stranger")}
        self.assertEqual({tuple(each) for each in costs.values()}, {(CHEAP, CHEAP, Cost(log_n=3, block=1))})
        self.assertFalse(any(each.matches(b"secret") for each in users.hashes_to_try("stranger")))
        self.assertEqual([each.cost for each in users_of("").hashes_to_try("stranger")], [Cost()])

    def test_nothing_shows_a_hash(self) -> None:
        """What is printed by mistake, in a log or a traceback, has no hash in it."""
        users = users_of(f'[user.app]\npassword = "{SECRET}"')
        user = users.find("app")
        assert user is not None
        for shown in (repr(user), str(user), repr(user.hashes), repr(users)):
            self.assertNotIn(SECRET.split("$")[-1], shown)
            self.assertNotIn("salt", shown)

    def test_everybody_and_nobody(self) -> None:
        """Without a file of users everything is allowed; with one, nothing to a client that has not said who it is."""
        self.assertTrue(EVERYBODY.rights.allows("admin"))
        self.assertFalse(NOBODY.rights.allows("read"))

    def test_the_same_name_twice(self) -> None:
        """A program that makes users cannot make one of two kinds."""
        self.assertRaises(TypeError, Users, [EVERYBODY, NOBODY])


class MistakeTests(SynchronousTestCase):
    """What is wrong with a file is said in one line, which shows no secret."""

    def check(self, text: str, expected: str) -> None:
        """The file is refused in these words."""
        error = self.assertRaises(UsersError, users_of, text)
        self.assertEqual(str(error), expected)

    def test_words(self) -> None:
        """A word that is not known is refused, not passed over: it might have been a limit."""
        self.check("usr.a = 1", "unknown key 'usr' at the top level; did you mean 'user'?")
        self.check("user.a.key = []", "unknown key 'key' in [user.a]; did you mean 'keys'?")
        self.check("user = 1", "user must be tables, each under its own [user.NAME]")
        self.check("user.a = 1", "user must be tables, each under its own [user.NAME]")
        self.check(
            'user.a.may = ["reed"]',
            "in [user.a]: may: 'reed' is none of 'read', 'write', 'admin', 'fault', 'pubsub', 'all'",
        )

    def test_lists(self) -> None:
        """A text where a list belongs is refused: its letters are no patterns."""
        for name in ("may", "keys", "channels"):
            expected = f"in [user.a]: {name} must be a list of strings, none of them empty"
            for value in ('"read"', "1", '[""]', "[1]"):
                self.check(f"user.a.{name} = {value}", expected)
        expected = "in [user.a]: certificate must be a string, or a list of strings, none of them empty"
        self.check("user.a.certificate = 1", expected)
        self.check(
            'user.a.keys = ["' + "k" * 1025 + '"]', "in [user.a]: keys: a pattern has 1025 bytes, and may have 1024"
        )
        self.check(f"user.a.password = {[SECRET] * 5}", "in [user.a]: password has 5 of them, and may have 4")

    def test_a_password_as_it_is(self) -> None:
        """A password in the file in place of its hash is refused, and the refusal does not show it."""
        for password in ("hunter2", "$scrypt$ln=30,r=8,p=1$" + SECRET.split("$", 3)[3], SECRET[1:], SECRET + "!"):
            error = self.assertRaises(UsersError, users_of, f'user.a.password = "{password}"')
            self.assertIn("dkv user password", str(error))
            self.assertNotIn(password, str(error))

    def test_a_hash_that_costs_too_much(self) -> None:
        """No file makes a node take all its memory for a guess; the refusal tells what may stand there."""
        for cost in (
            "ln=40,r=8,p=1",
            "ln=20,r=8,p=1",
            "ln=14,r=99,p=1",
            "ln=14,r=8,p=9",
            "ln=14,r=8,p=0",
            "ln=0,r=8,p=1",
        ):
            text = "$scrypt$" + cost + "$" + SECRET.split("$", 3)[3]
            error = str(self.assertRaises(UsersError, users_of, f'user.a.password = "{text}"'))
            self.assertIn("has a cost that no node pays: ln=14,r=8,p=1 takes 16 MiB of memory", error)
            self.assertNotIn(text[-10:], error)

    def test_databases(self) -> None:
        """A database that does not exist, or no patterns for one, is refused."""
        for number in ("16", "-1", "01", "a", "9" * 5000):
            shown = number[:100]
            self.check(
                f"user.a.database.{number}.keys = []", f"in [user.a]: database '{shown}' is no number from 0 to 15"
            )
        self.check("user.a.database.1 = 1", 'in [user.a.database.1]: write it as a table, with keys = ["*"]')
        self.check(
            "user.a.database = 1",
            "in [user.a]: database must be tables, each under its own [user.NAME.database.NUMBER]",
        )
        self.check(
            "user.a.database.1 = {}",
            "in [user.a.database.1]: keys is missing: the patterns of the keys in this database",
        )
        self.check("user.a.database.1.may = []", "unknown key 'may' in [user.a.database.1]")

    def test_names(self) -> None:
        """A name that would break a list of clients is refused."""
        for name in ("a b", "", "a" * 65, "-a", "é", "a\\nb"):
            self.assertRaises(UsersError, users_of, f'user."{name}".may = []')
        for name in ("a", "9", "a@b.c", "_x-1"):
            check_name(name)

    def test_certificates(self) -> None:
        """A certificate that proved two users would prove either, by the order in the file."""
        text = 'user.a.certificate = "x"\nuser.b.certificate = "x"'
        self.check(text, "the certificate 'x' is that of two users, a and b")
        self.check(
            'user.default.certificate = "x"',
            "in [user.default]: 'default' is whoever has not said who it is, so it has no certificate",
        )


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["app:*", SECRET])
)
FIELDS = st.sampled_from(
    ["password", "certificate", "may", "keys", "channels", "database", "user", "a", "1", "default"]
)
NESTED: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS | st.text(max_size=3), inner, max_size=4),
)


class AnyFileTests(SynchronousTestCase):
    """Whatever a file says."""

    @given(st.dictionaries(st.sampled_from(["user", "x"]), NESTED, max_size=2))
    def test_any_document(self, document: dict[str, Any]) -> None:
        """A node with any file either knows its users or one line that says why not; it never dies of it."""
        try:
            users = parse_users(document)
        except UsersError as error:
            self.assertNotIn("\n", str(error))
            self.assertTrue(str(error))
        else:
            for name in users.names:
                self.assertEqual(users.find(name), next(each for each in [users.find(name)] if each))

    @given(st.text(max_size=100) | st.text("$scryptln=14,8p1/+aZ", max_size=80).map(lambda text: "$scrypt$" + text))
    def test_any_hash(self, text: str) -> None:
        """Any text is a hash that reads back as it was written, or none."""
        found = parse_hash(text)
        if found is not None:
            self.assertEqual(parse_hash(found.text), found)
