"""dkv import: every line once, whatever nodes do; and one clear line that says how to go on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from click.testing import Result
from twisted.trial.unittest import SynchronousTestCase

from dkv.cli import importing
from dkv.cli.importing import BATCH_LINES
from dkv.cli.json_lines import Row, first_line, last_line, line_of
from dkv.client.blocking import Endpoint, NoAnswer, NotSent, Reply, ServerError
from dkv.kv.sessions import Bounds
from dkv.replies import Error
from tests.cli.commands import run

Words = tuple[bytes, ...]


class FakeCluster:
    """Nodes that hold one state. Each write is executed once for its token; ``on_batch`` may drop or refuse some."""

    def __init__(self) -> None:
        self.state: dict[tuple[int, bytes], tuple[bytes, ...]] = {}
        self.executed: dict[tuple[bytes, bytes], Reply] = {}
        self.batches: list[list[Words]] = []
        self.on_batch: Callable[[int, list[Words]], object] = lambda number, requests: None
        self.refuses: Callable[[Words], str] = lambda words: ""
        self.databases = 16
        self.connected: list[str] = []

    def connect(self, endpoint: Endpoint, *_: float) -> FakeConnection:
        self.connected.append(endpoint.host)
        return FakeConnection(self)


class FakeConnection:
    def __init__(self, cluster: FakeCluster) -> None:
        self.cluster = cluster
        self.database = 0

    def select(self, database: int) -> None:
        if database >= self.cluster.databases:
            raise ServerError("ERR DB index is out of range")
        self.database = database

    def call_all(self, requests: Sequence[Words]) -> list[Reply]:
        self.cluster.batches.append(list(requests))
        self.cluster.on_batch(len(self.cluster.batches), list(requests))
        return [self._execute(words) for words in requests]

    def execute_some(self, requests: Sequence[Words], count: int) -> None:
        """What a node does that dies before it has answered."""
        for words in requests[:count]:
            self._execute(words)

    def close(self) -> None:
        pass

    def _execute(self, words: Words) -> Reply:
        idmp, producer, op, name, key, value, *options = words
        assert (idmp, name) == (b"IDMP", b"SET")
        refusal = self.cluster.refuses(words)
        if refusal:
            return Error(refusal)
        if (producer, op) not in self.cluster.executed:
            exists = b"NX" in options and (self.database, key) in self.cluster.state
            self.cluster.executed[producer, op] = None if exists else "OK"
            if not exists:
                self.cluster.state[self.database, key] = (value, *options)
        return self.cluster.executed[producer, op]


class ImportTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = FakeCluster()
        self.patch(importing, "connect", self.cluster.connect)
        self.paused: list[float] = []
        self.patch(importing, "pause", self.paused.append)
        self.patch(importing, "end_as_interrupted", lambda: None)  # a test keeps its own handlers
        self.file = Path(self.mktemp())

    def load(self, lines: Sequence[Row | bytes], *words: str) -> Result:
        self.file.write_bytes(b"".join(each if isinstance(each, bytes) else line_of(each) for each in lines))
        return run("import", str(self.file), "--endpoints", "a:1,b:1", *words)

    def many(self, count: int) -> list[Row]:
        """Lines with keys of their own."""
        return [Row(0, b"k%d" % number, b"%d" % number) for number in range(count)]

    def state(self, rows: Sequence[Row]) -> dict[tuple[int, bytes], tuple[bytes, ...]]:
        """What these lines come to."""
        return {(row.db, row.key): (row.value,) for row in rows}

    def test_rows(self) -> None:
        """Each key in its database, with its end."""
        rows = [Row(0, b"a", b"1"), Row(3, b"a", b"\xff", 5000), Row(3, b"b", b"", ttl_ms=70), Row(0, b"c", b"2")]
        lines = [line_of(rows[0]), line_of(rows[1]), b'{"db":3,"key":"b","value":"","ttl_ms":70}\n', line_of(rows[3])]
        result = self.load([first_line(cluster="x"), *lines, last_line(4)])
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        self.assertRegex(result.stdout, r": 4 keys imported in \d+\.\d s\n\Z")
        wanted = {
            (0, b"a"): (b"1",),
            (3, b"a"): (b"\xff", b"PXAT", b"5000"),
            (3, b"b"): (b"", b"PX", b"70"),
            (0, b"c"): (b"2",),
        }
        self.assertEqual(self.cluster.state, wanted)

    def test_batches(self) -> None:
        """Many lines are under way at once, and never more than a token is remembered for."""
        self.assertLess(BATCH_LINES, Bounds().answers)
        rows = self.many(600)
        self.assertEqual(self.load(rows).exit_code, 0)
        self.assertEqual(self.cluster.state, self.state(rows))
        self.assertEqual([len(batch) for batch in self.cluster.batches], [256, 256, 88])
        tokens = [words[1:3] for batch in self.cluster.batches for words in batch]
        self.assertEqual(len(set(tokens)), 600)

    def test_large_values(self) -> None:
        """What is under way is bounded in bytes, too."""
        rows = [Row(0, b"k%d" % number, b"x" * 400_000) for number in range(7)]
        self.assertEqual(self.load(rows).exit_code, 0)
        self.assertEqual([len(batch) for batch in self.cluster.batches], [3, 3, 1])

    def test_a_node_that_dies(self) -> None:
        """What it had done is not done again, and the rest is done at the next one."""
        rows = self.many(300)

        def die(number: int, requests: list[Words]) -> None:
            if number == 1:
                FakeConnection(self.cluster).execute_some(requests, 100)
                self.cluster.state[0, b"k5"] = (b"of another client",)
                raise NoAnswer("no answer from a:1")

        self.cluster.on_batch = die
        self.assertEqual(self.load(rows).exit_code, 0)
        self.assertEqual(self.cluster.connected, ["a", "b"])
        self.assertEqual(self.cluster.batches[0], self.cluster.batches[1])
        self.assertEqual(self.cluster.state, self.state(rows) | {(0, b"k5"): (b"of another client",)})

    def test_a_node_that_dies_in_another_database(self) -> None:
        """The next one has to be told of the database, or keys would land in database 0."""
        rows = [Row(3, b"k%d" % number, b"v") for number in range(300)]

        def die(number: int, requests: list[Words]) -> None:
            if number == 2:
                raise NoAnswer("no answer from a:1")

        self.cluster.on_batch = die
        self.assertEqual(self.load(rows).exit_code, 0)
        self.assertEqual(self.cluster.connected, ["a", "b"])
        self.assertEqual(self.cluster.state, self.state(rows))

    def test_one_line_of_a_key_at_a_time(self) -> None:
        """Of two lines of a key the later one counts, also if the first is answered late."""
        rows = [Row(0, b"a", b"1"), Row(0, b"b", b"3"), Row(0, b"a", b"4")]
        once = ["TRYAGAIN later"]
        self.cluster.refuses = lambda words: once.pop() if once and words[4] == b"a" else ""
        self.assertEqual(self.load(rows).exit_code, 0)
        self.assertEqual(self.cluster.state[0, b"a"], (b"4",))

    def test_only_what_is_not_done_is_sent_again(self) -> None:
        """A refusal that may pass, of one line of many."""
        rows = self.many(5)
        once = ["UNCERTAIN no decision", "CLUSTERDOWN no majority"]
        self.cluster.refuses = lambda words: once.pop() if once and words[4] in (b"k1", b"k3") else ""
        self.assertEqual(self.load(rows).exit_code, 0)
        self.assertEqual([[words[4] for words in batch] for batch in self.cluster.batches[1:]], [[b"k1", b"k3"]])
        self.assertEqual(self.cluster.state, self.state(rows))

    def test_broken_line(self) -> None:
        """The lines before it are imported, nothing of it is, and the message says where to go on."""
        rows = self.many(2)
        result = self.load([*rows, b'{"key":"x","value":"y","tll_ms":5}\n', Row(0, b"behind", b"")])
        self.assertEqual((result.exit_code, result.stdout), (1, ""))
        said = "line 3 has an unknown field: 'tll_ms'; lines 1 to 2 are imported: go on with --from-line 3"
        self.assertIn(said, result.stderr)
        self.assertEqual(self.cluster.state, self.state(rows))

    def test_cut(self) -> None:
        """At a byte, and between two lines."""
        rows = self.many(2)
        result = self.load([first_line(), rows[0], line_of(rows[1])[:-3]])
        self.assertIn("line 3 does not end with a newline: the file is cut; lines 1 to 2 are imported", result.stderr)
        self.assertEqual((result.exit_code, self.cluster.state), (1, self.state(rows[:1])))
        result = self.load([first_line(), *rows])
        self.assertIn("line 4 is missing: the file is cut", result.stderr)
        self.assertEqual(result.exit_code, 1)

    def test_resumed(self) -> None:
        """The rest of a file, and the whole of it once more."""
        rows = self.many(5)
        lines: list[Row | bytes] = [first_line(), *rows, last_line(5)]
        self.assertEqual(self.load(lines, "--from-line", "4").exit_code, 0)
        self.assertEqual(self.cluster.state, self.state(rows[2:]))
        self.assertEqual(self.load(lines).exit_code, 0)
        self.assertEqual(self.cluster.state, self.state(rows))

    def test_refused(self) -> None:
        """4: the line that the cluster does not take is named."""
        self.cluster.refuses = lambda words: "ERR the value has 9 bytes" if words[4] == b"k2" else ""
        result = self.load(self.many(4))
        self.assertEqual(result.exit_code, 4)
        said = "line 3 was refused: ERR the value has 9 bytes; lines 1 to 2 are imported: go on with --from-line 3"
        self.assertIn(said, result.stderr)

    def test_no_such_database(self) -> None:
        """A key is never set in another database than its own."""
        self.cluster.databases = 1
        result = self.load([Row(0, b"a", b"1"), Row(3, b"a", b"2")])
        self.assertEqual(result.exit_code, 4)
        self.assertIn("refused: ERR DB index is out of range; line 1 is imported", result.stderr)
        self.assertEqual(self.cluster.state, {(0, b"a"): (b"1",)})

    def test_nobody(self) -> None:
        """3 and 5, after some time: what is imported for certain is said."""

        def down(number: int, requests: list[Words]) -> None:
            if number > 1:
                raise NotSent("cannot send to a:1")

        self.cluster.on_batch = down
        result = self.load(self.many(300), "--wait", "0.05")
        self.assertEqual(result.exit_code, 3)
        self.assertIn("nobody reachable: cannot send to a:1; lines 1 to 256 are imported", result.stderr)
        self.assertGreater(len(self.paused), 1)
        self.cluster.on_batch = lambda *_: None
        self.cluster.refuses = lambda words: "UNCERTAIN no decision"
        result = self.load(self.many(3), "--wait", "0.001")
        self.assertEqual(result.exit_code, 5)
        self.assertIn("outcome unknown: UNCERTAIN no decision; no line is known to be imported", result.stderr)

    def test_interrupted(self) -> None:
        """A Ctrl-C says how to go on, too."""

        def interrupt(number: int, requests: list[Words]) -> None:
            if number == 2:
                raise KeyboardInterrupt

        self.cluster.on_batch = interrupt
        result = self.load(self.many(300))
        self.assertEqual(result.exit_code, 130)
        self.assertIn("interrupted; lines 1 to 256 are imported: go on with --from-line 257", result.stderr)

    def test_keep(self) -> None:
        """What is there stays, and is counted."""
        self.cluster.state[0, b"k1"] = (b"old",)
        result = self.load(self.many(3), "--keep")
        told = r"3 keys imported in \d+\.\d s; 1 of them existed already, and were left as they were\n"
        self.assertRegex(result.stdout, told)
        self.assertEqual(self.cluster.state[0, b"k1"], (b"old",))
        self.assertEqual(self.cluster.state[0, b"k2"], (b"2", b"NX"))

    def test_another_database(self) -> None:
        """All keys go where --db says."""
        self.assertEqual(self.load([Row(3, b"a", b"1"), Row(4, b"b", b"2")], "--db", "7").exit_code, 0)
        self.assertEqual(self.cluster.state, {(7, b"a"): (b"1",), (7, b"b"): (b"2",)})

    def test_check(self) -> None:
        """A file is read to its end, and nothing is sent."""
        result = self.load(self.many(3), "--check")
        self.assertEqual((result.exit_code, self.cluster.connected), (0, []))
        self.assertIn("3 keys, and nothing is wrong; nothing was sent", result.stdout)
        result = self.load([*self.many(3), b"x\n"], "--check")
        self.assertRegex(result.stderr, r"\Adkv: .*: line 4 is not JSON: [^;]*\n\Z")

    def test_json(self) -> None:
        """For a script; from stdin."""
        result = run("import", "-", "--endpoints", "a:1", "--output=json", stdin=line_of(Row(0, b"a", b"1")))
        fields = json.loads(result.stdout)
        self.assertEqual((fields["file"], fields["keys"], fields["kept"]), ("stdin", 1, 0))
        self.assertEqual(run("import", "/no/such", "--endpoints", "a:1").exit_code, 1)
