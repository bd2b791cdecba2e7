"""``dkv init --join``: a new node's directory becomes one of a cluster that runs, or nothing happens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

from click.testing import Result
from twisted.trial.unittest import SynchronousTestCase

from dkv import noted
from dkv.cli import joining
from dkv.cli.access import Access
from dkv.cli.change_plan import MemberStep, refused
from dkv.cli.layout import new_config
from dkv.cli.output import Failure, Status
from dkv.client.blocking import Endpoint, NoAnswer, NotSent, ServerError
from dkv.config.config import render_config
from dkv.configurations import Configuration, Configurations, MemberRecord, first_configurations
from dkv.console.member_orders import answer_member_order
from dkv.console.member_view import MemberView
from dkv.identity import Identity
from dkv.node.address_book import AddressBook
from dkv.storage.data_directory import open_directory
from tests.cli.commands import run

KEY = bytes(range(16))
CHANGED = Configurations(
    (*first_configurations((1, 2, 3)).sets, Configuration(10, 74, frozenset((1, 2, 5)))),
    (MemberRecord(5, 0xB5, "127.0.0.1:6005", "127.0.0.1:5005"),),
    5,
)
"""Nodes 1, 2 and 3 began, 4 came and went, and 5 is there in the place of 3."""


class Member:
    """Node 1, which answers by the real order, or fails."""

    def __init__(self, failure: Exception | None = None) -> None:
        identity = Identity("local", 1, 0xA1, 7, KEY, (1, 2, 3))
        self.incarnations: dict[int, int] = {}
        book = AddressBook(new_config(3, 5001), 1)
        self.view = MemberView(identity, CHANGED, 90, book, self.incarnations.get)
        self.reply: Any = None
        self._failure = failure

    def __enter__(self) -> Self:
        if isinstance(self._failure, NotSent):
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        """The connection is closed."""

    def take_in(self, step: MemberStep) -> None:
        """The step as the next entry of the log."""
        _, node, incarnation, peer, client = (word.decode() for word in step.words)
        record = MemberRecord(int(node), int(incarnation, 16), peer, client)
        self.incarnations[record.id] = record.incarnation
        newest = Configuration(100, 164, CHANGED.newest.voters, frozenset((record.id,)))
        held = Configurations((*CHANGED.sets, newest), (*CHANGED.records, record), record.id)
        self.view.takers[noted.members_are](configurations=held, applied=164)

    def call(self, *words: bytes) -> Any:
        if self._failure is not None:
            raise self._failure
        return self.reply or answer_member_order(self.view, list(words[1:]))


class Changes:
    """In place of ``dkv.cli.change_run.Changer``: the steps that were asked for. ``failures`` end the first ones."""

    def __init__(self, *failures: Failure) -> None:
        self.steps: list[MemberStep] = []
        self._failures = list(failures)

    def __call__(self, to: Access, wait_seconds: float, yes: bool, dry_run: bool) -> Self:
        self.to = to
        return self

    def change(self, steps: tuple[MemberStep, ...]) -> int:
        self.steps += steps
        if self._failures:
            raise self._failures.pop(0)
        return Status.DONE


class JoinTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.place = Path(self.mktemp())
        self.place.mkdir()
        self.config = self.place / "cluster.toml"
        self.directory = self.place / "data"
        self.member = Member()
        self.asked: list[Endpoint] = []
        self.patch(joining, "connect", self.connect)
        self.use(Changes())
        self.list_nodes(1, 2, 5, 6)

    def use(self, changes: Changes) -> None:
        self.changes = changes
        self.patch(joining, "Changer", changes)

    def connect(self, endpoint: Endpoint, *seconds: float) -> Member:
        self.asked.append(endpoint)
        return self.member

    def list_nodes(self, *ids: int) -> None:
        """The config file of the new node."""
        config = new_config(max(ids), 5001)
        members = tuple(member for member in config.members if member.id in ids)
        self.config.write_text(render_config(type(config)("local", "leader", members, config.limits, config.timings)))

    def join(self, node: int = 6, *words: str) -> Result:
        options = ("--config", str(self.config), "--node", str(node), "--data-dir", str(self.directory))
        return run("init", *options, "--join", "db1:5001", *words)

    def assert_refused(self, result: Result, status: int, *words: str) -> None:
        self.assertEqual((result.exit_code, result.stdout), (status, ""))
        for word in words:
            self.assertIn(word, result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1)
        self.assertFalse(self.directory.exists())

    def test_joins(self) -> None:
        """The directory has the cluster's key and first members, though two of these are gone."""
        result = self.join()
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        self.assertIn("node 6 of cluster 'local'", result.stdout)
        self.assertNotIn(KEY.hex(), result.stdout)
        self.assertEqual(self.asked, [Endpoint("db1", 5001)])
        store, states, identity = open_directory(str(self.directory), "local", 6, lambda *_: None, (1, 2, 5, 6))
        states.close()
        store.close()
        self.assertEqual((identity.node, identity.members, identity.cluster_key), (6, (1, 2, 3), KEY))
        (step,) = self.changes.steps
        incarnation = b"%016x" % identity.incarnation
        self.assertEqual(step.words, (b"ADD", b"6", incarnation, b"127.0.0.1:5106", b"127.0.0.1:5006"))
        self.assertEqual(self.changes.to.endpoints, (Endpoint("db1", 5001),))

    def test_again(self) -> None:
        """A node that was not added, or perhaps: the same command on the same directory does what is missing."""
        self.use(
            Changes(
                refused("another change is under way"),
                Failure(Status.UNCERTAIN, "NO_ANSWER", "outcome unknown: no answer from db2:5001"),
            )
        )
        for status, reason in ((4, "another change is under way"), (5, "outcome unknown")):
            result = self.join()
            self.assertEqual(result.exit_code, status)
            self.assertRegex(result.stderr, rf"\Adkv: [^\n]*{reason}[^\n]*; give the same command again, [^\n]*\n\Z")
        self.member.take_in(self.changes.steps[0])
        result = self.join()
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        self.assertNotIn("initialised", result.stdout)
        self.assertEqual(len({step.words for step in self.changes.steps}), 1, "one directory, one incarnation")

    def test_another_directory_with_the_id_of_a_member(self) -> None:
        """Of two nodes that were made with one id, the one that was not added stays out."""
        self.join()
        first, self.directory = self.directory, self.place / "other"
        self.join()
        self.member.take_in(self.changes.steps[0])
        for directory in (self.directory, self.place / "third"):
            self.directory = directory
            result = self.join()
            self.assertEqual((result.exit_code, len(self.changes.steps)), (2, 2))
            self.assertIn("node 6 is a member", result.stderr)
        self.directory = first
        self.assertEqual(self.join().exit_code, 0)

    def test_a_directory_that_was_in_use(self) -> None:
        """A node that started is left alone, and so is what is no such directory."""
        self.join()
        store, states, _ = open_directory(str(self.directory), "local", 6, lambda *_: None, (1, 2, 5, 6))
        states.close()
        store.close()
        result = self.join()
        self.assertEqual((result.exit_code, len(self.changes.steps)), (1, 1))
        self.assertIn("is initialised already", result.stderr)

    def test_a_member(self) -> None:
        """The habit after a lost disk would make a node that forgot its votes: the message names what to do."""
        self.assert_refused(self.join(2), 2, "node 2 is a member", "id 6", "`dkv replace 2`")

    def test_an_id_that_was_used(self) -> None:
        """No id is ever used again, though nobody has it now."""
        self.list_nodes(1, 2, 3, 4, 5)
        for node in (3, 4):
            self.assert_refused(self.join(node), 2, "no id is used twice", "id 6 or higher")

    def test_a_file_without_a_member(self) -> None:
        """A member that the new node cannot find would never hear it."""
        self.list_nodes(1, 2, 6)
        self.assert_refused(self.join(), 2, "not in it: node 5 at 127.0.0.1:6005")

    def test_where_a_lost_node_was(self) -> None:
        """The machine of node 5 has got a new disk: nobody else can be found there, so no file can list both."""
        self.list_nodes(1, 2, 5)
        self.config.write_text(self.config.read_text().replace("id = 5", "id = 6").replace(":5105", ":6005"))
        self.assertEqual(self.join().exit_code, 0)
        (step,) = self.changes.steps
        self.assertEqual(step.words[3:], (b"127.0.0.1:6005", b"127.0.0.1:5005"))

    def test_not_in_its_own_file(self) -> None:
        self.list_nodes(1, 2, 5)
        self.assert_refused(self.join(), 2, "node 6 is not a member")
        self.assertEqual(self.asked, [])

    def test_another_cluster(self) -> None:
        """An address that was mixed up."""
        self.config.write_text(self.config.read_text().replace('"local"', '"blue"'))
        self.assert_refused(self.join(), 2, "cluster 'blue'", "belongs to 'local'")

    def test_a_key_beside_it(self) -> None:
        self.assert_refused(self.join(6, "--cluster-key", KEY.hex()), 2, "exclude each other")

    def test_no_address(self) -> None:
        result = run("init", "--config", str(self.config), "--node", "6", "--join", "nowhere")
        self.assertEqual(result.exit_code, 2)
        self.assertIn("'nowhere' is not host:port", result.stderr)

    def test_nobody_answers(self) -> None:
        """Nothing is made before all is known."""
        for failure in (NotSent("cannot connect to db1:5001: refused"), NoAnswer("no answer from db1:5001")):
            self.member = Member(failure)
            self.assert_refused(self.join(), 1, str(failure))
        self.member = Member(ServerError("ERR this node is no member itself, but removed: ask another one"))
        self.assert_refused(self.join(), 1, "db1:5001 refused", "ask another one")

    def test_what_is_no_answer(self) -> None:
        """A Redis, or a node of a version to come, at that address."""
        whole = json.loads(bytes(answer_member_order(self.member.view, [b"join"])))  # type: ignore[arg-type]
        less = [{**whole, name: None} for name in ("cluster_key", "first_members", "ids_through", "members")]
        for reply in (b"PONG", 7, [b"x"], b"[]", b"[" * 100_000, *(json.dumps(each).encode() for each in less)):
            self.member.reply = reply
            self.assert_refused(self.join(), 1, "does not answer as a node of dkv would")
