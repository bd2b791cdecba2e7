"""docs/clients.md: its table is written from the results, and its examples are programs that the matrix runs."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.clients.arena import Arena
from tests.clients.entries import Entry
from tests.clients.runner import Outcome, run_program
from tests.clients.suites import Score
from tests.clients.suites import table as score_table
from tests.clients.toolbox import Toolbox

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "clients.md"
HEAD = (
    "| Client or library | Version | What was tried | The application saw of the leader's death | Result |\n"
    "|---|---|---|---|---|\n"
)
EXAMPLE = re.compile(r"^<!-- example: ([^\n]+) -->\n```(python|js)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECURED = re.compile(r"^<!-- with TLS: ([^\n]+) -->\n```(python|js)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
"""Examples for a cluster with TLS and users, which ``tests.integration.test_access`` runs."""

PRINTED = re.compile(r"(?:print|console\.log)\(.*\);? +(?:#|//) (.*)$", re.MULTILINE)
REFUSAL = re.compile(r"unknown command '\w+'|the script with the SHA1 \w+ is not in the catalogue")
"""What of an error names what is missing."""
PORT = re.compile(r"\b500([123])\b")


@dataclass(frozen=True)
class Row:
    """One line of the table; the outcome is None if the library is not there."""

    entry: Entry
    version: str
    outcome: Outcome | None


def seen(row: Row) -> str:
    """What an application with this library saw while the leader was killed."""
    report = row.outcome.report if row.outcome else {}
    if row.entry.refused or not report:
        return ""
    if not report["errors"]:
        return f"nothing; the longest of {report['writes']:,} writes took {report['longest_seconds']:.2f} s"
    kind = report["error"].partition(":")[0]
    times = f"{report['errors']} x {kind}"
    return f"{times}, for {report['error_seconds']:.2f} s; {report['writes']:,} writes were acknowledged, none is lost"


def result(row: Row) -> str:
    """Whether it works."""
    if row.outcome is None:
        return "not tried: it was not installed"
    if row.outcome.complaint:
        last = row.outcome.complaint.strip().splitlines()[-1]
        return f"fails: `{last[:160]}`".replace("|", "\\|")
    if row.entry.refused:
        return f"refused at once: `{REFUSAL.search(row.outcome.lines[0])[0]}`"  # type: ignore[index]
    return f"works; {row.entry.remark}" if row.entry.remark else "works"


def table(rows: Sequence[Row]) -> str:
    """The table as the page has it."""
    return HEAD + "".join(
        f"| {row.entry.name} | {row.version} | {row.entry.tries} | {seen(row)} | {result(row)} |\n" for row in rows
    )


def marks(name: str) -> tuple[str, str]:
    """What stands before and behind a table that a run writes."""
    return f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"


def written(page: str, name: str = "matrix") -> str:
    """A table of the page, as it was written last."""
    begin, end = marks(name)
    return page.partition(begin)[2].partition(end)[0]


def with_table(page: str, text: str, name: str = "matrix") -> str:
    """The page with this table between its marks."""
    begin, end = marks(name)
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    return before + begin + text + end + after


def write(rows: Sequence[Row], scores: Sequence[Score]) -> None:
    """Write both tables into the page."""
    page = with_table(PAGE.read_text(encoding="utf-8"), table(rows))
    PAGE.write_text(with_table(page, score_table(scores), "suites"), encoding="utf-8")


@dataclass(frozen=True)
class Example:
    """A block of code on the page, under a comment that names it."""

    name: str
    language: str
    code: str

    def printed(self) -> list[str]:
        """What its lines that print say that they print, behind them."""
        return PRINTED.findall(self.code)

    def for_ports(self, ports: Sequence[int]) -> str:
        """The code with these ports in place of the page's."""
        return PORT.sub(lambda match: str(ports[int(match[1]) - 1]), self.code)


def examples(page: str) -> list[Example]:
    """All blocks of the page that are named."""
    return [Example(*found) for found in EXAMPLE.findall(page)]


def run_example(example: Example, ports: Sequence[int], tools: Toolbox) -> str:
    """Run an example as it stands; what is wrong with it, or nothing."""
    suffix, program = (".py", sys.executable) if example.language == "python" else (".cjs", "node")
    with tempfile.NamedTemporaryFile("w", suffix=suffix) as file:
        file.write(example.for_ports(ports))
        file.flush()
        outcome = run_program([program, file.name], tools.environment(), lambda: None)
    if outcome.complaint:
        return f"example {example.name}: {outcome.complaint}"
    if list(outcome.lines) != example.printed():
        return f"example {example.name} prints {list(outcome.lines)}, and not {example.printed()}"
    return ""


def run_examples(arena: Arena, tools: Toolbox) -> list[str]:
    """Run all examples of the page; what is wrong."""
    wrong = []
    for example in examples(PAGE.read_text(encoding="utf-8")):
        complaint = run_example(example, arena.ports(dying_first=False), tools)
        print("ok       ", "example", example.name, flush=True) if not complaint else wrong.append(complaint)
        arena.mend()
    return wrong
