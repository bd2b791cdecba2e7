"""Values that no option takes: each kind of nonsense, for every option."""

from __future__ import annotations

from collections.abc import Iterator

import click
from twisted.trial.unittest import SynchronousTestCase

from dkv.cli.group import dkv
from dkv.cli.types import Number, PathName, Whole
from tests.cli.commands import run

NO_FLOATS = ("nan", "NaN", "inf", "-inf", "infinity", "1e999")
NO_NUMBERS = (*NO_FLOATS, "-1", "9" * 30, "9" * 5000, "1_0", "٣", "0x1", "1 2", "")
NO_LISTS = (*NO_NUMBERS, "1,nan", "1,,2", "1,-1")


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command, with the words that call it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def options() -> Iterator[tuple[tuple[str, ...], click.Option]]:
    """Every option of every command."""
    for path, command in commands(dkv):
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                yield path, parameter


class NumberTests(SynchronousTestCase):
    """Every option with a number, by whatever command it is."""

    def assert_refused(self, path: tuple[str, ...], option: str, text: str) -> None:
        """Status 2 and one line, before anything is done."""
        result = run(*path, f"{option}={text}")
        self.assertEqual((result.exit_code, result.stdout), (2, ""), (path, option, text[:30]))
        self.assertRegex(result.stderr, r"\Adkv: [^\n]{1,300}\n\Z")
        self.assertIn("Invalid value", result.stderr)

    def test_nonsense(self) -> None:
        """``--timeout nan`` waits for ever, and ``inf`` is beyond what a socket can wait."""
        found = 0
        for path, option in options():
            if isinstance(option.type, Whole | Number):
                found += 1
                for text in NO_NUMBERS:
                    self.assert_refused(path, option.opts[0], text)
        self.assertGreater(found, 25)

    def test_lists(self) -> None:
        """Those of ``dkv bench``, and a range of seeds."""
        for option in ("--clients", "--pipelines", "--value-bytes"):
            for text in NO_LISTS:
                self.assert_refused(("bench",), option, text)
        for text in (*NO_LISTS, "1..", "..1", "2..1", "1..inf", "1.." + "9" * 30, "٣..٤", "-1..3"):
            self.assert_refused(("sim",), "--seeds", text)

    def test_every_number_has_a_type_of_ours(self) -> None:
        """One of click's own would take ``nan``, and numbers without bound."""
        kinds = (click.types.IntParamType, click.types.FloatParamType)
        wrong = [
            (path, option.opts[0])
            for path, option in options()
            if isinstance(option.type, kinds) and not isinstance(option.type, Whole | Number) and not option.is_flag
        ]
        self.assertEqual(wrong, [])

    def test_said(self) -> None:
        """What is out of range, and what is no number at all, gets one sentence that has the range."""
        for text in ("0", "1e30", "soon"):
            said = f"'{text}' is not a number of seconds from 0.001 to 1000000000."
            self.assertIn(said, run("put", "k", "v", f"--ttl={text}").stderr)
        for text in ("16", "x"):
            self.assertIn(f"'{text}' is not a whole number from 0 to 15.", run("get", "k", f"--db={text}").stderr)

    def test_numbers(self) -> None:
        """Sensible values are taken."""
        for text, number in (("1", 1.0), ("0.5", 0.5), (".5", 0.5), ("5.", 5.0), ("1e2", 100.0), ("2E-1", 0.2)):
            self.assertEqual(Number(0, 100).convert(text, None, None), number)
        self.assertEqual([Whole(1, 10).convert(text, None, None) for text in ("1", "07", "10")], [1, 7, 10])


class PathTests(SynchronousTestCase):
    """Every option with a path."""

    def test_empty(self) -> None:
        """``--data-dir "$UNSET"`` would make a node's files in whatever directory the shell is in."""
        found = 0
        for path, option in options():
            if isinstance(option.type, PathName):
                found += 1
                result = run(*path, f"{option.opts[0]}=")
                self.assertEqual((result.exit_code, result.stdout), (2, ""), (path, option.opts[0]))
                self.assertIn("the path is empty", result.stderr)
        self.assertGreater(found, 6)

    def test_every_path_has_our_type(self) -> None:
        """One of click's own would take an empty one."""
        wrong = [
            (path, option.opts[0])
            for path, option in options()
            if isinstance(option.type, click.Path) and not isinstance(option.type, PathName)
        ]
        self.assertEqual(wrong, [])
