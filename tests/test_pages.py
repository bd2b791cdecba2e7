"""The pages agree with what they speak of: links lead somewhere, names are in the files, codes are explained.

And they can be read: prose wraps.
"""

from __future__ import annotations

import ast
import doctest
import re
import tokenize
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import dkv.paxos
from dkv.sim.plan import FAULTS

ROOT = Path(__file__).resolve().parent.parent
TOUR = ROOT / "docs" / "tour.md"
CODES = ROOT / "docs" / "known-bugs.md"

LINE_MAX = 120
LINK = re.compile(r"\[((?:`[^`]*`|[^\[\]`])*)\]\(([^()\s]+)\)")
"""``[text](target)``; the text may be code, with brackets in it."""
FILE = re.compile(r"`((?:[\w.-]+/)*[\w.*-]+\.py)`")
NAME = re.compile(r"`([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)`")
"""A text that is nothing but a name in the code, such as ```Acceptor._on_accept```."""
CODE = re.compile(r"\b[IB]\d+\b")
"""What stands for a rule, such as I6, or for a bug, such as B25."""
EXPLANATION = re.compile(r"^\| ([IB]\d+) \|", re.MULTILINE)
LINE = re.compile(r"^([IB]\d+): ", re.MULTILINE)
HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)


def pages() -> list[Path]:
    """Every page of the project."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def links(text: str) -> list[tuple[str, str]]:
    """(text, target) of every link of a page to another file, or to a heading; not to the web."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return [(link, target) for link, target in LINK.findall(prose) if "://" not in target]


def anchors(text: str) -> set[str]:
    """What a link to each heading of a page ends with, as GitHub makes it."""
    words = (re.sub(r"[^\w\- ]", "", heading.replace("`", "")).strip() for heading in HEADING.findall(text))
    return {heading.lower().replace(" ", "-") for heading in words}


def long_lines(text: str) -> list[str]:
    """The lines of prose of a page that are too long; tables and examples of code are as wide as they must be."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return [line for line in prose.splitlines() if len(line) > LINE_MAX and not line.startswith("|")]


def names(source: str) -> set[str]:
    """What a module defines: classes, functions and values at its top, and those of its classes, as ``Class.name``."""

    def within(body: list[ast.stmt], prefix: str) -> Iterator[str]:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield prefix + node.name
            elif isinstance(node, ast.ClassDef):
                yield prefix + node.name
                yield from within(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.Assign):
                yield from (prefix + target.id for target in node.targets if isinstance(target, ast.Name))
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                yield prefix + node.target.id

    return set(within(ast.parse(source).body, ""))


def broken(page: Path, text: str, root: Path = ROOT) -> list[str]:
    """The links of ``page`` that lead nowhere, or to a file that does not define the name in front of it."""
    wrong = []
    for link, target in links(text):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        name = NAME.fullmatch(link) if file.suffix == ".py" else None
        if not file.exists() or not file.is_relative_to(root):
            wrong.append(f"{page.name}: there is no {target}")
        elif anchor and anchor not in anchors(text if file == page else file.read_text(encoding="utf-8")):
            wrong.append(f"{page.name}: {target} has no such heading")
        elif name and name[1] not in {*names(file.read_text(encoding="utf-8")), file.name}:
            wrong.append(f"{page.name}: {target} does not define {name[1]}")
    return wrong


def missing_files(text: str) -> list[str]:
    """The files that a page names as code, such as ```paxos/window.py```, and that are nowhere in the project."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    named = sorted(set(FILE.findall(prose)))
    return [name for name in named if not any(ROOT.glob(f"**/{name}"))]


