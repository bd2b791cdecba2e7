"""dkv inspect and dkv verify: what a stopped node's directory holds, and whether it is whole, without a trace."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from click.testing import Result
from twisted.trial.unittest import SynchronousTestCase

from dkv.keys import CHOSEN_THROUGH, STATE, pack_number, record_key
from dkv.storage.data_directory import initialise, open_directory
from dkv.storage.fence import fence_writes
from dkv.storage.leveldb import LevelDBStore
from dkv.storage.state_directories import state_directory
from tests.cli.commands import run
from tests.storage.test_formats import FORMATS, RECORDS
from tests.storage.test_lookalike import everything


def read_only(result: Result) -> str:
    """What a command that succeeded has printed."""
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


class StoppedNodeCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        shutil.copytree(FORMATS / "v7", self.directory)
        self.state = Path(state_directory(str(self.directory), 1))

    def write(self, directory: Path, writes: dict[bytes, bytes | None]) -> None:
        """Write into a database, as a mistaken program or a damaged disk might."""
        store = LevelDBStore(str(directory), print)
        store.commit_now(writes)
        store.close()

    def refused(self, command: str, *words: str) -> None:
        """The command fails with one line that has all the words."""
        result = run(command, str(self.directory))
        self.assertEqual((result.exit_code, result.stdout), (1, ""))
        self.assertRegex(result.stderr, r"\Adkv: [^\n]*\n\Z")
        for word in words:
            self.assertIn(word, result.stderr)


class Inspect(StoppedNodeCase):
    """``dkv inspect``."""

    def test_text(self) -> None:
        """An operator reads whose directory it is, and what is in it."""
        before = everything(self.directory), everything(self.state)
        lines = read_only(run("inspect", str(self.directory))).splitlines()
        self.assertEqual(
            lines[1:-2],
            [
                "cluster            'example', members 1, 2, 3, key 0123456789abcdef0123456789abcdef",
                "node               3, incarnation 0123456789abcdef, last start 1",
                "fenced             no",
                "promised           2199023255552.1, 6 votes cast",
                "chosen through     2",
                "applied through    2",
                "compacted through  0",
                "log                3 records, slots 1-2, 4, 1.1 KiB on disk",
                "members            of slot 2, in force from slot 66: voters 2, 3, 4; standbys 5",
            ],
        )
        self.assertEqual(lines[0], f"directory          {self.directory}, format 7")
        self.assertRegex(lines[-2], r"\Astate +generation 1, 2 keys, keys and values of 22 B, \d+ B on disk\Z")
        self.assertEqual(lines[-1], "tokens             2 answers for 2 producers")
        self.assertEqual((everything(self.directory), everything(self.state)), before)

    def test_json(self) -> None:
        """A script reads the same, and more."""
        found = json.loads(read_only(run("inspect", "--output", "json", str(self.directory))))
        self.assertEqual((found["node"], found["members"], found["votes"], found["fenced"]), (3, [1, 2, 3], 6, None))
        self.assertEqual(found["met"], {"1": "ffffffffffffffff", "2": "0000000000000002"})
        self.assertEqual((found["log"]["records"], found["log"]["ranges"]), (3, [[1, 2], [4, 4]]))
        self.assertEqual((found["state"]["keys"], found["state"]["generations"]), (2, [1]))
        self.assertEqual(found["state"]["databases"], {"0": {"keys": 2, "with_deadline": 0}})
        self.assertEqual(found["state"]["time_ms"], RECORDS[1].value.time)
        membership = found["state"]["membership"]
        self.assertEqual((membership["slot"], membership["from_slot"], membership["ids_through"]), (2, 66, 5))
        self.assertEqual((membership["voters"], membership["standbys"]), ([2, 3, 4], [5]))
        five = {"incarnation": "0000000000000005", "peer": "five:7401", "client": "five:7001"}
        self.assertEqual(membership["members"]["5"], five)

    def test_older_formats(self) -> None:
        """A directory that waits for its upgrade can be looked at, and stays of its format."""
        for version in (1, 2, 3):
            self.directory = Path(self.mktemp())
            shutil.copytree(FORMATS / f"v{version}", self.directory)
            before = everything(self.directory)
            text = read_only(run("inspect", str(self.directory)))
            self.assertIn(f"format {version}", text)
            self.assertIn("the next start makes it anew from the log", text)
            self.assertEqual(everything(self.directory), before)

    def test_fenced(self) -> None:
        """A fenced directory says why."""
        self.write(self.directory, dict(fence_writes("it has forgotten a vote")))
        self.assertIn("fenced             it has forgotten a vote\n", read_only(run("inspect", str(self.directory))))

    def test_new_and_empty(self) -> None:
        """A directory that was only initialised has nothing in it, and that is no error."""
        directory = self.mktemp()
        initialise(directory, "new", 1, (1,), bytes(16))
        text = read_only(run("inspect", directory))
        self.assertIn("log                0 records, ", text)
        self.assertIn("last start 0\n", text)

    def test_in_use(self) -> None:
        """A running node's directory is refused."""
        store, states, _ = open_directory(str(self.directory), "example", 3, print)
        self.refused("inspect", "is another dkvnode using it?")
        states.close()
        store.close()

    def test_no_directory(self) -> None:
        """A slip in the path."""
        shutil.rmtree(self.directory)
        self.refused("inspect", "No such file or directory")

    def test_strange_state(self) -> None:
        """A state that no state machine wrote is damage."""
        self.write(self.state, {STATE + b"\0strange": b"no header"[:5]})
        self.refused("inspect", f"{self.directory} is damaged", "strange", "has another form")


