"""What clients are told who are users, or not yet: line by line as by a real server that has the same users."""

from __future__ import annotations

import re

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from dkv.wire.inline import split_line
from tests.console.logins import LoginPort, hashed
from tests.oracle.memory_node import MemoryClient, MemoryNode
from tests.oracle.reference import RealClient, Reference
from tests.oracle.reply_tree import Reply, read_whole
from tests.oracle.servers import references

NAMES = ("root", "app", "reader", "none")
USERS = """
[user.root]
password = "{root}"
may = ["all"]
keys = ["*"]
channels = ["*"]
[user.app]
password = ["{app}", "{reader}"]
may = ["read", "write", "pubsub"]
keys = ["app:*"]
channels = ["news", "n?s"]
[user.reader]
password = "{reader}"
may = ["read"]
keys = ["app:*", "x"]
[user.none]
password = "{none}"
"""
OWN = "-@all +@connection +@transaction -client|list -client|kill +acl|whoami +acl|help"
THEIRS = (
    "root on >root ~* &* +@all",
    f"app on >app >reader ~app:* resetchannels &news &n?s {OWN} +@read +@write +@pubsub +@scripting",
    f"reader on >reader ~app:* ~x resetchannels {OWN} +@read",
    f"none on >none resetchannels {OWN}",
)
"""The same, as ``ACL SETUSER`` is told it; a password is the name of its first user."""

NO_DEFAULT = ("", "default off")
WITH_PASSWORD = (
    f'[user.default]\npassword = "{hashed("pw")}"\nmay = ["all"]\nkeys = ["*"]\nchannels = ["*"]',
    "default on resetpass >pw ~* &* +@all",
)
OPEN = (
    '[user.default]\nmay = ["read"]\nkeys = ["x"]',
    f"default on nopass resetkeys ~x resetchannels {OWN} +@read",
)

