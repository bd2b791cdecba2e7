"""One client's session: it finds out what each request asks for.

Commands on data become entries for the log. Commands about the connection, or about its node, are answered here. Words
that Redis knows are answered as Redis does, or refused in its words; nothing is half done. Between MULTI and EXEC
requests are gathered (``client_transaction``). Requests of a user who is not allowed everything pass the gate first
(``security.gate``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from dkv.console.acl_words import acl_words
from dkv.console.client_state import ClientState
from dkv.console.client_transaction import NOT_IN_MULTI, OF_ONE_NODE_ALONE, Gathered, GatheredBytes, Token
from dkv.console.client_words import CLIENT
from dkv.console.config_words import CONFIG, config_set
from dkv.console.connection_words import CONNECTION_WORDS, database_of
from dkv.console.declaring import asks_for_help, help_of, refusal_of, unknown
from dkv.console.inspection import Inspection
from dkv.console.introspection import words_about
from dkv.console.listed_keys import as_allowed, kept, lists_others
from dkv.console.login_words import LOGIN_WORDS
from dkv.console.orders import ORDERS
from dkv.console.pubsub_words import ALLOWED, PUBSUB_WORDS, not_while_subscribed
from dkv.console.script_words import SCRIPT
from dkv.console.sentinel_words import SENTINEL
from dkv.console.server_words import SERVER_WORDS
from dkv.kv.codes import BY_BARRIER, IN_EXEC
from dkv.kv.commands import COMMANDS, interpret
from dkv.kv.registry import BadRequest, Command, ConnectionCommand, table
from dkv.kv.words.idempotence import token_of
from dkv.kv.words.scripting import unknown_script
from dkv.replies import Error, Local, LogRequest, Meaning, Simple
from dkv.security.gate import Gate
from dkv.security.users import User
from dkv.settings import Limits
from dkv.wire.telnet import TIMING_MARK, TIMING_MARK_REPLY

QUEUED = Simple("QUEUED")

AT_ONCE = frozenset((b"discard", b"exec", b"multi", b"quit", b"reset", b"watch"))
"""What is answered between MULTI and EXEC, and not gathered."""


def _nobody_asks(words: list[bytes]) -> Meaning:
    """What a request means whose client is gone."""
    return Local(Error("ERR the connection has ended"))


class ClientSession(ClientState):
    """The session of the connection with the number ``connection`` and the client at ``peer``."""

    reads = BY_BARRIER
    containers: frozenset[bytes]

    def __init__(
        self,
        connection: int,
        peer: str,
        limits: Limits,
        node: Inspection,
        gathered: GatheredBytes | None = None,
        draw: Callable[[], int] = int,
    ) -> None:
        super().__init__(connection, peer, limits, node, gathered, draw)
        self.interpret: Callable[[list[bytes]], Meaning] = self._interpreter()
        """What a request is: an entry for the log, or the reply if it needs none.

        It may be another function after each answer that is no plain entry.
        """

    def become(self, user: User) -> None:
        """The client is this user from now on, or the user's rights are other ones."""
        was_unnamed = self.is_unnamed
        super().become(user)
        rights = user.rights
        self.transaction.keep = None if rights.is_unrestricted else partial(kept, rights)
        self.node.exchange.restrict(self.connection, None if rights.is_unrestricted else rights.may_know)
        self.interpret = self._interpreter()
        if self.is_unnamed != was_unnamed:
            self.node.named(self.connection, not self.is_unnamed)

    @property
    def may_listen(self) -> bool:
        """Whether the client may still listen to all that it has subscribed to."""
        return self.may_listen_as(self.user)

    def gone(self) -> None:
        """The client is gone."""
        self.is_gone = True
        self.node.exchange.restrict(self.connection, None)
        self.transaction.end()
        if self.subscribed:
            self.subscribed.forget(self.node.exchange)
        self.node.exchange.leave(self.connection)
        self.node.backups.end(self)
        self.interpret = _nobody_asks  # a method of its own would keep the session until Python looks for cycles

    def _interpret(self, words: list[bytes]) -> Meaning:
        entry = interpret(words, self.context)
        if isinstance(entry, list):
            return entry
        if entry is None:
            return self._answer(words)
        return entry if type(entry) is LogRequest else self._refused(words, entry)

    def _answer(self, words: list[bytes]) -> Meaning:
        """The answer to a request that is not for the log, or what is to be asked in the log for it."""
        if words is TIMING_MARK:
            return Local(TIMING_MARK_REPLY)
        command = CONNECTION_COMMANDS.get(words[0].lower())
        if command is None:
            self.refuse_word(words[:1])
            return Local(unknown(words))
        answer = self._answer_by(command, words)
        self.interpret = self._interpreter()
        return answer

    def _interpreter(self) -> Callable[[list[bytes]], Meaning]:
        """What the next request is interpreted by: a user who is allowed everything does not pass the gate."""
        return self._by_state() if self.user.rights.is_unrestricted else self._at_the_gate

    def _by_state(self) -> Callable[[list[bytes]], Meaning]:
        if self.transaction.gathering:
            return self._gather
        return self._interpret_for_subscriber if self.protocol == 2 and self.subscribed else self._interpret

    def _at_the_gate(self, words: list[bytes]) -> Meaning:
        """A request of a user who is not allowed everything, whatever the state of the session is."""
        if words is TIMING_MARK:  # which is no request
            return self._answer(words)
        transaction = self.transaction
        db = (transaction.context if transaction.gathering else self.context).db
        refusal = GATE.refusal(self.user, words, db)
        if refusal is not None:
            self.node.logins.note_refusal(refusal)
            return Local(transaction.abort(refusal) if words[0].lower() == b"exec" else transaction.refuse(refusal))
        meaning = self._by_state()(words)
        if type(meaning) is LogRequest and lists_others(self.user.rights, meaning.entry):
            return as_allowed(self.user.rights, meaning)
        return meaning

    def _interpret_for_subscriber(self, words: list[bytes]) -> Meaning:
        """A request of a client that gets messages in place of replies: it may ask little."""
        name = words[0].lower()
        command = TABLE.get(name)
        if command is None or name in ALLOWED:
            return self._answer(words)
        refusal = refusal_of(command, words)
        if refusal is not None:
            self._note_subcommand(command, words)
        else:
            subcommand = command.subcommand(words[1]) if command.subcommands and len(words) > 1 else None
            refusal = Error(not_while_subscribed((subcommand or command).name))
        return Local(self.transaction.abort(refusal) if name == b"exec" else refusal)

    def _answer_by(self, command: ConnectionCommand[ClientState], words: list[bytes]) -> Meaning:
        refusal = refusal_of(command, words)
        if refusal is not None:
            self._note_subcommand(command, words)
            refuse = self.transaction.abort if command.name == "exec" else self.transaction.refuse
            return Local(refuse(refusal))
        bytes_max = self.limits.value_bytes_max
        for word in words:
            if len(word) > bytes_max:
                return Local(Error(f"ERR the argument has {len(word)} bytes, limits.value_bytes_max is {bytes_max}"))
        try:
            return command.answer(self, words)
        except BadRequest as refused:
            return Local(Error(str(refused)))

    def _refused(self, words: list[bytes], refusal: Error) -> Local:
        """A request for the log was refused, unless it only asks what there is."""
        if _is_exec_with_token(words):
            return Local(Error("ERR EXEC without MULTI"))
        command = COMMANDS[words[0].lower()]
        self._note_subcommand(command, words)
        self._note_script(command, words)
        return Local([*help_of(command)] if asks_for_help(command, words) else refusal_of(command, words) or refusal)

    def _note_subcommand(self, command: Command, words: list[bytes]) -> None:
        """A request was refused, perhaps since there is no such subcommand."""
        if command.subcommands and len(words) > 1 and command.subcommand(words[1]) is None:
            self.refuse_word(words[:2])

    def _note_script(self, command: Command, words: list[bytes]) -> None:
        """A request was refused, perhaps since the catalogue has no such script."""
        script = unknown_script(words) if command.group == "scripting" and command.takes(len(words)) else None
        if script is not None:
            self.refuse_word([words[0], script])

    # --- between MULTI and EXEC ---

    def _gather(self, words: list[bytes]) -> Meaning:
        """Keep a request for EXEC, as far as it is not refused already."""
        transaction = self.transaction
        name = words[0].lower()
        if words is TIMING_MARK or name in AT_ONCE:
            return self._answer(words)
        if _is_exec_with_token(words):
            return self._execute_once(words)
        gathered = self._gathered(TABLE.get(name), words)
        refusal = transaction.refuse(gathered) if type(gathered) is Error else transaction.add(gathered, words)
        return Local(QUEUED if refusal is None else refusal)

    def _execute_once(self, words: list[bytes]) -> Meaning:
        """``IDMP producer op EXEC``."""
        try:
            token: Token = token_of(words)
        except BadRequest as refused:
            return Local(self.transaction.refuse(Error(str(refused))))
        execution = self.transaction.execute(token)
        self.interpret = self._interpreter()
        return execution

    def _gathered(self, command: Command | None, words: list[bytes]) -> Gathered | Error:
        """What EXEC will have of a request; the error if it is refused as a whole.

        What its words say is looked at, too, but an error in it is only that request's own, as in Redis.
        """
        if command is None:
            self.refuse_word(words[:1])
            return unknown(words)
        refusal = refusal_of(command, words)
        if refusal is not None:
            self._note_subcommand(command, words)
            return refusal
        if _is_not_for_multi(command, words):
            return NOT_IN_MULTI
        context = self.transaction.context
        entry = interpret(words, context)
        if type(entry) is LogRequest:  # It may take no longer than others here.
            entry = entry.entry
        if isinstance(entry, list):
            return entry if entry[0] in IN_EXEC else lambda: Local(OF_ONE_NODE_ALONE)
        if entry is not None:
            return lambda: self._refused(words, entry)
        if command is CONFIG and words[1].lower() == b"set":
            return self._gathered_setting(words)
        if command.name == "select":
            self._select_within(words[1])
        return lambda: self._answer_within(words)

    def _gathered_setting(self, words: list[bytes]) -> Gathered:
        """CONFIG SET is for the log, too."""
        try:
            return config_set(self, words[2:])
        except BadRequest as refused:
            error = Error(str(refused))
            return lambda: Local(error)

    def _select_within(self, text: bytes) -> None:
        """A SELECT was gathered: the requests behind it mean another database, if there is such a one."""
        try:
            self.transaction.select(database_of(text))
        except BadRequest:
            return  # It will be refused in its place.

    def _answer_within(self, words: list[bytes]) -> Local:
        self.executing = True
        answer = self._answer(words)
        self.executing = False
        assert type(answer) is Local, "a request that goes to the log was gathered as one that does not"
        return answer


def _is_exec_with_token(words: list[bytes]) -> bool:
    return len(words) == 4 and words[0].lower() == b"idmp" and words[3].lower() == b"exec"


def _is_not_for_multi(command: Command, words: list[bytes]) -> bool:
    subcommand = command.subcommand(words[1]) if command.subcommands and len(words) > 1 else None
    return "no_multi" in (subcommand or command).flags


CONNECTION_COMMANDS: dict[bytes, ConnectionCommand[ClientState]] = table(
    CONNECTION_WORDS, LOGIN_WORDS, [CLIENT, SCRIPT], PUBSUB_WORDS, SERVER_WORDS, [SENTINEL], ORDERS.values()
)
"""The commands that a connection or its node answers, by name in lower case."""

TABLE: dict[bytes, Command] = table(COMMANDS.values(), CONNECTION_COMMANDS.values())
"""All commands."""

GATE = Gate(TABLE)

_ABOUT = table(words_about(TABLE), [acl_words(TABLE, GATE)])
CONNECTION_COMMANDS |= _ABOUT
TABLE |= _ABOUT

ClientSession.commands = TABLE
ClientSession.containers = frozenset(name for name, command in TABLE.items() if command.subcommands)
