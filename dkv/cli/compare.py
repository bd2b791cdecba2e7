"""``dkv compare``: whether all nodes have the same state, and the first key that differs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, NoReturn

import click

from dkv import keys as kinds
from dkv.cli.access import ANSWER_SECONDS, Access, looks
from dkv.cli.asking import ALL, pause
from dkv.cli.output import Failure, Status, answer, complain, counted, say
from dkv.cli.reply_text import as_json, word
from dkv.client.blocking import Connection, NoAnswer, NotSent, Reply, ServerError, connect
from dkv.keys import DATABASE, STATE
from dkv.kv.expiry import split_deadline_key

ORDER = b"DKV.COMPARE"
TRIES = 5
LOOK_SECONDS = 0.2
"""How long to watch how fast slots are applied, at the first try; each further one takes longer and goes further."""
POLL_SECONDS = 0.05
REACH_SECONDS = 15.0
"""How long the nodes may take to come to the slot and to have it on disk."""


class Pair(NamedTuple):
    """What a node has for a key; ``revision`` is None for what is no key of a user."""

    length: int
    revision: str | None
    digest: str


class Page(NamedTuple):
    """The next part of a node's state: its last key (None at the end), pairs, users' keys, bytes, digest."""

    last: bytes | None
    pairs: int
    keys: int
    size: int
    digest: bytes


class Node:
    """A node that is compared, over one ``connection``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.number, self.applied, _, _ = self.held()

    def ask(self, *words: bytes) -> Reply:
        """One order; a ``Failure`` for an answer that is none."""
        try:
            return self._connection.call(ORDER, *words)
        except ServerError as error:
            raise Failure(Status.REFUSED, error.word, f"refused by {self._connection.endpoint}: {error.text}") from None
        except (NotSent, NoAnswer) as error:
            raise Failure(Status.UNREACHABLE, "UNREACHABLE", f"lost while comparing: {error}") from None

    def held(self) -> tuple[int, int, int, bytes]:
        """(node, applied_through, slot that was asked for, what became of that)."""
        match self.ask(b"STATE"):
            case [int(node), int(applied), int(slot), bytes(state)]:
                return node, applied, slot, state
            case reply:
                self._odd(reply)

    def page(self, slot: int, after: bytes) -> Page:
        """The page behind key ``after``."""
        match self.ask(b"PAGE", b"%d" % slot, after):
            case [bytes() | None as last, int(pairs), int(keys), int(size), bytes(digest)]:
                return Page(last, pairs, keys, size, digest)
            case reply:
                self._odd(reply)

    def pairs(self, slot: int, after: bytes) -> dict[bytes, Pair]:
        """The pairs of that page, by key."""
        found: dict[bytes, Pair] = {}
        reply = self.ask(b"PAIRS", b"%d" % slot, after)
        for each in reply if isinstance(reply, list) else self._odd(reply):
            match each:
                case [bytes(key), int(length), bytes() | None as revision, bytes(digest)]:
                    found[key] = Pair(length, None if revision is None else revision.decode(), digest.hex())
                case _:
                    self._odd(each)
        return found

    def _odd(self, reply: Reply) -> NoReturn:
        text = f"a node of dkv would not answer as {self._connection.endpoint} does: {reply!r:.60}"
        raise Failure(Status.REFUSED, "ODD_ANSWER", text)


@click.command(
    short_help="Find out whether all nodes have the same state.",
    epilog="""\b
Exit status:
  0    equal
  1    they differ, or an endpoint did not answer
  2    usage: the command line is wrong
  3    fewer than two endpoints answered, or one was lost meanwhile
  4    refused: a node would not tell, or the nodes could not be compared at one slot
  74   the answer could not be written to stdout
  130  interrupted""",
)
@looks(ALL, ANSWER_SECONDS)
def compare(to: Access) -> int:
    """Compare the whole states of all nodes, as they are after one slot, and name the first key that differs.

    The nodes serve meanwhile. Values, tokens and the last batches of all nodes are compared, page by page; the keys and
    bytes that are counted are the users' keys, and all that is compared. A node holds the state for as long as it is
    asked about, and half a minute longer: what is overwritten meanwhile stays on its disk.

    For a key that differs each node's row says what it has: the length of the value in bytes, the key's revision (the
    slot of its last change, and the place in that slot), and a digest of both.

    With --output json one object: "equal", "slot", "nodes", and "keys" and "bytes", or "key" and "found" by node.
    """
    with _nodes(to) as nodes:
        slot = _hold(nodes)
        try:
            equal = _walk(to, nodes, slot)
        finally:
            _release(nodes, slot)
    return Status.DONE if equal and len(nodes) == len(to.endpoints) else Status.FAILED


@contextmanager
def _nodes(to: Access) -> Iterator[list[Node]]:
    """The nodes that answer, in the order of their numbers; two at least."""
    with ExitStack() as stack:
        nodes: dict[int, Node] = {}
        for endpoint in to.endpoints:
            try:
                node = Node(stack.enter_context(connect(endpoint, to.answer_seconds, to.answer_seconds)))
            except NotSent as error:
                complain(f"left out: {error}")
                continue
            nodes[node.number] = node
        if len(nodes) < 2:
            raise Failure(Status.UNREACHABLE, "UNREACHABLE", f"nothing to compare: {len(nodes)} node answered")
        yield [nodes[number] for number in sorted(nodes)]


