from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dkv.sim.history import Kind, Operation
from tests.soak.journal import Journal
from tests.soak.judge import judge, main

LEDGER = b"phase-1-ledger-0"
REGISTER = b"phase-1-register-0"


def operation(
    kind: Kind, at: float, *arguments: bytes, told: bytes | int | None = None, key: bytes = LEDGER, open_: bool = False
) -> Operation:
    """An operation that was called at a time and answered half a second later, or never if it is ``open_``."""
    returned = None if open_ else at + 0.5
    return Operation("client", kind, key, arguments, at, returned, None if open_ else told)


class LedgerTests(SynchronousTestCase):
    """What is wrong with a key that is only appended to is said in plain words."""

    def test_a_good_ledger(self) -> None:
        """A judge that complains about what is right is not believed any more."""
        history = [
            operation("append", 1.0, b"a-1.", told=4),
            operation("append", 2.0, b"a-2.", open_=True),
            operation("get", 3.0, told=b"a-1."),
            operation("get", 4.0, told=b"a-1.a-2."),
        ]
        self.assertEqual(judge(history), "")

    def test_a_lost_write(self) -> None:
        """What was acknowledged must be in every later read, or users lose what they were promised."""
        history = [
            operation("append", 1.0, b"a-1.", told=4),
            operation("append", 2.0, b"a-2.", told=8),
            operation("get", 3.0, told=b"a-2."),
        ]
        self.assertRegex(judge(history), r'^lost: "a-1\.", acknowledged at 1\.500 to client, is not in')

    def test_a_doubled_append(self) -> None:
        """A write that was repeated by the client or a node takes effect once, whether its outcome was known or not."""
        for open_ in (False, True):
            history = [operation("append", 1.0, b"a-1.", told=4, open_=open_), operation("get", 2.0, told=b"a-1.a-1.")]
            self.assertRegex(judge(history), r'^doubled: "a-1\." is there 2 times in "phase-1-ledger-0"')

    def test_a_write_that_was_refused(self) -> None:
        """A client that was told of a refusal writes the same once more: then it would be there twice."""
        self.assertRegex(judge([operation("append", 1.0, b"a-1.", told=4), operation("get", 2.0, told=b"a-1.b-7.")]),
                         r'^invented: nobody appended "b-7\."')  # fmt: skip

    def test_a_read_during_a_write(self) -> None:
        """Nothing was acknowledged when the read began, so it may see either."""
        for seen in (None, b"a-1."):
            history = [operation("append", 1.0, b"a-1.", told=4), operation("get", 1.2, told=seen)]
            self.assertEqual(judge(history), "")

    def test_a_wrong_length(self) -> None:
        """The checker of linearizability judges ledgers as well."""
        history = [operation("append", 1.0, b"a-1.", told=8), operation("get", 2.0, told=b"a-1.")]
        self.assertRegex(judge(history), '^linearizable: key "phase-1-ledger-0"')


class RegisterTests(SynchronousTestCase):
    """Keys with all commands are judged by the checker of linearizability."""

    def test_a_stale_read(self) -> None:
        """A node that was behind and served all the same would answer so."""
        history = [
            operation("put", 1.0, b"a-1.", key=REGISTER),
            operation("put", 2.0, b"a-2.", key=REGISTER),
            operation("get", 3.0, told=b"a-2.", key=REGISTER),
            operation("get", 4.0, told=b"a-1.", key=REGISTER),
        ]
        broken = judge(history)
        self.assertRegex(broken, '^linearizable: key "phase-1-register-0"')
        self.assertNotIn("\n", broken)

    def test_a_good_register(self) -> None:
        """A delete of unknown outcome may have been done, or may not."""
        history = [
            operation("put", 1.0, b"a-1.", key=REGISTER),
            operation("delete", 2.0, key=REGISTER, open_=True),
            operation("get", 3.0, told=b"a-1.", key=REGISTER),
            operation("get", 4.0, told=None, key=REGISTER),
        ]
        self.assertEqual(judge(history), "")


class JournalTests(SynchronousTestCase):
    """From a client's notes to the judgement."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.journal = Journal(self.path)

    def judged(self) -> int:
        """The status of the judge's command."""
        self.journal.close()
        return main(str(self.path))

    def test_what_was_refused_is_no_operation(self) -> None:
        """A refused write that shows up is found, although it stands in the file."""
        self.journal.refuse(operation("append", 1.0, b"a-1.", open_=True), "TRYAGAIN")
        self.journal.add(operation("get", 2.0, told=b"a-1."))
        self.assertEqual(self.journal.refused, {"TRYAGAIN": 1})
        self.assertEqual(self.judged(), 1)

    def test_a_good_history(self) -> None:
        """Counts and pauses are those of what was acknowledged."""
        self.journal.add(operation("append", 1.0, b"a-1.", told=4))
        self.journal.add(operation("append", 2.0, b"a-2.", open_=True))
        self.journal.add(operation("append", 4.0, b"a-3.", told=8))
        self.journal.add(operation("get", 9.0, told=b"a-1.a-3."))
        self.assertEqual((self.journal.done, self.journal.unknown), (3, 1))
        self.assertEqual(self.journal.longest_pause, 3.0)
        self.assertEqual(self.judged(), 0)
