"""Rules of the house that no type or lint checks: who imports whom, how long things are, what nobody finished.

Each rule is a function from a module's name and source to complaints; each is shown to complain about a source that
breaks it, and then let loose on the project.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.same_names import SAME_NAMES

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("dkv", "benchmarks", "twisted", "tests")
FOR_DEVELOPERS = ("benchmarks", "tests")
"""What is not in the wheel, so nothing in it may import that."""
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
HANDLER_LINES_MAX = 40
REACTOR_HOMES = [
    ("dkv.client.twisted", "_global_reactor"),  # for programs of users, which may hand in another one
    ("dkv.node.service", "the_reactor"),  # for nodes, whoever owns them
]
MARKS = ("OD".join("TO"), "FIX" + "ME", "X" * 3)  # put together, so as not to be found here
INSTALLED_BY_NAME = re.compile(r"\bpip3? install\b[^\n;|]*[\s'\"`]dkv\b(?![-/.])")
UNFINISHED = re.compile(r"\b(" + "|".join(MARKS) + r")\b")

VOCABULARY = frozenset(
    (
        *("actor", "asserts", "ballot", "client_events", "configurations", "events", "identity", "keys", "messages"),
        *("noted", "pubsub_messages", "records", "replies", "routes", "settings", "state_messages", "state_sum"),
    )
)
NOT_PURE = frozenset(
    ("asyncio", "datetime", "os", "random", "secrets", "socket", "subprocess", "threading", "time", "uuid")
)
"""What reads a clock, the machine or chance: not for code that the simulator must be able to repeat."""


@dataclass(frozen=True)
class Room:
    """What a package may import: ``inside`` dkv (its own room always), ``outside`` (None is anything) beside the
    standard library, and what of that it may not."""

    inside: frozenset[str]
    outside: frozenset[str] | None = frozenset()
    never: frozenset[str] = frozenset()


_LOWER = frozenset(
    (
        *("vocabulary", "paxos", "kv", "gateway", "host", "wire", "storage", "net", "config", "console", "node"),
        *("pubsub", "security", "tls"),
    )
)
ROOMS = {
    "vocabulary": Room(frozenset(), never=NOT_PURE),
    "paxos": Room(frozenset(("vocabulary",)), never=NOT_PURE),
    "kv": Room(frozenset(("vocabulary",)), never=NOT_PURE),
    "gateway": Room(frozenset(("vocabulary", "kv")), never=NOT_PURE),
    "host": Room(frozenset(("vocabulary", "storage.store")), never=NOT_PURE),
    "pubsub": Room(frozenset(("vocabulary", "kv.glob")), never=NOT_PURE),
    "security": Room(frozenset(("vocabulary", "kv")), never=NOT_PURE),
    "wire": Room(frozenset(("vocabulary", "kv.commands")), frozenset(("cbor2", "google_crc32c"))),
    "storage": Room(frozenset(("vocabulary",)), frozenset(("plyvel", "plyvel_next", "google_crc32c", "twisted"))),
    "net": Room(frozenset(("vocabulary", "wire", "pubsub")), frozenset(("twisted", "zope"))),
    "config": Room(frozenset(("vocabulary",)), frozenset(("twisted",))),
    "console": Room(
        frozenset(("vocabulary", "kv", "wire", "net", "host", "config", "pubsub", "security")),
        frozenset(("prometheus_client", "twisted", "zope")),
    ),
    "tls": Room(
        frozenset(("vocabulary", "net", "config", "storage.state_directories")),
        frozenset(("cryptography", "OpenSSL", "twisted", "zope")),
    ),
    "node": Room(_LOWER, None),
    "client": Room(
        frozenset(("vocabulary", "wire", "kv.codes", "kv.commands", "kv.registry")),
        frozenset(("redis", "twisted", "zope")),
    ),
    "sim": Room(_LOWER, None),
    "embedding": Room(_LOWER),
    "cli": Room(_LOWER | {"client", "sim"}, None),
    "testing": Room(_LOWER | {"client", "sim"}, None),
}


def room_of(module: str) -> str:
    """The room of a module of dkv; modules at the top are the vocabulary, or a room of their own."""
    name = module.split(".")[1] if "." in module else ""
    return "vocabulary" if name in VOCABULARY or not name else name


def imports_of(node: ast.AST) -> Iterator[tuple[int, str, str]]:
    """(line, module, name) of what one statement imports; the name is empty for ``import module``."""
    if isinstance(node, ast.Import):
        yield from ((node.lineno, alias.name, "") for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from ((node.lineno, "." * node.level + (node.module or ""), alias.name) for alias in node.names)


def wrong_imports(module: str, source: str) -> list[str]:
    """Imports against the directions of the house."""
    home = room_of(module)
    room = ROOMS[home]
    wrong = []
    imports = [each for node in ast.walk(ast.parse(source)) for each in imports_of(node)]
    for line, imported, name in imports:
        top = imported.split(".")[0]
        if top == "dkv":
            full = f"{imported}.{name}" if imported == "dkv" and name in VOCABULARY | ROOMS.keys() else imported
            other = room_of(full)
            allowed = other in room.inside | {home} or full.removeprefix("dkv.") in room.inside
        elif top in sys.stdlib_module_names:
            # The class of generators is a type for what is handed in; the module's own functions are global chance.
            allowed = top not in room.never or (imported, name) == ("random", "Random")
        else:
            named = top not in ("", *FOR_DEVELOPERS)  # the top of a relative import is empty
            allowed = named and (room.outside is None or top in room.outside)
        if not allowed:
            wrong.append(f"{module}:{line}: {home} may not import {imported} {name}".rstrip())
    return wrong


def import_circle(sources: dict[str, str]) -> list[str]:
    """Modules of which each is imported by the next, and the last is the first again; empty if there is no circle.

    Every import counts, also one for types only and one within a function: neither runs into trouble, and both say that
    none of the modules can be understood without all the others.
    """
    graph: dict[str, set[str]] = {}
    for module, source in sources.items():
        imports = [each for node in ast.walk(ast.parse(source)) for each in imports_of(node)]
        targets = [
            f"{imported}.{name}" if f"{imported}.{name}" in sources else imported for _, imported, name in imports
        ]
        graph[module] = sources.keys() & set(targets)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return circle
    return []


def reactor_imports(module: str, source: str) -> list[tuple[str, str]]:
    """(module, function) of every import of the global reactor; the function is empty at the top of a module."""
    found: list[tuple[str, str]] = []

    def visit(parent: ast.AST, function: str) -> None:
        for node in ast.iter_child_nodes(parent):
            names = [f"{imported}.{name}" for _, imported, name in imports_of(node)]
            found.extend((module, function) for name in names if f"{name}.".startswith("twisted.internet.reactor."))
            visit(node, node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else function)

    visit(ast.parse(source), "")
    return found


def too_long(module: str, source: str) -> list[str]:
    """Files and functions that nobody reads to their end; handlers of messages must fit on a screen."""
    wrong = []
    lines = len(source.splitlines())
    if lines > FILE_LINES_MAX:
        wrong.append(f"{module}: {lines} lines, more than {FILE_LINES_MAX}")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            handler = node.name == "receive" or node.name.startswith(("on_", "_on_"))
            limit = HANDLER_LINES_MAX if handler else FUNCTION_LINES_MAX
            if length > limit:
                wrong.append(f"{module}:{node.lineno}: {node.name} has {length} lines, more than {limit}")
    return wrong


def unfinished(module: str, source: str) -> list[str]:
    """Marks of what was left for later: it is done, or an issue, or dropped."""
    lines = enumerate(source.splitlines(), 1)
    return [f"{module}:{number}: {line.strip()}" for number, line in lines if UNFINISHED.search(line)]


def shared_names(sources: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Names that several files or several public classes bear, and their modules. Packages are rooms, and not files."""
    sources = list(sources)
    packages = {module.rpartition(".")[0] for module, _ in sources}
    homes = defaultdict(list)
    for module, source in sources:
        if module not in packages:
            homes[f"file {module.rpartition('.')[2]}"].append(module)
        for node in ast.parse(source).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[f"class {node.name}"].append(module)
    return {name: users for name, users in homes.items() if len(users) > 1}


