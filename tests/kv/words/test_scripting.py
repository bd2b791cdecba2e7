"""The words of scripts: how a request becomes an entry, and how Redis refuses what is wrong with it."""

from __future__ import annotations

from dkv.kv.codes import SCRIPT
from dkv.kv.commands import COMMANDS
from dkv.kv.scripts.catalogue import digest_of
from dkv.kv.scripts.operations import ADD, DELETE_IF_EQUAL, DELETE_MATCHING_QUIETLY, VALUE_AND_TTL
from tests.installed_scripts import texts_of
from tests.kv.words.reading import NO_INTEGER, ReadingCase, meant, words_of

ADDS = 'return redis.call("incrby", KEYS[1], ARGV[1])'
LOCK = "c3f8721cbb97f72bc19e972846bd7aaf91901658"
TOO_MANY = "ERR Number of keys can't be greater than number of args"
NEGATIVE = "ERR Number of keys can't be negative"
NOSCRIPT = "NOSCRIPT No matching script. dkv has those that are listed in docs/clients.md#scripts"


class ScriptingTests(ReadingCase):
    def test_entries(self) -> None:
        """By the text and by its SHA1; with any number of keys, as Redis leaves that to the script."""
        self.check_entries(
            SCRIPT,
            (f"EVAL '{ADDS}' 1 k 5", [ADD, [b"k"], [b"5"]]),
            (f"EVALSHA {LOCK} 1 k me", [DELETE_IF_EQUAL, [b"k"], [b"me"]]),
            (f"EVALSHA {LOCK.upper()} 0 k me", [DELETE_IF_EQUAL, [], [b"k", b"me"]]),
            (f"EVALSHA {LOCK} 2 k me", [DELETE_IF_EQUAL, [b"k", b"me"], []]),
            ("EVALSHA_RO value-and-ttl 1 k", [VALUE_AND_TTL, [b"k"], []]),
        )

    def test_refused(self) -> None:
        """In Redis's words and order, and an unknown script with the page to read."""
        unknown = (
            f"ERR the script with the SHA1 {digest_of(b'return 1')} is not in the catalogue of dkv, which has those of"
            " known libraries and no Lua interpreter: see docs/clients.md#scripts"
        )
        for line, wanted in (
            ("EVAL 'return 1' 0", unknown),
            ("EVAL 'return 1' x", NO_INTEGER),
            ("EVAL 'return 1' 1", TOO_MANY),
            ("EVAL 'return 1' -1", NEGATIVE),
            (f"EVALSHA {LOCK} 2 k", TOO_MANY),
            (f"EVALSHA {LOCK} -1 k", NEGATIVE),
            ("EVALSHA x 5", NOSCRIPT),
            (f"EVALSHA {'0' * 40} 0", NOSCRIPT),
            (f"EVALSHA_RO {LOCK} 1 k me", "ERR Write commands are not allowed from read-only scripts."),
            (f"EVALSHA {LOCK} 1 {'k' * 11} me", "ERR the key has 11 bytes, limits.key_bytes_max is 10"),
            (f"EVALSHA {LOCK} 1 k {'v' * 21}", "ERR the value has 21 bytes, limits.value_bytes_max is 20"),
            ("EVAL x", "ERR wrong number of arguments for 'eval' command"),
        ):
            self.assertEqual(meant(line), wanted, line)

    def test_keys(self) -> None:
        """COMMAND GETKEYS finds them by their number."""
        for line, places in (("EVAL x 2 a b c", [3, 4]), ("EVAL x 0 a", []), ("EVAL x 5 a", []), ("EVAL x -1 a", [])):
            words = words_of(line)
            self.assertEqual([*COMMANDS[b"eval"].key_positions(words)], places, line)


class TemplateTests(ReadingCase):
    """A text with a pattern in it, as fastapi-cache2 sends it."""

    def test_texts_of_a_template(self) -> None:
        """Where the library is installed: any pattern, but nothing that ends the quoted text."""
        for text in texts_of("fastapi_cache"):
            entry = meant(f'EVAL "{text}" 0')
            self.assertEqual(entry, [SCRIPT, 0, 20, DELETE_MATCHING_QUIETLY, [], [b"a:*"]])
            other = text.replace("a:*", "a'b")
            self.assertIn("is not in the catalogue", str(meant(f'EVAL "{other}" 0')))
