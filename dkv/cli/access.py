"""How a command reaches the cluster: the nodes that it asks, the token of what it writes, what a failure means."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any

import click

from dkv.cli.access_options import admits
from dkv.cli.output import Failure, Status, shell_word
from dkv.cli.types import Seconds, Whole
from dkv.cli.waiting import for_answer
from dkv.client.addresses import present
from dkv.client.admission import wants_user
from dkv.client.any_node import ask_where
from dkv.client.blocking import Endpoint, NoAnswer, Reply, ServerError
from dkv.client.outcome import FORGOTTEN, RETRIED_ELSEWHERE, TAKEN, Unreachable
from dkv.client.producer import Token, next_token
from dkv.client.silence import Silence
from dkv.client.state import state_path
from dkv.client.url import DATABASE_MAX, Destination
from dkv.kv.sessions import OP_MAX, PRODUCER_BYTES_MAX
from dkv.kv.words.idempotence import NEW_PRODUCER

ENDPOINTS = "127.0.0.1:5001,127.0.0.1:5002,127.0.0.1:5003"
ANSWER_SECONDS = 10.0
"""Longer than a node takes until it gives up and says so (``request_seconds``, 5 by default)."""

PRODUCER = "producer"


def statuses(absent: str) -> str:
    """The exit statuses of a command on data; status 1 means ``absent``."""
    return f"""\b
Exit status:
  0    done
  1    {absent}
  2    usage: the command line is wrong; nothing was sent
  3    nobody reachable: no endpoint answered; a write was not sent
  4    refused: not applied
  5    outcome unknown: a write was sent and may or may not happen; the message says how to send it again safely
  74   the answer, whatever it was, could not be written to stdout
  130  interrupted"""


STATUSES = statuses("absent: there is no such key (get), or none of them (delete)")


def database_option(what: str, default: str) -> Callable[[Any], Any]:
    """The option --db: ``what`` it names, and which database counts by ``default``."""
    help = f"{what}, from 0 to {DATABASE_MAX}.  [default: {default}, or that of --endpoints]"
    return click.option("--db", type=Whole(0, DATABASE_MAX), metavar="N", help=help)


DATABASE = database_option("The database of the keys", "0")


def destination(_: click.Context, __: click.Parameter, text: str) -> Destination:
    """The nodes in a list separated by commas, and the database that it names."""
    try:
        return Destination.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def all_nodes(context: click.Context, option: click.Parameter, text: str | None) -> Destination | None:
    """The nodes of a running cluster in such a list, for a command that else has one of its own. It names no
    database."""
    found = None if text is None else destination(context, option, text)
    if found is not None and found.database is not None:
        raise click.BadParameter("this command uses database 0")
    return found


@dataclass(frozen=True, slots=True)
class Given:
    """A token that the user named. ``may_repeat`` if that includes the op, which an earlier attempt may have used."""

    token: Token
    may_repeat: bool


@dataclass(frozen=True, slots=True)
class Access:
    """The options of every command here."""

    endpoints: tuple[Endpoint, ...]
    as_json: bool
    answer_seconds: float
    database: int = 0

    def silence(self) -> Silence:
        """The endpoints that lately gave this user's commands no answer."""
        return Silence(state_path("silent"))

    def ask(self, *words: bytes) -> Reply:
        """Send a request that reads, or an order to the node itself; a ``Failure`` tells its outcome."""
        return self.ask_where(*words)[1]

    def ask_where(self, *words: bytes, again: str = "") -> tuple[Endpoint, Reply]:
        """The endpoint that answered, and its answer; ``again`` follows a message that the outcome is unknown.

        If all endpoints refuse because of their own state, as nodes do that were removed, those members are asked that
        the list lacks.
        """
        try:
            return self._ask(self.endpoints, words, again)
        except Failure as failure:
            if failure.status != Status.REFUSED or failure.word not in RETRIED_ELSEWHERE:
                raise
            others = tuple(each for each in present(self.endpoints, self.answer_seconds) if each not in self.endpoints)
            if not others:
                raise
        return self._ask(others, words, again)

    def _ask(self, endpoints: tuple[Endpoint, ...], words: tuple[bytes, ...], again: str) -> tuple[Endpoint, Reply]:
        try:
            with for_answer(endpoints):
                return ask_where(endpoints, words, self.answer_seconds, self.silence(), self.database)
        except Unreachable as error:
            raise Failure(Status.UNREACHABLE, "UNREACHABLE", f"nobody reachable: {error}") from None
        except NoAnswer as error:
            raise Failure(Status.UNCERTAIN, error.word, f"outcome unknown: {error}{again}") from None
        except ServerError as error:
            hint = " (see --user)" if wants_user(error.text) else ""
            raise Failure(Status.REFUSED, error.word, f"refused: {error.text}{hint}") from None

    def write(self, given: Given | None, *words: bytes) -> Reply:
        """Send a write, with a token of this user if none is ``given``; a ``Failure`` tells its outcome."""
        path = state_path(PRODUCER)
        try:
            return self._write(given.token if given else next_token(path), words)
        except Failure as failure:
            if failure.word not in (FORGOTTEN, TAKEN) or failure.status != Status.REFUSED:
                raise
            if given is not None and given.may_repeat and failure.word == FORGOTTEN:
                text = (
                    f"outcome unknown: {failure.message.removeprefix('refused: ')}; by an earlier one it may have been"
                )
                raise Failure(Status.UNCERTAIN, FORGOTTEN, text) from None
            if given is not None:
                raise
        # It was never sent before, so it was never executed: others use our producer, or our producer was evicted.
        return self._write(next_token(path, anew=True), words)

    def _write(self, token: Token, words: tuple[bytes, ...]) -> Reply:
        again = f"; to send it again safely add --producer {shell_word(token.producer)} --op {token.op}"
        return self.ask_where(b"IDMP", token.producer, b"%d" % token.op, *words, again=again)[1]


