"""The life of a client's connection, as a table: what it becomes by what happens to it.

A connection that is to end still owes its client the replies to all that it took in, and a client in the middle of
sending has to be able to read them: a socket that is closed with something unread is reset, and replies that are under
way are lost with it. That is what the states between open and closed are for.
"""

from __future__ import annotations

from enum import Enum, auto


class ConnectionState(Enum):
    """How far a connection is in its life."""

    OPEN = auto()
    """Requests come in and replies go out."""
    HALF_CLOSED = auto()
    """The client sends no more. What it has sent is still being passed on and answered."""
    ENDING = auto()
    """Nothing more is taken in. What was taken in is still being answered."""
    REFUSING = auto()
    """As ``ENDING``, with an error as the last reply; and the client may be in the middle of sending."""
    LINGERING = auto()
    """All is written and this side sends no more. What the client sends is read and ignored until it closes."""
    CLOSING = auto()
    """All is written. The connection closes as soon as the transport has sent it."""
    CLOSED = auto()
    """The transport is gone."""


class ConnectionInput(Enum):
    """What happens to a connection."""

    HALF_CLOSE = auto()
    """The client says that it sends no more."""
    FINISH = auto()
    """Nothing more is to be taken in: after QUIT, at the end of what a client sent, from an idle client, at a stop."""
    REFUSE = auto()
    """What the client sends is no request, or too slow, and the connection can be closed in one direction first."""
    ANSWERED = auto()
    """The last request that was taken in is answered, and nothing more is taken in."""
    LOST = auto()
    """The transport is gone, whoever closed it."""


_S, _I = ConnectionState, ConnectionInput

TRANSITIONS: dict[tuple[ConnectionState, ConnectionInput], ConnectionState] = {
    (_S.OPEN, _I.HALF_CLOSE): _S.HALF_CLOSED,
    (_S.OPEN, _I.FINISH): _S.ENDING,
    (_S.OPEN, _I.REFUSE): _S.REFUSING,
    (_S.OPEN, _I.LOST): _S.CLOSED,
    (_S.HALF_CLOSED, _I.HALF_CLOSE): _S.HALF_CLOSED,  # Twisted says it once; twice would do no harm
    (_S.HALF_CLOSED, _I.FINISH): _S.ENDING,
    (_S.HALF_CLOSED, _I.REFUSE): _S.ENDING,  # such a client is not in the middle of sending
    (_S.HALF_CLOSED, _I.LOST): _S.CLOSED,
    (_S.ENDING, _I.HALF_CLOSE): _S.ENDING,
    (_S.ENDING, _I.FINISH): _S.ENDING,
    (_S.ENDING, _I.ANSWERED): _S.CLOSING,
    (_S.ENDING, _I.LOST): _S.CLOSED,
    (_S.REFUSING, _I.HALF_CLOSE): _S.ENDING,  # nothing more will come that would have to be read
    (_S.REFUSING, _I.FINISH): _S.REFUSING,
    (_S.REFUSING, _I.ANSWERED): _S.LINGERING,
    (_S.REFUSING, _I.LOST): _S.CLOSED,
    (_S.LINGERING, _I.HALF_CLOSE): _S.CLOSING,
    (_S.LINGERING, _I.FINISH): _S.LINGERING,
    (_S.LINGERING, _I.LOST): _S.CLOSED,
    (_S.CLOSING, _I.HALF_CLOSE): _S.CLOSING,
    (_S.CLOSING, _I.FINISH): _S.CLOSING,
    (_S.CLOSING, _I.LOST): _S.CLOSED,
}
"""What is not in here does not happen: nothing is refused or answered twice, and nothing happens after the end."""

TAKES_IN = (ConnectionState.OPEN, ConnectionState.HALF_CLOSED)
"""The states in which requests are passed on."""

ENDS = (ConnectionState.ENDING, ConnectionState.REFUSING)
"""The states in which only what was taken in is still answered."""


def after(state: ConnectionState, happened: ConnectionInput) -> ConnectionState:
    """The state that follows; ``AssertionError`` for what does not happen in ``state``."""
    following = TRANSITIONS.get((state, happened))
    assert following is not None, f"{happened.name} in state {state.name}"
    return following
