"""The tables of scripts in docs/clients.md, written from the catalogue.

``python -m dkv.console.script_table`` puts them between their marks in the page; a test compares.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from dkv.kv.scripts.catalogue import ABSENT, SCRIPTS, TEMPLATES, Script, Template
from dkv.kv.scripts.operations import OPERATIONS

BEGIN, END = "<!-- scripts -->\n", "<!-- end of scripts -->\n"
_DIGITS = 8
_DIGESTS_MAX = 4


def with_tables(page: str) -> str:
    """The page, with the tables as they are now."""
    before, _, rest = page.partition(BEGIN)
    _, _, behind = rest.partition(END)
    return before + BEGIN + tables() + END + behind


def tables() -> str:
    """Which scripts there are, what the operations do, and which scripts of the same libraries are not there."""
    return "\n".join([*_scripts(), "", *_operations(), "", *_absent(), ""])


def _scripts() -> Iterator[str]:
    yield "| Library | Versions | What sends it | SHA1 | Operation |"
    yield "|---|---|---|---|---|"
    for each in (*SCRIPTS, *TEMPLATES):
        name = OPERATIONS[each.operation].name
        yield f"| {each.library} | {each.versions} | {each.use} | {_digests(each)} | `{name}` |"


def _digests(script: Script | Template) -> str:
    if isinstance(script, Template):
        return "by its text, which has the pattern"
    digests = script.digests.split()
    if len(digests) > _DIGESTS_MAX:
        return f"{len(digests)} spellings"
    return ", ".join(f"`{digest[:_DIGITS]}`" for digest in digests)


def _operations() -> Iterator[str]:
    yield "| Operation | Keys | Arguments | What it does |"
    yield "|---|---|---|---|"
    for each in OPERATIONS.values():
        keys = "any" if each.keys < 0 else each.keys
        yield f"| `{each.name}` | {keys} | {f'`{each.arguments}`' if each.arguments else '-'} | {each.meaning} |"


def _absent() -> Iterator[str]:
    yield "| Not there | What sends it | Why |"
    yield "|---|---|---|"
    for each in ABSENT:
        yield f"| {each.library} | {each.use} | {each.reason} |"


if __name__ == "__main__":
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/clients.md")
    path.write_text(with_tables(path.read_text(encoding="utf-8")), encoding="utf-8")
