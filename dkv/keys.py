"""The keyspace of one node: one-byte prefixes, so that each actor's keys are its own.

=========== =================================== =====================================================
key         value                               written by
=========== =================================== =====================================================
``F``       format version                      ``dkv.storage.data_directory``
``I``       identity of the data directory      ``dkv.storage.lives``
``Y``       the cluster's random key            ``dkv.storage.lives``
``O``       the cluster's first members         ``dkv.storage.lives``
``N``       the latest starts                   ``dkv.storage.lives``
``P``       promised ballot                     acceptor
``Q`` slot  ballot promised for one slot        acceptor (classic mode)
``H``       highest ballot of any slot          acceptor (classic mode)
``W``       how many votes it has cast          acceptor
``J``       the time it holds                   acceptor
``R`` slot  slot record                         acceptor
``C``       chosen_through                      acceptor
``V`` node  what is known of a member once seen acceptor
``K``       compacted_through, and digest there learner
``G``       the generation of the state         learner (by the host)
``X``       why the directory is fenced         whoever ends the process (``dkv.storage.fence``)
``A``       applied_through                     learner
``D``       digest of all slots applied         learner
``B`` name  last batch applied of an origin     learner (state machine)
``E`` name  index of deadlines                  learner (state machine)
``L``       the replicated time                 learner (state machine)
``M``       the sets of members, once they changed learner (state machine)
``S`` key   value, by space and key             learner (state machine)
``T`` key   tokens                              learner (state machine)
``U``       the databases                       learner (state machine)
``Z`` hash  when keys were erased               learner (state machine)
``n``       which events of keys are wanted     learner (state machine)
``#`` link  the newest link of its commits      each of the two stores itself (``dkv.storage.chain``)
=========== =================================== =====================================================

The keys from ``A`` to ``n`` in the lower part of the table are the *state*, in a database of its own; the others are
with the log (``dkv.storage``). The modules of ``dkv.kv`` say how their keys go on: ``databases`` (``S``, ``U``),
``expiry`` (``E``), ``sessions`` (``T``), ``tombstones`` (``Z``). Slots and node ids are big-endian, so that LevelDB
keeps them in their own order.
"""

from __future__ import annotations

from struct import Struct

FORMAT = b"F"
IDENTITY = b"I"
CLUSTER_KEY = b"Y"
FIRST_MEMBERS = b"O"
BOOT = b"N"
PROMISE = b"P"
SLOT_PROMISE = b"Q"
SLOT_BALLOT = b"H"
VOTE_COUNT = b"W"
HELD_TIME = b"J"
RECORD = b"R"
CHOSEN_THROUGH = b"C"
MEMBER = b"V"
FENCE = b"X"
COMPACTED = b"K"
GENERATION = b"G"
APPLIED_THROUGH = b"A"
DIGEST = b"D"
BATCH_MARK = b"B"
CONFIGURATIONS = b"M"
STATE = b"S"
TOKEN = b"T"
DEADLINE = b"E"
TIME = b"L"
DATABASES_KEY = b"U"
TOMBSTONE = b"Z"
NOTIFICATIONS = b"n"
LINK = b"#"

SUMMED = frozenset((BATCH_MARK, CONFIGURATIONS, STATE, TOKEN, DEADLINE, TIME, DATABASES_KEY, TOMBSTONE, NOTIFICATIONS))
"""The first bytes of the keys that slots change: all of the state but the marks that say after which slot it is."""

APPLIED_KEYS = SUMMED | {APPLIED_THROUGH, DIGEST}
"""The first bytes of all keys of the state, which the log makes."""

DATABASE = b"\0"
"""The space with which database 0 begins, one byte."""

DIGEST_BYTES = 16

_U64 = Struct(">Q")
_U32 = Struct(">I")
_BALLOT = Struct(">QI")
_COMPACTED = Struct(">Q16s")
_HELD_TIME = Struct(">Qq")


def record_key(slot: int) -> bytes:
    """The key of a slot's record."""
    return RECORD + _U64.pack(slot)


def slot_promise_key(slot: int) -> bytes:
    """The key of the ballot that is promised for this slot alone."""
    return SLOT_PROMISE + _U64.pack(slot)


def slot_of(key: bytes) -> int:
    """The slot in the key of a record, or of a slot's promise."""
    return int(_U64.unpack(key[1:])[0])


def member_key(node: int) -> bytes:
    """The key of what is known of a member."""
    return MEMBER + _U32.pack(node)


def node_of(key: bytes) -> int:
    """The node in a member's key."""
    return int(_U32.unpack(key[1:])[0])


def pack_number(number: int) -> bytes:
    """The stored form of a mark or count: eight bytes, big-endian."""
    return _U64.pack(number)


def unpack_number(data: bytes | None) -> int:
    """The number stored, or 0 where nothing is."""
    return 0 if data is None else int(_U64.unpack(data)[0])


def pack_ballot(round_: int, node: int) -> bytes:
    """The stored form of a promised ballot."""
    return _BALLOT.pack(round_, node)


def unpack_ballot(data: bytes) -> tuple[int, int]:
    """The round and node stored."""
    round_, node = _BALLOT.unpack(data)
    return round_, node


def pack_compacted(through: int, digest: bytes) -> bytes:
    """The stored form of ``compacted_through``, with the digest of all slots up to there."""
    return _COMPACTED.pack(through, digest)


def unpack_compacted(data: bytes | None) -> tuple[int, bytes]:
    """The slot stored, and the digest there; (0, the digest of no slots) where nothing is."""
    if data is None:
        return 0, bytes(DIGEST_BYTES)
    through, digest = _COMPACTED.unpack(data)
    return through, digest


def pack_held_time(time: int, wall_ms: int) -> bytes:
    """The stored form of the time that an acceptor held when its wall clock showed ``wall_ms``, both since 1970."""
    return _HELD_TIME.pack(time, wall_ms)


def unpack_held_time(data: bytes) -> tuple[int, int]:
    """The time and the wall clock stored, in milliseconds."""
    time, wall_ms = _HELD_TIME.unpack(data)
    return time, wall_ms
