"""SCRIPT, and what the log is told of scripts that the catalogue does not have."""

from __future__ import annotations

from dkv.kv.scripts.catalogue import digest_of
from dkv.replies import OK, Simple
from tests.console.spoken import Spoken

ADDS = 'return redis.call("incrby", KEYS[1], ARGV[1])'
UNKNOWN = digest_of(b"return 1")


class ScriptWordsTests(Spoken):
    def test_the_catalogue(self) -> None:
        """What libraries ask before they send a script: it is there, always."""
        digest = digest_of(ADDS.encode())
        self.assertEqual(self.reply(f"SCRIPT LOAD '{ADDS}'"), digest.encode())
        self.assertEqual(self.reply(f"SCRIPT EXISTS {digest} {UNKNOWN} {digest.upper()} x"), [1, 0, 1, 0])
        for line in ("SCRIPT FLUSH", "SCRIPT FLUSH async", "script flush SYNC"):
            self.assertEqual(self.reply(line), OK)
        self.assertEqual(self.reply(f"SCRIPT EXISTS {digest}"), [1])
        self.assertIn(Simple("LOAD script"), self.reply("SCRIPT HELP"))

    def test_refused(self) -> None:
        """In Redis's words, and an unknown script with the page that lists the known ones."""
        for line, wanted in (
            ("SCRIPT FLUSH now", "ERR SCRIPT FLUSH only support SYNC|ASYNC option"),
            ("SCRIPT FLUSH async x", "ERR SCRIPT FLUSH only support SYNC|ASYNC option"),
            ("SCRIPT EXISTS", "ERR wrong number of arguments for 'script|exists' command"),
            ("SCRIPT KILL", "ERR unknown subcommand 'KILL'. Try SCRIPT HELP."),
        ):
            self.assertEqual(self.refusal(line), wanted)
        self.assertIn(f"{UNKNOWN} is not in the catalogue", self.refusal("SCRIPT LOAD 'return 1'"))

    def test_told(self) -> None:
        """The log says which script a library would need, once for each connection."""
        for line in ("EVAL 'return 1' 0", f"EVALSHA {UNKNOWN} 0", "EVAL 'return 1' 0", "SCRIPT LOAD 'return 1'"):
            self.meaning(line)
        self.meaning(f"EVAL '{ADDS}' 5 k")  # which is known, and wrong in another way
        told = [call.args[1] for call in self.node.word_refused.call_args_list]
        digest = UNKNOWN.upper()
        self.assertEqual(told, [f"EVAL {digest}", f"EVALSHA {digest}", f"SCRIPT LOAD {digest}"])
