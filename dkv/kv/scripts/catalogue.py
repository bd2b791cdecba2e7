"""The scripts that dkv knows, by the SHA1 of their texts: which library sends each, and which operation it means.

The texts themselves are not here. A test takes them from the libraries as they are installed, and compares. A script of
which a part differs from call to call has no SHA1 of its own: such a *template* is known by the SHA1 of what is left
without that part.
"""

from __future__ import annotations

import re
from hashlib import sha1
from typing import NamedTuple

from dkv.kv.scripts import handwritten
from dkv.kv.scripts import operations as op


class Script(NamedTuple):
    """A script of a library. ``versions`` are those that were looked at; ``use`` is what sends it."""

    library: str
    versions: str
    use: str
    operation: int
    digests: str
    """SHA1s of all its texts, with a space between two."""


class Template(NamedTuple):
    """A script with one argument in its text, between a ``head`` and a ``tail`` of so many bytes."""

    library: str
    versions: str
    use: str
    operation: int
    head: int
    tail: int
    digest: str
    """The SHA1 of the head and the tail together."""


class Meant(NamedTuple):
    """What a script means: an operation, and the arguments that its own text brings."""

    operation: int
    arguments: tuple[bytes, ...] = ()


SCRIPTS = (
    Script(
        "redis-py, valkey-py",
        "3.5 to 8.1",
        "Lock: release",
        op.DELETE_IF_EQUAL,
        "c3f8721cbb97f72bc19e972846bd7aaf91901658",
    ),
    Script(
        "redis-py, valkey-py",
        "3.5 to 8.1",
        "Lock: extend",
        op.EXTEND_IF_EQUAL,
        "a4e8783852e6b949f9ef3a97212805108459a890",
    ),
    Script(
        "redis-py, valkey-py",
        "3.5 to 8.1",
        "Lock: reacquire",
        op.PEXPIRE_IF_EQUAL,
        "1cac51482acf5858da00f6d685d68f886cd6b6b2",
    ),
    Script(
        "limits",
        "3.14 to 5.8",
        "fixed window",
        op.ADD_AND_EXPIRE,
        "628bd136a573a06b346879695681af12ccef300f",
    ),
    Script(
        "limits",
        "4.2 to 5.8",
        "sliding window counter: acquire",
        op.ACQUIRE_SLIDING,
        "e8ac2a60cb040b0dbb56815a1e9c6fd032ce62e7",
    ),
    Script(
        "limits",
        "4.2 to 5.8",
        "sliding window counter: get",
        op.SLIDING_WINDOW,
        "e7a0a27d4101baabb124af209bb0245197a359a1",
    ),
    Script(
        "limits",
        "1.6 to 5.8",
        "reset",
        op.DELETE_MATCHING,
        "f2994557f1daca13bfef97c2a31ca4b174e031ca 73c9b8f504c33418c74f79a3ac7be749c54004f4",
    ),
    Script("limits", "1.6", "fixed window", op.COUNT_AND_EXPIRE, "0d23cf1ccf81ad1452ccf307e1938d99997a6073"),
    Script("django-redis", "4.12 to 7.0", "incr, decr", op.ADD_IF_PRESENT, "f4a7da3e5d8ea3b46642af08427151cae0190400"),
    Script("django-redis", "4.12 to 7.0", "incr of any key", op.ADD, "4d15273b16b10c15e1d9202cbe93c959ab7d250b"),
    Script("aiocache", "0.10 to 0.12", "lock: release", op.DELETE_IF_EQUAL, "ae3671744a5dbb24ea37ef607b8b10ac7856d43e"),
    Script(
        "aiocache", "0.10 to 0.12", "optimistic lock: cas", op.SET_IF_EQUAL, "782e993d12091daacc7a3164ddf5c4624fe56042"
    ),
    Script(
        "cashews",
        "2.0 to 7.6",
        "unlock",
        op.DELETE_IF_EQUAL,
        "b948f76fda6b97319d3426a2fb42b0d4f02c7146 aefc6bbfaac1ed02c135d12b12c8c42cdfb36af4"
        " d10461dc5ff043322a9d59734d0285f83706c732 9d761e4bd99899f491ddaaabca66dfdde355ef99",
    ),
    Script(
        "cashews",
        "5.3 to 7.6",
        "incr with an expire",
        op.ADD_AND_PEXPIRE,
        "0f8a745c1b5efe281bd1299ea0d1b2994c6ae601 3d81f722705f10ddf6b6293e1833fd32a86e93ea",
    ),
    Script("pottery", "1.4 to 3.0", "Redlock: locked", op.TTL_IF_EQUAL, "f5f7bd3a3aa4a63c507c1155c5ea1219b350d992"),
    Script("pottery", "1.4 to 3.0", "Redlock: extend", op.PEXPIRE_IF_EQUAL, "ba015a80261b616e7a62d35df0b8e3edbe6c9414"),
    Script("pottery", "1.4 to 3.0", "Redlock: release", op.DELETE_IF_EQUAL, "a4aada0b36710970eedaaaeec4a6b7d8c78c4f80"),
    Script("pottery", "1.4 to 3.0", "NextID", op.RAISE_NUMBER, "556429c2d8baca516a475ebb22d380cbccae7313"),
    Script("node-redlock", "2.1 and 3.1", "lock", op.SET_IF_ABSENT, "862f31bf38e9b63ce28d6e9e5143551bb34ef981"),
    Script("node-redlock", "2.1 and 3.1", "unlock", op.DELETE_IF_EQUAL, "cf0e94b2e9ffc7e04395cf88f7583fc309985910"),
    Script("node-redlock", "2.1 and 3.1", "extend", op.PEXPIRE_IF_EQUAL, "a7aba3bc5d6e99b3003da8b9d80a63b9f4092ecf"),
    Script(
        "node-redlock",
        "4.0 to 5.0.0-beta.2",
        "acquire",
        op.ACQUIRE_ALL,
        "96da70f7716f27d278a5218544df37fd8b0a5e4c e5a322e2634ef59a516e8ea150cb085afafee684"
        " d01fb69e6ecc8bad3ca9bacba9f4f9e96862313f",
    ),
    Script(
        "node-redlock",
        "4.0 to 5.0.0-beta.2",
        "extend",
        op.EXTEND_ALL,
        "aed6f382e410db8ba7926d4e5e9aab410bf2a78a ce46f80993d5dac20dd066eb301a4e37994bdbed"
        " acaf90b4697bb48bb5f603e9e613a54df7536c70",
    ),
    Script(
        "node-redlock",
        "4.0 to 5.0.0-beta.2",
        "release",
        op.RELEASE_ALL,
        "e4612211c9f8f51c257e26e056b0a654b3187242 0f0f23b9048b36752b5be114f357ba083449f908"
        " 517e7ed95f00c0c4a209c6a7afcc6ab797d30b85",
    ),
    Script("rate-limit-redis", "3.0 to 4.2.0", "increment", op.HIT, "3f424a504987d231baa2e19159bb5def8ad32f87"),
    Script(
        "rate-limit-redis", "4.2.3 to 5.0", "increment", op.HIT_OR_RESET, "81dbecea94d2d10514719b20ed51faf711529d9d"
    ),
    Script("rate-limit-redis", "6.0", "increment", op.HIT_OR_BEGIN, "895b92e1712734e1b464999be23953485475357b"),
    Script("rate-limit-redis", "4.1 to 6.0", "get", op.VALUE_AND_TTL, "6aeb97ed6086dcdeafdc6fda3999a0d0e38ec96a"),
    Script(
        "rate-limiter-flexible",
        "2.0 to 11.4",
        "RateLimiterRedis: consume",
        op.COUNT_IN_WINDOW,
        "a1de965f42e177aa339706bd580f049065eca79a",
    ),
    Script(
        "rate-limiter-flexible",
        "6.2 to 11.4",
        "RateLimiterValkey: consume",
        op.COUNT_IN_PLAIN_WINDOW,
        "0aa93fe6a34317527000a66828426c0ae2104618",
    ),
    Script("by hand", "-", "compare and delete", op.DELETE_IF_EQUAL, handwritten.DELETE),
    Script("by hand", "-", "compare and pexpire", op.PEXPIRE_IF_EQUAL, handwritten.PEXPIRE),
    Script("by hand", "-", "compare and expire", op.EXPIRE_IF_EQUAL, handwritten.EXPIRE),
    Script("by hand", "-", "incrby", op.ADD, handwritten.ADD),
    Script("by hand", "-", "get and pttl", op.VALUE_AND_TTL, handwritten.VALUE_AND_TTL),
)
"""Those whose texts are always the same."""

