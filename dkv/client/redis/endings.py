"""What went wrong with a call, said so that a program can conclude from it, beside redis-py's own exceptions.

========================= =======================================================================
exception                 what a program may conclude
========================= =======================================================================
``NotApplied``            no node executed the write, and none will: it may be repeated
``MaybeApplied``          the write may have been executed, may still be, or never; its ``token`` tells it apart
``AnswerLost``            the transaction was executed, once; its answer is not known any more
redis-py's ``WatchError`` the transaction was not executed and never will be: read again and repeat it
redis-py's other errors   as with any server: a ``ResponseError`` is an answer
========================= =======================================================================
"""

from __future__ import annotations

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    ExecAbortError,
    MaxConnectionsError,
    NoPermissionError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)

from dkv.client.outcome import FORGOTTEN, RETRIED_ELSEWHERE, SHORT_OF_SPACE

UNCERTAIN = "UNCERTAIN"
ABORTED = "EXECABORT"

_WORDS = (
    (BusyLoadingError, "LOADING"),
    (TryAgainError, "TRYAGAIN"),
    (ClusterDownError, "CLUSTERDOWN"),
    (ExecAbortError, ABORTED),
)
"""The errors whose first word redis-py takes off. Its older versions have some of the classes, and do not use them."""

_BY_A_SETTING = (
    "limits.",
    "unknown command",
    "unknown subcommand",
    " has no option ",
    "No matching script",
    " catalogue ",
)
"""What a node refuses because of its own settings or version. Another node may have taken the same request."""


class NotApplied(ConnectionError):
    """The write was not executed and never will be: no node took it before the deadline. It may be repeated."""


class MaybeApplied(ConnectionError):
    """No answer came before the deadline: the write may have been executed, may still be, or never will be.

    It happens once at most if it is sent again with ``token``, the producer and the op:
    ``IDMP producer op write``.
    """

    def __init__(self, text: str, token: tuple[bytes, int]) -> None:
        super().__init__(text)
        self.token = token


class AnswerLost(ResponseError):
    """The transaction was executed, exactly once. Its answer is not known any more."""


class NotConnected(ConnectionError):
    """No node took a connection, so nothing was sent."""


def word_of(error: Exception) -> str:
    """The first word of a node's error, such as "TRYAGAIN"; empty if the error is no node's, or has no such word."""
    for kind, word in _WORDS:
        if isinstance(error, kind):
            return word
    first = str(error).split(" ", 1)[0]
    return first if isinstance(error, ResponseError) and first.isupper() else ""


def is_refusal(error: Exception) -> bool:
    """Whether this attempt was certainly not executed, and another one may be."""
    return isinstance(error, NotConnected) or word_of(error) in RETRIED_ELSEWHERE


def is_silence(error: Exception) -> bool:
    """Whether nobody knows if this attempt was executed."""
    if isinstance(error, ConnectionError | TimeoutError):
        final = isinstance(error, AuthenticationError | MaxConnectionsError | NotApplied | MaybeApplied)
        return not final and not is_refusal(error)
    return word_of(error) == UNCERTAIN


def is_forgotten(error: Exception) -> bool:
    """Whether the token is older than what the cluster remembers."""
    return word_of(error) == FORGOTTEN


def is_of_one_node(error: Exception) -> bool:
    """Whether another node may answer otherwise: this error is no answer to what an earlier attempt may have done."""
    text = str(error)
    of_node = word_of(error) in (SHORT_OF_SPACE, ABORTED) or any(each in text for each in _BY_A_SETTING)
    return of_node or is_turned_away(error)


def is_turned_away(error: Exception) -> bool:
    """Whether the user or the password is wrong, or the user may not do this: another attempt would end as this one."""
    return isinstance(error, AuthenticationError | NoPermissionError)


def leaves_the_node(error: Exception) -> bool:
    """Whether the next attempt had better ask another node."""
    return is_refusal(error) or is_silence(error)
