"""The gate: a user gets what it is allowed and nothing else, however it asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from inspect import getsource
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from dkv.console import client_session
from dkv.console.client_session import QUEUED, TABLE, ClientSession
from dkv.console.client_transaction import EXECABORT, RIGHTS_CHANGED
from dkv.console.listed_keys import ENCODED_BYTES_MAX, TOO_MANY
from dkv.kv.appliers.scripts import OPERATIONS
from dkv.kv.codes import EXEC, GET, READS, WRITES
from dkv.kv.commands import COMMANDS
from dkv.kv.registry import NO_CHANNELS, NO_KEYS, ByWords, Command, Scope
from dkv.kv.scripts.operations import FINDS_KEYS
from dkv.pubsub_messages import CHANNEL
from dkv.replies import OK, EncodedList, Error, Local, Watched
from dkv.security.rights import Rights
from dkv.security.users import EVERYBODY, NOBODY, User
from dkv.wire.reply_encoder import encode_items
from dkv.wire.telnet import TIMING_MARK, TIMING_MARK_REPLY
from tests.console.spoken import Spoken
from tests.security.two_rules import STATES, Difference, Search

USERS = 600
"""How many users try, each with many requests."""

USERS_FOR_A_MISTAKE = 3000


def find(seed: int, table: dict[bytes, Command], often: bytes) -> str:
    """The difference that a search finds, in which one command is asked ``often``; "" if there is none."""
    try:
        Search(seed, table, (*STATES[:3], often, often, often)).run(USERS_FOR_A_MISTAKE)
    except Difference as difference:
        return str(difference)
    return ""


def mistakes() -> Iterator[tuple[str, bytes, dict[bytes, Command]]]:
    """What may be forgotten in a declaration: what it is, the command, and the table of commands with the mistake."""
    for name, command in TABLE.items():
        for what, wrong in _wrong(command):
            yield f"{command.name} {what}", name, {**TABLE, name: wrong}
        for place, subcommand in enumerate(command.subcommands):
            for what, wrong in _wrong(subcommand):
                others = (*command.subcommands[:place], wrong, *command.subcommands[place + 1 :])
                yield f"{subcommand.name} {what}", name, {**TABLE, name: replace(command, subcommands=others)}


def _wrong(command: Command) -> Iterator[tuple[str, Command]]:
    changes: dict[str, Any] = {}
    if command.keys not in (NO_KEYS, Scope.LISTED) and command.name != "idmp":
        changes["without its keys"] = {"keys": NO_KEYS}
    if command.channels != NO_CHANNELS:
        changes["without its channels"] = {"channels": NO_CHANNELS}
    if command.category != "connection" and not command.subcommands:
        changes["for everybody"] = {"category": "connection"}
    for name in ("nested", "database_of", "patterns"):
        if getattr(command, name) is not None and not command.name.endswith("_ro"):  # no such script has patterns
            changes[f"without {name}"] = {name: None}
    for what, change in changes.items():
        yield what, replace(command, **change)


class AgreementTests(SynchronousTestCase):
    """The gate and a rule that was written without it agree."""

    def test_all_requests_of_random_users(self) -> None:
        """A request that comes past the gate in one form only is a hole in all permissions."""
        seen: Counter[str] = Counter()
        for seed in range(4):
            search = Search(seed)
            search.run(USERS // 4)
            seen.update(search.outcomes)
        self.assertEqual(seen.keys(), {"allowed", "denied", "executed", "aborted", "filtered"})
        self.assertGreater(min(seen.values()), 20, seen)

    def test_wrong_requests(self) -> None:
        """A request with a word too many, or one that is none, is no way around the gate, and breaks nothing."""
        search = Search(5, wrong=True)
        search.run(USERS)
        self.assertGreater(search.outcomes["allowed"], 1000)

    def test_every_mistake_in_a_declaration_is_found(self) -> None:
        """A command whose keys, channels or category are forgotten is found, and so is one whose request within is."""
        names = []
        for what, name, wrong in mistakes():
            self.assertTrue(find(1, wrong, name), what)
            names.append(what)
        self.assertGreater(len(names), 140)
        self.assertIn("idmp without nested", names)
        self.assertIn("copy without database_of", names)

    def test_every_mistake_in_a_session_is_found(self) -> None:
        """A state of the session that does not pass the gate is found, and so is a list that is not filtered."""
        gated = ClientSession._interpreter

        def unless(skips: Callable[[ClientSession], bool]) -> Callable[[ClientSession], Any]:
            return lambda session: session._by_state() if skips(session) else gated(session)

        for what, name, mistake in (
            ("MULTI", "_interpreter", unless(lambda session: session.transaction.gathering)),
            ("subscribed", "_interpreter", unless(lambda session: session.listens)),
            ("another database", "_interpreter", unless(lambda session: session.context.db > 0)),
            ("RESP 3", "_interpreter", unless(lambda session: session.protocol == 3)),
        ):
            with patch.object(ClientSession, name, mistake):
                self.assertTrue(find(1, TABLE, b"get"), what)
        with patch.object(client_session, "lists_others", return_value=False):
            self.assertIn("is told of", find(1, TABLE, b"keys"))
            self.assertIn("is told of", find(1, TABLE, b"scan"))
        with patch.object(client_session, "kept", side_effect=lambda rights, entry, result: result):
            self.assertIn("is told of", find(1, TABLE, b"keys"))


class TableTests(SynchronousTestCase):
    """The declarations say what their entries do."""

    def test_what_changes_data_needs_the_right_to(self) -> None:
        """Whoever may only read gets no entry that changes anything."""
        for command in COMMANDS.values():
            changes = [code for code in command.codes if code not in READS]
            if changes and not isinstance(command.category, ByWords):
                self.assertEqual(command.category, "write", command.name)
            if not changes:
                self.assertIn(command.category, ("read", "connection"), command.name)
        by_words = {command.name for command in COMMANDS.values() if isinstance(command.category, ByWords)}
        self.assertEqual(by_words, {"eval", "evalsha", "eval_ro", "evalsha_ro", "getex"})

    def test_every_change_has_a_command(self) -> None:
        """A number that no command declares would be out of the sight of the rule above."""
        declared = {code for command in COMMANDS.values() for code in command.codes}
        self.assertEqual(WRITES - declared, {EXEC})

    def test_keys_are_said(self) -> None:
        """A command that reads or writes data is about keys: those that it names, or others, which it says, too."""
        without = {each.name for each in COMMANDS.values() if each.keys == NO_KEYS and not each.subcommands}
        self.assertEqual(without, {"time"})
        whole = {each.name: each.keys for each in TABLE.values() if isinstance(each.keys, Scope)}
        everything = ("flushall", "dkv.log", "dkv.backup", "dkv.compare")
        self.assertEqual(
            whole,
            {
                **dict.fromkeys(("keys", "scan"), Scope.LISTED),
                **dict.fromkeys(("randomkey", "dbsize", "flushdb"), Scope.DATABASE),
                **dict.fromkeys(everything, Scope.EVERYTHING),
            },
        )

    def test_scripts_that_find_keys(self) -> None:
        """A script that looks for keys reaches more than its words name: the gate has to know its patterns."""
        looking = {number for number, applier in OPERATIONS.items() if ".matching(" in getsource(applier)}
        self.assertEqual(looking, FINDS_KEYS)

    def test_who_may_order_what(self) -> None:
        """What is for operators is for nobody else, and faults are for those who may order them."""
        flagged = [each for command in TABLE.values() for each in _leaves(command) if "admin" in each.flags]
        lesser = {each.name for each in flagged if each.category not in ("admin", "fault")}
        self.assertEqual({each for each in lesser if not each.startswith("sentinel|")}, {"dkv.member"})
        member = TABLE[b"dkv.member"]
        for word, category in (("LIST", "connection"), ("join", "admin"), ("CHANGE", "admin"), ("list2", "admin")):
            self.assertEqual(member.category_of([b"DKV.MEMBER", word.encode()]), category)
        self.assertEqual([each.name for each in flagged if each.category == "fault"], ["dkv.fault"])


class RefusalTests(Spoken):
    """What a client is told."""

    def become(self, *may: str, **lists: Any) -> None:
        """The session is that of a user with these rights."""
        self.session.become(User("app", (), frozenset(), Rights.of(may, **lists)))

    def test_texts(self) -> None:
        """Libraries know refusals by these words."""
        self.become("read", "pubsub", keys=[b"app:*"], channels=[b"app:*"])
        for line, text in (
            ("SET app:a 1", "User app has no permissions to run the 'set' command"),
            ("CLIENT KILL ID 1", "User app has no permissions to run the 'client|kill' command"),
            ("GET a", "No permissions to access a key"),
            ("MGET app:a a", "No permissions to access a key"),
            ("DBSIZE", "User app has no permissions to run the 'dbsize' command, as it needs all keys"),
            ("PUBLISH a x", "No permissions to access a channel"),
            ("PSUBSCRIBE app:a*", "No permissions to access a channel"),
        ):
            self.assertEqual(self.refusal(line), f"NOPERM {text}")
        self.assertEqual(self.meaning("GET app:a"), [GET, b"app:a"])
        self.assertTrue(self.refusal("nonsense").startswith("ERR unknown command"))
        self.assertTrue(self.refusal("GET").startswith("ERR wrong number"))

    def test_nobody(self) -> None:
        """Who has to say who it is may do nothing before, not even ask what there is."""
        self.session.become(NOBODY)
        for line in ("GET a", "PING", "MULTI", "nonsense", "CLIENT ID", "COMMAND", "GET", "AC"):
            self.assertEqual(self.refusal(line), "NOAUTH Authentication required.")
        self.assertNotIsInstance(self.local("RESET").reply, Error)
        self.assertTrue(self.local("QUIT").close)
        self.assertEqual(self.session.interpret(TIMING_MARK), Local(TIMING_MARK_REPLY))

    def test_everything_is_allowed(self) -> None:
        """Where there are no users no request passes the gate: it would take time and change nothing."""
        self.assertEqual(self.session.interpret, self.session._interpret)
        self.become("read", keys=[b"*"])
        self.assertEqual(self.session.interpret, self.session._at_the_gate)
        self.session.become(EVERYBODY)
        self.assertEqual(self.session.interpret, self.session._interpret)

    def test_a_transaction_with_something_denied(self) -> None:
        """Nothing of it is executed, as in Redis."""
        self.become("read", "write", keys=[b"a"])
        self.reply("MULTI")
        self.assertEqual(self.reply("SET a 1"), QUEUED)
        self.assertEqual(self.refusal("SET b 1"), "NOPERM No permissions to access a key")
        self.assertEqual(self.reply("EXEC"), EXECABORT)

    def test_rights_that_change_before_exec(self) -> None:
        """What was gathered with other rights is not executed with these, and a watch of a key is over."""
        self.become("read", "write", keys=[b"*"])
        self.reply("MULTI")
        self.assertEqual(self.reply("SET b 1"), QUEUED)
        self.become("read", "write", keys=[b"a"])
        self.assertEqual(self.reply("EXEC"), EXECABORT)
        watch = self.request("WATCH a")
        assert watch.settle is not None
        watch.settle(Watched(5, ((5, 0),)))
        self.become("read", "write")
        self.reply("MULTI")
        self.assertEqual(self.reply("EXEC"), EXECABORT)
        self.become("read", "write", keys=[b"a"])
        self.reply("MULTI")
        self.assertEqual(self.reply("SET a 1"), QUEUED)
        self.become("read", "write", keys=[b"a"])  # the same rights, of another file
        self.assertEqual(self.request("EXEC").entry[0], EXEC)

    def test_rights_that_change_while_exec_is_under_way(self) -> None:
        """What needs no log is done when the results are there, so it is not done with rights that are no more."""
        self.become("write", "pubsub", "admin", keys=[b"*"], channels=[b"*"])
        for line in ("MULTI", "SET a 1", "SUBSCRIBE secret", "CLIENT LIST"):
            self.reply(line)
        execution = self.request("EXEC")
        self.become("write", "pubsub", keys=[b"a"], channels=[b"news"])
        assert execution.settle is not None
        self.assertEqual(execution.settle([OK]), Local([OK, Local(RIGHTS_CHANGED), Local(RIGHTS_CHANGED)]))
        self.assertFalse(self.session.listens)

    def test_idmp_within_itself(self) -> None:
        """A request within a request within a request, and so on, does not exhaust the gate."""
        self.become("write", keys=[b"a"])
        words = [b"IDMP", b"p", b"1"] * 3000 + [b"SET", b"b", b"1"]
        answer = self.session.interpret(words)
        assert isinstance(answer, Local) and isinstance(answer.reply, Error)
        self.assertTrue(answer.reply.text.startswith("ERR IDMP takes a write command"))

    def test_a_subscriber_whose_channels_are_taken_away(self) -> None:
        """It has to go: what it listens to is not for it any more."""
        self.become("pubsub", channels=[b"a*", b"b"])
        self.reply("SUBSCRIBE ab")
        self.reply("PSUBSCRIBE a*")
        self.assertTrue(self.session.may_listen)
        self.become("pubsub", channels=[b"ab", b"a?"])
        self.assertFalse(self.session.may_listen)
        self.become("read", channels=[b"*"])
        self.assertFalse(self.session.may_listen)
        self.become("pubsub", channels=[b"*"])
        self.assertTrue(self.session.may_listen)

    def test_info(self) -> None:
        """The inside of a node is for operators, the number of keys for those who may read all of them."""
        fields = {"a": 1}
        self.node.info.return_value = {
            **dict.fromkeys(("Server", "Clients", "Memory", "Dkv"), fields),
            "Keyspace": {"db0": "keys=1", "db2": "keys=2"},
        }
        self.become("read", keys=[b"a*"], databases={2: [b"*"]})
        self.assertEqual(_lines(self.reply("INFO")), ["# Server", "a:1", "# Keyspace", "db2:keys=2"])
        self.become("write", "admin", keys=[b"*"])
        self.assertNotIn("db0:keys=1", _lines(self.reply("INFO")))
        self.assertIn("# Dkv", _lines(self.reply("INFO")))
        self.session.become(EVERYBODY)
        self.assertIn("db0:keys=1", _lines(self.reply("INFO")))

    def test_names_of_channels(self) -> None:
        """Which channels there are is told to those who may listen to them."""
        self.node.exchange.subscribe(9, [(CHANNEL, b"a"), (CHANNEL, b"b")])
        self.become("pubsub", channels=[b"a"])
        self.assertEqual(self.reply("PUBSUB CHANNELS").make(), [b"a"])
        self.session.become(EVERYBODY)
        self.assertEqual(self.reply("PUBSUB CHANNELS").make(), [b"a", b"b"])

    def test_a_long_list(self) -> None:
        """A long answer to KEYS is taken apart up to a length; a pattern that is the user's own needs nothing."""
        self.become("read", keys=[b"a*"])
        keys = [b"a%d" % number if number % 2 else b"b%d" % number for number in range(200)]
        pieces = tuple(encode_items(keys[at : at + 50]) for at in range(0, 200, 50))
        settle = self.request("KEYS *").settle
        assert settle is not None
        self.assertEqual(settle(EncodedList(200, pieces)).reply, keys[1::2])
        self.assertEqual(settle(EncodedList(9, (b"x" * (ENCODED_BYTES_MAX + 1),))).reply, TOO_MANY)
        self.assertEqual(settle(Error("TRYAGAIN x")).reply, Error("TRYAGAIN x"))
        self.assertIsNone(self.request("KEYS ab*").settle)
        self.assertTrue(self.request("KEYS ab*").alone)


def _leaves(command: Command) -> tuple[Command, ...]:
    return command.subcommands or (command,)


def _lines(text: Any) -> list[str]:
    return [line for line in text.data.decode().split("\r\n") if line]