BEFORE = """
    AUTH | AUTH a b c | AUTH x | AUTH app | AUTH default x | AUTH app wrong | AUTH '' '' | AUTH APP app
    | AUTH nobody app | PING | GET x | MULTI | EXEC | SUBSCRIBE x | ACL WHOAMI | CLIENT ID | SELECT 99 | RESET x | RESET
    | WATCH x | HELLO 4 | HELLO x | HELLO 3 AUTH | HELLO 3 AUTH app | HELLO 3 FOO | HELLO 3 AUTH app wrong
    | HELLO 4 AUTH app app | HELLO 3 AUTH app app SETNAME 'a b' | HELLO 3 AUTH app app FOO
"""
BECOMING = """
    AUTH app app | ACL WHOAMI | AUTH app wrong | ACL WHOAMI | AUTH reader reader | ACL WHOAMI | AUTH app reader
    | ACL WHOAMI | RESET | GET app:1 | HELLO 3 AUTH app app | ACL WHOAMI | HELLO 2 AUTH reader wrong | ACL WHOAMI
    | HELLO 2 AUTH reader reader SETNAME me | ACL WHOAMI | CLIENT GETNAME | ACL WHOAMI x | RESET | CLIENT GETNAME
"""
DENIED = """
    AUTH app app | GET x | SET x 1 | SET app:1 1 | GET app:1 | MGET app:1 x | MSET app:1 1 x 2 | DEL x | RENAME app:1 x
    | COPY app:1 x | EXISTS app:1 x | OBJECT ENCODING x | MEMORY USAGE x | WATCH app:1 x | CONFIG GET x | CONFIG SET x y
    | CONFIG NOPE | CONFIG | CLIENT LIST | CLIENT KILL ID 1 | CLIENT NOPE | ACL USERS | ACL LIST | ACL GETUSER app
    | ACL DRYRUN app get x | ACL NOPE | ACL USERS x | LATENCY DOCTOR | GET | GET a b | NOPE x
    | MULTI | GET x | EXEC | MULTI | SET app:1 3 | GET x | GET app:1 | EXEC | GET app:1 | MULTI | CLIENT LIST | EXEC
    | MULTI | GET app:1 | EXEC | MULTI | NOPE | GET x | DISCARD | MULTI | ACL WHOAMI | SET app:1 1 | EXEC
"""
CHANNELS = """
    AUTH app app | PUBLISH news x | PUBLISH nas x | PUBLISH other x | SPUBLISH other x | SUBSCRIBE other
    | SUBSCRIBE news other | SSUBSCRIBE other | PSUBSCRIBE n?s | PUNSUBSCRIBE n?s | PSUBSCRIBE news | PUNSUBSCRIBE news
    | PSUBSCRIBE new* | PSUBSCRIBE * | PUBSUB NUMSUB news | UNSUBSCRIBE other | SUBSCRIBE news | AUTH root root
    | GET x | SUBSCRIBE other | RESET | GET app:1
"""
OTHERS = """
    AUTH reader reader | SET app:1 x | GET x | GET y | PUBLISH news x | SUBSCRIBE news | MULTI | SET x 1 | EXEC
    | AUTH none none | GET x | PING | ECHO x | SUBSCRIBE x | SELECT 1 | MULTI | GET x | EXEC | CLIENT ID x | ACL WHOAMI
"""
OF_ROOT = """
    AUTH root root | ACL GETUSER nobody | ACL GETUSER | ACL CAT nope | ACL CAT a b | ACL DRYRUN | ACL DRYRUN app
    | ACL DRYRUN nobody get x | ACL DRYRUN app nope x | ACL DRYRUN app '' | ACL DRYRUN '' get x | ACL DRYRUN app get
    | ACL DRYRUN app get x | ACL DRYRUN app get app:1 | ACL DRYRUN app GET app:1 x | ACL DRYRUN app mget app:1 x
    | ACL DRYRUN reader SET x 1 | ACL DRYRUN none get x | ACL DRYRUN none ping | ACL DRYRUN app auth x
    | ACL DRYRUN app client list | ACL DRYRUN app client nope | ACL DRYRUN app client | ACL DRYRUN app config get x
    | ACL DRYRUN app publish news x | ACL DRYRUN app publish other x | ACL DRYRUN app psubscribe new*
    | ACL DRYRUN app psubscribe n?s | ACL DRYRUN app subscribe news other | ACL DRYRUN app eval 'return 1' 1 x
    | MULTI | ACL DRYRUN app get x | ACL DRYRUN nobody get x | EXEC
"""
WHO_IS_OPEN = "ACL WHOAMI | GET x | GET y | SET x 1 | AUTH default any | AUTH any | AUTH app app | RESET | ACL WHOAMI"
WHO_HAS_A_PASSWORD = "GET x | AUTH wrong | AUTH pw | ACL WHOAMI | RESET | GET x | AUTH default pw | SET x 1"

_OLD_TEXTS = (
    (rb"(NOPERM )?\b[Tt]his user has no permissions to access one of the (key|channel)s used as arguments",
     rb"NOPERM No permissions to access a \2"),
    (rb"\b(User \w+|[Tt]his user) has no permissions", rb"somebody has no permissions"),
    (rb"\$\d+\r\n(?=somebody)", b"$"),
)  # fmt: skip
"""Redis 7.0 says the same in other words than 7.2 and Valkey, whose words dkv has."""


class NodeOfUsers(MemoryNode):
    """A node in memory whose clients are users of a file."""

    def __init__(self, time_ms: int, users: str) -> None:
        self._logins = LoginPort(users)
        super().__init__(time_ms, port=self._logins)

    def serve(self) -> None:
        """Check passwords, and answer, until nothing is left."""
        while self._logins.checks.waiting or self._logins.messages:
            self._logins.checks.end_all()
            super().serve()
        self._logins.clock.pump([10.0] * 10)  # so wrong passwords slow nobody down