def modules(*folders: str) -> Iterator[tuple[str, str]]:
    """(dotted name, source) of every module in the folders."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path.read_text(encoding="utf-8")


class ProjectTests(SynchronousTestCase):
    def test_imports_follow_the_directions(self) -> None:
        """An actor that imports Twisted or reads a clock cannot be simulated, and its bugs cannot be repeated."""
        wrong = [line for name, source in modules("dkv") for line in wrong_imports(name, source)]
        self.assertEqual(wrong, [])

    def test_no_import_circles(self) -> None:
        """Modules that import each other can only be read, tested and replaced together."""
        self.assertEqual(import_circle(dict(modules("dkv"))), [])

    def test_the_reactor_is_imported_in_one_function(self) -> None:
        """Another import of the reactor, in nodes or in a client, is another clock and network that no test can
        replace."""
        found = [place for name, source in modules("dkv") for place in reactor_imports(name, source)]
        self.assertEqual(found, REACTOR_HOMES)

    def test_twisted_keeps_its_own_package(self) -> None:
        """An __init__.py here would hide Twisted itself, or be installed over Twisted's."""
        self.assertEqual(list((ROOT / "twisted").rglob("__init__.py")), [])
        self.assertEqual(len(list((ROOT / "twisted" / "plugins").glob("*.py"))), 1)

    def test_nothing_is_too_long_to_read(self) -> None:
        """The project is meant to be read by those who run it."""
        wrong = [line for name, source in modules(*FOLDERS) for line in too_long(name, source)]
        self.assertEqual(wrong, [])

    def test_nothing_is_left_for_later(self) -> None:
        """A promise in a comment is kept by nobody."""
        wrong = [line for name, source in modules(*FOLDERS) for line in unfinished(name, source)]
        self.assertEqual(wrong, [])

    def test_every_package_has_a_room(self) -> None:
        """A package that the table does not know would be bound by no rule."""
        packages = {path.parent.name for path in (ROOT / "dkv").glob("*/__init__.py")}
        self.assertEqual(packages - ROOMS.keys(), set())
        self.assertIn("paxos", packages)

    def test_the_versions_of_python_agree(self) -> None:
        """A version that is declared and not tried, or tried and not declared, works by chance."""
        setup = (ROOT / "setup.cfg").read_text(encoding="utf-8")
        versions = re.findall(r"Programming Language :: Python :: (3\.\d+)$", setup, re.MULTILINE)
        self.assertEqual(versions, [f"3.{minor}" for minor in range(11, 15)])
        self.assertIn("python_requires = >=3.11,<3.15\n", setup)
        environments = "".join(f"py{version.replace('.', '')}, " for version in versions)
        self.assertIn(f"env_list = {environments}types", (ROOT / "tox.ini").read_text(encoding="utf-8"))
        found = (ROOT / ".ci" / "pythons").read_text(encoding="utf-8")
        self.assertIn(f"for version in {' '.join(versions)}; do", found)

    def test_nothing_is_installed_by_the_name_of_dkv(self) -> None:
        """dkv is on no package index: what is there under its name is somebody else's."""
        pages = [
            *ROOT.glob("*.md"),
            *ROOT.rglob("docs/**/*.md"),
            *filter(Path.is_file, ROOT.rglob("etc/**/*")),
            ROOT / "Makefile",
        ]
        texts = [path.read_text(encoding="utf-8") for path in pages] + [source for _, source in modules("dkv")]
        self.assertEqual([hit for text in texts for hit in INSTALLED_BY_NAME.findall(text)], [])
        self.assertTrue(INSTALLED_BY_NAME.search("pip install --upgrade 'dkv[cli]'"))
        self.assertFalse(INSTALLED_BY_NAME.search("pip install 'dist/dkv-0.1.0-py3-none-any.whl[cli]'"))

    def test_one_word_is_one_thing(self) -> None:
        """A reader who looks for the session and finds three reads the wrong one first."""
        shared = shared_names(modules("dkv"))
        self.assertEqual({name: users for name, users in shared.items() if name not in SAME_NAMES}, {})
        self.assertEqual([name for name in SAME_NAMES if name not in shared], [])  # an exception that is not needed


