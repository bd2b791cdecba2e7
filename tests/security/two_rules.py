"""The gate against the dumb rule: random users ask for random things, in every state of a session.

What a session makes of a request without any gate is what the dumb rule judges. The session with the gate must then
make the same of it, or refuse it.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any
from unittest.mock import Mock, patch

from dkv.console import client_session
from dkv.console.client_session import TABLE, ClientSession
from dkv.console.client_transaction import Gathered
from dkv.console.comparison import HeldState
from dkv.console.inspection import Inspection
from dkv.console.sentinel_view import ClientAddress
from dkv.identity import Identity
from dkv.kv.codes import EXEC, IDMP, KEYS, SCAN, WATCH
from dkv.kv.glob import Glob
from dkv.kv.registry import Command
from dkv.kv.scripts.catalogue import by_digest
from dkv.kv.scripts.operations import OPERATIONS
from dkv.kv.words import scripting
from dkv.pubsub.exchange import Exchange
from dkv.replies import Error, Local, LogRequest, Meaning, Watched
from dkv.security.gate import Gate
from dkv.security.rights import CATEGORIES, Rights
from dkv.security.users import User
from dkv.settings import Limits
from tests.oracle.grammar import KEYS as KEYS_OF_REQUESTS
from tests.oracle.grammar import Words as RandomWords
from tests.oracle.grammar import parse
from tests.security.dumb_rule import Rule

REQUESTS = 25
"""How many requests a user sends in a row."""

PATTERNS = (b"*", b"a", b"b", b"a*", b"key:*", b"key:?", b"?", b"*1", b"c", b"")
CHANNELS = (b"*", b"a", b"1*", b"?", b"v")
NAMES = sorted(each for each in TABLE if each not in (b"auth", b"quit"))
STATES = (b"multi", b"exec", b"discard", b"subscribe", b"unsubscribe", b"select", b"idmp", b"keys", b"scan", b"copy")
"""What is asked more often than the rest: it changes the state of a session, or is judged in a way of its own."""

ENDS = ([b"EXEC"], [b"exec"], [b"IDMP", b"alice", b"3", b"EXEC"])

ARGUMENTS: dict[str, tuple[tuple[bytes, ...], ...]] = {
    "hello": ((), (b"3",)),
    "acl|dryrun": ((b"default", b"get", b"a"),),
    "client|kill": ((b"ID", b"5"),),
    "config|set": ((b"notify-keyspace-events", b"KEA"),),
    "dkv.backup": ((b"NEXT",), (b"END",)),
    "dkv.compare": ((b"STATE",), (b"END", b"2")),
    "dkv.fault": ((b"CLEAR",),),
    "dkv.leader": ((b"TRANSFER", b"2"),),
    "dkv.member": ((b"LIST",), (b"list",), (b"JOIN",)),
}
"""Arguments of commands whose form is not all that there is to say of them."""

Request = list[bytes]


class Difference(Exception):
    """The gate and the dumb rule do not agree; the text says about what."""


def node() -> Any:
    """A node that answers everything."""
    made = Mock(spec=Inspection)
    made.info.return_value = {}
    made.connections_max, made.notifications = 12, b""
    made.metrics.return_value, made.status.return_value, made.log.return_value = b"", {}, []
    made.identity, made.applied_through = Identity("c", 1, 9, 1), 0
    made.comparison = HeldState(1, lambda *letter: None, lambda: 0.0)
    made.member_view = Mock(kind="voter", quorum=2, **{"members.return_value": {}, "invitation.return_value": {}})
    made.sentinel = Mock(down=False, epoch=4, down_after_milliseconds=5000, quorum=2)
    made.sentinel.name = "c"
    made.sentinel.others.return_value = []
    made.sentinel.address_within = lambda local: ClientAddress("db1", 7379)
    made.faults_allowed, made.faults = True, Mock(peers=frozenset((2, 3)))
    made.logins = Mock(users=None)
    made.handovers = Mock(**{"transfer.return_value": None})
    made.client_connections.return_value = []
    made.exchange = Exchange(Limits(), lambda: None)
    return made


class Asking:
    """Makes up requests: of every command that there is, and of words within words. Some are asked ``often``."""

    def __init__(self, random: Random, often: tuple[bytes, ...], wrong: bool) -> None:
        self._random = random
        self._often = often
        self._words = RandomWords(random, lambda: 10**12, wrong)

    def request(self) -> Request:
        """Any request."""
        random = self._random
        name = random.choice(self._often) if random.random() < 0.3 else random.choice(NAMES)
        return self.request_of(name)

    def request_of(self, name: bytes) -> Request:
        """A request of the command with this name."""
        command = TABLE[name]
        written = name.upper() if self._random.random() < 0.5 else name
        if command.subcommands and (name != b"command" or self._random.random() < 0.9):
            command = self._random.choice(command.subcommands)
            written_subcommand = command.name.encode().partition(b"|")[2]
            return [written, *self._words.broken([written_subcommand, *self._arguments(command)])]
        return [written, *self._words.broken(self._arguments(command))]

    def _arguments(self, command: Command) -> Request:
        random = self._random
        name = command.name
        if name == "idmp":
            within = [b"EXEC"] if random.random() < 0.3 else self.request()
            return [b"alice", b"%d" % random.randrange(1, 9), *within]
        if name.startswith("eval"):
            return self._script()
        if name == "copy":
            return [*self._keys(2), *random.choice(([], [b"DB", b"1"], [b"REPLACE", b"db", b"2", b"DB", b"0"]))]
        if name == "select":
            return [b"%d" % random.randrange(3)]
        known = ARGUMENTS.get(name)
        return self._words.of(parse(command.arguments)) if known is None else [*random.choice(known)]

    def _script(self) -> Request:
        """A script by the name of its operation."""
        operation = self._random.choice([*OPERATIONS.values()])
        keys = self._keys(max(operation.keys, self._random.randrange(3) if operation.keys else 0))
        if "matching" in operation.name:
            keys = [self._random.choice(PATTERNS[:6]) for _ in keys]
        arguments = [self._random.choice((b"a*", b"*", b"b", b"1")) for _ in range(self._random.randrange(1, 4))]
        return [operation.name.encode(), b"%d" % len(keys), *keys, *arguments]

    def _keys(self, count: int) -> Request:
        return self._random.choices(KEYS_OF_REQUESTS, k=count)


def random_rule(random: Random) -> Rule:
    """Somebody who may do something."""

    def some(of: tuple[Any, ...], most: int) -> tuple[Any, ...]:
        return tuple(random.sample(of, random.randrange(most + 1)))

    may = CATEGORIES if random.random() < 0.3 else some(CATEGORIES, len(CATEGORIES))
    of_database = {db: some(PATTERNS, 2) for db in some((0, 1, 2), 2)}
    return Rule(may, some(PATTERNS, 4), of_database, some(CHANNELS, 3))


def user_of(rule: Rule) -> User:
    """The same for the gate."""
    return User("u", (), frozenset(), Rights.of(rule.may, rule.keys, rule.of_database, rule.channels))


class Search:
    """Looks for a difference, with the commands as they are in ``table``; some are asked ``often``.

    ``wrong`` lets some requests be wrong on purpose.
    """

    def __init__(
        self,
        seed: int,
        table: Mapping[bytes, Command] = TABLE,
        often: tuple[bytes, ...] = STATES,
        wrong: bool = False,
    ) -> None:
        self._random = Random(seed)
        self._asking = Asking(self._random, often, wrong)
        self._gate = Gate(table)
        self._node = node()
        self.outcomes = dict.fromkeys(("allowed", "denied", "executed", "aborted", "filtered"), 0)
        """How often each was seen: a search that sees none of a kind proves nothing."""

    def run(self, users: int) -> None:
        """Let so many users ask; ``Difference`` if one is found."""
        by_name = patch.object(scripting, "by_text", by_digest)  # for EVAL: nobody has the texts
        with patch.object(client_session, "GATE", self._gate), by_name:
            for _ in range(users):
                self._one_user()

    def _one_user(self) -> None:
        rule = random_rule(self._random)
        user = user_of(rule)
        session = ClientSession(7, "192.0.2.1:4000", Limits(), self._node)
        session.become(user)
        if self._random.random() < 0.5:
            session.protocol = 3
        spoiled = False
        for _ in range(REQUESTS):
            gathering, gathered = session.transaction.gathering, [*session.transaction._queue]
            words, expected = self._next(rule, session)
            meaning = session.interpret(list(words))
            name = words[0].lower()
            if name == b"reset":
                session.become(user)
            if not gathering:
                spoiled = False
            is_exec = gathering and b"exec" in (name, words[-1].lower() if name == b"idmp" and len(words) == 4 else b"")
            if is_exec and not session.transaction.gathering:
                self._check_exec(rule, words, meaning, spoiled, gathered)
                continue
            self._check(rule, session, words, meaning, expected, gathering)
            spoiled = spoiled or (gathering and expected is False)
            self._go_on(rule, meaning)

    def _next(self, rule: Rule, session: ClientSession) -> tuple[Request, bool | None]:
        """A request, and what the dumb rule says of it. Most of those in a transaction are allowed: else none comes to
        its end."""
        is_gathering = session.transaction.gathering
        for _ in range(8):
            is_over = is_gathering and self._random.random() < 0.2
            words = self._random.choice(ENDS)[:] if is_over else self._asking.request()
            expected = self._expected(rule, session, words)
            if expected or is_over or not is_gathering or self._random.random() < 0.1:
                break
        return words, expected

    def _expected(self, rule: Rule, session: ClientSession, words: Request) -> bool | None:
        """What the dumb rule says; None if the request is refused whoever asks."""
        free = ClientSession(8, "192.0.2.1:4000", Limits(), self._node)
        free.select((session.transaction.context if session.transaction.gathering else session.context).db)
        meaning = free.interpret(list(words))
        if isinstance(meaning, Local):
            return None if isinstance(meaning.reply, Error) else rule.allows_answer(_name_of(words), words)
        return rule.allows_entry(_entry_of(meaning))

    def _check(
        self, rule: Rule, session: ClientSession, words: Request, meaning: Meaning, expected: bool | None, within: bool
    ) -> None:
        if not isinstance(meaning, Local):
            if not rule.allows_entry(_entry_of(meaning)):
                raise Difference(f"{rule} gets {meaning} for {words}")
            self.outcomes["allowed"] += 1
            return
        error = meaning.reply.text if isinstance(meaning.reply, Error) else ""
        is_denied = error.startswith(("NOPERM", "NOAUTH", "EXECABORT Transaction discarded because of: NOPERM"))
        if expected is None:  # in which state would this be served?
            return
        if expected is is_denied:
            state = "within MULTI" if within else "subscribed" if session.listens else "plain"
            raise Difference(f"{rule} {'may' if expected else 'may not'}: {state} {words} is {meaning}")
        self.outcomes["denied" if is_denied else "allowed"] += 1

    def _check_exec(
        self, rule: Rule, words: Request, meaning: Meaning, spoiled: bool, gathered: list[Gathered]
    ) -> None:
        if isinstance(meaning, Local):
            if spoiled and not isinstance(meaning.reply, Error):
                raise Difference(f"{rule}: {words} executes what was denied: {meaning}")
            self.outcomes["aborted"] += isinstance(meaning.reply, Error)
            return
        if spoiled or not rule.allows_entry(_entry_of(meaning)):
            raise Difference(f"{rule} executes {meaning}")
        self.outcomes["executed"] += 1
        shown = _shown(meaning)
        for each, its_own in zip(gathered, shown, strict=True):
            if isinstance(each, list):
                self._check_listed(rule, each, its_own)

    # --- results ---

    def _go_on(self, rule: Rule, meaning: Meaning) -> None:
        """Let the session see a result, and look at what it shows of it."""
        if isinstance(meaning, LogRequest):
            self._check_listed(rule, meaning.entry, _shown(meaning))

    def _check_listed(self, rule: Rule, entry: Any, shown: Any) -> None:
        if entry[0] not in (KEYS, SCAN):
            return
        db, found = entry[1], _found_by(entry)
        told = shown[1] if entry[0] == SCAN else shown
        expected = [key for key in found if rule.has_key(db, key)]
        if told != expected:
            raise Difference(f"{rule} is told of {told} by {entry}, and not of {expected}")
        self.outcomes["filtered"] += told != found


def _entry_of(meaning: Meaning) -> Any:
    return meaning.entry if isinstance(meaning, LogRequest) else meaning


def _shown(meaning: Meaning) -> Any:
    """What a client is shown of a result."""
    assert isinstance(meaning, LogRequest)
    result = _result_of(meaning.entry)
    return result if meaning.settle is None else meaning.settle(result).reply


def _name_of(words: Request) -> str:
    """The name of a command, or of a container and its subcommand."""
    name = words[0].lower().decode()
    return f"{name}|{words[1].lower().decode()}" if TABLE[name.encode()].subcommands and len(words) > 1 else name


def _found_by(entry: Any) -> list[bytes]:
    pattern = entry[3] if entry[0] == KEYS else entry[4]
    return [key for key in KEYS_OF_REQUESTS if Glob(pattern).matches(key)]


def _result_of(entry: Any) -> Any:
    """A result for an entry, if every key were there."""
    match entry[0]:
        case code if code == KEYS:
            return _found_by(entry)
        case code if code == SCAN:
            return [b"0", _found_by(entry)]
        case code if code == WATCH:
            return Watched(1, ((0, 0),) * (len(entry) - 3))
        case code if code == IDMP:
            return _result_of(entry[3])
        case code if code == EXEC:
            return [_result_of(each) for each in entry[4]]
    return b"x"