class UsersAsThereTests(SynchronousTestCase):
    """Each dialogue is held on a connection of its own."""

    def begin(self, name: str, default: tuple[str, str]) -> tuple[RealClient, MemoryClient]:
        """A client of each, where there are these users."""
        start = references().get(name)
        if start is None:
            raise SkipTest(f"{name}-server is not installed")
        reference: Reference = start()
        self.addCleanup(reference.stop)
        operator = reference.connect()
        self.addCleanup(operator.close)
        for user in (*THEIRS, default[1]):
            self.assertEqual(operator.ask([b"ACL", b"SETUSER", *user.encode().split()]).data, b"+OK\r\n", user)
        text = USERS.format(**{name: hashed(name) for name in NAMES}) + default[0]
        theirs = reference.connect()
        assert isinstance(theirs, RealClient)
        self.addCleanup(theirs.close)
        return theirs, NodeOfUsers(reference.time_ms(), text).connect()

    def compare(self, default: tuple[str, str], *dialogues: str) -> None:
        """The servers that are there and dkv answer alike."""
        for name in ("redis", "valkey"):
            for dialogue in dialogues:
                theirs, ours = self.begin(name, default)
                for line in dialogue.split("|"):
                    words = split_line(line.strip().encode())
                    assert words
                    expected, told = theirs.ask(words), read_whole(ours.ask(words))
                    if words[0] == b"HELLO" and not expected.is_error:
                        self.assertEqual(told.kind, expected.kind, line)  # what it says of the server is another matter
                    else:
                        self.assertEqual(said(told, name), said(expected, name), (name, line.strip(), dialogue))

    def test_who_says_who_it_is(self) -> None:
        """Libraries tell by these words whether to ask for another password, to try again or to give up."""
        self.compare(NO_DEFAULT, BEFORE, BECOMING)
        self.compare(WITH_PASSWORD, WHO_HAS_A_PASSWORD)
        self.compare(OPEN, WHO_IS_OPEN)

    def test_what_is_denied(self) -> None:
        """A program that lacks a right hears of it in the words that it knows."""
        self.compare(NO_DEFAULT, DENIED, CHANNELS, OTHERS)

    def test_what_operators_are_told(self) -> None:
        """ACL has the forms of Redis, for those who may ask."""
        self.compare(NO_DEFAULT, OF_ROOT)

    def test_lists_of_users(self) -> None:
        """The fields and lines that tools read, beside what dkv does not have: names of commands, and hashes."""
        for name in ("redis", "valkey"):
            theirs, ours = self.begin(name, WITH_PASSWORD)
            for protocol in (b"2", b"3"):
                for words in ([b"AUTH", b"root", b"root"], [b"HELLO", protocol]):
                    theirs.ask(words), ours.ask(words)
                for user in (*NAMES, "default"):
                    words = [b"ACL", b"GETUSER", user.encode()]
                    self.assertEqual(fields(read_whole(ours.ask(words))), fields(theirs.ask(words)), words)
                for words in ([b"ACL", b"USERS"], [b"ACL", b"LIST"]):
                    self.assertEqual(lines(read_whole(ours.ask(words))), lines(theirs.ask(words)), words)


def said(reply: Reply, server: str) -> bytes:
    """What is compared of a reply."""
    data = reply.data
    for old, new in _OLD_TEXTS if server == "redis" else ():
        data = re.sub(old, new, data)
    return data


def fields(reply: Reply) -> list[object]:
    """What ACL GETUSER says, as far as both say it."""
    found = {key.bulk: value for key, value in zip(reply.items[::2], reply.items[1::2], strict=True)}
    whole = [found[name].data for name in (b"flags", b"keys", b"channels", b"selectors")]
    return [reply.kind, *whole, len(found[b"passwords"].items), found[b"commands"].bulk == b"+@all"]


def lines(reply: Reply) -> list[bytes]:
    """The lines of ACL LIST or USERS in the order of names, without hashes and names of commands."""
    return sorted(re.sub(rb"#\S+|-@all .*", b"", each.bulk) for each in reply.items)
