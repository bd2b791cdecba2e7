"""The command line of ``twistd dkvnode``: one clear line for a mistake, and the right node otherwise."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import structlog
from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.scripts._twistd_unix import ServerOptions
from twisted.trial.unittest import SynchronousTestCase

import dkv
from dkv.config.config import load_config, render_config
from dkv.node import foreign, logs
from dkv.node.options import Options

ETC = str(Path(__file__).resolve().parents[2] / "etc" / "cluster.toml")


class OptionsTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        before = structlog.get_config()
        self.addCleanup(lambda: structlog.configure(**before))
        self.out, self.err = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", self.out)
        self.patch(sys, "stderr", self.err)

    def parse(self, *arguments: str, environment: dict[str, str] | None = None) -> Options:
        """Parse as twistd does."""
        options = Options(environment or {})
        options.parseOptions(list(arguments))
        return options

    def exits(self, *arguments: str, environment: dict[str, str] | None = None) -> Any:
        """Parse, see the process end, and return the status."""
        return self.assertRaises(SystemExit, self.parse, *arguments, environment=environment).code

    def assertMistake(self, word: str, *arguments: str, environment: dict[str, str] | None = None) -> None:
        """It ends with status 2 and exactly one line on stderr, which has ``word``."""
        self.err.truncate(0)
        self.err.seek(0)
        self.assertEqual(self.exits(*arguments, environment=environment), 2)
        self.assertEqual(self.out.getvalue(), "")
        self.assertRegex(self.err.getvalue(), r"\Adkvnode: [^\n]+\n\Z")
        self.assertIn(word, self.err.getvalue())


class OptionsTests(OptionsTestCase):
    def test_flags(self) -> None:
        """The node that is named is the one that runs, on the directory that is named."""
        options = self.parse("--config", ETC, "--node", "2", "--data-dir", "/srv/two")
        self.assertEqual(options.config, load_config(ETC))
        self.assertEqual(options.member, load_config(ETC).member(2))
        self.assertEqual(options.data_directory, "/srv/two")

    def test_the_default_data_directory(self) -> None:
        """Each node of a machine has its own."""
        self.assertEqual(self.parse("--config", ETC, "--node", "3").data_directory, os.path.abspath("data/node3"))

    def test_the_environment_stands_in_and_flags_win(self) -> None:
        """A container is configured by its environment, and a person may still override it."""
        environment = {"DKV_CONFIG": ETC, "DKV_NODE": "2", "DKV_DATA_DIR": "/e", "DKV_TIMINGS_REQUEST_SECONDS": "6"}
        options = self.parse(environment=environment)
        self.assertEqual((options.member.id, options.data_directory), (2, "/e"))
        self.assertEqual(options.config.timings.request_seconds, 6.0)
        options = self.parse(
            "--node=1", "--data-dir=/f", "--set=timings.request_seconds=7", "--set", "limits.key_bytes_max=9",
            environment=environment,
        )  # fmt: skip
        self.assertEqual((options.member.id, options.data_directory), (1, "/f"))
        self.assertEqual((options.config.timings.request_seconds, options.config.limits.key_bytes_max), (7.0, 9))

    def test_check_config(self) -> None:
        """A change can be checked before a node is stopped for it."""
        self.assertEqual(self.exits("--config", ETC, "--check-config"), 0)
        self.assertEqual(self.out.getvalue(), "ok: cluster 'dkv', 3 nodes\n")
        self.assertEqual(self.err.getvalue(), "")

    def test_check_config_opens_no_other_file(self) -> None:
        """Whoever reads "ok" must not believe that certificates and users were looked at."""
        path = self.mktemp()
        Path(path).write_text('users_file = "absent.toml"\n' + Path(ETC).read_text())
        self.assertEqual(self.exits("--config", path, "--check-config"), 0)
        rest = "; the files that it names were not opened: `dkv doctor --offline` looks at them\n"
        self.assertEqual(self.out.getvalue(), "ok: cluster 'dkv', 3 nodes" + rest)

    def test_print_config(self) -> None:
        """What a node would run with, whoever said so."""
        self.assertEqual(self.exits("--config", ETC, "--set", "limits.key_bytes_max=9", "--print-config"), 0)
        expected = render_config(load_config(ETC, {}, ["limits.key_bytes_max=9"]))
        self.assertEqual(self.out.getvalue(), expected)

    def test_version(self) -> None:
        """A report of a bug should name this program's version, not Twisted's."""
        self.assertEqual(self.exits("--version"), 0)
        self.assertEqual(self.out.getvalue(), f"dkv {dkv.__version__}\n")

    def test_mistakes(self) -> None:
        """twistd would print all its help and report success: a supervisor must see a failure, a person its cause."""
        self.assertMistake("no config file", "--node", "1")
        self.assertMistake("which node?", "--config", ETC)
        self.assertMistake("node 9 is not a member", "--config", ETC, "--node", "9")
        self.assertMistake("node 9 is not a member", "--config", ETC, "--node", "9", "--check-config")
        for node in ("one", "0", "-1", "4294967296", "", "²"):
            self.assertMistake("a node's id is a whole number", "--config", ETC, "--node", node)
        self.assertMistake("--data-dir is empty", "--config", ETC, "--node", "1", "--data-dir", "")
        self.assertMistake("absent.toml", "--config", "absent.toml", "--check-config")
        self.assertMistake("--confg", "--confg", ETC)
        self.assertMistake("unexpected argument 'extra'", "--config", ETC, "--node", "1", "extra")
        self.assertMistake("did you mean 'limits.key_bytes_max'", "--config", ETC, "--set", "limits.key_byte_max=1")
        self.assertMistake("DKV_LIMITS_NONE", "--config", ETC, "--check-config", environment={"DKV_LIMITS_NONE": "1"})


class TwistdTests(OptionsTestCase):
    """As a subcommand of twistd: what dkvnode takes over from it."""

    def parse_under(self, *arguments: str) -> tuple[Options, dict[str, Any]]:
        """Parse as a subcommand of twistd with these arguments of its own; twistd's options afterwards too."""
        twistd = ServerOptions()
        with patch.dict(os.environ, DKV_CONFIG=ETC, DKV_NODE="2"):
            twistd.parseOptions([*arguments, "dkvnode"])
        assert isinstance(twistd.subOptions, Options)
        return twistd.subOptions, dict(twistd)

    def refused(self, word: str, *arguments: str) -> None:
        """One line with ``word`` on stderr, status 2."""
        self.err.seek(0)
        self.err.truncate()
        self.assertEqual(self.assertRaises(SystemExit, self.parse_under, *arguments).code, 2)
        self.assertRegex(self.err.getvalue(), r"\Adkvnode: [^\n]+\n\Z")
        self.assertIn(word, self.err.getvalue())

    def test_takes_over_twistds_log(self) -> None:
        """One line of another form breaks whoever parses the log."""
        path = self.mktemp()
        options, twistd = self.parse_under("-n", "--logfile", path)
        self.assertIs(twistd["logger"], foreign.TwistedObserver)
        options.log.start()
        logs.get_logger(2, "service").info("started")
        twistd["logger"]()({"log_format": "hello", "log_namespace": "x"})
        options.log.flush(10.0)
        lines = [json.loads(line) for line in Path(path).read_text().splitlines()]
        self.assertEqual(
            [(line["node"], line["actor"], line["event"]) for line in lines],
            [(2, "service", "started"), (2, "twisted", "hello")],
        )
        self.assertEqual(self.out.getvalue(), "")

    def test_a_logger_of_the_users_own_stays(self) -> None:
        """--logger is twistd's, and means what it says."""
        _, twistd = self.parse_under("-n", "--logger", "tests.node.test_options.own_logger")
        self.assertIs(twistd["logger"], own_logger)

    def test_where_twistd_would_log(self) -> None:
        """To stdout in the foreground, to twistd.log as a daemon, and where --logfile says."""
        directory, here = self.mktemp(), os.getcwd()
        os.mkdir(directory)
        os.chdir(directory)
        self.addCleanup(os.chdir, here)
        self.assertEqual(self.parse_under("-n")[0].log_path, "")
        self.assertEqual(self.parse_under("-n", "--logfile", "-")[0].log_path, "")
        self.assertEqual(os.listdir(), [])
        self.assertEqual(self.parse_under()[0].log_path, os.path.abspath("twistd.log"))
        self.assertEqual(self.parse_under("-l", "own.log")[0].log_path, os.path.abspath("own.log"))
        self.assertEqual(sorted(os.listdir()), ["own.log", "twistd.log"])

    def test_a_log_that_cannot_be(self) -> None:
        """A mistake like others: a node without a log is found out about too late."""
        self.refused("cannot write the log file /absent/x: No such file", "-n", "--logfile", "/absent/x")
        self.refused("a daemon does not have", "--logfile", "-")
        self.refused("--syslog is not supported", "-n", "--syslog")
        self.refused("--syslog is not supported", "--syslog")

    def test_the_background(self) -> None:
        """twistd's own way into it loses the reason and the status of a failed start; its umask stays."""
        path = self.mktemp()
        options, twistd = self.parse_under("-l", path)
        self.assertEqual((options.daemon, twistd["nodaemon"], twistd["umask"]), (True, True, 0o077))
        self.assertEqual(self.parse_under("-l", path, "--umask", "022")[1]["umask"], 0o022)
        options, twistd = self.parse_under("-n")
        self.assertEqual((options.daemon, twistd["umask"]), (False, None))

    def test_no_pidfile_unless_asked_for(self) -> None:
        """twistd's default lets one node run in a directory, and the file of one that was killed stops the next."""
        options, twistd = self.parse_under("-n")
        self.assertEqual((options.pidfile, twistd["pidfile"]), ("", ""))
        self.assertEqual(self.parse_under("-n", "--pidfile=")[1]["pidfile"], "")
        for given in ("node.pid", "".join(("twistd", ".pid"))):
            options, twistd = self.parse_under("-n", "--pidfile", given)
            self.assertEqual((options.pidfile, twistd["pidfile"]), (os.path.abspath(given),) * 2)

    def test_paths_are_absolute(self) -> None:
        """twistd goes to --rundir before the node opens anything."""
        environment = {"DKV_CONFIG": os.path.relpath(ETC), "DKV_NODE": "2", "DKV_DATA_DIR": "own"}
        self.assertEqual(self.parse(environment=environment).data_directory, os.path.abspath("own"))
        del environment["DKV_DATA_DIR"]
        self.assertEqual(self.parse(environment=environment).data_directory, os.path.abspath("data/node2"))
        self.assertEqual(self.parse("--data-dir", ".", environment=environment).data_directory, os.getcwd())
        self.assertMistake(os.path.abspath("absent.toml"), "--config", "absent.toml")

    def test_the_current_directory_is_gone(self) -> None:
        """A mistake like others where it is needed, and none where it is not."""
        gone, here = self.mktemp(), os.getcwd()
        os.mkdir(gone)
        self.addCleanup(os.chdir, here)
        os.chdir(gone)
        os.rmdir(os.path.join(here, gone))
        self.assertMistake("the current directory is gone", "--config", ETC, "--node", "1")
        options = self.parse("--config", ETC, "--node", "1", "--data-dir", "/srv/one")
        self.assertEqual(options.data_directory, "/srv/one")


def own_logger() -> None:
    """The user's own."""


class PluginTests(SynchronousTestCase):
    def test_twistd_finds_the_command(self) -> None:
        """`twistd dkvnode` is how every node is started."""
        (maker,) = [each for each in getPlugins(IServiceMaker) if each.tapname == "dkvnode"]
        self.assertIs(maker.options, Options)
        self.assertTrue(callable(maker.makeService))
