"""The numbers of the entries that the log holds, with their arguments and what each does.

The numbers and the shapes are part of the stored format: an entry of the log keeps its meaning for ever, and no number
is used twice.

Entries of formats 1 to 5, which a plain ``SET``, ``GET``, ``APPEND`` or ``DEL`` in database 0 still makes:

====================================== ==========================================================
entry                                  meaning
====================================== ==========================================================
``[PUT, key, value]``                  set, without a deadline
``[APPEND, key, suffix, bytes_max]``   append, if the value then has at most ``bytes_max`` bytes; keeps a deadline
``[DELETE, key, ...]``                 delete; counts those that existed
``[GET, key]``                         read
``[IDMP, producer, op, entry]``         a write with a token: executed once, answered alike each time; refused
                                        if the token was used with another write
``[IDMP_UNCHECKED, producer, op, ...]`` the same, but answered as the write that used the token: of formats 1 and 2
``[IDMP_NEW]``                          make a producer; its name
``[IDMP_REPEAT, producer, op, hash]``   the stored answer to the write with that token and hash; executes nothing
``[MEMBERS, base, operation, ...]``     change the members (``dkv.kv.membership``); ``OK`` and the slot
====================================== ==========================================================

All later ones have one shape, ``[code, db, bytes_max, argument, ...]``. ``db`` is the database, from 0. ``bytes_max``
is ``limits.value_bytes_max`` of the node that took the request, for limits that only apply can judge. An argument is
bytes, a whole number or a list of such. Keys, values, patterns and texts are bytes.

============ ============================================= ======================================================
code         arguments                                     meaning, result
============ ============================================= ======================================================
READ         key                                           the value, or nil
SET          key, value, condition, operand, life, ms, get a condition of ``CONDITIONS``, judged with the bytes
                                                           ``operand``; OK, nil, or with ``get`` = 1 the old value
SETNX        key, value                                    1, or 0 if the key exists
ERASE        key, ...                                      how many existed
EXTEND       key, suffix                                   append; the length
GETDEL       key                                           the value, which is erased
GETEX        key, life, ms                                 the value, whose deadline changes
MGET         key, ...                                      list of values and nils
MSET         key, value, ...                               OK
MSETNX       key, value, ...                               1, or 0 if one of the keys exists
INCRBY       key, number                                   the new number
INCRBYFLOAT  key, text of a decimal number                 the new number, as bytes
STRLEN       key                                           the length, 0 if the key is absent
GETRANGE     key, start, end                               a part of the value
SETRANGE     key, offset, value                            the length
EXISTS       key, ...                                      how many exist, repeats counted
RENAME       from, to                                      OK, or an error if ``from`` is absent
RENAMENX     from, to                                      1, or 0 if ``to`` exists
COPY         from, to, db of ``to``, replace (0 or 1)      1, or 0 if nothing was copied
TYPE         key                                           a status word
EXPIRE       key, life, ms, conditions                     1 or 0; a sum of ``EXPIRE_CONDITIONS``
PERSIST      key                                           1, or 0 if there was no deadline
TTL          key, kind                                     0 TTL, 1 PTTL, 2 EXPIRETIME, 3 PEXPIRETIME
RANDOMKEY    number                                        a key, found by the number, or nil
KEYS         pattern                                       list of keys
SCAN         cursor, pattern, count, type                  list of a cursor and a list of keys; type b"" is any
DBSIZE                                                     how many keys the database has
FLUSHDB                                                    OK; the database is empty
FLUSHALL                                                   OK; all databases are
OBJECT       key, subcommand                               ENCODING, FREQ, IDLETIME or REFCOUNT
MEMORY       key                                           bytes that the key takes
TIME                                                       list of two texts: seconds, microseconds
EXEC         watched, entries                              list of their results, or ``ABORTED``;
                                                           watched: [[db, key, slot, index, seen slot], ...]
WATCH        key, ...                                      ``Watched``
KEYSPACE                                                   list of [db, keys, keys with a deadline]
SCRIPT       operation, [key, ...], [argument, ...]        what the operation answers (``dkv.kv.scripts.operations``)
NOTIFY       letters                                       which events of keys are told (``dkv.kv.key_events``); OK
============ ============================================= ======================================================

A *life* says what becomes of a deadline, with the number behind it: ``NO_LIFE`` clears it, ``KEEP_LIFE`` keeps it,
``RELATIVE`` sets it so many milliseconds behind the time of the slot, ``ABSOLUTE`` sets it to that time in milliseconds
since 1970. ``NEVER_DIES``, of GETEX alone, is PERSIST. A deadline at or below the time of the slot erases the key at
once.
"""