def cited(path: Path) -> set[str]:
    """The codes that a file cites: a page anywhere, a module in comments and strings, as B1 may be a ballot too."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        tokens = tokenize.generate_tokens(StringIO(text).readline)
        text = "\n".join(token.string for token in tokens if token.type in (tokenize.COMMENT, tokenize.STRING))
    return set(CODE.findall(text))


def citing(*folders: str) -> Iterator[Path]:
    """Every file below the folders whose text may cite a code."""
    for folder in folders:
        yield from (path for path in sorted((ROOT / folder).rglob("*")) if path.suffix in (".py", ".md", ".txt"))


class PageTests(SynchronousTestCase):
    def test_links_lead_somewhere(self) -> None:
        """A reader who follows a link to a file, a heading or a function must not end in a void."""
        found = [wrong for page in pages() for wrong in broken(page, page.read_text(encoding="utf-8"))]
        self.assertEqual(found, [])

    def test_files_that_are_named_are_there(self) -> None:
        """A page sends its reader to a file by name: after a file is renamed, the name leads nowhere."""
        found = {page.name: missing_files(page.read_text(encoding="utf-8")) for page in pages()}
        self.assertEqual({name: files for name, files in found.items() if files}, {})

    def test_the_tour_leads_into_the_code(self) -> None:
        """A tour without links into the code would be checked by nothing."""
        into = [target for _, target in links(TOUR.read_text(encoding="utf-8")) if target.endswith(".py")]
        self.assertGreater(len(into), 50)

    def test_what_the_tour_tries_out_is_so(self) -> None:
        """Whoever types the lines of the tour into Python must see what the tour shows."""
        failed, tried = doctest.testfile(str(TOUR), module_relative=False)
        self.assertEqual(failed, 0)
        self.assertGreater(tried, 10)

    def test_every_page_is_reached(self) -> None:
        """A page to which no link leads is read by nobody."""
        reached = {
            (page.parent / target.partition("#")[0]).resolve()
            for page in pages()
            for _, target in links(page.read_text(encoding="utf-8"))
            if not target.startswith("#")
        }
        folders = {path for path in reached if path.is_dir()}
        missed = [page.name for page in pages() if page not in reached and page.parent not in folders]
        self.assertEqual(missed, [])

    def test_prose_wraps(self) -> None:
        """A line that is wider than a window is read by scrolling, and a difference in it is found by nobody."""
        found = {page.name: long_lines(page.read_text(encoding="utf-8")) for page in pages()}
        self.assertEqual({name: lines for name, lines in found.items() if lines}, {})

    def test_codes_are_explained(self) -> None:
        """A code that no page explains says nothing to whoever meets it in a comment."""
        explained = EXPLANATION.findall(CODES.read_text(encoding="utf-8"))
        self.assertEqual(len(explained), len(set(explained)), "a code is explained twice")
        cites = {path.name: cited(path) - set(explained) for path in citing("dkv", "tests", "docs")}
        self.assertEqual({name: codes for name, codes in cites.items() if codes}, {})

    def test_paxos_explains_its_codes(self) -> None:
        """Whoever reads an actor finds each code in one line nearby, and every rule with it."""
        lines = set(LINE.findall(dkv.paxos.__doc__ or ""))
        explained = set(EXPLANATION.findall(CODES.read_text(encoding="utf-8")))
        rules = {code for code in explained if code.startswith("I")}
        cites = {code for path in citing("dkv/paxos") for code in cited(path)}
        self.assertEqual((rules | cites) - lines, set())
        self.assertEqual(lines - explained, set())

    def test_faults_are_described(self) -> None:
        """Whoever reads which faults strike must not miss one."""
        page = (ROOT / "docs" / "simulation.md").read_text(encoding="utf-8")
        table = page[page.index("| Fault |") :].partition("\n\n")[0]
        first = [row.split("|")[1] for row in table.splitlines()[2:]]
        self.assertEqual(sorted(name for cell in first for name in re.findall("`([^`]+)`", cell)), sorted(FAULTS))


class RuleTests(SynchronousTestCase):
    """Each check complains about what is wrong, and only then."""

    def test_links(self) -> None:
        """Links are found wherever they stand, but not in examples of code."""
        text = "See [`Host`](a.py), [the [web]](x) and [b](https://b).\n```\n[c](d)\n```\n[`e/*.txt`](f#g)\n"
        self.assertEqual(links(text), [("`Host`", "a.py"), ("`e/*.txt`", "f#g")])

    def test_anchors(self) -> None:
        """Headings have the anchors that GitHub gives them."""
        text = "# The `dkv` command\n\nwords\n\n## Errors: the first word\n"
        self.assertEqual(anchors(text), {"the-dkv-command", "errors-the-first-word"})

    def test_missing_files(self) -> None:
        """Files are found by the end of their paths, and patterns by what they match."""
        text = "`test_pages.py` `tests/test_p*.py` `paxos/window.py` `gone.py` `paxos/gone.py`\n```\n`no.py`\n```\n"
        self.assertEqual(missing_files(text), ["gone.py", "paxos/gone.py"])

    def test_long_lines(self) -> None:
        """Prose is measured; a table or an example cannot be wrapped."""
        wide = "x" * LINE_MAX
        text = f"{wide}\n{wide}x\n| {wide} |\n```\n$ {wide}\n```\n- {wide}\n"
        self.assertEqual(long_lines(text), [f"{wide}x", f"- {wide}"])

    def test_names(self) -> None:
        """Everything that a page may name is seen, and what a module only imports or uses inside is not."""
        source = "import b\nX = 1\ny: int = 2\ndef f():\n    z = 3\nclass C:\n    d: int\n    def _m(self): ...\n"
        self.assertEqual(names(source), {"X", "y", "f", "C", "C.d", "C._m"})

    def test_cited(self) -> None:
        """A code counts where somebody reads it: in comments, docstrings and pages, not where it names a variable."""
        path = Path(self.mktemp()).with_suffix(".py")
        path.write_text('"""See I6."""\nB1 = f(B2, "B3")  # B4, not AB5 or B6x\n', encoding="utf-8")
        self.assertEqual(cited(path), {"I6", "B3", "B4"})
        page = path.with_suffix(".md")
        page.write_text("| I1 | never falls (B5) |\n", encoding="utf-8")
        self.assertEqual(cited(page), {"I1", "B5"})

    def test_broken(self) -> None:
        """Each kind of broken link is seen by itself."""
        here = Path(__file__).resolve()
        fine = f"[`broken`]({here.name}), [`PageTests.test_links_lead_somewhere`]({here.name}), [a test]({here.name})"
        self.assertEqual(broken(here, fine), [])
        for wrong in ("[a](gone.py)", f"[`gone`]({here.name})", f"[a]({here.name}#gone)", "[a](/etc/passwd)"):
            self.assertEqual(len(broken(here, wrong)), 1, wrong)
