"""The table of what actors note is true: somebody notes each event, nobody another one, and the page lists the lines.

That each is noted with its own fields, and taken with them, mypy checks.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dkv import noted
from dkv.actor import ACCEPTOR, CHECKER, ELECTOR, GATEWAY, HOST, LEARNER, PROPOSER, ROSTER, SURVEYOR
from dkv.node.logs import FIRST_KEYS
from tests.test_architecture import rows_under
from tests.test_tidy import modules

PAGE = Path(__file__).resolve().parent.parent / "docs" / "operations.md"
ROOMS = {"gateway": GATEWAY, "host": HOST, "kv": LEARNER, "node": HOST}
"""Rooms in which all that note do so as one actor, or as the host."""
PARTS = {
    "clock_watch": PROPOSER,
    "digests": LEARNER,
    "hearing": ELECTOR,
    "held_mark": ACCEPTOR,
    "leadership": PROPOSER,
    "pace": PROPOSER,
    "roster": ROSTER,
    "space": ELECTOR,
    "state_checker": CHECKER,
    "succession": ELECTOR,
    "surveyor": SURVEYOR,
    "tail": LEARNER,
}
"""Parts of actors in ``paxos``, and actors of ``kv`` and the node. Others of ``paxos`` are actors of their names."""


def noter(module: str) -> str:
    """The role as which a module of dkv notes."""
    _, room, *_, name = module.split(".")
    return PARTS.get(name) or ROOMS.get(room, name)


def noted_in(source: str) -> set[str]:
    """The events of the table that a module notes."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    notes = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr in ("note", "_note")]
    parts = [part for call in notes for argument in call.args for part in ast.walk(argument)]
    return {part.attr for part in parts if isinstance(part, ast.Attribute) and _is_table(part.value)}


def _is_table(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "noted"


def levels_in(page: str) -> dict[str, str]:
    """The level of each event that the page of operations lists; the last level of a row is that of the rest too."""
    levels: dict[str, str] = {}
    for events, level, _ in rows_under(["Event", "Level", "What it tells"], page):
        names, words = re.findall(r"`(\w+)`", events), level.split(", ")
        levels |= zip(names, words + words[-1:] * (len(names) - len(words)), strict=True)
    return levels


class TableTests(SynchronousTestCase):
    def test_every_event_is_noted_by_whom_the_table_says(self) -> None:
        """Who looks in the table for what to alert on would wait for a line that nothing writes."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for name, source in modules("dkv"):
            for event in noted_in(source):
                found[event].add(noter(name))
        self.assertEqual(found, {event.name: set(event.by) for event in noted.TABLE})

    def test_every_event_has_a_sentence(self) -> None:
        """A name alone tells an operator little; and each constant is its own name, by which one finds it."""
        for event in noted.TABLE:
            self.assertIs(getattr(noted, event.name), event)
            self.assertRegex(event.meaning, r"(?s)\A[A-Z`].+\.\Z", event.name)

    def test_no_field_hides_those_of_every_line(self) -> None:
        """A line whose ``node`` is another one than the node that writes it sends an operator to the wrong machine."""
        forms = ast.parse(Path(noted.__file__).read_text(encoding="utf-8")).body
        fields = {
            each.name: {a.arg for a in each.args.kwonlyargs} for each in forms if isinstance(each, ast.FunctionDef)
        }
        self.assertGreater(len(fields), len(noted.TABLE) - 1)
        self.assertEqual({name: found for name, found in fields.items() if found & {*FIRST_KEYS}}, {})

    def test_the_page_lists_every_line(self) -> None:
        """An operator who looks up a line of the log finds it, with the level that it has; measures are no lines."""
        page = levels_in(PAGE.read_text(encoding="utf-8"))
        levels = {event.name: event.level for event in noted.TABLE}
        self.assertEqual({name: page.get(name) for name in levels}, levels)


class RuleTests(SynchronousTestCase):
    def test_noted_in(self) -> None:
        """Every way in which an event is noted is seen."""
        self.assertEqual(noted_in("turn.note(noted.leading, ballot=noted.nothing)"), {"leading"})
        self.assertEqual(noted_in("self._note(HOST, noted.committed)"), {"committed"})
        self.assertEqual(noted_in("turn.note(noted.a if led else noted.b)"), {"a", "b"})
        self.assertEqual(noted_in("noted.leading.to(self._on_leading)"), set())

    def test_levels(self) -> None:
        """One level for all events of a row, or one for each, or the last for all that are left."""
        head = "| Event | Level | What it tells |\n|-|-|-|\n"
        page = head + "| `a`, `b` | info | x |\n| `c`, `d`, `e` | error, info | x |\n"
        self.assertEqual(levels_in(page), {"a": "info", "b": "info", "c": "error", "d": "info", "e": "info"})
