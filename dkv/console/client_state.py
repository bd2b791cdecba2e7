"""What a node knows of one of its clients: commands about the connection read and change it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from dkv.console.client_transaction import GatheredBytes, Transaction
from dkv.console.inspection import Inspection
from dkv.console.refused_words import RefusedWords
from dkv.console.subscribed import Subscribed
from dkv.kv.registry import Command, Context
from dkv.security.users import EVERYBODY, User
from dkv.settings import Limits


class ClientState:
    """The client at ``peer``, which has the connection with the number ``connection``.

    ``gathered`` is shared by all clients of the node. ``draw`` gives random numbers, as in ``Context``.
    """

    commands: Mapping[bytes, Command] = {}
    """All commands that a client may ask for, by name in lower case."""

    def __init__(
        self,
        connection: int,
        peer: str,
        limits: Limits,
        node: Inspection,
        gathered: GatheredBytes | None = None,
        draw: Callable[[], int] = int,
    ) -> None:
        self.connection = connection
        self.peer = peer
        self.limits = limits
        self.node = node
        self.context = Context(limits, draw=draw)
        """What requests are read with; it has the database."""
        self.protocol = 2
        """The version of RESP."""
        self.name = b""
        """What the client calls itself; empty if it has not said."""
        self.library = {b"lib-name": b"", b"lib-ver": b""}
        """What the client says of the library that it uses."""
        self._refused_words = RefusedWords()
        self.transaction = Transaction(limits, gathered or GatheredBytes(limits.node_inflight_bytes_max))
        """What it has gathered since MULTI, and what it watches."""
        self.user: User = EVERYBODY
        """Who the client is, and what it may do. ``become`` changes it."""
        self.executing = False
        """Whether its requests are those of an EXEC, at the moment."""
        self.subscribed = Subscribed(connection, limits)
        """What it has subscribed to."""

    @property
    def listens(self) -> bool:
        """Whether it has subscribed to anything."""
        return bool(self.subscribed)

    def become(self, user: User) -> None:
        """The client is this user from now on, or the user's rights are other ones.

        What was gathered or watched by other rights is not executed.
        """
        if user.rights != self.user.rights:
            self.transaction.forget_rights()
        self.user = user

    def select(self, db: int) -> None:
        """Mean this database from now on."""
        self.context = replace(self.context, db=db)

    def refuse_word(self, words: list[bytes]) -> None:
        """The client asks for a word that dkv does not have: a command, or a command and its subcommand."""
        word = self._refused_words.told_now(words)
        if word is not None:
            library, version = (self.library[field].decode() for field in (b"lib-name", b"lib-ver"))
            self.node.word_refused(self.peer, word, library or self.name.decode(), version)

    def reset(self) -> None:
        """Become as a new connection is. What the client said of its library stays true."""
        self.transaction.end()
        self.subscribed.forget(self.node.exchange)
        self.select(0)
        self.protocol, self.name = 2, b""
