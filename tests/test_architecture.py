"""ARCHITECTURE.md is read before the code: its table of messages must be the one that the code has."""

from __future__ import annotations

import dataclasses
import re
from itertools import takewhile
from pathlib import Path
from types import ModuleType

from twisted.trial.unittest import SynchronousTestCase

from dkv import actor, client_events, events, messages, pubsub_messages, state_messages
from dkv.routes import ROUTES

ROOT = Path(__file__).resolve().parent.parent
MESSAGES = ["Message", "From", "To", "On disk first", "Source"]
HOUSE = ["Room of `dkv/`", "Files", "What is there"]

Table = dict[str, tuple[str, str]]
"""For each message its From and To, in words."""


def rows_under(columns: list[str], text: str) -> list[list[str]]:
    """The cells of each row of the table in ``text`` that has these ``columns``; ``ValueError`` if there is none."""
    lines = iter(text.splitlines())
    for line in lines:
        if _cells(line) == columns:
            next(lines)  # the line between head and body
            return [_cells(row) for row in takewhile(lambda row: row.startswith("|"), lines)]
    raise ValueError(f"no table with the columns {', '.join(columns)}")


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def message_table(text: str) -> Table:
    """The rows of the table of messages in ``text``; ``ValueError`` if a message has two."""
    table: Table = {}
    for name, sender, receiver, _, _ in rows_under(MESSAGES, text):
        name = name.strip("`")
        if name in table:
            raise ValueError(f"{name} has two rows")
        table[name] = (sender, receiver)
    return table


def files_named(text: str) -> set[str]:
    """The files of dkv that the table of rooms in ``text`` names, such as ``paxos/acceptor.py``."""
    rooms = [("" if room == "(top)" else room.strip("`"), files) for room, files, _ in rows_under(HOUSE, text)]
    return {f"{room}{name}.py" for room, files in rooms for name in files.split()}


def drawn(text: str) -> set[str]:
    """The names of messages in the pictures of ``text``: words with a second capital, and those behind a number."""
    pictures = "\n".join(re.findall(r"^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    return set(re.findall(r"\b(?:[A-Z][a-z]+){2,}\b|(?<=\d )[A-Z][a-z]+\b(?!-)", pictures))


def classes_of(module: ModuleType) -> set[str]:
    """The names of the messages that ``module`` itself defines."""
    return {
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and dataclasses.is_dataclass(value) and value.__module__ == module.__name__
    }


def roles_in(cell: str) -> set[str]:
    """The roles that a cell names, in the singular or the plural."""
    return {role for role in actor.ROLES if re.search(rf"\b{role}s?\b", cell)}


def disagreements(
    table: Table, between_nodes: set[str], inside: set[str], routes: dict[str, tuple[str, str]]
) -> list[str]:
    """What of ``table`` does not agree with the code, in words."""
    wrong = [f"{name} has no row" for name in sorted((between_nodes | inside) - table.keys())]
    wrong += [f"{name} is no message" for name in sorted(table.keys() - between_nodes - inside)]
    wrong += [f"{name} has no route" for name in sorted(between_nodes - routes.keys())]
    for name, ends in routes.items():
        for cell, role in zip(table.get(name, ()), ends, strict=False):
            if role not in roles_in(cell):
                wrong.append(f"{name}: {cell!r} does not name the {role}")
    return wrong


BETWEEN_NODES = classes_of(messages) | classes_of(state_messages) | classes_of(pubsub_messages)
IN_ONE_NODE = classes_of(events) | classes_of(client_events)


class ArchitectureTests(SynchronousTestCase):
    def test_the_table_is_that_of_the_code(self) -> None:
        """Whoever follows a message through the page must not look for one that is gone, or miss one that is new."""
        table = message_table((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"))
        routes = {cls.__name__: ends for cls, ends in ROUTES.items()}
        self.assertEqual(disagreements(table, BETWEEN_NODES, IN_ONE_NODE, routes), [])

    def test_the_files_are_those_of_the_code(self) -> None:
        """A newcomer looks for a part on the page first: a file that is not named, or is gone, costs an hour."""
        home = ROOT / "dkv"
        files = {str(path.relative_to(home)) for path in home.rglob("*.py") if path.name != "__init__.py"}
        self.assertEqual(files_named((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")), files)

    def test_the_pictures_show_messages_that_are_there(self) -> None:
        """A finger that follows a picture must not stop at a message that is no more."""
        names = drawn((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"))
        self.assertEqual(names - BETWEEN_NODES - IN_ONE_NODE, set())
        self.assertGreater(len(names), 15)


class RuleTests(SynchronousTestCase):
    """The comparison complains about what differs, and only then."""

    HEAD = "\n| Message | From | To | On disk first | Source |\n|---|---|---|---|---|\n"

    def test_table(self) -> None:
        """A table that is not found, or not read to its end, would agree with anything."""
        text = f"words\n{self.HEAD}| `A` | proposer | acceptors | no | - |\n| `B` | x | y | no | - |\n\n| `C` | z |\n"
        self.assertEqual(message_table(text), {"A": ("proposer", "acceptors"), "B": ("x", "y")})
        self.assertRaises(ValueError, message_table, "| Message | From |\n")
        self.assertRaises(ValueError, message_table, self.HEAD + "| `A` | x | y | no | - |\n" * 2)

    def test_files(self) -> None:
        """Files of every room are seen, and of none."""
        head = "| Room of `dkv/` | Files | What is there |\n|---|---|---|\n"
        named = files_named(f"{head}| (top) | actor keys | values |\n| `kv/` | machine | meaning |\n")
        self.assertEqual(named, {"actor.py", "keys.py", "kv/machine.py"})

    def test_drawn(self) -> None:
        """Messages are seen behind their numbers, and long names anywhere; words of pictures are no messages."""
        text = "Prose NotThis\n```\n a --1 Poll, 2 PollAnswer--> b  Missing\n 3 Client-\n```\n```python\n4 No\n```\n"
        self.assertEqual(drawn(text), {"Poll", "PollAnswer"})

    def test_classes(self) -> None:
        """What a module only imports is not its message."""
        self.assertIn("Prepare", classes_of(messages))
        self.assertNotIn("Ballot", classes_of(messages))
        self.assertIn("TimerFired", classes_of(events))

    def test_disagreements(self) -> None:
        """Each kind of difference is seen by itself."""
        table = {"A": ("proposer", "acceptors; its own first"), "B": ("gateway", "learner of its node")}
        routes = {"A": (actor.PROPOSER, actor.ACCEPTOR)}
        self.assertEqual(disagreements(table, {"A"}, {"B"}, routes), [])
        self.assertEqual(disagreements(table, {"A"}, {"B", "C"}, routes), ["C has no row"])
        self.assertEqual(disagreements(table, {"A"}, set(), routes), ["B is no message"])
        self.assertEqual(disagreements(table, {"A", "B"}, set(), routes), ["B has no route"])
        turned = disagreements(table, {"A"}, {"B"}, {"A": (actor.ACCEPTOR, actor.PROPOSER)})
        self.assertEqual(len(turned), 2)
