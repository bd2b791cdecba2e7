"""Runs: what they weigh, and how each of their requests is answered."""

from __future__ import annotations

from collections import deque

from twisted.trial.unittest import SynchronousTestCase

from dkv.client_events import Requests
from dkv.gateway.runs import (
    CHANGED_BYTES,
    JOINED_BYTES_MAX,
    READ_BYTES,
    REQUEST_BYTES_MIN,
    Run,
    take_few,
    take_fitting,
    weigh_at_least,
)
from dkv.kv.codes import APPEND, COPY, EXEC, EXPIRE, GET, GETDEL, IDMP, INCRBY, MGET, PUT, READS, SET, STRLEN
from dkv.records import Argument, Entry
from dkv.replies import Local, Simple

PONG = Local(Simple("PONG"))


def run(*entries: Entry) -> Run:
    """The run of one connection, with a local reply behind."""
    reads = sum(entry[0] in READS for entry in entries)
    return Run(Requests(1, [*entries, PONG], len(entries) - reads, reads, 100), 0.0)


class RunTests(SynchronousTestCase):
    def test_values(self) -> None:
        """What a request may bring is in memory until its client has read it: small requests must not bring all."""
        inside: list[Argument] = [[GET, b"a"], [MGET, 0, 9, b"a", b"b"], [PUT, b"a", b"b"], [GETDEL, 0, 9, b"a"]]
        watched: Entry = [EXEC, 0, 9, [], inside]
        entries: tuple[tuple[Entry, int], ...] = (
            ([PUT, b"k", b"v"], 0),
            ([GET, b"k"], 1),
            ([STRLEN, 0, 9, b"k"], 1),
            ([INCRBY, 0, 9, b"k", 1], 0),
            ([MGET, 0, 9, b"a"], 1),
            ([MGET, 0, 9, b"a", b"b", b"c"], 3),
            ([GETDEL, 0, 9, b"a"], 1),
            ([SET, 0, 9, b"a", b"v", 0, b"", 0, 0, 0], 0),
            ([SET, 0, 9, b"a", b"v", 0, b"", 0, 0, 1], 1),
            (watched, 4),
            ([IDMP, b"p", 1, watched], 4),
            ([IDMP, b"p", 1, [PUT, b"k", b"v"]], 0),
        )
        for entry, values in entries:
            self.assertEqual((run(entry).values, run(entry).weight), (values, 100 + values * READ_BYTES), entry)
        everything = run(*(entry for entry, _ in entries))
        self.assertEqual(everything.values, sum(values for _, values in entries))

    def test_taking(self) -> None:
        """Reads of many keys are evaluated a few at a time, and one that is too large for any bound alone."""
        one: Entry = [GET, b"a"]
        five: Entry = [MGET, 0, 9, *[b"a"] * 5]
        runs = deque((run(one), run(one), run(five), run(one), run(five), run(one)))
        self.assertEqual([len(take_few(runs, 3)) for _ in range(5)], [2, 1, 1, 1, 1])
        runs = deque((run(one), run(five), run(five)))
        self.assertEqual([len(take_fitting(runs, 6 * READ_BYTES + 200)) for _ in range(2)], [2, 1])

    def test_what_stores_a_whole_value(self) -> None:
        """A COPY of a few bytes stores what may be a mebibyte: thousands in a batch would take all memory.

        APPEND and EXPIRE are frequent, and most of their values are short: hundreds of them may share a batch.
        """
        entries: list[tuple[Entry, int]] = [
            ([COPY, 0, 9, b"a", b"b", 0, 0], READ_BYTES),
            ([APPEND, b"a", b"b", 9], CHANGED_BYTES),
            ([EXPIRE, 0, 9, b"a", 2, 9, 0], CHANGED_BYTES),
        ]
        for entry, brings in entries:
            self.assertEqual(run(entry).weight, 100 + brings, entry)
            self.assertEqual(run([IDMP, b"p", 1, [*entry]]).weight, 100 + brings, entry)
            self.assertEqual(run([EXEC, 0, 9, [], [[*entry]]]).weight, 100 + brings, entry)

    def test_what_writes_bring_is_not_worth_a_batch(self) -> None:
        """A few APPENDs wait for the batch under way, as a few PUTs do: otherwise each one had its own slot."""
        append: Entry = [APPEND, b"a", b"b", 9]
        appends, reads = run(*[append] * 100), run([GET, b"a"])
        self.assertTrue(weigh_at_least([appends], 100))
        self.assertFalse(weigh_at_least([appends], 101))
        self.assertTrue(weigh_at_least([appends, reads], 200 + READ_BYTES))

    def test_a_batch_of_the_shortest_requests_is_short(self) -> None:
        """All nodes apply a batch without a pause: thousands of requests that have hardly any bytes take long."""
        put: Entry = [PUT, b"k", b"v"]
        runs = deque(run(*[put] * 128) for _ in range(100))
        taken = take_fitting(runs, 1 << 30)
        self.assertEqual(sum(each.entries for each in taken), JOINED_BYTES_MAX // REQUEST_BYTES_MIN)
        runs = deque(Run(Requests(1, [put], 1, 0, size), 0.0) for size in (JOINED_BYTES_MAX + 1, JOINED_BYTES_MAX, 1))
        self.assertEqual([len(take_fitting(runs, 1 << 30)) for _ in range(3)], [1, 1, 1])

    def test_outcomes(self) -> None:
        """A read that got no answer changed nothing; of a write nobody can know."""
        mixed = run([GET, b"a"], [PUT, b"a", b"b"], [MGET, 0, 9, b"a"], [INCRBY, 0, 9, b"a", 1])
        self.assertEqual(mixed.outcomes(writes=1, reads=2), [2, 1, 2, 1])
