"""Declarations of commands: what each says, and what cannot be declared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.registry import NO_CHANNELS, NO_KEYS, Command, KeySpec, table


def command(name: str = "test", arity: int = -2, **facts: Any) -> Command:
    """A command, with the facts that matter."""
    others: dict[str, Any] = {"flags": (), "group": "dkv", "since": "0.1.0", "arguments": "", "summary": ""}
    return Command(name=name, arity=arity, **others | {"channels": NO_CHANNELS, "category": "read"} | facts)


class RegistryTests(SynchronousTestCase):
    """Each command is declared once, and whole."""

    def test_no_command_without_keys(self) -> None:
        """A rule about keys must see those of every command, so none can be declared that does not name its keys."""
        for facts in ({}, {"keys": None}, {"keys": 1}):
            with self.assertRaises(TypeError):
                command(**facts)

    def test_no_command_without_channels_and_category(self) -> None:
        """A command that everybody may use must say so: what was forgotten would be allowed, or judged as another."""
        whole: dict[str, Any] = {"keys": NO_KEYS, "channels": NO_CHANNELS, "category": "read"}
        facts: dict[str, Any] = {"flags": (), "group": "dkv", "since": "0.1.0", "arguments": "", "summary": ""}
        Command(name="test", arity=1, **facts | whole)
        for name in whole:
            with self.assertRaises(TypeError):
                Command(name="test", arity=1, **facts | {each: whole[each] for each in whole if each != name})
        for wrong in ({"channels": NO_KEYS}, {"channels": None}, {"category": "all"}, {"category": None}):
            with self.assertRaises(TypeError):
                command(**{"keys": NO_KEYS} | wrong)

    def test_no_name_twice(self) -> None:
        """Of two commands with one name a client would get one or the other; a name in upper case is never found."""
        get = command("get", keys=NO_KEYS)
        self.assertEqual(table([get], [command("set", keys=NO_KEYS)]).keys(), {b"get", b"set"})
        for others in ([get], [command("Set", keys=NO_KEYS)]):
            with self.assertRaises(ValueError):
                table([get], others)

    def test_what_an_arity_says(self) -> None:
        """COMMAND INFO tells client libraries these numbers, which they check by the rule of Redis."""
        for arity, taken in ((3, [False, False, True, False]), (-3, [False, False, True, True])):
            known = command(arity=arity, keys=NO_KEYS)
            self.assertEqual([known.takes(words) for words in (1, 2, 3, 4)], taken)

    def test_places_of_keys(self) -> None:
        """COMMAND GETKEYS, and every rule about keys, finds them by the declaration."""

        def behind_a_number(words: list[bytes]) -> Iterable[int]:
            return range(2, 2 + int(words[1]))

        for keys, places in (
            (NO_KEYS, []),
            (KeySpec(1, 1), [1]),
            (KeySpec(1, -1), [1, 2, 3, 4]),
            (KeySpec(1, -2), [1, 2, 3]),
            (KeySpec(1, -1, 2), [1, 3]),
            (behind_a_number, [2, 3]),
        ):
            words = [b"name", b"2", b"a", b"b", b"c"]
            self.assertEqual([*command(keys=keys).key_positions(words)], places)

    def test_subcommands(self) -> None:
        """OBJECT ENCODING key has a key, OBJECT HELP has none."""
        encoding = command("object|encoding", 3, keys=KeySpec(2, 2))
        known = command("object", keys=NO_KEYS, subcommands=(encoding, command("object|help", 2, keys=NO_KEYS)))
        self.assertIs(known.subcommand(b"Encoding"), encoding)
        self.assertIsNone(known.subcommand(b"\xff"))
        for words, places in (
            ([b"OBJECT", b"ENCODING", b"k"], [2]),
            ([b"OBJECT", b"help"], []),
            ([b"OBJECT", b"encoding"], []),
            ([b"OBJECT", b"other", b"k"], []),
        ):
            self.assertEqual([*known.key_positions(words)], places)
