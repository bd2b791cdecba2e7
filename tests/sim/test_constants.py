"""The table of constants that a run draws: it knows every one of the actors' modules, and a run leaves none changed."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.sim.constants import COPIES, SMALL, constants, draw_constants
from dkv.sim.run import run

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("paxos", "paxos/classic", "kv", "kv/words", "kv/appliers", "kv/scripts", "gateway", "host")
"""Rooms whose code a simulated node runs."""

CODES = "dkv.kv.codes"
"""The module of nothing but numbers of the stored format."""

OPERATIONS = {f"dkv.kv.membership.{name}" for name in ("ADD", "PROMOTE", "REMOVE", "MOVE", "NAME")}
"""The operations of a change of members."""

SCRIPT_OPERATIONS = "dkv.kv.scripts.operations"
"""The module of the operations of scripts: numbers of the stored format, too."""

FIXED = {
    "dkv.host.host.FROZEN_SECONDS": "nodes of a run are paused for longer",
    "dkv.host.host.LEARNER_SECONDS": "no time passes in a turn of a simulated node",
    "dkv.host.layers.KEY_OVERHEAD_BYTES": "what Python takes for a key, whatever is set",
    "dkv.kv.registry.SUBCOMMAND_BYTES_MAX": "how long a quoted subcommand of an error is, as in Redis",
    "dkv.kv.registry.WORD_BYTES_MAX": "how long a quoted word of an error is",
    "dkv.kv.appliers.random_key.DEAD_AT_ONCE": "with a smaller one there would be no key where there are some",
    "dkv.kv.appliers.iteration.MATCHED": "no simulated transaction comes near what is too much",
    "dkv.kv.appliers.iteration.READ_PATTERN": "the same",
    "dkv.kv.appliers.sums.DIGIT": "the same",
    "dkv.kv.scripts.script_calls.CALL": "the same",
    "dkv.kv.scripts.script_calls.KEYS_AT_ONCE": "the same",
    "dkv.kv.appliers.whole_databases.COUNT": "the same",
    "dkv.kv.appliers.whole_databases.FLUSH": "the same",
    "dkv.kv.effort.ARGUMENTS_FEW": "the same",
    "dkv.kv.effort.EFFORT_MAX": "the same; results that are too large are undone alike",
    "dkv.kv.effort.LOOK": "the same",
    "dkv.kv.effort.PAGE": "the same",
    "dkv.kv.surveyor.ANSWER_BYTES_MAX": "the most that memory holds, and the error beyond it says so",
    "dkv.kv.databases.SPACES": "all that a byte can say",
    "dkv.kv.glob.PATTERN_BYTES_MAX": "what is refused is the same on all nodes",
    "dkv.kv.membership.ID_MAX": "of the stored format",
    "dkv.kv.membership.INCARNATION_MAX": "of the stored format",
    "dkv.kv.plain_keys.PLACES_MAX": "it grows up to it from a few places, and each growth is the same",
    "dkv.kv.appliers.other_keys.EMBEDDED_BYTES_MAX": "as in Redis",
    "dkv.kv.numerals.INTEGER_MAX": "of 64 bits",
    "dkv.kv.numerals.INTEGER_MIN": "of 64 bits",
    "dkv.kv.numerals.TEXT_BYTES_MAX": "the same on all nodes: whether a value is a number follows from it",
    "dkv.kv.words.all_keys.COUNT": "as in Redis",
    "dkv.kv.words.all_keys.CURSOR_MAX": "of 64 bits",
    "dkv.kv.words.lifetimes.LATEST_NOW_MS": "a rule of what is refused",
    "dkv.kv.sessions.CHECK_BYTES": "of the stored format",
    "dkv.kv.sessions.OP_MAX": "of the stored format",
    "dkv.kv.sessions.PRODUCER_BYTES_MAX": "the same on all nodes, as commands in the log are read by it",
    "dkv.kv.stored.DEADLINE_MAX": "of the stored format",
    "dkv.kv.stored.HEADER_BYTES": "of the stored format",
    "dkv.kv.stored.HEADER_BYTES_WITH_DEADLINE": "of the stored format",
    "dkv.kv.stored.STRING": "of the stored format",
    "dkv.kv.stored.STRING_WITH_DEADLINE": "of the stored format",
    "dkv.kv.tombstones.BUCKET_BYTES": "of the stored format",
    "dkv.paxos.held_mark.HELD_SECONDS": "nobody in a run waits for what it puts off",
    "dkv.paxos.clock_watch.OFF_SECONDS": "it decides what is said, and nothing else",
    "dkv.paxos.held_time.KEPT_MS": "what users are promised of deadlines follows from it",
    "dkv.paxos.held_time.DOUBT_SECONDS": "the same",
    "dkv.paxos.held_time.NUDGE": "the same",
    "dkv.paxos.held_time.UNSET_MS": "the same",
    "dkv.paxos.lead_time.LEAP_MS": "the same",
    "dkv.paxos.lead_time.RATE": "the same",
    "dkv.paxos.digests.AGREEING_MIN": "the rule that one node's word fences nobody",
    "dkv.paxos.state_checker.AGREEING_MIN": "the same rule",
    "dkv.paxos.heartbeats.NO_BOOT": "no limit: it stands for none",
}
"""Those that stay as they are, and why."""


def numbers(module: str, source: str) -> set[str]:
    """The public constants of a module that are a number, or a few of them."""
    found = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign):
            for name in [each.id for each in ast.walk(node.targets[0]) if isinstance(each, ast.Name)]:
                value: Any = getattr(import_module(module), name)
                plain = isinstance(value, int | float) or (isinstance(value, tuple) and {*map(type, value)} == {float})
                if name.isupper() and not name.startswith("_") and plain:
                    found.add(f"{module}.{name}")
    return found


class ConstantTests(SynchronousTestCase):
    def test_every_one_is_drawn_or_has_a_reason(self) -> None:
        """A limit that no run reaches hides what happens there."""
        found = set()
        for room in ROOMS:
            for path in (ROOT / "dkv" / room).glob("*.py"):
                if path.stem != "__init__":
                    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                    found |= numbers(module, path.read_text(encoding="utf-8"))
        found = {name for name in found - OPERATIONS if not name.startswith((f"{CODES}.", f"{SCRIPT_OPERATIONS}."))}
        self.assertEqual(found - SMALL.keys() - FIXED.keys(), set())
        self.assertEqual({name for name in SMALL if name.split(".")[1] in ROOMS} - found, set())

    def test_every_copy_is_known(self) -> None:
        """One that a module took by its name stays as it was, and the two disagree."""
        for path in (ROOT / "dkv").rglob("*.py"):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom):
                    for alias in node.names:
                        name = f"{node.module}.{alias.name}"
                        if name in SMALL:
                            self.assertIn(module, COPIES.get(name, ()), name)

    def test_everything_is_as_before(self) -> None:
        """A run that left a constant changed would make the next one another than its seed says."""

        def held() -> dict[str, Any]:
            paths = [(home, name) for home, _, name in (path.rpartition(".") for path in SMALL)]
            paths += [(copy, path.rpartition(".")[2]) for path, copies in COPIES.items() for copy in copies]
            return {f"{home}.{name}": getattr(import_module(home), name) for home, name in paths}

        before = held()
        with constants({name: values[0] for name, values in SMALL.items()}):
            self.assertEqual([name for name in SMALL if held()[name] != SMALL[name][0]], [])
            self.assertEqual(held()["dkv.gateway.gateway.LULL_SECONDS"], SMALL["dkv.gateway.gathering.LULL_SECONDS"][0])
        self.assertEqual(held(), before)
        run(2, 3, 1.0)
        self.assertEqual(held(), before)

    def test_each_is_drawn(self) -> None:
        """Seeds differ in them, and some have none."""
        drawn = [draw_constants(Random(seed)) for seed in range(200)]
        self.assertIn({}, drawn)
        for name, values in SMALL.items():
            self.assertEqual({each[name] for each in drawn if name in each}, set(values), name)
