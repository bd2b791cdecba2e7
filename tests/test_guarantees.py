"""docs/guarantees.md promises nothing that no test keeps: each row of its tables names tests, and these are there."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.test_pages import LINK, ROOT, names

PAGE = ROOT / "docs" / "guarantees.md"
TEST = re.compile(r"`(\w+\.test_\w+)`")
HEAD = ("| Promise | Tests |", "|---|---|")


def promises(text: str) -> list[tuple[str, str]]:
    """(promise, tests) of each row of the page's tables."""
    rows = [line[1:-1].rpartition(" |") for line in text.splitlines() if line.startswith("|") and line not in HEAD]
    return [(promise.strip(), tests.strip()) for promise, _, tests in rows]


def unkept(page: Path, text: str) -> list[str]:
    """What is wrong: promises without a test, and tests that are not where the page says."""
    wrong = []
    for promise, tests in promises(text):
        links = LINK.findall(tests)
        if not links:
            wrong.append(f"no test: {promise}")
        for name, target in links:
            test, file = TEST.fullmatch(name), (page.parent / target).resolve()
            if test is None or not file.is_file() or test[1] not in names(file.read_text(encoding="utf-8")):
                wrong.append(f"{name} is not in {target}")
    return wrong


class GuaranteeTests(SynchronousTestCase):
    def test_every_promise_has_a_test(self) -> None:
        """A promise that nobody checks is broken one day, and the page still makes it."""
        text = PAGE.read_text(encoding="utf-8")
        self.assertEqual(unkept(PAGE, text), [])
        self.assertGreater(len(promises(text)), 20)

    def test_the_check(self) -> None:
        """It sees each mistake."""
        here = Path(__file__).resolve()
        link = f"[`GuaranteeTests.test_the_check`]({here.name})"
        head = "\n".join(HEAD)
        self.assertEqual(unkept(here, f"{head}\n| It holds. | {link}, {link} |\n"), [])
        self.assertEqual(promises(f"{head}\n| It holds. | {link} |\n"), [("It holds.", link)])
        gone = link.replace("check", "chick"), link.replace(here.name, "gone.py"), f"[`promises`]({here.name})"
        for tests in ("", "some", *gone):
            self.assertEqual(len(unkept(here, f"{head}\n| It holds. | {tests} |\n")), 1, tests)
