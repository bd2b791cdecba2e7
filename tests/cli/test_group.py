"""The group: what every command shares when the command line is wrong or the user interrupts."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from dkv.cli import access
from tests.cli.commands import run


class CommandLine(SynchronousTestCase):
    """``dkv`` itself."""

    def test_alone(self) -> None:
        """A user who types only ``dkv`` sees the commands, and a script sees that nothing was done."""
        result = run()
        self.assertEqual(result.exit_code, 2)
        for name in ("init", "cluster", "put", "get", "append", "delete"):
            self.assertIn(f"\n  {name} ", result.stdout)

    def test_help(self) -> None:
        """Each command explains itself, its exit statuses included."""
        for name in ("init", "cluster", "put", "get", "append", "delete"):
            result = run(name, "--help")
            self.assertEqual(result.exit_code, 0)
            self.assertIn("Exit status:", result.stdout)

    def test_mistakes(self) -> None:
        """Every mistake is status 2 and one line on stderr that says where the help is."""
        for words in (
            ["frob"],
            ["--frob"],
            ["put", "k"],
            ["put", "k", "v", "w"],
            ["get"],
            ["delete"],
            ["append", "k"],
            ["get", "--frob", "k"],
            ["get", "--output", "xml", "k"],
            ["get", "--timeout", "0", "k"],
            ["get", "--timeout", "soon", "k"],
            ["get", "--endpoints", "localhost", "k"],
            ["get", "--endpoints", "", "k"],
            ["init"],
            ["init", "--config", "c", "--node", "one"],
            ["cluster", "--nodes", "0"],
            ["cluster", "--base-port", "65535"],
        ):
            result = run(*words)
            self.assertEqual((result.exit_code, result.stdout), (2, ""), words)
            self.assertRegex(result.stderr, r"\Adkv: [^\n]+ \(see dkv.* --help\)\n\Z", words)

    def test_mistake_as_json(self) -> None:
        """A program that asked for JSON reads of its mistake in JSON as well."""
        for option in (["--output", "json"], ["--output=json"]):
            result = run("put", "k", *option)
            self.assertEqual(result.exit_code, 2)
            parsed = json.loads(result.stdout)
            self.assertEqual((parsed["error"], parsed["status"]), ("USAGE", 2))
            self.assertEqual(result.stderr, f"dkv: {parsed['message']}\n")

    def test_did_you_mean(self) -> None:
        """A slip, or a word from elsewhere, is answered with the name that was meant; anything else with no guess."""
        for word, hint in (
            ("putt", " Did you mean put?"),
            ("droprules", " Did you mean drop-rules?"),
            ("set", " Did you mean put?"),
            ("sett", " Did you mean put or status?"),
            ("HELP", " Did you mean --help?"),
            ("xyzzy", ""),
        ):
            result = run(word)
            self.assertEqual(result.exit_code, 2)
            self.assertEqual(result.stderr, f"dkv: No such command {word!r}.{hint} (see dkv --help)\n")

    def test_option_before_the_command(self) -> None:
        """Other programs have theirs there. Whoever is used to that is told the place."""
        result = run("--tls", "get", "k")
        text = "No such option '--tls' here: the options of a command stand behind its name. (see dkv --help)"
        self.assertEqual((result.exit_code, result.stderr), (2, f"dkv: {text}\n"))
        self.assertIn("Did you mean", run("--hepl").stderr)

    def test_interrupted(self) -> None:
        """A Ctrl-C is not taken for an absent key, and reminds the user of what may yet happen."""

        def interrupted(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        self.patch(access, "ask_where", interrupted)
        result = run("put", "k", "v")
        self.assertEqual(result.exit_code, 130)
        self.assertIn("dkv: interrupted; a write that was under way may or may not happen\n", result.stderr)
