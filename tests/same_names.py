"""Names that two things of dkv share, for ``tests.test_tidy``."""

from __future__ import annotations

SAME_NAMES = {
    "class ConnectionPool": "redis-py's name, blocking and for asyncio, as it has them too",
    "class Redis": "the same",
    "class Exchange": "what goes over a connection of redis-py together; and the channels of all nodes",
    "class NotApplied": "two of our clients say so, and what redis-py raises must be an error of redis-py",
    "class Client": "for programs that block, and for Twisted programs, which import one of them",
    "class Pipeline": "the pipelines of these two",
    "class Refused": "a message between nodes; and what dkv.testing raises, which programs of users import",
    "file acceptor": "the role in leader mode, and the same role in classic mode",
    "file proposer": "the role in leader mode, and the same role in classic mode",
    "file tokens": "the tokens of a client's writes, and those of the simulator's clients",
}
"""Names that two things share all the same, each with its reason."""