class Verify(StoppedNodeCase):
    """``dkv verify`` of a directory."""

    def test_whole(self) -> None:
        """A sound directory passes, and stays as it was."""
        before = everything(self.directory), everything(self.state)
        self.assertEqual(
            read_only(run("verify", str(self.directory))),
            f"ok: {self.directory} of node 3 of cluster 'example': 3 records of the log, 2 keys up to slot 2\n",
        )
        self.assertEqual((everything(self.directory), everything(self.state)), before)

    def test_json(self) -> None:
        """A script reads "ok", and whether the node is fenced."""
        self.write(self.directory, dict(fence_writes("it has forgotten a vote")))
        found = json.loads(read_only(run("verify", "--output", "json", str(self.directory))))
        self.assertEqual((found["ok"], found["fenced"], found["keys"]), (True, "it has forgotten a vote", 2))
        self.assertIn("but it is fenced", read_only(run("verify", str(self.directory))))

    def test_gap_in_the_log(self) -> None:
        """A log that has lost a slot is what a start refuses, too."""
        self.write(self.directory, {record_key(2): None})
        self.refused("verify", "the log has lost slot 2")

    def test_state_ahead_of_the_log(self) -> None:
        """Log and state that do not go together."""
        self.write(self.directory, {CHOSEN_THROUGH: pack_number(1), record_key(2): None})
        self.refused("verify", "the log has lost slot 2")

    def test_flipped_bits(self) -> None:
        """A flipped bit of a key or value is found, in whatever file of the two databases.

        What is not noticed does no harm: LevelDB does without a damaged filter, and a state that has lost its newest
        writes is older, and made up from the log.
        """
        checked = 0
        for path in sorted(self.directory.rglob("*")):
            if path.suffix not in (".log", ".ldb"):
                continue
            data = path.read_bytes()
            offset = len(data) // 5
            path.write_bytes(data[:offset] + bytes([data[offset] ^ 4]) + data[offset + 1 :])
            self.refused("verify", str(self.directory))
            path.write_bytes(data)
            checked += 1
        self.assertEqual(checked, 4)
        read_only(run("verify", str(self.directory)))
