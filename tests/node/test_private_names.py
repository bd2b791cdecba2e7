"""What dkv uses that is private to Twisted: a new version of Twisted that lacks it is found here, by name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dkv.node import reactor as module
from dkv.node.reactor import LOOP_NAMES, TRANSPORT_NAMES, missing_names

DKV = Path(module.__file__).parents[1]
PUBLIC = frozenset(("os._exit",))
"""Names with an underscore that their owners document."""


def private_names_of_others(source: str, own: frozenset[str]) -> Iterator[tuple[int, str]]:
    """(line, name) of each attribute with one underscore in front that is not ``own``: nobody in dkv has it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            if node.attr not in own and ast.unparse(node) not in PUBLIC:
                yield node.lineno, node.attr


def names_defined(source: str) -> Iterator[str]:
    """The names of functions and of attributes that are assigned, in a class or through ``self``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


class Renamed:
    """A reactor without ``name``."""

    def __init__(self, reactor: Any, name: str) -> None:
        self._reactor = reactor
        self._name = name

    def __getattr__(self, name: str) -> Any:
        if name == self._name:
            raise AttributeError(name)
        return getattr(self._reactor, name)


class PrivateNamesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor: Any = EPollReactor()
        self.addCleanup(self.reactor._poller.close)
        self.addCleanup(self.reactor.waker.connectionLost, None)

    def test_this_version_of_twisted_has_them_all(self) -> None:
        """A node under a Twisted that lacks one is slower, and says so; whoever raises the version must know before."""
        self.assertEqual(missing_names(self.reactor), [])

    def test_each_that_is_missing_is_named(self) -> None:
        """A name that nobody looks for would end every connection with an AttributeError."""
        for name in LOOP_NAMES:
            self.patch(module, "EPollReactor", Renamed)
            self.assertEqual(missing_names(Renamed(self.reactor, name)), [f"EPollReactor.{name}"])
        for name in TRANSPORT_NAMES:
            self.patch(module, "TRANSPORT_NAMES", (f"{name}_of_before",))
            self.assertEqual(missing_names(Clock()), [f"Connection.{name}_of_before"])

    def test_another_reactor_needs_none_of_the_loop(self) -> None:
        """Its loop is left alone: nothing can be missing there."""
        self.assertEqual(missing_names(Clock()), [])

    def test_they_are_used_in_one_file(self) -> None:
        """A private name that stands elsewhere is not tried, and not left out by the setting."""
        sources = {path.relative_to(DKV).as_posix(): path.read_text() for path in DKV.rglob("*.py")}
        own = frozenset(name for source in sources.values() for name in names_defined(source))
        found = {path: {name for _, name in private_names_of_others(text, own)} for path, text in sources.items()}
        expected = {name for name in (*LOOP_NAMES, *TRANSPORT_NAMES) if name.startswith("_")}
        self.assertEqual({path: names for path, names in found.items() if names}, {"node/reactor.py": expected})
