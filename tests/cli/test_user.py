"""dkv user: the file of users is changed by commands, and no password is in it, on the command line or in an answer."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from threading import Barrier, BrokenBarrierError, Thread
from typing import Any
from unittest.mock import patch

from click.testing import Result
from twisted.trial.unittest import SynchronousTestCase

from dkv.cli import user
from dkv.node.node_users import load_users
from dkv.security.users_text import added
from tests.cli.commands import run


class UserTests(SynchronousTestCase):
    """One file after the other."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.secret = Path(self.mktemp())
        self.secret.write_text("hunter2\n")

    def user(self, *words: str) -> Result:
        """Run a command on the test's file."""
        return run("user", *words, "--file", str(self.path))

    def done(self, *words: str) -> str:
        """What the command prints, which must succeed."""
        result = self.user(*words)
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        return result.stdout

    def refused(self, status: int, *words: str) -> str:
        """Why the command changes nothing."""
        before = self.path.read_bytes() if self.path.exists() else None
        result = self.user(*words)
        self.assertEqual(result.exit_code, status, result.output)
        self.assertEqual(self.path.read_bytes() if self.path.exists() else None, before)
        return result.stderr

    def add_app(self) -> None:
        """A file with one user."""
        rights = ("--may", "read", "--may", "write", "--keys", "app:*", "--channels", "news")
        self.done("add", "app", *rights, "--password-file", str(self.secret))

    def test_add(self) -> None:
        """The file is its owner's alone, has the hash, and lets the user in."""
        self.add_app()
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)
        self.assertNotIn("hunter2", self.path.read_text())
        user = load_users(str(self.path)).find("app")
        assert user is not None
        self.assertEqual(
            [each.matches(word) for each in user.hashes for word in (b"hunter2", b"hunter3")], [True, False]
        )
        self.assertTrue(user.rights.allows_key(0, b"app:1"))
        self.assertFalse(user.rights.allows_key(0, b"other"))

    def test_password_from_elsewhere(self) -> None:
        """The variable has the password, or it is typed twice; nobody has to put it on a command line."""
        with patch.dict(os.environ, {"DKV_NEW_PASSWORD": "from the variable"}):
            self.done("add", "app")
        with (
            patch("dkv.cli.user.is_at_terminal", return_value=True),
            patch("dkv.cli.user.click.prompt", return_value="typed") as prompt,
        ):
            self.done("password", "app", "--keep-old")
        self.assertEqual(prompt.call_args.kwargs["hide_input"], True)
        user = load_users(str(self.path)).find("app")
        assert user is not None
        self.assertEqual([each.matches(b"typed") for each in user.hashes], [True, False])
        self.done("password", "app", "--drop-old")
        self.assertEqual(len(load_users(str(self.path)).find("app").hashes), 1)  # type: ignore[union-attr]

    def test_rules(self) -> None:
        """What is given takes the place of what was, and the rest stays."""
        self.add_app()
        self.done("rules", "app", "--may", "all", "--none", "channels", "--certificate", "app-cert")
        user = load_users(str(self.path)).find("app")
        assert user is not None
        self.assertTrue(user.rights.allows("admin"))
        self.assertTrue(user.rights.allows_key(0, b"app:1"))
        self.assertFalse(user.rights.allows_channel(b"news"))
        self.assertEqual((user.certificates, len(user.hashes)), ({"app-cert"}, 1))

    def test_rights_without_use(self) -> None:
        """Whoever forgets the keys is told so at once, and not by the first request that is denied."""
        for words, told in (
            ((), "it may do nothing"),
            (("--may", "read"), "it may use no key"),
            (("--may", "pubsub"), "it may use no channel"),
            (("--may", "admin"), ""),
            (("--may", "read", "--may", "pubsub", "--keys", "*", "--channels", "*"), ""),
        ):
            name = f"user{len(self.path.read_text()) if self.path.exists() else 0}"
            printed = self.done("add", name, "--no-password", *words)
            hint = f"{told} yet: see dkv user rules --help\n" if told else ""
            self.assertEqual(printed, f"added user {name} to {self.path}\n{hint}")

    def test_list_and_remove(self) -> None:
        """The list has no hash; a user that is removed is gone."""
        self.add_app()
        self.done("add", "default", "--no-password", "--may", "read", "--keys", "public:*")
        listed = self.done("list")
        self.assertIn("app:*", listed)
        self.assertNotIn("scrypt", listed)
        self.done("remove", "app")
        self.assertEqual(load_users(str(self.path)).names, ["default"])
        self.done("remove", "default")
        self.assertEqual(load_users(str(self.path)).names, [])
        self.assertIn("nobody gets in", self.path.read_text(), "a node takes an empty file for a mistake")
        self.done("add", "default", "--no-password")
        self.assertEqual(self.path.read_text(), "[user.default]\n")

    def test_mode_and_links_stay(self) -> None:
        """A file that a service's group reads, behind a link, stays both."""
        self.add_app()
        real = self.path.rename(self.path.with_name("real.toml"))
        self.path.symlink_to(real.absolute())
        real.chmod(0o640)
        self.done("rules", "app", "--may", "read")
        self.assertTrue(self.path.is_symlink())
        self.assertEqual(stat.S_IMODE(real.stat().st_mode), 0o640)
        self.assertEqual([each.name for each in real.parent.glob(".*.part")], [])

    def test_at_once(self) -> None:
        """Whoever makes many users with a script that does several things at once gets all of them."""
        self.add_app()
        both = Barrier(2, timeout=10)

        def added_together(*given: Any) -> str:
            with contextlib.suppress(BrokenBarrierError):  # the other one has to wait
                both.wait(0.2)
            return added(*given)

        def add(name: str) -> None:
            words = ["add", name, "--no-password", "--certificate", name, "--file", str(self.path)]
            user.user.main(words, standalone_mode=False)

        with patch.object(user, "added", added_together), patch.object(user, "say"):
            adding = [Thread(target=add, args=(name,)) for name in ("one", "two")]
            for each in adding:
                each.start()
            for each in adding:
                each.join()
        self.assertEqual(sorted(load_users(str(self.path)).names), ["app", "one", "two"])

    def test_refused(self) -> None:
        """Each mistake is one line, and changes nothing."""
        self.assertIn("there is no file", self.refused(1, "list"))
        self.add_app()
        with patch("dkv.cli.access_options.TERMINAL", "/absent"), patch.dict(os.environ):
            os.environ.pop("DKV_NEW_PASSWORD", None)
            self.assertIn("nobody is there to type the new password of b", self.refused(2, "add", "b"))
        self.assertIn("there is a user 'app' already", self.refused(1, "add", "app", "--no-password"))
        self.assertIn("there is no user 'apq'", self.refused(1, "remove", "apq"))
        self.assertIn("there is no user 'apq'", self.refused(1, "password", "apq"))
        self.assertIn("the name 'a b' of a user", self.refused(1, "add", "a b", "--no-password"))
        self.assertIn("nothing is to be changed", self.refused(2, "rules", "app"))
        self.assertIn("contradict", self.refused(2, "rules", "app", "--none", "may", "--may", "read"))
        self.assertIn("contradict", self.refused(2, "password", "app", "--keep-old", "--drop-old"))
        self.assertIn("Did you mean remove", self.refused(2, "delete", "app"))
        self.secret.write_text("\n")
        self.assertIn("the password is empty", self.refused(2, "password", "app", "--password-file", str(self.secret)))
        self.secret.write_text("x" * 1025)
        self.assertIn("more than 1024", self.refused(2, "password", "app", "--password-file", str(self.secret)))
        self.path.write_text('[user.a]\npassword = "hunter2\n')
        for words in (("add", "b", "--no-password"), ("list",)):
            told = self.refused(1, *words)
            self.assertIn("is not TOML (line 2, column ", told)
            self.assertNotIn("hunter2", told)
