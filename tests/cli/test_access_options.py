"""The options by which commands get in at nodes."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import Any
from unittest.mock import Mock, patch

import click
from twisted.trial.unittest import SynchronousTestCase

from dkv.cli import access_options, nodes
from dkv.cli.access_options import OPTIONS, PASSWORD, VARIABLES, admitted, environment_of_others
from dkv.cli.group import dkv
from dkv.cli.layout import new_config
from dkv.cli.scenarios import changing
from dkv.client import race
from dkv.client.admission import Admission, Tls
from dkv.client.blocking import Connection, Endpoint
from dkv.client.url import Destination
from dkv.config.config import render_config
from dkv.console.login_words import NO_PASSWORD
from tests.certificates import Certificates
from tests.cli.commands import run
from tests.client.fakes import FakeNodes

WHERE = ("endpoints", "join")
"""The options by which commands name nodes."""


def all_commands(group: click.Group, above: tuple[str, ...] = ()) -> dict[tuple[str, ...], click.Command]:
    """All commands, by their words."""
    found: dict[tuple[str, ...], click.Command] = {}
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        if isinstance(command, click.Group):
            found |= all_commands(command, (*above, name))
        else:
            found[(*above, name)] = command
    return found


class OptionsTests(SynchronousTestCase):
    def setUp(self) -> None:
        """No variables of the person who runs the tests."""
        self.files = Certificates(Path(self.mktemp()), nodes=())
        self.patch(access_options, "TERMINAL", self.mktemp())  # nobody is there

    def access(self, text: str, tls: Tls | None = None, user: str | None = None, file: Path | None = None) -> Admission:
        """What a command gets in by."""
        return admitted(Destination.parse(text), tls, user, file).endpoints[0].access

    def file(self, content: bytes) -> Path:
        """A file with a password."""
        path = Path(self.mktemp())
        path.write_bytes(content)
        return path

    def refused(self, words: str, *given: object) -> None:
        """These are a mistake, and the error has ``words``."""
        with self.assertRaises(click.UsageError) as caught:
            self.access(*given)  # type: ignore[arg-type]
        self.assertIn(words, caught.exception.message)

    def test_every_command_that_asks_nodes_has_them(self) -> None:
        """A cluster with TLS and users must not be out of reach for some of its own commands."""
        names = {option.name for option in map(_made, OPTIONS)}
        commands = all_commands(dkv)
        asking = {words for words, each in commands.items() if {p.name for p in each.params} & {*WHERE}}
        self.assertGreater(len(asking), 25)
        lacking = {words for words in asking if not names <= {p.name for p in commands[words].params}}
        self.assertEqual(lacking, set())

    def test_passwords(self) -> None:
        """From the file, else from the URL, else from the variable, else from the terminal: the nearest counts."""
        self.assertEqual(self.access("a:1"), Admission())
        file = self.file(b"from the file\r\nand more\n")
        self.assertEqual(self.access("a:1", None, "app", file), Admission(None, b"app", b"from the file"))
        self.patch(os, "environ", {"DKV_PASSWORD": "from the variable"})
        self.assertEqual(self.access("a:1", None, "app"), Admission(None, b"app", b"from the variable"))
        self.assertEqual(self.access("dkv://app:url@a:1"), Admission(None, b"app", b"url"))
        self.assertEqual(self.access("a:1"), Admission(None, None, b"from the variable"))

    def test_a_password_that_is_typed(self) -> None:
        """At the terminal, as stdin may be data; and without an echo."""
        asked: list[str] = []

        def typed(prompt: str) -> str:
            asked.append(prompt)
            return "typed"

        self.patch(access_options, "TERMINAL", "/dev/null")
        self.patch(getpass, "getpass", typed)
        self.patch(os, "environ", {})
        self.assertEqual(self.access("a:1", None, "app").password, b"typed")
        self.assertEqual(self.access("redis://app@a:1").password, b"typed")
        self.assertEqual(asked, ["password of app: "] * 2)

    def test_mistakes(self) -> None:
        """Said before anything is sent; and without the password."""
        self.patch(os, "environ", {})
        self.refused("nobody is there to type the password of user app", "a:1", None, "app")
        self.refused("the addresses name another user", "dkv://app:secret@a:1", None, "boss")
        self.refused("are without TLS", "dkv://a:1", Tls(str(self.files.ca)))
        self.refused("cannot read certificates of a CA in nowhere", "a:1", Tls("nowhere"))
        self.refused("cannot read the password in nowhere", "a:1", None, "app", Path("nowhere"))
        self.refused("is empty, and should be the password", "a:1", None, "app", self.file(b"\nsecret\n"))
        self.refused("have another password", "dkv://app:secret@a:1", None, None, self.file(b"other\n"))

    def test_a_command(self) -> None:
        """What is typed gets to the node; and without a user the refusal says what is missing."""
        nodes = FakeNodes(self, a=b"$1\r\n7\r\n")
        asked: list[Admission] = []

        def connect(endpoint: Endpoint, connect_seconds: float, answer_seconds: float) -> Connection:
            asked.append(endpoint.access)
            return nodes.connect(endpoint, connect_seconds, answer_seconds)

        self.patch(race, "connect", connect)
        file = self.file(b"secret\n")
        words = ("get", "k", "--endpoints", "a:1", "--ca", str(self.files.ca), "--user", "app")
        result = run(*words, "--password-file", str(file))
        self.assertEqual((result.exit_code, result.stdout), (0, "7\n"))
        self.assertEqual(asked, [Admission(Tls(str(self.files.ca)), b"app", b"secret")])
        for text in ("NOAUTH Authentication required.", NO_PASSWORD):
            FakeNodes(self, a=b"-%b\r\n" % text.encode())
            result = run("get", "k", "--endpoints", "a:1")
            self.assertEqual(result.stderr, f"dkv: refused: {text} (see --user)\n")


def _made(option: object) -> click.Parameter:
    """An option, as a command has it."""

    @option  # type: ignore[operator]
    @click.command()
    def command() -> None:
        """Nothing."""

    made: click.Parameter = command.params[0]
    return made


class ChildrenTests(SynchronousTestCase):
    """Processes that commands start."""

    def setUp(self) -> None:
        """All variables are there, for processes that are started, too."""
        variables = patch.dict(os.environ, dict.fromkeys(VARIABLES, "secret"))
        variables.start()
        self.addCleanup(variables.stop)

    def test_variables(self) -> None:
        """All those of the options, and no other."""
        named = {each.envvar for each in map(option_of, OPTIONS) if each.envvar is not None}
        self.assertEqual(VARIABLES, named | {PASSWORD})
        self.assertEqual(set(os.environ) - set(environment_of_others()), VARIABLES)

    def test_nodes(self) -> None:
        """A node runs for weeks, and needs no password of whoever has started it."""
        log = Path(self.mktemp())
        with log.open("wb") as file:
            program = "import os; print([name for name in os.environ if name.startswith('DKV_')])"
            self.assertEqual(nodes._start([sys.executable, "-c", program], file).wait(30), 0)
        self.assertNotIn("DKV_PASSWORD", log.read_text())

    def test_commands_of_a_scenario(self) -> None:
        """They are for a cluster of its own, which knows neither the user's CA nor the user."""
        place = Path(self.mktemp())
        place.mkdir()
        config = place / "cluster.toml"
        config.write_text(render_config(new_config(1, 5001)))
        self.patch(changing, "DKV", (sys.executable, "-c", "import os; print('DKV_CA' in os.environ)"))
        stage = Mock()
        stage.directory = place
        self.assertEqual(changing.MemberChanges(stage).attempt(), (0, "False"))


def option_of(decorator: Any) -> click.Option:
    """The option that a decorator gives to a command."""
    command = click.command()(decorator(lambda **_: None))
    (option,) = command.params
    assert isinstance(option, click.Option)
    return option
