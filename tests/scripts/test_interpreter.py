"""The scripts' own machinery: a script that could not fail would teach what is not so."""

from __future__ import annotations

import re
from pathlib import Path
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from dkv.paxos.acceptor import Acceptor
from dkv.routes import ROUTES
from tests.scripts import words
from tests.scripts.commands import SILENT, Commands, WrongCommand
from tests.scripts.script import INDENT, REWRITE, ScriptFailed, check, play
from tests.scripts.test_scripts import PATHS
from tests.test_architecture import rows_under
from tests.test_pages import CODE, EXPLANATION

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
PAGE = DOCS / "scripts.md"
SCRIPT = "# A story.\n\ncluster 3\nquietly elect 1\n\n# A write.\nput 1 a 1\nsettle\n"


def play_text(*lines: str) -> str:
    """Play a script of these commands in a cluster of three."""
    return play("a.txt", "\n".join(("cluster 3", *lines)))


class PlayTests(SynchronousTestCase):
    def test_trace(self) -> None:
        """Comments, blank lines and commands stay where they are; the trace stands under its command."""
        played = play("a.txt", SCRIPT)
        self.assertEqual([line for line in played.splitlines() if not line.startswith(INDENT)], SCRIPT.splitlines())
        self.assertIn(f"put 1 a 1\n{INDENT}1 => 1  Submit batch 1: PUT a 1\n", played)
        self.assertIn(f"{INDENT}1       answers PUT a 1: OK\n", played)

    def test_again(self) -> None:
        """A script is the same each time: else every change of the product would change all of them."""
        for path in PATHS:
            text = path.read_text(encoding="utf-8")
            self.assertEqual(play(path.name, text), play(path.name, text), path.name)

    def test_its_own_trace_is_not_read(self) -> None:
        """What was written before has no part in what happens now."""
        played = play("a.txt", SCRIPT)
        self.assertEqual(play("a.txt", played), played)
        self.assertEqual(play("a.txt", played.replace("PUT a 1", "PUT a 2")), played)

    def test_nothing_arrives_by_itself(self) -> None:
        """A script decides what happens: a message that nobody delivers stays where it is, however long that takes."""
        played = play_text("campaign 1", "wait 300ms", "flight")
        self.assertNotIn("=> 2", played)
        self.assertIn(f"flight\n{INDENT}1 -> 2  Prepare 1.1 from slot 1\n", played)

    def test_one_clock(self) -> None:
        """The patience of one node may end while no time passes for the others."""
        played = play_text("wait 1.2s 2")
        self.assertIn("2 -> 1  Poll", played)
        self.assertEqual(re.findall(r"(\d) -> \d  Poll", played), ["2", "2"])

    def test_held_disks(self) -> None:
        """What waits for the disk leaves with its commit, not before, and one commit at a time."""
        played = play_text("hold 1", "campaign 1", "flight", "commit 1", "crash 1", "disk 1")
        self.assertIn(f"flight\n{INDENT}nothing happens\ncommit 1\n{INDENT}1       commits: promised 1.1\n", played)
        self.assertIn(f"disk 1\n{INDENT}1       promised 1.1\n", played)
        played = play_text(
            "hold 1", "campaign 1", "crash 1", "disk 1", "start 1", "campaign 1", "crash 1 keep", "disk 1"
        )
        self.assertIn(f"disk 1\n{INDENT}1       nothing\n", played)
        self.assertIn(f"disk 1\n{INDENT}1       promised 1.1\n", played)

    def test_fields(self) -> None:
        """One of several messages of a class is picked by what it says."""
        played = play_text("campaign 1", "drop Prepare ballot=1.1 1>3", "flight")
        self.assertIn(f"flight\n{INDENT}1 -> 2  Prepare 1.1 from slot 1\n", played)
        self.assertNotIn("1 -> 3", played.partition("flight")[2])

    def test_silence(self) -> None:
        """A command that changes no node says nothing; every other one says that nothing happened."""
        self.assertEqual(
            play_text("hold 1", "wait 1ms").splitlines()[2:], ["hold 1", "wait 1ms", f"{INDENT}nothing happens"]
        )
        for name in SILENT:
            self.assertTrue(hasattr(Commands, f"do_{name}"), name)


