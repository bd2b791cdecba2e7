"""What a request becomes in the log, and what is refused before it gets there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.codes import APPEND, COPY, DELETE, GET, IDMP, IDMP_NEW, IDMP_UNCHECKED, PUT, READS, SCRIPT, WRITES
from dkv.kv.commands import COMMANDS, interpret
from dkv.kv.registry import Context, wrong_number_of_arguments
from dkv.records import Argument
from dkv.replies import Error
from dkv.settings import Limits
from tests.kv.words.samples import SAMPLES, entry_of

LIMITS = Limits(key_bytes_max=10, value_bytes_max=20)

ODD = ("idmp", "mset", "msetnx", "object", "memory")
"""Commands that take some numbers of words within their arity, and not others."""


def meant(*words: bytes) -> object:
    """What ``words`` ask for."""
    return interpret(list(words), Context(LIMITS))


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

    @given(st.sampled_from(sorted(COMMANDS)), st.lists(st.binary(max_size=3), max_size=6))
    def test_arity_of_each_command(self, name: bytes, arguments: list[bytes]) -> None:
        """``interpret`` has the rule written out, for speed: it refuses what ``takes`` does, and never lets it by."""
        command = COMMANDS[name]
        refused = meant(name, *arguments) == wrong_number_of_arguments(command.name)
        if not command.takes(1 + len(arguments)):
            self.assertTrue(refused)
        elif command.name not in ODD:
            self.assertFalse(refused)

    def test_the_numbers_are_the_format(self) -> None:
        """A log written by an older version keeps its meaning."""
        self.assertEqual((PUT, APPEND, DELETE, GET), (1, 2, 3, 4))
        self.assertEqual((IDMP_UNCHECKED, IDMP_NEW, IDMP), (5, 6, 7))

    def test_tokens(self) -> None:
        """A token goes in front of any write, in either case."""
        self.assertEqual(
            meant(b"IDMP", b"alice", b"7", b"Append", b"k", b"v"), [IDMP, b"alice", 7, [APPEND, b"k", b"v", 20]]
        )
        self.assertEqual(
            meant(b"idmp", b"#12.0", b"9223372036854775807", b"DEL", b"a"), [IDMP, b"#12.0", 2**63 - 1, [DELETE, b"a"]]
        )
        copy = [COPY, 0, 20, b"a", b"b", 0, 0]
        self.assertEqual(meant(b"idmp", b"p", b"1", b"COPY", b"a", b"b"), [IDMP, b"p", 1, copy])
        self.assertEqual(meant(b"idmp", b"new", b"1", b"put", b"k", b"v"), [IDMP, b"new", 1, [PUT, b"k", b"v"]])
        self.assertEqual(meant(b"IDMP", b"new"), [IDMP_NEW])

    def test_wrong_tokens(self) -> None:
        """What could not be judged alike each time is refused before it is proposed, and says why."""
        put = (b"PUT", b"k", b"v")
        write = "ERR IDMP takes a write command after producer and op id, as in IDMP alice 7 APPEND k v"
        op = f"ERR the op id must be a whole number from 1 to {2**63 - 1}"
        for words, text in (
            ((b"p",), "ERR wrong number of arguments for 'idmp' command"),
            ((b"p", b"1"), "ERR wrong number of arguments for 'idmp' command"),
            ((b"", b"1", *put), "ERR the producer has 0 bytes; 1 to 256 are allowed"),
            ((b"p" * 257, b"1", *put), "ERR the producer has 257 bytes; 1 to 256 are allowed"),
            ((b"#p", b"1", *put), "ERR only what IDMP NEW answered may begin with '#': name another producer"),
            ((b"p", b"1", b"GET", b"k"), write),
            ((b"p", b"1", b"PING"), write),
            ((b"p", b"1", b"IDMP", b"p", b"2", *put), write),
            ((b"p", b"1", b"IDMP", b"new"), write),
            ((b"p", b"1", b"PUT", b"k"), "ERR wrong number of arguments for 'put' command"),
            ((b"p", b"1", b"PUT", b"k", b"v" * 21), "ERR the value has 21 bytes, limits.value_bytes_max is 20"),
            *(
                ((b"p", number, *put), op)
                for number in (b"0", b"-1", b"+1", b"01", b"1.0", b"", b"x", b"9223372036854775808")
            ),
        ):
            self.assertEqual(meant(b"IDMP", *words), Error(text), words)

    def test_nested_tokens_do_not_nest(self) -> None:
        """A request made of nothing but IDMP is one refusal, however long it is."""
        self.assertIsInstance(meant(*(b"IDMP", b"p", b"1") * 3_000, b"PUT", b"k", b"v"), Error)

    def test_not_of_the_log(self) -> None:
        """Other words are left to the session."""
        self.assertIsNone(meant(b"PING"))
        self.assertIsNone(meant(b"", b"k"))

    def test_arity(self) -> None:
        """A forgotten argument is refused in Redis's words."""
        for words in ((b"GET",), (b"get", b"a", b"b"), (b"DEL",), (b"APPEND", b"k"), (b"SET", b"k"), (b"PUT",)):
            name = words[0].decode().lower()
            self.assertEqual(meant(*words), Error(f"ERR wrong number of arguments for '{name}' command"))

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
        """COMMAND tells the truth about which commands write, by the entries that they make."""
        for words in SAMPLES:
            command = COMMANDS[words[0]]
            for db in (0, 3):
                self.assertIn(entry_of(words, db)[0], command.codes, words)
            self.assertEqual(("write" in command.flags), "readonly" not in command.flags, words)
            wrote = WRITES | READS if command.name == "getex" else WRITES | {IDMP, IDMP_NEW}
            read = {SCRIPT} if command.name.endswith("_ro") else READS  # a script is no ordinary read: it has a slot
            self.assertLessEqual(set(command.codes), wrote if "write" in command.flags else read, words)
        self.assertEqual({words[0] for words in SAMPLES}, set(COMMANDS), "each command has a sample")

    def test_keys(self) -> None:
        """A client library that spreads keys over servers, or a rule about keys, finds all of them in every request."""
        for words in SAMPLES:
            entry = entry_of(words)
            keys = [words[position] for position in COMMANDS[words[0]].key_positions(words)]
            self.assertEqual(keys, [word for word in words[1:] if word.startswith(b"k:")], words)
            self.assertEqual(_keys_in(entry), set(keys), words)


def _keys_in(entry: Argument) -> set[bytes]:
    if isinstance(entry, bytes):
        return {entry} if entry.startswith(b"k:") else set()
    return {key for each in entry for key in _keys_in(each)} if isinstance(entry, list) else set()
