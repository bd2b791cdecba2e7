"""The page about clients: its table has what the matrix tries, and its examples can be run."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.clients.entries import ENTRIES, Entry
from tests.clients.page import PAGE, SECURED, Example, Row, examples, result, seen, table, with_table, written
from tests.clients.runner import Outcome
from tests.clients.suites import SUITES
from tests.clients.toolbox import PROGRAMS

RODE = {"writes": 1_200, "errors": 0, "error": "", "error_seconds": 0.0, "longest_seconds": 0.126}
STUMBLED = {**RODE, "errors": 3, "error": "ConnectionError: gone", "error_seconds": 0.5}


def an_entry(**others: object) -> Entry:
    """An entry of a library that nobody has."""
    return Entry("lib", "lib", "lib", "all of it", **others)  # type: ignore[arg-type]


class PageTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.page = PAGE.read_text(encoding="utf-8")

    def test_the_table_has_every_entry(self) -> None:
        """A reader looks for a library in the table, and takes what is not there for what does not work."""
        rows = written(self.page).splitlines()[2:]
        cells = [row.split(" | ") for row in rows]
        self.assertEqual([row[0].removeprefix("| ") for row in cells], [entry.name for entry in ENTRIES])
        self.assertEqual([row[2] for row in cells], [entry.tries for entry in ENTRIES])
        self.assertEqual([row[0] for row in cells if "fails" in row[4] or "not tried" in row[4]], [])

    def test_every_block_of_code_is_an_example(self) -> None:
        """A block that nothing runs stays on the page when it does not work any more."""
        blocks = self.page.count("\n```python\n") + self.page.count("\n```js\n") - len(SECURED.findall(self.page))
        found = examples(self.page)
        self.assertEqual(len(found), blocks)
        self.assertEqual(len({example.name for example in found}), blocks)
        self.assertEqual([example.name for example in found if not example.printed()], [])

    def test_every_program_is_an_entry(self) -> None:
        """A program that no entry names is never run."""
        files = {path.name.removesuffix(".py") for path in PROGRAMS.iterdir() if path.suffix in (".py", ".cjs")}
        self.assertEqual({entry.program for entry in ENTRIES}, files - {"__init__", "ride", "ride.cjs", "riding"})

    def test_the_tests_of_libraries_have_their_row(self) -> None:
        """What a library's own tests find is told, and nothing that fails without a reason."""
        rows = written(self.page, "suites").splitlines()[2:]
        self.assertEqual([row.split()[1] for row in rows], [suite.package for suite in SUITES])


class TableTests(SynchronousTestCase):
    """Every cell says what happened."""

    def test_what_the_application_saw(self) -> None:
        """Nothing but a wait, or errors for a while."""
        self.assertEqual(
            seen(Row(an_entry(), "1", Outcome("", RODE))), "nothing; the longest of 1,200 writes took 0.13 s"
        )
        text = seen(Row(an_entry(), "1", Outcome("", STUMBLED)))
        self.assertEqual(text, "3 x ConnectionError, for 0.50 s; 1,200 writes were acknowledged, none is lost")

    def test_results(self) -> None:
        """What works, what works with a remark, what fails, what is refused, and what was not there."""
        self.assertEqual(result(Row(an_entry(), "1", Outcome("", RODE))), "works")
        self.assertEqual(result(Row(an_entry(remark="but slowly"), "1", Outcome("", RODE))), "works; but slowly")
        self.assertEqual(result(Row(an_entry(), "1", Outcome("status 1: x\nError: a|b\n"))), "fails: `Error: a\\|b`")
        refused = Row(
            an_entry(refused=True), "1", Outcome("", {}, ("ERR unknown command 'SADD', with more", "all well"))
        )
        self.assertEqual((seen(refused), result(refused)), ("", "refused at once: `unknown command 'SADD'`"))
        self.assertIn("not tried", result(Row(an_entry(), "", None)))

    def test_the_table_is_replaced(self) -> None:
        """Only what is between the marks changes."""
        text = table([Row(an_entry(), "1.2", Outcome("", RODE))])
        page = "before\n<!-- {0} -->\nold\n<!-- end of {0} -->\n<!-- b -->\n<!-- end of b -->\n".format("matrix")
        replaced = with_table(page, text)
        self.assertEqual(replaced, page.replace("old\n", text))
        self.assertEqual((written(replaced), written(replaced, "b")), (text, ""))
        self.assertEqual(with_table(replaced, text), replaced)


class ExampleTests(SynchronousTestCase):
    """Blocks under a comment with their name are programs."""

    def test_found(self) -> None:
        """The name, the language and the code; a block without a name is none."""
        page = "<!-- example: a b -->\n```python\nx = 1\n```\n\n```js\ny\n```\n"
        self.assertEqual(examples(page), [Example("a b", "python", "x = 1\n")])

    def test_what_it_prints(self) -> None:
        """What is behind a line that prints is what it prints."""
        code = "a = 1  # one\nprint(a)  # 1\nawait f()\nconsole.log(await g());\nconsole.log(x); // [ 'y' ]\n"
        self.assertEqual(Example("", "python", code).printed(), ["1", "[ 'y' ]"])

    def test_ports(self) -> None:
        """The page's ports are replaced by those of the cluster, and no other numbers."""
        code = "127.0.0.1:5001 5003 15001 50010"
        self.assertEqual(Example("", "python", code).for_ports([7, 8, 9]), "127.0.0.1:7 9 15001 50010")
