"""The clients of a soak: each asks without pause or with a short one, and writes down what it was told.

Values are unique: each begins with its client and a number, and ends with a dot, so that what was appended can be told
apart. Keys are of two kinds. A *ledger* is only appended to and read; a *register* sees every command.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from random import Random

from dkv.client.blocking import Connection, Endpoint, NoAnswer, NotSent, Reply, ServerError, connect
from dkv.client.outcome import Ending, Unreachable, may_be_done
from dkv.client.session import Session
from dkv.sim.history import Kind, Operation
from tests.soak.journal import Journal

CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 5.0
"""More than ``request_seconds`` of the nodes: only one that is frozen or cut off does not answer in time."""

RECONNECT_SECONDS = 0.05
REFUSED_SECONDS = 0.02
"""So long does a client wait before it asks anew: a node that refuses is fast."""
EXPECTED = ("TRYAGAIN", "CLUSTERDOWN", "LOADING", "UNCERTAIN", "MISCONF")
"""The errors that faults explain, by their first words."""

PHASE_OPS = 10**6
"""The op ids of a phase begin at a multiple of this: all phases have the same producers, so nodes as many tokens."""

LEDGERS = 12
REGISTERS = 24
PADDING_BYTES_MAX = 400
"""So much longer than its unique beginning may be what is put into a register."""

KINDS: tuple[Kind, ...] = ("put", "get", "append", "delete")
REGISTER_SHARES = (8, 8, 4, 2)
LEDGER_SHARES = (0, 2, 9, 0)


def keys_of(phase: int) -> list[bytes]:
    """All keys of a phase: no other phase uses them."""
    ledgers = [b"phase-%d-ledger-%d" % (phase, index) for index in range(LEDGERS)]
    return ledgers + [b"phase-%d-register-%d" % (phase, index) for index in range(REGISTERS)]


class Client:
    """One client, which asks for some of ``keys`` until it is stopped. ``pause`` is in seconds."""

    def __init__(self, name: str, keys: Sequence[bytes], journal: Journal, random: Random, pause: float) -> None:
        self.name = name
        self.strange: list[str] = []
        """Answers that no node should have given, and the exception that ended the client."""
        self._keys = keys
        self._journal = journal
        self._random = random
        self._pause = pause
        self._made = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the request under way."""
        self._stopped.set()

    def join(self, seconds: float) -> bool:
        """Wait for the end, and return whether it came."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                self._ask_once(*self._draw())
                self._stopped.wait(self._pause)
        except Exception as error:  # not lost with its thread: the soak looks for it
            self.strange.append(f"{type(error).__name__}: {error}")
        finally:
            self._close()

    def _draw(self) -> tuple[Kind, bytes, tuple[bytes, ...]]:
        key = self._random.choice(self._keys)
        is_ledger = b"ledger" in key
        kind = self._random.choices(KINDS, LEDGER_SHARES if is_ledger else REGISTER_SHARES)[0]
        if kind not in ("put", "append"):
            return kind, key, ()
        self._made += 1
        value = b"%s-%d." % (self.name.encode(), self._made)
        padding = b"" if is_ledger or kind == "append" else b"x" * self._random.randrange(PADDING_BYTES_MAX)
        return kind, key, (value + padding,)

    def _ask_once(self, kind: Kind, key: bytes, arguments: tuple[bytes, ...]) -> None:
        called = time.monotonic()
        reply, ending = self._ask(kind.upper().encode(), key, *arguments)
        asked = Operation(self.name, kind, key, arguments, called)
        if ending is None:
            if not _fits(kind, reply):
                raise ValueError(f"{asked} was answered {reply!r:.60}")
            result = reply if isinstance(reply, bytes | int) else None
            self._journal.add(Operation(self.name, kind, key, arguments, called, time.monotonic(), result))
        elif kind == "get" or not _unknown(ending):
            word = ending.word if isinstance(ending, ServerError) else type(ending).__name__
            self._journal.refuse(asked, word)
            self._stopped.wait(REFUSED_SECONDS)
        else:
            self._journal.add(asked)

    def _ask(self, *words: bytes) -> tuple[Reply, Ending | Unreachable | None]:
        """The reply and None; or None and how the request ended instead."""
        raise NotImplementedError

    def _note(self, ending: Ending | Unreachable) -> None:
        if isinstance(ending, ServerError) and ending.word not in EXPECTED:
            self.strange.append(ending.text)

    def _close(self) -> None:
        raise NotImplementedError


class NodeClient(Client):
    """Asks one node, whatever it says."""

    def __init__(
        self, name: str, keys: Sequence[bytes], journal: Journal, random: Random, pause: float, endpoint: Endpoint
    ) -> None:
        super().__init__(name, keys, journal, random, pause)
        self._endpoint = endpoint
        self._connection: Connection | None = None

    def _ask(self, *words: bytes) -> tuple[Reply, Ending | Unreachable | None]:
        try:
            if self._connection is None:
                self._connection = connect(self._endpoint, CONNECT_SECONDS, ANSWER_SECONDS)
            return self._connection.call(*words), None
        except ServerError as error:
            self._note(error)
            return None, error
        except (NotSent, NoAnswer) as error:
            self._close()
            self._stopped.wait(RECONNECT_SECONDS)
            return None, error

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class TokenClient(Client):
    """Sends each write with a token, to one node after another until one of them tells what became of it.

    Its name is the phase, and the producer behind a hyphen.
    """

    def __init__(
        self, name: str, keys: Sequence[bytes], journal: Journal, random: Random, pause: float,
        endpoints: Sequence[Endpoint],
    ) -> None:  # fmt: skip
        super().__init__(name, keys, journal, random, pause)
        self._session = Session(endpoints, ANSWER_SECONDS)
        phase, self._producer = name.encode().split(b"-")
        self._op = int(phase) * PHASE_OPS

    def _ask(self, *words: bytes) -> tuple[Reply, Ending | Unreachable | None]:
        if words[0] == b"GET":
            return self._try(words)
        self._op += 1
        worst: Ending | Unreachable | None = None
        while True:
            reply, ending = self._try((b"IDMP", self._producer, b"%d" % self._op, *words))
            if ending is None:
                return reply, None
            if worst is None or _unknown(ending):
                worst = ending  # an attempt that may have been executed counts more than one that was refused
            if self._stopped.is_set() or self.strange:
                return None, worst
            self._session.close()  # so that the next node is asked
            self._stopped.wait(RECONNECT_SECONDS)

    def _try(self, words: tuple[bytes, ...]) -> tuple[Reply, Ending | Unreachable | None]:
        try:
            return self._session.call(*words), None
        except (Unreachable, NoAnswer, ServerError) as error:
            self._note(error)
            return None, error

    def _close(self) -> None:
        self._session.close()


def _fits(kind: Kind, reply: Reply) -> bool:
    """Whether a reply is of a kind that fits its request."""
    if kind == "put":
        return reply == "OK"
    if kind == "get":
        return reply is None or isinstance(reply, bytes)
    return type(reply) is int


def _unknown(ending: Ending | Unreachable) -> bool:
    """Whether a write that ended like this may have been executed."""
    return not isinstance(ending, Unreachable) and may_be_done(ending)


class Load:
    """All clients of one phase: some for each node, and some with tokens. They stop when they are told to."""

    def __init__(self, phase: int, endpoints: Sequence[Endpoint], journal: Journal, random: Random) -> None:
        keys = keys_of(phase)
        pause = random.choice((0.0, 0.001, 0.01))
        self.clients: list[Client] = []
        for index, endpoint in enumerate([*endpoints, *endpoints]):
            seeded = Random(random.random())
            self.clients.append(NodeClient(f"{phase}-n{index}", keys, journal, seeded, pause, endpoint))
        for index in range(len(endpoints)):
            seeded, turned = Random(random.random()), [*endpoints[index:], *endpoints[:index]]
            self.clients.append(TokenClient(f"{phase}-t{index}", keys, journal, seeded, pause, turned))
        for client in self.clients:
            client.start()

    def stop(self) -> list[str]:
        """Let every request under way end, and return the names of clients that do not."""
        for client in self.clients:
            client.stop()
        deadline = time.monotonic() + 3 * ANSWER_SECONDS
        return [client.name for client in self.clients if not client.join(max(0.0, deadline - time.monotonic()))]
