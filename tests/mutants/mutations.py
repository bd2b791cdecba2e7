"""Which mistakes can be made where: Cosmic Ray's operators, and one that leaves a statement out."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import ndiff
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import parso
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Example, Operator
from cosmic_ray.plugins import get_operator, operator_names

# A "|" joins types nearly everywhere, and annotations are never evaluated; a decorator lost is an import error, mostly.
_LEFT_OUT = re.compile(r"BinaryOperator_BitOr_|RemoveDecorator|VariableInserter|VariableReplacer")

_NEUTRAL = re.compile(r"-(@|[A-Z_]*(MAX|MIN|SECONDS|SLOTS|BYTES|DRAIN) = )")
"""Changed lines that decide nothing: decorators, and how much or how long where a little more would do as well."""

_TELLS_ONLY = re.compile(r"\s*(turn\.note\(|self\.\w*log\w*\.|\"\"\"|r?\")")
"""Statements for people who look at a node: its work is the same without them."""

Span = tuple[tuple[int, int], tuple[int, int]]


class LeaveStatementOut(Operator):  # type: ignore[misc]  # Cosmic Ray has no types
    """Replace a call or an assignment that stands by itself with ``pass``."""

    def mutation_positions(self, node: Any) -> Iterator[Span]:
        """The one statement that ``node`` may be."""
        if node.type == "simple_stmt" and len(node.children) == 2 and self._acts(node.children[0]):
            yield node.children[0].start_pos, node.children[0].end_pos

    def _acts(self, statement: Any) -> bool:
        if _TELLS_ONLY.match(statement.get_code()):
            return False
        is_call = statement.type == "atom_expr" and statement.children[-1].children[0].value == "("
        assigns = statement.type == "expr_stmt" and "annassign" not in {child.type for child in statement.children}
        return is_call or (assigns and statement.get_first_leaf().value == "self")

    def mutate(self, node: Any, index: int) -> Any:
        """The same line with ``pass`` in the statement's place."""
        assert index == 0
        node.children[0] = parso.parse(f"{node.children[0].get_first_leaf().prefix}pass")
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """What it does, by example; ``check_examples`` runs them."""
        return (
            Example("if x:\n    self.y = 1\n", "if x:\n    pass\n"),
            Example("def f():\n    g(1)\n    return 2\n", "def f():\n    pass\n    return 2\n"),
        )


@dataclass(frozen=True, slots=True)
class Mutant:
    """The file ``path``, below the root of the project, with one mistake in it: its ``code``, and what differs."""

    path: Path
    code: str
    change: tuple[str, ...]
    """The lines that differ, without indentation, each behind ``-`` or ``+``."""


def check_examples() -> None:
    """``AssertionError`` if the operator of our own does not do what it says."""
    for example in LeaveStatementOut.examples():
        assert mutate_code(example.pre_mutation_code, LeaveStatementOut(), 0) == example.post_mutation_code, example


def sample(paths: list[Path], root: Path, count: int, random: Random) -> list[Mutant]:
    """``count`` mutants, or all there are: places are drawn evenly, then one of the mistakes that can be made there."""
    places: defaultdict[tuple[Path, Span], list[tuple[Operator, int]]] = defaultdict(list)
    for path in paths:
        tree = get_ast((root / path).read_text())
        for operator in _operators():
            spans = [span for node in ast_nodes(tree) for span in operator.mutation_positions(node)]
            for occurrence, span in enumerate(spans):
                places[path, span].append((operator, occurrence))
    drawn = random.sample(sorted(places, key=str), len(places))
    mutants = (_mutant(root, path, *random.choice(places[path, span])) for path, span in drawn)
    return list(islice(filter(_means_something, mutants), count))


def _operators() -> list[Operator]:
    names = [name for name in sorted(operator_names()) if not _LEFT_OUT.search(name)]
    return [LeaveStatementOut(), *(get_operator(name)() for name in names)]


def _mutant(root: Path, path: Path, operator: Operator, occurrence: int) -> Mutant:
    before = (root / path).read_text()
    after = mutate_code(before, operator, occurrence)
    assert after is not None, f"{operator} has no occurrence {occurrence} in {path}"
    lines = ndiff(before.splitlines(), after.splitlines())
    return Mutant(path, after, tuple(line[0] + line[2:].strip() for line in lines if line[0] in "-+"))


def _means_something(mutant: Mutant) -> bool:
    """Whether it is Python at all, and not neutral."""
    try:
        compile(mutant.code, mutant.path, "exec")
    except SyntaxError:
        return False
    return not any(_NEUTRAL.match(line) for line in mutant.change)
