"""What a client may conclude from the attempts at one request: the only place where it concludes anything.

The rule: nobody is told *not applied* of a write that any attempt may have executed. The last answer alone does not
tell. A node that took the write and died may have executed it, whatever the next node says (B35).
"""

from __future__ import annotations

from collections.abc import Sequence

from dkv.client.admission import NAMELESS_PASSWORD
from dkv.client.blocking import NoAnswer, NotSent, ServerError
from dkv.client.failures import DkvError, Rejected, Unavailable, Unknown

Ending = NotSent | NoAnswer | ServerError
"""The end of an attempt that brought no reply."""

RETRIED_ELSEWHERE = frozenset(("LOADING", "TRYAGAIN", "CLUSTERDOWN"))
"""Errors by which a node says that it did not apply the request and that it may be sent again."""

FULL = "ERR max number of clients reached"
"""A node says this to a connection that it has no room for, before it reads anything."""

REMOVED = "TRYAGAIN this node was removed from the cluster"
"""A node says this to its clients once it is no member any more. It did not apply the request, and never will."""

TURNED_AWAY = frozenset(("NOAUTH", "WRONGPASS", "NOPERM"))
"""Errors of a node's gate. The request was not applied, and is not sent again: that needs another user or password."""

FORGOTTEN = "IDMPOLD"
TAKEN = "IDMPMISMATCH"
"""The token was used for another write. As with ``FORGOTTEN``, this request was not executed and never will be."""

READS = frozenset(
    b"GET MGET STRLEN GETRANGE SUBSTR EXISTS TOUCH TYPE TTL PTTL EXPIRETIME PEXPIRETIME KEYS SCAN RANDOMKEY DBSIZE "
    b"EVAL_RO EVALSHA_RO OBJECT MEMORY PING ECHO HELP INFO COMMAND CONFIG SELECT TIME DKV.STATUS DKV.METRICS "
    b"DKV.LOG".split()
)
"""Requests that change nothing."""

TOKEN_TAKERS = frozenset(
    b"PUT SET SETNX SETEX PSETEX GETSET GETDEL GETEX SETRANGE APPEND MSET MSETNX INCR INCRBY DECR DECRBY INCRBYFLOAT "
    b"DEL DELETE UNLINK RENAME RENAMENX COPY EXPIRE PEXPIRE EXPIREAT PEXPIREAT PERSIST FLUSHDB FLUSHALL EVAL "
    b"EVALSHA EXEC".split()
)
"""Requests that may carry a token."""

BOUND = frozenset(
    b"MULTI EXEC DISCARD WATCH UNWATCH SELECT RESET QUIT AUTH HELLO MONITOR SYNC PSYNC "
    b"SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE".split()
)
"""Requests that change what their connection is for the requests behind them, or what it brings."""

SHORT_OF_SPACE = "MISCONF"
"""A disk of the cluster is short of space. That lasts: the request is not sent again."""

PASSING = RETRIED_ELSEWHERE | {SHORT_OF_SPACE, "BUSY"}
"""Errors that say nothing against the request: the same one may be served later."""

TOKEN_WORDS_MIN = 4
"""``IDMP producer op write``; a shorter request, such as ``IDMP NEW``, carries no token."""


class Unreachable(Exception):
    """No endpoint answered, and the request was not executed or changes nothing. The text has a reason for each."""


def changes(words: Sequence[bytes]) -> bool:
    """Whether a request may change something, so that it matters whether it was executed."""
    name = words[0].upper()
    return name not in READS or (name == b"CONFIG" and [each.upper() for each in words[1:2]] == [b"SET"])


def takes_token(words: Sequence[bytes]) -> bool:
    """Whether ``IDMP producer op`` may stand in front of a request. A GETEX without options only reads."""
    name = words[0].upper()
    return name in TOKEN_TAKERS and not (name == b"GETEX" and len(words) == 2)


def bound_to_connection(words: Sequence[bytes]) -> bool:
    """Whether a request is of use only to those that its connection belongs to."""
    name = words[0].upper()
    if name == b"IDMP" and len(words) >= TOKEN_WORDS_MIN:
        name = words[TOKEN_WORDS_MIN - 1].upper()
    return name in BOUND or (name == b"CLIENT" and [each.upper() for each in words[1:2]] == [b"REPLY"])


def repeatable(words: Sequence[bytes]) -> bool:
    """Whether a request may be sent twice, even to two nodes at the same time.

    It only reads, or carries a token by which all nodes know it again. A cursor of SCAN, but for 0, means something
    to one node alone.
    """
    if words[0].upper() == b"SCAN" and [*words[1:2]] != [b"0"]:
        return False
    token = words[0].upper() == b"IDMP" and len(words) >= TOKEN_WORDS_MIN and words[1].upper() != b"NEW"
    return token or not changes(words)


def may_be_done(ending: Ending) -> bool:
    """Whether a write that ended like this may have been executed, or may still be."""
    return isinstance(ending, NoAnswer) or (isinstance(ending, ServerError) and ending.word == "UNCERTAIN")


def turned_away(error: ServerError) -> bool:
    """Whether a node does not let in, or not so far, who this client says it is. All nodes have the same users."""
    return error.word in TURNED_AWAY or error.text.startswith(NAMELESS_PASSWORD)


def asks_elsewhere(error: ServerError) -> bool:
    """Whether a node refused a request because of the node's state, and not because of the request."""
    return error.word in RETRIED_ELSEWHERE or error.text.startswith(FULL)


def failure(endings: Sequence[Ending], *, changes: bool) -> DkvError:
    """What ``conclude`` makes of the attempts, for programs. There may have been none in time."""
    match conclude(endings, changes=changes):
        case NoAnswer() as unknown:
            return Unknown(str(unknown), unknown.word)
        case ServerError() as refusal if refusal.word in PASSING or asks_elsewhere(refusal):
            return Unavailable(refusal.text, refusal.word)
        case ServerError() as refusal:
            return Rejected(refusal.text, refusal.word)
        case Unreachable() as unreachable:
            return Unavailable(str(unreachable) or "no node took the request in time", "UNREACHABLE")


def conclude(endings: Sequence[Ending], *, changes: bool) -> Unreachable | NoAnswer | ServerError:
    """The exception for a request to which no attempt brought a reply.

    ``NoAnswer``: it ``changes`` something, and may have been executed. ``ServerError``: it was refused, and nobody
    executed it. ``Unreachable``: it reached nobody, or changes nothing.
    """
    unknown = [each for each in endings if may_be_done(each)] if changes else []
    errors = [each for each in endings if isinstance(each, ServerError)]
    refusals = [each for each in errors if not may_be_done(each)] or errors
    if unknown:
        ending = unknown[-1]
        return NoAnswer(ending.text, ending.word) if isinstance(ending, ServerError) else NoAnswer(str(ending))
    if refusals:
        return next((each for each in refusals if not asks_elsewhere(each)), refusals[-1])
    return Unreachable("; ".join(map(str, endings)))
