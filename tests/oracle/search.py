"""Random sequences of requests, made up from the registry, until a difference shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from dkv.console.client_session import TABLE
from dkv.kv.registry import Command
from tests.oracle.comparison import Comparison
from tests.oracle.grammar import Form, Words, parse
from tests.oracle.random_scripts import RandomScripts
from tests.oracle.reference import Reference
from tests.oracle.run import Ask, Found, Iterate, Pass, Restart, Step, find
from tests.oracle.shrinking import shrink

STEPS_MAX = 40
TRANSACTION_STEPS_MAX = 8

LEFT_OUT = frozenset(
    (
        b"quit", b"help", b"info", b"command", b"client", b"config", b"latency", b"role", b"wait",
        b"waitaof", b"pubsub", b"subscribe", b"psubscribe", b"ssubscribe", b"unsubscribe", b"punsubscribe",
        b"sunsubscribe", b"script|flush", b"auth", b"acl",
    )
)  # fmt: skip
"""Commands whose replies tell of the server, are several or none, or end the connection: they have tests of their own.
SCRIPT FLUSH takes the scripts from the reference, which dkv always has.
"""

SCRIPTED = frozenset((b"eval", b"evalsha", b"eval_ro", b"evalsha_ro"))
"""Commands whose first argument is a script."""

ONLY_IN_PLACE = frozenset((b"multi", b"watch"))
"""Commands that Redis and Valkey refuse with different consequences where they do not belong."""

PASSES = (1, 2, 4, 7, 10, 499, 1000, 1001, 99_000, 3_600_000, 86_400_000)
"""How many milliseconds may pass."""

NEWER = ("IFEQ value", "IFNE value")
"""Options of SET that came after Redis 7.0."""

SCAN_OPTIONS = parse("[MATCH pattern] [COUNT count] [TYPE type]")


class Search:
    """Looks for differences between dkv and ``reference``, in the same sequences for the same ``seed``."""

    def __init__(self, reference: Reference, seed: int) -> None:
        self.comparison = Comparison(server=reference.name, exact=reference.exact)
        self._reference = reference
        self._seed = seed
        self._commands = commands_of_both(reference)
        newer = [option for option in NEWER if refuses(reference, option)]
        self._forms = {name: form_without(command, newer) for name, command in self._commands.items()}
        self._scripts = RandomScripts(reference)
        self._seen: set[tuple[bytes, bytes, bytes]] = set()
        self.sequences = 0
        self.asked = 0

    def find(self, sequences: int) -> Iterator[Found]:
        """Differences in so many sequences, each shrunk. One that looks like another before it is left out."""
        for _ in range(sequences):
            steps = self._sequence(Random(f"{self._seed} {self.sequences}"))
            self.sequences += 1
            self.asked += len(steps)
            found = self._look(steps)
            if found is not None and found.looks not in self._seen:
                shrunk = shrink(found, self._look)
                if shrunk.looks not in self._seen:
                    yield shrunk
                self._seen |= {found.looks, shrunk.looks}

    def _look(self, steps: tuple[Step, ...]) -> Found | None:
        return find(self._reference, self.comparison, steps)

    # --- sequences ---

    def _sequence(self, random: Random) -> tuple[Step, ...]:
        """Two clients ask, time passes, and the node restarts; a third one looks at what has come of it."""
        self._reference.clear()
        words = Words(random, self._reference.time_ms, wrong=self._reference.exact)
        at_random = sorted(self._forms.keys() - ONLY_IN_PLACE)
        names = random.sample(at_random, min(6, len(at_random))) * 4 + at_random
        steps: list[Step] = []
        if random.random() < 0.5:
            steps.append(Ask(0, (b"HELLO", b"3")))
        for number in range(random.randint(1, STEPS_MAX)):
            client = int(random.random() < 0.25)
            dice = random.random()
            if dice < 0.04:
                steps.append(self._pass(random))
            elif dice < 0.05:
                steps.append(Restart())
            elif dice < 0.08 and b"scan" in self._forms:
                steps.append(Iterate(client, tuple(words.of(SCAN_OPTIONS))))
            elif dice < 0.15 and b"multi" in self._forms:
                steps += self._transaction(words, random, names, client)
            else:
                request = self._request(words, random, names)
                token = (b"IDMP", b"producer", b"%d" % (number + 1))
                protected = random.random() < 0.1 and "write" in self._flags(request)
                steps.append(Ask(client, request, token if protected else ()))
        return (*steps, *self._audit())

    def _pass(self, random: Random) -> Pass:
        return Pass(random.choice(PASSES if self._reference.steady else PASSES[:5]))

    def _request(self, words: Words, random: Random, names: list[bytes]) -> tuple[bytes, ...]:
        name = random.choice(names)
        if name in SCRIPTED:
            return self._scripts.request(name, words, random)
        shown = name.upper() if random.random() < 0.8 else name
        return (*shown.split(b"|"), *words.arguments(self._forms[name]))

    def _flags(self, request: tuple[bytes, ...]) -> tuple[str, ...]:
        command = self._commands.get(request[0].lower())
        return () if command is None else command.flags

    def _transaction(self, words: Words, random: Random, names: list[bytes], client: int) -> Iterator[Step]:
        """A transaction that perhaps watches keys, and into which another client perhaps writes."""

        # A flush changes watched keys in dkv also where they did not exist.
        names = [name for name in names if not name.startswith(b"flush")]

        def request(by: int) -> Step:
            return Ask(by, self._request(words, random, names))

        if random.random() < 0.5:
            yield Ask(client, (b"WATCH", *words.arguments(parse("key [key ...]"))))
        if random.random() < 0.4:
            yield request(random.randrange(2))
        if random.random() < 0.2:
            yield self._pass(random)
        yield Ask(client, (b"MULTI",))
        for _ in range(random.randint(0, TRANSACTION_STEPS_MAX)):
            yield request(client if random.random() < 0.85 else 1 - client)
        yield Ask(client, (random.choice((b"EXEC", b"EXEC", b"EXEC", b"DISCARD")),))

    def _audit(self) -> Iterator[Step]:
        """What everything comes to."""
        for database in (b"0", b"1"):
            for name, request in ((b"select", (b"SELECT", database)), (b"dbsize", (b"DBSIZE",)), (b"scan", ())):
                if name in self._forms:
                    yield Ask(2, request) if request else Iterate(2, ())
            for key in (b"a", b"b", b"c", b"d", b""):
                yield Ask(2, (b"GET", key))
                if b"pexpiretime" in self._forms:
                    yield Ask(2, (b"PEXPIRETIME", key))


def commands_of_both(reference: Reference) -> dict[bytes, Command]:
    """The commands that dkv and the reference have, each subcommand as one."""
    every = [each for command in TABLE.values() for each in command.subcommands or (command,)]
    named = {each.name.encode(): each for each in every}
    left_out = LEFT_OUT if reference.exact else LEFT_OUT | {b"hello"}
    return {
        name: each
        for name, each in named.items()
        if not {name, name.partition(b"|")[0]} & left_out and reference.knows(name)
        if reference.exact or name not in SCRIPTED
    }


def refuses(reference: Reference, option: str) -> bool:
    """Whether the reference does not have the option of SET."""
    client = reference.connect()
    reply = client.ask([b"SET", b"k", b"v", *option.encode().split()])
    client.close()
    return reply.is_error


def form_without(command: Command, options: Sequence[str]) -> Form:
    """The form of the command's arguments, without these options."""
    text = command.arguments
    for option in options:
        text = text.replace(f"|{option}", "")
    return parse(text)
