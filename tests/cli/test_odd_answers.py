"""Servers that are no nodes of dkv, or of another version, looked at by status, health, metrics and log."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from tests.cli.test_look import LookTestCase, Value, resp, status

STATUS_FIELDS = (
    *(
        "applied_through",
        "ballot",
        "chosen_through",
        "conditions",
        "differs_from",
        "failing",
        "leader",
        "leader_ballot",
    ),
    *("node", "peers", "problem", "problem_seconds", "ready", "role", "tls", "warnings"),
)


class ManyWarningsTests(LookTestCase):
    def test_one_line(self) -> None:
        """A cluster that warns of much does not drown its own status: one line for each node."""
        told = [{"name": "open", "text": "a"}, {"name": "x"}, {"name": "open", "text": "b"}]
        result = self.run_at(["status"], a=status(1, warnings=told))
        self.assertEqual(result.stdout.splitlines()[-1], "node 1 warns of open, x: dkv doctor says what to mend")


class OddTests(LookTestCase):
    """Any answer, well-formed or not."""

    JSON = st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(STATUS_FIELDS), inner, max_size=8)
        ),
        max_leaves=15,
    )
    ITEMS = st.recursive(
        st.one_of(st.integers(0, 3), st.sampled_from((b"", b"1.1", b"chosen", b"\xff", b"x" * 300))),
        lambda inner: st.lists(inner, max_size=4),
        max_leaves=20,
    )

    def assert_handled(self, words: list[str], *answers: bytes) -> None:
        """One of the statuses that the pages name, and never a surprise."""
        for options in ([], ["--output", "json"]):
            result = self.run_at([*words, *options], a=answers)
            self.assertIn(result.exit_code, (0, 1, 3, 4, 5), (words, answers, result.stderr))

    @given(st.one_of(JSON, st.dictionaries(st.sampled_from(STATUS_FIELDS), JSON, min_size=1, max_size=14)))
    def test_any_status(self, document: object) -> None:
        """Fields that are missing, or of another type, leave gaps in a table, and no traceback."""
        answer = resp(json.dumps(document).encode())
        self.assert_handled(["status"], answer)
        self.assert_handled(["health"], answer, b"$-1\r\n")

    @given(ITEMS)
    def test_any_log(self, reply: Value) -> None:
        """4 for what is no log."""
        self.assert_handled(["log"], resp(reply))
        self.assert_handled(["log"], resp([[1, b"1.1", b"chosen", reply, 0]]))
        self.assert_handled(["log"], resp([[1, b"1.1", b"chosen", [], reply]]))
        self.assert_handled(["log"], resp([[1, b"1.1", b"chosen", [[b"node 1", reply]], 0]]))
        self.assert_handled(["log"], resp([[1, b"1.1", b"chosen", [[b"node 1", [reply]]], 0]]))

    @given(st.text(alphabet='ab_{}="\\, \n#0\u0661²19+-.einfNa', max_size=60))
    def test_any_metrics(self, text: str) -> None:
        """Lines that are no samples are left out."""
        self.assert_handled(["metrics"], resp(text.encode()))
        self.assert_handled(["metrics"], resp(b"a " + text.encode()))

    def test_large_numbers(self) -> None:
        """Python refuses to read some."""
        digits = b"9" * 5000
        self.assert_handled(["metrics"], resp(b"a " + digits))
        self.assert_handled(["status"], resp(b'{"node": ' + digits + b"}"))
        self.assert_handled(["status"], resp(b"[" * 100_000))