class RuleTests(SynchronousTestCase):
    """Every rule complains about what breaks it, and only then."""

    def test_imports(self) -> None:
        """A rule that cannot fail guards nothing."""
        cases = {
            ("dkv.paxos.acceptor", "from dkv.ballot import Ballot"): True,
            ("dkv.paxos.acceptor", "from dkv.paxos.slot_log import Log"): True,
            ("dkv.paxos.acceptor", "from random import Random"): True,
            ("dkv.paxos.acceptor", "from random import choice"): False,
            ("dkv.paxos.acceptor", "import random"): False,
            ("dkv.paxos.acceptor", "import time"): False,
            ("dkv.paxos.acceptor", "def f():\n    import os.path"): False,
            ("dkv.paxos.acceptor", "from twisted.internet import defer"): False,
            ("dkv.paxos.acceptor", "import cbor2"): False,
            ("dkv.paxos.acceptor", "from dkv.kv.machine import Machine"): False,
            ("dkv.kv.machine", "from dkv.paxos import quorum"): False,
            ("dkv.kv.machine", "from . import commands"): False,
            ("dkv.pubsub.relay", "from dkv.kv.glob import Glob"): True,
            ("dkv.pubsub.relay", "from dkv.kv.machine import Machine"): False,
            ("dkv.pubsub.relay", "from twisted.internet import defer"): False,
            ("dkv.messages", "from dkv.records import Value"): True,
            ("dkv.messages", "from dkv.wire.codec import encode"): False,
            ("dkv.messages", "import structlog"): False,
            ("dkv.wire.codec", "import cbor2"): True,
            ("dkv.wire.codec", "from dkv.kv.commands import PUT"): True,
            ("dkv.wire.codec", "from dkv.kv.machine import Machine"): False,
            ("dkv.wire.codec", "from twisted.internet import protocol"): False,
            ("dkv.storage.leveldb", "import plyvel"): True,
            ("dkv.storage.leveldb", "from dkv.net.mesh import Mesh"): False,
            ("dkv.net.mesh", "from twisted.internet import protocol"): True,
            ("dkv.net.mesh", "from dkv.storage.store import Store"): False,
            ("dkv.net.mesh", "from dkv.kv.machine import Machine"): False,
            ("dkv.node.service", "import structlog"): True,
            ("dkv.node.service", "from dkv import sim"): False,
            ("dkv.node.service", "from dkv.sim.world import World"): False,
            ("dkv.node.service", "from dkv.cli.main import main"): False,
            ("dkv.cli.main", "from dkv.sim.world import World"): True,
            ("dkv.cli.bench", "from benchmarks.etcd import Etcd"): False,
            ("dkv.cli.bench", "from .benchmarks import parts"): False,
        }
        for (module, source), allowed in cases.items():
            self.assertEqual(wrong_imports(module, source) == [], allowed, f"{module}: {source}")

    def test_import_circle(self) -> None:
        """A circle is found however long it is, and however its imports are written."""
        for back in (
            "import dkv.a",
            "from dkv.a import A",
            "from dkv import a",
            "def f():\n    from dkv.a import A",
            "if TYPE_CHECKING:\n    from dkv.a import A",
        ):
            sources = {"dkv": "", "dkv.a": "import dkv.b", "dkv.b": "from dkv.c import C", "dkv.c": back}
            self.assertEqual(set(import_circle(sources)), {"dkv.a", "dkv.b", "dkv.c"}, back)
        self.assertEqual(import_circle({"dkv.a": "from dkv.a import A"}), ["dkv.a", "dkv.a"])
        shared = {"dkv.a": "import dkv.b\nfrom dkv.c import C", "dkv.b": "from dkv import c, d", "dkv.c": "import os"}
        self.assertEqual(import_circle(shared), [])

    def test_reactor(self) -> None:
        """Every way to write the import is seen, and where it stands."""
        for statement in (
            "from twisted.internet import defer, reactor",
            "import twisted.internet.reactor",
            "from twisted.internet.reactor import callLater",
        ):
            self.assertEqual(reactor_imports("m", statement), [("m", "")])
            self.assertEqual(reactor_imports("m", f"class A:\n  def f(self):\n    {statement}"), [("m", "f")])
        self.assertEqual(reactor_imports("m", "from twisted.internet import defer, interfaces"), [])

    def test_lengths(self) -> None:
        """At the limit is within it; one line more is not."""
        limits = {"anything": FUNCTION_LINES_MAX, "receive": HANDLER_LINES_MAX, "_on_accept": HANDLER_LINES_MAX}
        for name, lines in limits.items():
            fits = f"def {name}():\n" + "    pass\n" * (lines - 1)
            self.assertEqual(too_long("m", fits), [])
            self.assertEqual(len(too_long("m", fits + "    pass\n")), 1)
        self.assertEqual(too_long("m", "x = 1\n" * FILE_LINES_MAX), [])
        self.assertEqual(len(too_long("m", "x = 1\n" * (FILE_LINES_MAX + 1))), 1)

    def test_unfinished(self) -> None:
        """The marks are seen in comments and strings alike; words that contain them are words."""
        for word in MARKS:
            self.assertEqual(len(unfinished("m", f"x = 1\ny = 2  # {word}: later\n")), 1)
        self.assertEqual(unfinished("m", "XXXL = 'METHOD'"), [])

    def test_names(self) -> None:
        """Files are compared with files and classes with classes; what is private may be called as it likes."""
        sources = [
            ("dkv.net", ""),
            ("dkv.net.net", "class Clients: ...\nclass _Log: ..."),
            ("dkv.net.clients", "class Log: ..."),
            ("dkv.sim.clients", "class Client: ...\nclass _Log: ..."),
            ("dkv.sim.log", "def f():\n    class Clients: ..."),
            ("dkv.cli.client", "class Client: ..."),
        ]
        files, classes = ["dkv.net.clients", "dkv.sim.clients"], ["dkv.sim.clients", "dkv.cli.client"]
        self.assertEqual(shared_names(sources), {"file clients": files, "class Client": classes})


class KnownBugTests(SynchronousTestCase):
    def test_every_known_bug_has_a_test(self) -> None:
        """A bug that cost others their data, and that nobody tests for here, comes back."""
        listed = re.findall(
            r"^\| (B\d+) \|", (ROOT / "docs" / "known-bugs.md").read_text(encoding="utf-8"), re.MULTILINE
        )
        names = [name for _, source in modules("tests") for name in re.findall(r"def test_(\w+)", source)]
        tested = {part.upper() for name in names for part in name.split("_") if re.fullmatch(r"b\d+", part)}
        self.assertEqual([number for number in listed if number not in tested], [])
        self.assertGreater(len(listed), 20)

    def test_every_test_that_is_named_is_there(self) -> None:
        """A page that names a test which is gone promises what nobody keeps."""
        page = (ROOT / "docs" / "known-bugs.md").read_text(encoding="utf-8")
        sources = "\n".join(source for _, source in modules("tests"))
        missing = [name for name in re.findall(r"`(test_\w+)`", page) if f"def {name}(" not in sources]
        self.assertEqual(missing, [])
