"""What a request becomes in the log, and what is refused before it gets there."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.commands import APPEND, COMMANDS, DELETE, GET, PUT, interpret
from dkv.replies import Error
from dkv.settings import Limits

LIMITS = Limits(key_bytes_max=10, value_bytes_max=20)


def meant(*words: bytes) -> object:
    """What ``words`` ask for."""
    return interpret(list(words), LIMITS)


class InterpretTests(SynchronousTestCase):
    """Requests and their entries."""

    def test_entries(self) -> None:
        """A user's command does what it says, in either case and by either name."""
        self.assertEqual(meant(b"PUT", b"k", b"v"), [PUT, b"k", b"v"])
        self.assertEqual(meant(b"Set", b"k", b""), [PUT, b"k", b""])
        self.assertEqual(meant(b"get", b""), [GET, b""])
        self.assertEqual(meant(b"APPEND", b"k", b"v"), [APPEND, b"k", b"v", 20])
        self.assertEqual(meant(b"DEL", b"k"), [DELETE, b"k"])
        self.assertEqual(meant(b"delete", b"k", b"l", b"k"), [DELETE, b"k", b"l", b"k"])

    def test_the_numbers_are_the_format(self) -> None:
        """A log written by an older version keeps its meaning."""
        self.assertEqual((PUT, APPEND, DELETE, GET), (1, 2, 3, 4))

    def test_not_of_the_log(self) -> None:
        """Other words are left to the session."""
        self.assertIsNone(meant(b"PING"))
        self.assertIsNone(meant(b"", b"k"))

    def test_arity(self) -> None:
        """A forgotten argument is refused in Redis's words."""
        for words in ((b"GET",), (b"get", b"a", b"b"), (b"DEL",), (b"APPEND", b"k"), (b"SET", b"k"), (b"PUT",)):
            name = words[0].decode().lower()
            self.assertEqual(meant(*words), Error(f"ERR wrong number of arguments for '{name}' command"))

    def test_options_are_not_ignored(self) -> None:
        """SET k v NX must not overwrite: what is not built is refused."""
        self.assertEqual(meant(b"SET", b"k", b"v", b"NX"), Error("ERR syntax error"))
        self.assertEqual(meant(b"SET", b"k", b"v", b"EX", b"10"), Error("ERR syntax error"))

    def test_limits(self) -> None:
        """Too long a key or value is refused before it is proposed, with the setting's name."""
        key = Error("ERR the key has 11 bytes, limits.key_bytes_max is 10")
        value = Error("ERR the value has 21 bytes, limits.value_bytes_max is 20")
        long = b"k" * 11
        for words in ((b"GET", long), (b"PUT", long, b""), (b"APPEND", long, b""), (b"DEL", b"k", long)):
            self.assertEqual(meant(*words), key)
        for name in (b"PUT", b"SET", b"APPEND"):
            self.assertEqual(meant(name, b"k", b"v" * 21), value)
            self.assertIsInstance(meant(name, b"k" * 10, b"v" * 20), list)

    def test_table(self) -> None:
        """COMMAND tells the truth about which commands write."""
        self.assertEqual({name for name, command in COMMANDS.items() if not command.writes}, {b"get"})
        self.assertEqual({command.name.encode() for command in COMMANDS.values()}, set(COMMANDS))
