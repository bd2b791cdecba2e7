"""The clients that ask a node about its commands can read its answers."""

from __future__ import annotations

from typing import Any

from dkv.console.client_session import TABLE
from dkv.console.introspection import command_docs, command_info
from dkv.replies import SetOf, Simple
from tests.console.spoken import Spoken


def names(reply: Any) -> list[str]:
    """A list of names, as text."""
    return [name.decode() for name in reply]


class IntrospectionTests(Spoken):
    """COMMAND and HELP."""

    def test_command_info(self) -> None:
        """Cluster-aware libraries find the keys of a command by it."""
        put, delete, idmp, ping = (self.facts(name) for name in (b"PUT", b"del", b"idmp", b"ping"))
        self.assertEqual(put, (b"put", -3, ["write", "denyoom"], 1, 1, 1, ["@write", "@slow"]))
        self.assertEqual(delete, (b"del", -2, ["write"], 1, -1, 1, ["@write", "@keyspace", "@slow"]))
        self.assertEqual(ping, (b"ping", -1, ["fast"], 0, 0, 0, ["@connection", "@fast"]))
        self.assertEqual(idmp[2], ["write", "no_multi", "movablekeys"])

    def facts(self, name: bytes) -> tuple[Any, ...]:
        """Name, arity, flags, keys and categories."""
        ((found),) = command_info(TABLE, [name])
        assert isinstance(found, list) and isinstance(found[2], SetOf) and isinstance(found[6], SetOf)
        flags, categories = ([each.text for each in kind.members if isinstance(each, Simple)] for kind in found[2:7:4])
        return (*found[:2], flags, *found[3:6], categories)

    def test_key_specifications(self) -> None:
        """The same, as libraries for version 7 read it: the last key counts from the first."""
        for name, first, last, step in ((b"get", 1, 0, 1), (b"del", 1, -1, 1)):
            (found,) = command_info(TABLE, [name])
            assert isinstance(found, list) and isinstance(found[8], SetOf)
            (specification,) = found[8].members
            assert isinstance(specification, dict)
            self.assertEqual(specification[b"begin_search"], {b"type": b"index", b"spec": {b"index": first}})
            spec = {b"lastkey": last, b"keystep": step, b"limit": 0}
            self.assertEqual(specification[b"find_keys"], {b"type": b"range", b"spec": spec})

    def test_subcommands(self) -> None:
        """They have names of their own, and are among the facts of their command."""
        (client,) = command_info(TABLE, [b"client"])
        assert isinstance(client, list) and isinstance(client[9], list)
        self.assertIn(b"client|id", [each[0] for each in client[9] if isinstance(each, list)])
        self.assertEqual(self.facts(b"CLIENT|id")[:2], (b"client|id", 2))
        self.assertEqual(command_info(TABLE, [b"client|nope", b"nope|id"]), [None, None])

    def test_command_docs(self) -> None:
        """redis-cli shows the arguments while one types."""
        docs, text = command_docs(TABLE, [b"append", b"quit", b"client", b"client|id", b"nope"]), b"key value"
        append, quit, client = docs[b"append"], docs[b"quit"], docs[b"client"]
        assert isinstance(append, dict) and isinstance(quit, dict) and isinstance(client, dict)
        self.assertEqual(append[b"arguments"], [{b"name": text, b"type": b"string", b"display_text": text}])
        self.assertNotIn(b"arguments", quit)
        subcommands = client[b"subcommands"]
        assert isinstance(subcommands, dict)
        self.assertEqual(subcommands[b"client|id"], docs[b"client|id"])
        self.assertNotIn(b"nope", docs)

    def test_command(self) -> None:
        """redis-cli completes and explains the commands that are here, and no others."""
        self.assertEqual(self.reply("COMMAND COUNT"), len(TABLE))
        self.assertEqual([command[0] for command in self.reply("COMMAND")], list(TABLE))
        self.assertEqual([command[0] for command in self.reply("COMMAND INFO")], list(TABLE))
        self.assertEqual([docs and docs[0] for docs in self.reply("COMMAND INFO GET nope")], [b"get", None])
        self.assertEqual(list(self.reply("COMMAND DOCS Get nope")), [b"get"])
        self.assertEqual(set(self.reply("COMMAND DOCS")), set(TABLE))
        self.assertEqual(self.refusal("COMMAND NOPE"), "ERR unknown subcommand 'NOPE'. Try COMMAND HELP.")
        self.assertIn("for 'command|count' command", self.refusal("COMMAND COUNT x"))

    def test_list(self) -> None:
        """All names, or those that a filter leaves."""
        everything = names(self.reply("COMMAND LIST"))
        self.assertLessEqual({"get", "client", "client|id", "dkv.status"}, set(everything))
        self.assertEqual(names(self.reply("COMMAND LIST FILTERBY PATTERN CLIENT|*ET*")),
                         ["client|getname", "client|setinfo", "client|setname"])  # fmt: skip
        transactions = {"watch", "unwatch", "multi", "exec", "discard"}
        self.assertEqual(set(names(self.reply("COMMAND LIST FILTERBY ACLCAT transaction"))), transactions)
        for line in ("MODULE x", "ACLCAT nope", f"PATTERN {'*a' * 1_000}"):
            self.assertEqual(self.reply(f"COMMAND LIST FILTERBY {line}"), [])
        for line in ("x", "FILTERBY", "FILTERBY NOPE x"):
            self.assertEqual(self.refusal(f"COMMAND LIST {line}"), "ERR syntax error")

    def test_keys(self) -> None:
        """A proxy finds out which keys a request is about."""
        for line, keys in (
            ("get x", [b"x"]),
            ("DEL a b", [b"a", b"b"]),
            ("watch a b", [b"a", b"b"]),
            ("IDMP a 1 SET x 1", [b"x"]),
            ("EVALSHA x 1 a b", [b"a"]),
            ("EVAL x 0 a", []),
            ("EVAL x 5 a", []),
        ):
            self.assertEqual(self.reply(f"COMMAND GETKEYS {line}"), keys)
        for line, text in (
            ("", "wrong number of arguments for 'command|getkeys' command"),
            ("nope x", "Invalid command specified"),
            ("client nope", "Invalid command specified"),
            ("get", "Invalid number of arguments specified for command"),
            ("client id x", "Invalid number of arguments specified for command"),
            ("ping", "The command has no key arguments"),
            ("client id", "The command has no key arguments"),
            ("script load x", "The command has no key arguments"),
        ):
            self.assertEqual(self.refusal(f"COMMAND GETKEYS {line}"), f"ERR {text}")
