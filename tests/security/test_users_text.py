"""A program changes one user in a file, and nothing else that people wrote there."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.security.users import UsersError, parse_users
from dkv.security.users_text import added, changed, passwords_of, removed
from tests.security.test_users import OTHER, SECRET

FILE = f"""\
# Ask Ada before you change anything.

[user.app]  # the shop
password = "{SECRET}"
may = [
    "read",   # as everybody
    "write",
]
keys = ["app:*"]

# For the nightly report.
[user.report]
may = ["read"]
keys = ["*"]

[user.report.database.1]
keys = ["only:*"]
"""


class ChangeTests(SynchronousTestCase):
    """Adding, changing, removing."""

    def test_add(self) -> None:
        """A new user is at the end, and the rest is as it was."""
        new = added(FILE, "new.one", {"password": [SECRET], "may": ["all"], "keys": ["*"], "channels": []})
        self.assertTrue(new.startswith(FILE))
        self.assertEqual(new[len(FILE) :], f'\n[user."new.one"]\npassword = "{SECRET}"\nmay = ["all"]\nkeys = ["*"]\n')
        self.assertEqual(added("", "a", {"may": ["read"]}), '[user.a]\nmay = ["read"]\n')

    def test_remove(self) -> None:
        """A user goes with all of its tables, and with no other line."""
        report = FILE.index("# For the nightly")
        self.assertEqual(removed(FILE, "report"), FILE[:report])
        self.assertEqual(removed(FILE, "app"), FILE[: FILE.index("[user.app]")] + FILE[report:])

    def test_change(self) -> None:
        """A list that takes several lines is replaced whole; comments elsewhere stay."""
        new = changed(FILE, "app", {"may": ["read"], "channels": ["news"]})
        self.assertEqual(
            new,
            FILE.replace('may = [\n    "read",   # as everybody\n    "write",\n]\n', "").replace(
                "# the shop\n", '# the shop\nmay = ["read"]\nchannels = ["news"]\n'
            ),
        )
        emptied = tomllib.loads(changed(FILE, "report", {"keys": []}))["user"]["report"]
        self.assertEqual(emptied, {"may": ["read"], "database": {"1": {"keys": ["only:*"]}}})

    def test_passwords(self) -> None:
        """One password is a string, and several are a list."""
        new = changed(FILE, "app", {"password": [OTHER, SECRET]})
        self.assertEqual(passwords_of(new, "app"), [OTHER, SECRET])
        self.assertEqual(passwords_of(FILE, "app"), [SECRET])
        self.assertEqual(passwords_of(FILE, "report"), [])
        self.assertIn(f'password = "{OTHER}"\n', changed(new, "app", {"password": [OTHER]}))

    def test_refused(self) -> None:
        """What would not be as it should is not done, and one line says why."""
        for change, text in (
            (lambda: added(FILE, "app", {}), "there is a user 'app' already"),
            (lambda: removed(FILE, "apq"), "there is no user 'apq'"),
            (lambda: changed(FILE, "apq", {}), "there is no user 'apq'"),
            (
                lambda: added("x = 1 y", "a", {}),
                "the file is not TOML (line 1, column 7); what is in it stays as it is",
            ),
            (lambda: added(FILE, "a b", {}), "the name 'a b' of a user"),
            (lambda: added(FILE, "a", {"may": ["reed"]}), "may: 'reed' is none of"),
            (lambda: changed("user.a.may = []", "a", {"may": ["read"]}), "change it by hand"),
            (lambda: removed("user = {a = {}}", "a"), "change it by hand"),
            (lambda: removed('x="""\n[user.a]\n"""\n', "a"), "unknown key 'x'"),
        ):
            self.assertIn(text, str(self.assertRaises(UsersError, change)))

    @given(
        st.dictionaries(
            st.from_regex(r"[a-z0-9_][a-z0-9_.@-]{0,5}", fullmatch=True), st.lists(st.text(max_size=6).filter(bool))
        ),
        st.data(),
    )
    def test_any_users(self, wanted: dict[str, list[str]], data: st.DataObject) -> None:
        """Whatever patterns a user has: what was added is there, and what was removed is gone."""
        text = "# mine\n"
        for name, keys in wanted.items():
            text = added(
                text, name, {"may": ["read"], "keys": [key.encode("utf-8", "ignore").decode() or "k" for key in keys]}
            )
        self.assertEqual(sorted(parse_users(tomllib.loads(text)).names), sorted(wanted))
        if wanted:
            gone = data.draw(st.sampled_from(sorted(wanted)))
            text = changed(text, gone, {"keys": ["x*"], "certificate": ["c"]})
            self.assertEqual(tomllib.loads(text)["user"][gone]["keys"], ["x*"])
            text = removed(text, gone)
            self.assertEqual(sorted(parse_users(tomllib.loads(text)).names), sorted(wanted.keys() - {gone}))
        self.assertTrue(text.startswith("# mine\n"))