def looks(help: str, seconds: float, keys: bool = False) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Give a command the options of ``Access``, its first argument; ``seconds`` is the default of --timeout.

    A command on ``keys`` has --db, too.
    """
    options = (
        click.option(
            "--endpoints",
            callback=destination,
            metavar="HOST:PORT,...",
            envvar="DKV_ENDPOINTS",
            default=ENDPOINTS,
            show_default=True,
            show_envvar=True,
            help=help,
        ),
        click.option("--output", type=click.Choice(("text", "json")), default="text", show_default=True),
        click.option(
            "--timeout",
            type=Seconds(),
            default=seconds,
            show_default=True,
            metavar="SECONDS",
            help="How long to wait for an answer of one node.",
        ),
        *([DATABASE] if keys else []),
    )

    def decorate(command: Callable[..., int]) -> Callable[..., int]:
        def run(endpoints: Destination, output: str, timeout: float, **arguments: Any) -> int:
            database = _one_of(arguments.pop("db") if keys else None, endpoints.database)
            return command(Access(endpoints.endpoints, output == "json", timeout, database), **arguments)

        update_wrapper(run, command)
        given = admits(run)
        for option in reversed(options):
            given = option(given)
        return given

    return decorate


def _one_of(option: int | None, listed: int | None) -> int:
    """The database that --db or --endpoints names; a usage error if they contradict each other."""
    if option is not None and listed is not None and option != listed:
        raise click.UsageError(f"--db {option} and the database {listed} of --endpoints contradict each other")
    return next((each for each in (option, listed) if each is not None), 0)


access = looks(
    "Nodes to ask, in this order. The next one is tried if there is no answer, and after an answer that the request "
    "may be retried; a write happens once all the same. redis://HOST:PORT/1 names a database, too, and dkvs:// or "
    "rediss:// TLS.",
    ANSWER_SECONDS,
    keys=True,
)


def tokened(command: Callable[..., int]) -> Callable[..., int]:
    """Give a write the options of its token, which is the argument ``token``: None if none is given."""

    def run(to: Access, producer: bytes | None, op: int | None, **arguments: Any) -> int:
        if producer is None and op is not None:
            raise click.UsageError("--op needs --producer: op ids are those of a producer")
        token = None
        if producer is not None:
            token = Given(Token(producer, op or next_token(state_path(PRODUCER)).op), op is not None)
        return command(to, token=token, **arguments)

    update_wrapper(run, command)
    producer = click.option(
        "--producer",
        callback=producer_name,
        metavar="NAME",
        help="Send the write as this producer's, instead of one of your own that is kept in "
        "$XDG_STATE_HOME/dkv/producer. A write of the same producer and op happens once, however often it is sent.",
    )
    op = click.option("--op", type=Whole(1, OP_MAX), metavar="N", help="The op id of the write; without it a new one.")
    return producer(op(run))


def producer_name(_: click.Context, __: click.Parameter, word: str | None) -> bytes | None:
    """The bytes of a producer's name."""
    name = None if word is None else os.fsencode(word)
    if name is None or (0 < len(name) <= PRODUCER_BYTES_MAX and (name[:1] != b"#" or NEW_PRODUCER.fullmatch(name))):
        return name
    raise click.BadParameter(f"a name has 1 to {PRODUCER_BYTES_MAX} bytes, and no '#' in front unless IDMP NEW made it")


# --- answers ---


def integer(reply: Reply) -> int:
    """The number that a command was answered with."""
    if type(reply) is not int:
        raise unexpected(reply)
    return reply


def unexpected(reply: Reply) -> Failure:
    """The failure for an answer of a program that is not dkv: nobody knows what it did with the request."""
    return Failure(Status.UNCERTAIN, "NO_ANSWER", f"outcome unknown: a node of dkv would not answer {reply!r:.60}")