from __future__ import annotations

PUT, APPEND, DELETE, GET, IDMP_UNCHECKED, IDMP_NEW, IDMP, IDMP_REPEAT, MEMBERS = 1, 2, 3, 4, 5, 6, 7, 8, 9

READ, SET, SETNX, ERASE, EXTEND, GETDEL, GETEX = 10, 11, 12, 13, 14, 15, 16
MGET, MSET, MSETNX = 17, 18, 19
INCRBY, INCRBYFLOAT = 20, 21
STRLEN, GETRANGE, SETRANGE = 22, 23, 24
EXISTS, RENAME, RENAMENX, COPY, TYPE = 25, 26, 27, 28, 29
EXPIRE, PERSIST, TTL = 30, 31, 32
RANDOMKEY, KEYS, SCAN, DBSIZE, FLUSHDB, FLUSHALL = 33, 34, 35, 36, 37, 38
OBJECT, MEMORY, TIME = 39, 40, 41
EXEC, WATCH, KEYSPACE = 42, 43, 44
SCRIPT, NOTIFY = 45, 46

UNIFORM_FROM = READ
"""From this code on an entry is ``[code, db, bytes_max, argument, ...]``."""

DATABASES = 16
"""Databases are numbered from 0 to 15."""

NO_LIFE, KEEP_LIFE, RELATIVE, ABSOLUTE, NEVER_DIES = 0, 1, 2, 3, 4

CONDITIONS = ANY, IF_ABSENT, IF_PRESENT, IF_EQUAL, IF_UNEQUAL = 0, 1, 2, 3, 4
"""When SET sets: always, NX, XX, IFEQ operand, IFNE operand."""

EXPIRE_CONDITIONS = ONLY_FIRST, ONLY_ANOTHER, ONLY_LATER, ONLY_EARLIER = 1, 2, 4, 8
"""When EXPIRE sets a deadline: NX, XX, GT, LT."""

READS = frozenset(
    (
        GET, READ, MGET, STRLEN, GETRANGE, EXISTS, TYPE, TTL, RANDOMKEY, KEYS, SCAN, DBSIZE, OBJECT, MEMORY, TIME,
        WATCH, KEYSPACE,
    )
)  # fmt: skip
"""The entries that change nothing. They are evaluated at the node of the client only, unless an EXEC has them."""

BY_BARRIER = READS - {TTL, TIME}
"""The reads that need no slot. TTL and TIME get one, with the time at which they are asked for its stamp: while nobody
writes, the last slot is old."""

WRITES = frozenset(
    (
        PUT, APPEND, DELETE, SET, SETNX, ERASE, EXTEND, GETDEL, GETEX, MSET, MSETNX, INCRBY, INCRBYFLOAT, SETRANGE,
        RENAME, RENAMENX, COPY, EXPIRE, PERSIST, FLUSHDB, FLUSHALL, EXEC, SCRIPT,
    )
)  # fmt: skip
"""The entries that may have a token. A SCRIPT is one of them whatever its operation is."""

BRING_A_VALUE = frozenset((GETDEL, GETEX, SETRANGE, COPY, RENAME, RENAMENX))
"""The writes that answer with a whole value, which may be much longer than they are, or store it elsewhere."""

CHANGE_A_VALUE = frozenset((APPEND, EXTEND, EXPIRE, PERSIST, SCRIPT))
"""The writes that read and store the whole value of a key, and have a small part of it themselves. Most scripts do."""

OF_ONE_NODE = frozenset((SCAN, WATCH, KEYSPACE))
"""Reads that no EXEC has: they answer with what one node alone remembers, or serve the session alone."""

IN_EXEC = ((READS | WRITES) - OF_ONE_NODE - {EXEC}) | {NOTIFY}
"""The entries that an EXEC may have."""
