"""What a node knows of one of its clients: commands about the connection read and change it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import Enum, auto

from dkv.console.client_transaction import GatheredBytes, Transaction
from dkv.console.inspection import Inspection
from dkv.console.refused_words import RefusedWords
from dkv.console.subscribed import Subscribed
from dkv.kv.registry import Command, Context
from dkv.security.users import EVERYBODY, NOBODY, User, Users, anonymous
from dkv.settings import Limits


class Evidence(Enum):
    """How a client has shown which user it is."""

    NONE = auto()
    """Not at all: it is the user ``default``, or nobody."""
    PASSWORD = auto()
    CERTIFICATE = auto()


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
        self.evidence = Evidence.NONE
        self.certificate: Sequence[str] = ()
        """The names in the certificate that the client has shown."""
        self.is_gone = False
        """Whether nobody waits for its replies any more."""
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

    def may_listen_as(self, user: User) -> bool:
        """Whether this user may listen to all that the client has subscribed to."""
        rights = user.rights
        return not self.subscribed or (rights.allows("pubsub") and self.subscribed.is_allowed(rights))

    # --- who is it? ---

    @property
    def is_unnamed(self) -> bool:
        """Whether the client has to say who it is before it may do anything."""
        return self.user is NOBODY

    def proved(self, names: Sequence[str]) -> None:
        """The client has shown a certificate with these names."""
        self.certificate = names
        self.begin_as(self.node.logins.users)

    def begin_as(self, users: Users | None) -> None:
        """Be who a client is at first, by its certificate or by none, where there are these ``users``."""
        by_certificate = users.by_certificate(self.certificate) if users is not None and self.certificate else None
        self.evidence = Evidence.NONE if by_certificate is None else Evidence.CERTIFICATE
        self.become(by_certificate or anonymous(users))

    def log_in(self, user: User) -> None:
        """The client has named the password of this user, if it has one."""
        self.evidence = Evidence.PASSWORD if user.hashes else Evidence.NONE
        self.become(user)

    def known_to(self, users: Users) -> User | None:
        """Which of the ``users`` it is, if they take the place of the earlier ones; None if it is none of them."""
        match self.evidence:
            case Evidence.PASSWORD:
                user = users.find(self.user.name)
                return user if user is not None and user.hashes else None
            case Evidence.CERTIFICATE:
                return users.by_certificate(self.certificate)
            case Evidence.NONE:
                return users.default or (NOBODY if self.is_unnamed else None)

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
        self.begin_as(self.node.logins.users)
