"""dkv certs: one command for all that a cluster needs; each mistake is one line, and changes nothing."""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

from click.shell_completion import BashComplete
from click.testing import Result
from twisted.trial.unittest import SynchronousTestCase

from dkv.cli.group import dkv
from dkv.cli.layout import new_config
from dkv.config.config import load_config, render_config
from tests.cli.commands import run


class Later(datetime):
    """A clock that is two years ahead."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        """The time in two years."""
        return super().now(tz) + timedelta(days=730)


class CertsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.place = Path(self.mktemp()).absolute()
        self.place.mkdir()
        self.directory = self.place / "certs"
        self.config = self.place / "cluster.toml"
        self.config.write_text(render_config(new_config(3, 5001)))

    def certs(self, *words: str) -> Result:
        """Run a command on the test's directory."""
        return run("certs", *words, "--dir", str(self.directory))

    def done(self, *words: str) -> str:
        """What the command prints, which must succeed."""
        result = self.certs(*words)
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        return result.stdout

    def assert_refused(self, result: Result, status: int, words: str) -> None:
        """One line."""
        self.assertEqual((result.exit_code, result.stdout), (status, ""))
        self.assertRegex(result.stderr, rf"\Adkv: [^\n]*{words}[^\n]*\n\Z")

    def shown(self) -> dict[str, dict[str, Any]]:
        """What ``show`` tells of each name."""
        return {each["name"]: each for each in json.loads(self.certs("show", "--output", "json").stdout)}

    def test_for_a_config_file(self) -> None:
        """One command, and the lines that it prints are those that the config file needs."""
        printed = self.done("new", "--config", str(self.config))
        _, _, lines = printed.partition("\n\n[tls]\n")
        self.config.write_text(f"{self.config.read_text()}\n[tls]\n{lines}")
        settings = load_config(str(self.config)).tls
        assert settings is not None
        self.assertEqual(settings.peers, "require")
        for path in (settings.ca, settings.certificate_of(3), settings.key_of(3), settings.crl):
            self.assertTrue(path is not None and os.path.exists(path), path)
        self.assertIn('ca = "certs/ca.pem"', lines)  # the file and the certificates may move together
        self.assertEqual(self.shown()["node3"]["holder"], "dkv://local/node/3")
        self.assertIn(f"made {self.directory}/node3.pem and .key for 127.0.0.1, localhost, ::1\n", printed)

    def test_where_the_config_file_looks_for_them(self) -> None:
        """A config file that has [tls] already gets its certificates there, and no advice."""
        table = '\n[tls]\nca = "x/ca.pem"\ncertificate = "x/node{id}.pem"\nkey = "x/node{id}.key"\n'
        self.config.write_text(self.config.read_text() + table)
        result = run("certs", "new", "--config", str(self.config))
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        self.assertNotIn("[tls]", result.stdout)
        self.assertTrue((self.place / "x" / "node1.key").exists())
        self.assert_refused(self.certs("new", "--config", str(self.config)), 2, "says ca = .*x/ca.pem")
        self.config.write_text(self.config.read_text().replace("x/node{id}.key", "x/{id}.key"))
        self.assert_refused(run("certs", "new", "--config", str(self.config)), 2, "says key = ")

    def test_without_a_config_file(self) -> None:
        """For a lab: a name is enough. More clients and hosts may be named."""
        printed = self.done(
            *(
                "new",
                "--cluster",
                "shop",
                "--nodes",
                "2",
                "--client",
                "app",
                "--client",
                "root",
                "--host",
                "lab.example",
            )
        )
        self.assertIn("for localhost, 127.0.0.1, ::1, lab.example\n", printed)
        self.assertEqual(list(self.shown()), ["ca.pem", "crl.pem", "node1", "node2", "app", "root"])
        self.assertEqual(self.shown()["app"]["holder"], "dkv://shop/user/app")
        self.assertEqual({each["state"] for each in self.shown().values()}, {"ok"})

    def test_further_ones(self) -> None:
        """A node that joins, and another client."""
        self.done("new", "--cluster", "shop")
        self.done("node", "4", "--host", "db4.example")
        self.done("client", "app", "--days", "30")
        self.assertEqual((self.shown()["node4"]["days_left"], self.shown()["app"]["days_left"]), (364, 29))
        self.assert_refused(self.certs("client", "app"), 1, "app.pem exists: `dkv certs renew app` replaces it")

    def test_renewing(self) -> None:
        """All, or those that are named, or those that expire soon: the line for cron."""
        self.done("new", "--cluster", "shop", "--days", "20")
        self.assertEqual(self.done("renew", "--left", "10"), "nothing to renew\n")
        self.assertEqual(len(self.done("renew", "node2").splitlines()), 1)
        self.assertEqual(len(self.done("renew", "--left", "20").splitlines()), 3)
        self.assertEqual({each["days_left"] for each in self.shown().values() if "/" in (each["holder"] or "")}, {364})
        self.assert_refused(self.certs("renew", "noed1"), 1, r"no certificate of 'noed1' here. Did you mean node1")
        self.assert_refused(self.certs("renew", "--host", "db2"), 2, "--host is for one node")

    def test_revoking(self) -> None:
        """What is revoked is shown as such, and is renewed only by its name."""
        self.done("new", "--cluster", "shop")
        self.assertIn("revoked 1 certificate of admin\n", self.done("revoke", "admin"))
        self.assertEqual(self.shown()["admin"]["state"], "revoked")
        self.assertNotIn("admin", self.done("renew"))
        self.done("renew", "admin")
        self.assertEqual(self.shown()["admin"]["state"], "ok")
        self.assert_refused(self.certs("revoke", "adnim"), 1, "Did you mean admin")

    def test_another_ca(self) -> None:
        """The steps in their order; each wrong one is refused, with what comes first."""
        self.done("new", "--cluster", "shop", "--nodes", "1")
        self.assertEqual(self.done("drop-ca"), "there is only one CA\n")
        self.done("new-ca")
        self.assert_refused(self.certs("drop-ca"), 1, "still of an older CA: node1, admin; renew them")
        self.done("renew")
        self.assertIn("removed 1 old CA", self.done("drop-ca"))
        self.assertEqual({each["state"] for each in self.shown().values()}, {"ok"})

    def test_what_has_expired(self) -> None:
        """A script learns of it from the exit status, and a person from the table."""
        self.done("new", "--cluster", "shop", "--nodes", "1")
        table = self.certs("show")
        self.assertEqual(table.exit_code, 0)
        self.assertRegex(table.stdout, r"\nnode1 +dkv://shop/node/1 +364 +20\d\d-\d\d-\d\d +ok ")
        self.patch(sys.modules["dkv.tls.authority_files"], "datetime", Later)
        table = self.certs("show")
        self.assertEqual((table.exit_code, table.stdout.count(" expired ")), (1, 2))

    def test_a_list_that_is_missing(self) -> None:
        """Nodes start without it only if their config file does not name it, and nothing can be revoked."""
        self.done("new", "--cluster", "shop", "--nodes", "1")
        (self.directory / "crl.pem").unlink()
        table = self.certs("show")
        self.assertRegex(table.stdout, r"\ncrl.pem +- +- +- +missing ")
        self.assertEqual(table.exit_code, 1)
        shown = {each["name"]: each for each in json.loads(self.certs("show", "--output", "json").stdout)}
        self.assertEqual(
            [shown["crl.pem"][each] for each in ("expires", "days_left", "state")], [None, None, "missing"]
        )

    def test_mistakes(self) -> None:
        """Status 2 for what was typed, 1 for what is there; nothing is made."""
        for words, status, text in (
            (("new",), 2, "name the cluster's config file with --config"),
            (("new", "--cluster", "a b"), 1, "the cluster's name 'a b'"),
            (("new", "--cluster", "shop", "--client", "a/b"), 1, "the name 'a/b' of a client"),
            (("new", "--cluster", "shop", "--host", "a b"), 1, "'a b' is neither a host name nor"),
            (("new", "--config", str(self.config), "--nodes", "3"), 2, "--nodes belongs to --cluster"),
            (("new", "--config", str(self.place / "none.toml")), 2, "cannot read the config file"),
            (("node", "4"), 2, "--host"),
            (("show",), 1, "there are no certificates in .*: `dkv certs new` makes them, and --dir names another"),
            (("revoke", "admin"), 1, "there are no certificates in .*"),
        ):
            self.assert_refused(self.certs(*words), status, text)
        self.assertEqual([each.name for each in self.place.iterdir()], ["cluster.toml"])
        self.assert_refused(run("certs", "revok", "admin"), 2, "Did you mean revoke")
        self.assert_refused(run("certs", "create"), 2, "Did you mean new")

    def test_completion(self) -> None:
        """A shell offers the commands, and the names that the directory has."""
        self.done("new", "--cluster", "shop", "--nodes", "2")
        complete = BashComplete(dkv, {}, "dkv", "_DKV_COMPLETE")
        self.assertEqual([each.value for each in complete.get_completions(["certs"], "re")], ["renew", "revoke"])
        words = ["certs", "revoke", "--dir", str(self.directory)]
        self.assertEqual([each.value for each in complete.get_completions(words, "")], ["admin", "node1", "node2"])
        self.assertEqual([each.value for each in complete.get_completions(words, "n")], ["node1", "node2"])

    def test_without_the_extra(self) -> None:
        """All other commands go on, and this one says what is missing."""
        hidden = {name: each for name, each in sys.modules.items() if name.startswith("dkv.tls.")}
        with patch.dict(sys.modules):
            for name in hidden:
                del sys.modules[name]
            sys.modules["cryptography"] = None  # type: ignore[assignment]  # which is how an import is made to fail
            self.assert_refused(
                self.certs("new", "--cluster", "shop"), 1, "needs cryptography, which the extra 'tls' of this package"
            )
            self.assertIn("\n  certs ", run("--help").stdout)
            self.assertEqual(run("certs", "new", "--help").exit_code, 0)