class WrongScriptTests(SynchronousTestCase):
    def test_wrong_commands(self) -> None:
        """A slip of the pen is a failure that names its line, not a line that is passed over."""
        for command, reason in {
            "sing": "no command 'sing'",
            "quietly": "no command 'quietly'",
            "deliver": "needs what to look for",
            "deliver Accept 1>2": "nothing in flight matches; in flight: nothing",
            "deliver Acept": "no message 'Acept'",
            "deliver 1>4": "no node '4'",
            "drop slot=1": "nothing in flight matches",
            "settle 4": "no node '4'",
            "wait": "needs a time",
            "wait 3": "'3' is no time",
            "run 1s 1": "takes no words",
            "crash 1 2": "takes one node",
            "start 1": "node 1 is up",
            "commit 1": "node 1 waits for no commit",
            "put 1 a": "'put a' is no command of a client: ERR wrong number",
            "put": "needs a node",
            "wipe 1": "node 1 is up",
            "elect 4": "no node '4'",
            "show Everything": "no message 'Everything'",
            "heal 1": "takes no words",
            "cluster 3": "one cluster",
        }.items():
            error = self.assertRaises(ScriptFailed, play_text, "# first", command)
            self.assertIn(f"a.txt, line 3: {command}\n", str(error))
            self.assertIn(reason, str(error))

    def test_nodes_that_are_down(self) -> None:
        """Nothing can be asked of them; and what a disk does not hold cannot be changed there."""
        for command, reason in {
            "put 1 a 1": "node 1 is down",
            "crash 1": "node 1 is down",
            "alter 1 1 put a 1": "no batch in slot 1",
            "alter 1 x put a 1": "'x' is no number",
            "alter 1 1": "no command of a client",
            "restore 1": "no copy of node 1",
        }.items():
            error = self.assertRaises(ScriptFailed, play_text, "crash 1", command)
            self.assertIn(reason, str(error))

    def test_without_a_cluster(self) -> None:
        """The first command says how many nodes there are."""
        for first in ("settle", "cluster", "cluster three", "cluster 3 anarchy", "cluster 3 window_slots_max=few"):
            self.assertRaises(WrongCommand, Commands().do, first)
        self.assertIn("have started", "".join(Commands().do("cluster 5 classic window_slots_max=2")))

    def test_an_election_that_fails(self) -> None:
        """A script that goes on as if somebody led would show something else than it says."""
        error = self.assertRaises(ScriptFailed, play_text, "cut 1", "elect 1")
        self.assertIn("node 1 did not come to lead", str(error))

    def test_a_broken_rule(self) -> None:
        """The invariants are kept in every script, whatever its trace says."""
        with patch.object(Acceptor, "_raise_promise", lambda *_: None):
            error = self.assertRaises(ScriptFailed, play_text, "campaign 1")
        self.assertIn("I2: the Promise 1.1 of node 1 was delivered before its commit", str(error))

    def test_a_handler_that_fails(self) -> None:
        """A node that ends by a mistake of ours is a failure, and no event that is written down."""
        with patch.object(Acceptor, "_on_prepare", lambda *_: 1 / 0):
            error = self.assertRaises(ScriptFailed, play_text, "campaign 1")
        self.assertIn("ZeroDivisionError", str(error))


class FileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.write_text(SCRIPT, encoding="utf-8")

    def rewrite(self) -> str:
        with patch.dict("os.environ", {REWRITE: "1"}):
            check(self.path)
        return self.path.read_text(encoding="utf-8")

    def test_rewriting(self) -> None:
        """What is written is what is right from then on; written again it is the same."""
        with patch.dict("os.environ", {REWRITE: ""}):
            self.assertRaises(ScriptFailed, check, self.path)
            self.assertEqual(self.path.read_text(encoding="utf-8"), SCRIPT, "written without being told to")
            written = self.rewrite()
            check(self.path)
        self.assertEqual(self.rewrite(), written)

    def test_a_wrong_trace(self) -> None:
        """The difference is shown: the line that was written, and the one that came."""
        written = self.rewrite()
        self.path.write_text(written.replace("slot 1 is chosen", "slot 2 is chosen"), encoding="utf-8")
        with patch.dict("os.environ", {REWRITE: ""}):
            error = self.assertRaises(ScriptFailed, check, self.path)
        self.assertIn(f"-{INDENT}*       slot 2 is chosen: PUT a 1\n+{INDENT}*       slot 1 is chosen", str(error))

    def test_a_trace_too_much(self) -> None:
        """So is a line that came no more, or that was never written."""
        written = self.rewrite()
        for wrong in (written + f"{INDENT}1       answers\n", written.rpartition(INDENT)[0]):
            self.path.write_text(wrong, encoding="utf-8")
            with patch.dict("os.environ", {REWRITE: ""}):
                self.assertRaises(ScriptFailed, check, self.path)


class PageTests(SynchronousTestCase):
    """docs/scripts.md is read before the scripts."""

    def test_every_script_is_listed(self) -> None:
        """With its first line, so that a reader finds what is looked for."""
        page = PAGE.read_text(encoding="utf-8")
        listed = dict(re.findall(r"^\| \[`(\w+)`\]\(\.\./tests/scripts/\1\.txt\) \| (.+) \|$", page, re.MULTILINE))
        first = {path.stem: path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ") for path in PATHS}
        self.assertEqual(listed, first)
        self.assertGreater(len(first), 25)

    def test_every_command_is_listed(self) -> None:
        """Whoever writes a script looks there for its words, and for what they mean."""
        page = PAGE.read_text(encoding="utf-8")
        listed = {
            usage.strip("`").split()[0]: meaning for usage, meaning in rows_under(["Command", "What it does"], page)
        }
        meant = {
            name.removeprefix("do_"): method.__doc__ for name, method in vars(Commands).items() if name[:3] == "do_"
        }
        self.assertEqual({name: listed.get(name) for name in meant}, meant)
        self.assertEqual(listed.keys() - meant.keys(), {"put", "quietly"})

    def test_every_script_says_what_it_is_about(self) -> None:
        """A trace without a story is read by nobody: a comment first, and at its end the rules that it shows."""
        rules = [(DOCS / page).read_text(encoding="utf-8") for page in ("known-bugs.md", "simulation.md")]
        explained = {code for page in rules for code in EXPLANATION.findall(page)}
        for path in PATHS:
            comment = path.read_text(encoding="utf-8").partition("\n\n")[0].splitlines()
            self.assertTrue(4 <= len(comment) <= 7 and all(line.startswith("# ") for line in comment), path.name)
            self.assertRegex(comment[-1], r"\b[IB]\d+\.$", path.name)
            self.assertEqual(set(CODE.findall(comment[-1])) - explained, set(), path.name)
            self.assertLessEqual(
                max(map(len, re.findall(r"^#.*", path.read_text(encoding="utf-8"), re.MULTILINE))), 120
            )

    def test_every_message_has_its_words(self) -> None:
        """A message without them would end the first script that it comes up in."""
        self.assertEqual(words.MESSAGES.keys(), ROUTES.keys())