TEMPLATES = (
    Template(
        "fastapi-cache2",
        "0.1 and 0.2",
        "clear of a namespace",
        op.DELETE_MATCHING_QUIETLY,
        42,
        35,
        "14f3a8d0c512e302cbb528f7824125d3977d0462",
    ),
)
"""Those with an argument in them: it stands between quotes, so it has none, no escape, and is on one line."""


class AbsentScript(NamedTuple):
    """A script of a library that dkv does not have, and why."""

    library: str
    use: str
    reason: str
    digests: str


ABSENT = (
    AbsentScript(
        "limits",
        "moving window",
        "it is a list",
        "741eab638ba93ed71020bb821c45c022d0fa02c4 ad795214f59fe26d6fdec07973836dd16586f5ec"
        " 19c9778cd6391e2ee9f90aa518bf56256d15b4ae f2ef2962263bbe72f66f5bbd0da234e74d880068"
        " bf95c654b6be0a54713252ef2362a25546faf877",
    ),
    AbsentScript("cashews", "sliding rate limit", "it is a sorted set", "53548387e7d55085744d3d5523e5df1bf0b86325"),
    AbsentScript(
        "rate-limiter-flexible",
        "RateLimiterValkeyGlide",
        "it loads a library of functions, with FUNCTION LOAD",
        "c2dd110244ccc4448172c0148049c05a426917b4 6604c8152bea174562b6b8a690770c3e9b617594",
    ),
)
"""Those that are sent by libraries of the catalogue."""

_BY_DIGEST = {digest: Meant(each.operation) for each in SCRIPTS for digest in each.digests.split()}
_DIGEST = re.compile(rb"[0-9a-f]{40}")
_WRITTEN = re.compile(rb"[^'\\\r\n]*")


def digest_of(text: bytes) -> str:
    """The SHA1 by which a script is known."""
    return sha1(text, usedforsecurity=False).hexdigest()


def by_digest(digest: bytes) -> Meant | None:
    """The script with this SHA1, in any case of its letters; or the operation with this name."""
    if len(digest) == 40 and _DIGEST.fullmatch(digest.lower()):
        return _BY_DIGEST.get(digest.lower().decode())
    number = op.BY_NAME.get(digest)
    return None if number is None else Meant(number)


def by_text(text: bytes) -> Meant | None:
    """The script with this text."""
    return _BY_DIGEST.get(digest_of(text)) or _by_template(text)


def _by_template(text: bytes) -> Meant | None:
    for each in TEMPLATES:
        end = len(text) - each.tail
        if each.head <= end and digest_of(text[: each.head] + text[end:]) == each.digest:
            argument = text[each.head : end]
            return Meant(each.operation, (argument,)) if _WRITTEN.fullmatch(argument) else None
    return None