# --- the slot ---


def _hold(nodes: list[Node]) -> int:
    """Let all nodes hold their states after one slot, and return it. It is as far ahead as the next look takes."""
    for number in range(TRIES):
        before = max(node.held()[1] for node in nodes)
        pause(LOOK_SECONDS * 2**number)
        now = max(node.held()[1] for node in nodes)
        slot = now + (now - before) * (number + 1)
        for node in nodes:
            node.ask(b"HOLD", b"%d" % slot)
        if _reached(nodes, slot):
            return slot
        _release(nodes, slot)
    text = f"the nodes did not come to one slot in {TRIES} tries: is one far behind, or its disk slow? See dkv status"
    raise Failure(Status.REFUSED, "TRYAGAIN", text)


def _reached(nodes: list[Node], slot: int) -> bool:
    """Whether all hold it. One that is past it never will; where nothing is written any more, none of them."""
    deadline = time.monotonic() + REACH_SECONDS
    while time.monotonic() < deadline:
        states = [node.held()[2:] for node in nodes]
        if any(state != (slot, b"held") and state != (slot, b"waiting") for state in states):
            return False
        if all(state == (slot, b"held") for state in states):
            return True
        pause(POLL_SECONDS)
    return False


def _release(nodes: list[Node], slot: int) -> None:
    for node in nodes:
        try:
            node.ask(b"END", b"%d" % slot)
        except Failure:
            pass  # it will give the state back by itself


# --- the walk ---


def _walk(to: Access, nodes: list[Node], slot: int) -> bool:
    """Read all states in lock step, and say what came of it; whether they are equal."""
    after, keys, size = b"", 0, 0
    numbers = [node.number for node in nodes]
    while True:
        first, *others = [node.page(slot, after) for node in nodes]
        if any(each != first for each in others):
            key, found = _first_difference(nodes, slot, after)
            _say_difference(to, slot, key, dict(zip(numbers, found, strict=True)))
            return False
        keys, size = keys + first.keys, size + first.size
        if first.last is None:
            break
        after = first.last
    text = (
        f"equal: {counted(keys, 'key')}, {counted(size, 'byte')} at slot {slot} on nodes {', '.join(map(str, numbers))}"
    )
    fields = {"equal": True, "slot": slot, "nodes": numbers, "keys": keys, "bytes": size}
    answer(text.encode(), fields, to.as_json)
    return True


def _first_difference(nodes: list[Node], slot: int, after: bytes) -> tuple[bytes, list[Pair | None]]:
    """The first key behind ``after`` that differs, and what each node has for it."""
    while True:
        pages = [node.pairs(slot, after) for node in nodes]
        known = min((max(page) for page in pages if page), default=b"")  # a node without pairs is at its end
        for key in sorted({key for page in pages for key in page if key <= known}):
            found = [page.get(key) for page in pages]
            if any(each != found[0] for each in found):
                return key, found
        if known <= after:
            raise Failure(Status.REFUSED, "ODD_ANSWER", f"pages behind {after!r:.60} differ, and no pair in them does")
        after = known


def _say_difference(to: Access, slot: int, key: bytes, found: dict[int, Pair | None]) -> None:
    if to.as_json:
        held = {str(number): None if pair is None else _fields(pair) for number, pair in found.items()}
        answer(b"", {"equal": False, "slot": slot, "nodes": list(found), "key": _json_name(key), "found": held}, True)
        return
    say(f"differs: {_name(key)} at slot {slot}")
    for number, pair in found.items():
        say(f"  node {number}: {'absent' if pair is None else _words(pair)}")


def _words(pair: Pair) -> str:
    revision = "" if pair.revision is None else f", revision {pair.revision}"
    return f"{pair.length:,} bytes{revision}, digest {pair.digest}"


def _fields(pair: Pair) -> dict[str, object]:
    return {"length": pair.length, "revision": pair.revision, "digest": pair.digest}


def _name(key: bytes) -> str:
    match key[:1]:
        case kinds.STATE:
            return _name_of_users_key(key[1:])
        case kinds.DEADLINE:
            return f"the deadline of {_name_of_users_key(split_deadline_key(key)[1])}"
        case kinds.CONFIGURATIONS:
            return "the sets of members"
        case kinds.DATABASES_KEY:
            return "the counts of the databases"
        case kinds.NOTIFICATIONS:
            return "the events of keys that are told"
        case kinds.TIME:
            return "the replicated time"
        case kinds.TOMBSTONE:
            return f"the last erasure in a bucket of keys, {word(key[1:])}"
        case kinds.BATCH_MARK:
            return f"the last batch of an origin, {word(key[1:])}"
    return f"a token, {word(key[1:])}"


def _name_of_users_key(name: bytes) -> str:
    """``name`` is the space and the key. Which database has the space is not known here."""
    space = "" if name[:1] == DATABASE else f" in space {name[0]}"
    return f"key {word(name[1:])}{space}"


def _json_name(key: bytes) -> Any:
    return as_json(key[len(STATE + DATABASE) :] if key.startswith(STATE + DATABASE) else key)
