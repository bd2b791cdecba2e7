"""Where dkv answers otherwise than Redis, and why: docs/redis.md prints the list, and the oracle allows nothing else.

Texts of errors that only name a limit or a setting of dkv, and commands that Redis does not have, are no differences.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Difference:
    """Replies of one kind that may differ.

    ``commands`` are the names that it concerns, in lower case; none means any. ``redis`` and ``dkv`` are regular
    expressions for the two whole replies as they are sent. ``unordered``: both are the same but for the order of what
    is in them; then the expressions are not looked at. ``keys_differ``: what follows may differ as well, for the keys
    are not the same any more. ``only`` names the server to which it is one, if Redis and Valkey differ. ``example`` is
    a request, or several, that show it; none if time or chance must help.
    """

    commands: tuple[str, ...]
    what: str
    reason: str
    example: tuple[str, ...]
    redis: bytes = b""
    dkv: bytes = b""
    unordered: bool = False
    keys_differ: bool = False
    only: str = ""


DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        ("hello",),
        "The reply names dkv and the version of Redis whose words it has.",
        "A client should know which server it speaks to.",
        ("HELLO 3",),
        rb"[*%].*",
        rb"[*%].*\$3\r\ndkv\r\n.*",
    ),
    Difference(
        ("object|idletime",),
        "0 for every key that exists.",
        "A node does not remember when a key was read.",
        (),
        rb":[0-9]+\r\n",
        rb":0\r\n",
    ),
    Difference(
        ("object|refcount",),
        "1 for every key that exists.",
        "No two keys share a value.",
        ("SET k 12", "OBJECT REFCOUNT k"),
        rb":[0-9]+\r\n",
        rb":1\r\n",
    ),
    Difference(
        ("object|encoding",),
        "It follows from the value alone: `int` for a whole number, `embstr` up to 44 bytes, else `raw`.",
        "How a value came about is not stored.",
        ("SET k abc", "APPEND k d", "OBJECT ENCODING k"),
        rb"\$[0-9]\r\n(raw|embstr|int)\r\n",
        rb"\$[0-9]\r\n(raw|embstr|int)\r\n",
    ),
    Difference(
        ("auth", "hello"),
        "Between MULTI and EXEC it is refused, and so is `HELLO` with `AUTH`.",
        "Who asks is known before a request is queued.",
        ("MULTI", "AUTH default any"),
        rb"\+QUEUED\r\n",
        rb"-ERR Command not allowed inside a transaction\r\n",
    ),
    Difference(
        ("memory|usage",),
        "The bytes that the key and its value take on disk.",
        "Values are not kept in memory.",
        ("SET k v", "MEMORY USAGE k"),
        rb":[0-9]+\r\n",
        rb":[0-9]+\r\n",
    ),
    Difference(
        ("getex",),
        "A wrong number is refused, also where the key does not exist.",
        "A request is read before anybody looks at keys. Valkey does the same.",
        ("GETEX k EX 0",),
        rb"(\$-1|_)\r\n",
        rb"-ERR (value is not an integer or out of range|invalid expire time in 'getex' command)\r\n",
    ),
    Difference(
        ("append", "setrange"),
        "The error for a value that would be too long names the limit, `limits.value_bytes_max`.",
        "It is a setting of dkv, and much lower than in Redis.",
        ("SETRANGE k 1000000000 v",),
        rb"-ERR string exceeds maximum allowed size \(proto-max-bulk-len\)\r\n",
        rb"-ERR the value would have [0-9]+ bytes, limits\.value_bytes_max is [0-9]+\r\n",
    ),
    Difference(
        ("incrbyfloat",),
        "Sums are exact: `3000 + 0.005` is `3000.005`, not `3000.00499999999999989`.",
        "Decimal numbers are the same on every machine, and floating point is not.",
        ("SET k 3000", "INCRBYFLOAT k 0.005"),
        rb"\$[0-9]+\r\n-?[0-9]+(\.[0-9]+)?\r\n",
        rb"\$[0-9]+\r\n-?[0-9]+(\.[0-9]+)?\r\n",
        keys_differ=True,
    ),
    Difference(
        ("incrbyfloat",),
        "Hexadecimal numbers are refused.",
        "Nobody has asked for them.",
        ("INCRBYFLOAT k 0x10",),
        rb"\$[0-9]+\r\n-?[0-9]+(\.[0-9]+)?\r\n",
        rb"-ERR value is not a valid float\r\n",
        keys_differ=True,
    ),
    Difference(
        ("expire", "pexpire", "expireat", "pexpireat", "scan"),
        "An unknown word is quoted whole, with escapes for bytes that are not text.",
        "An error is text, whatever a client sends.",
        ('EXPIRE k 10 "\\xff"',),
        rb"-ERR (Unsupported option|unknown type name) .*\r\n",
        rb"-ERR (Unsupported option|unknown type name) .*(\x00|\\x[0-9a-f]{2}).*\r\n",
    ),
    Difference(
        ("getex",),
        "A GETEX without options takes no token.",
        "It changes nothing, so nothing can happen twice.",
        ("IDMP producer 1 GETEX k",),
        rb"\$.*|_\r\n",
        rb"-ERR IDMP takes a write command .*\r\n",
    ),
    Difference(
        ("time",),
        "The time is that of the slot that the request gets: it is replicated, and has milliseconds only.",
        "Deadlines are judged by it, so that is the time that a client should see.",
        ("TIME",),
        rb"\*2\r\n\$10\r\n[0-9]{10}\r\n\$[0-9]\r\n[0-9]{1,6}\r\n",
        rb"\*2\r\n\$10\r\n[0-9]{10}\r\n\$[0-9]\r\n([0-9]{1,3}000|0)\r\n",
    ),
    Difference(
        ("keys",),
        "Keys come in the order of their bytes.",
        "They are stored in this order.",
        (),
        unordered=True,
    ),
    Difference(
        ("scan",),
        "Keys come in the order of their bytes, and a page ends elsewhere. No key comes twice.",
        "They are stored in this order. A page has 1,000 keys at most, and fewer if they or their values are long.",
        (),
        rb"\*2\r\n\$.*",
        rb"\*2\r\n\$.*",
    ),
    Difference(
        ("scan",),
        "A cursor that the node does not know is refused.",
        "Cursors are kept in the memory of the node that gave them, and the oldest are forgotten.",
        ("SCAN 77",),
        rb"(\*2\r\n\$|-ERR ).*",
        rb"-ERR invalid cursor.*\r\n",
    ),
    Difference(
        ("scan",),
        "An unknown type is refused, as Redis 8 does it.",
        "A slip in its name would look like a database without keys.",
        ("SCAN 0 TYPE strings",),
        rb"(\*[0-9].*|-ERR syntax error\r\n)",
        rb"-ERR unknown type name '.*'\r\n",
    ),
    Difference(
        ("keys", "scan"),
        "A pattern has at most 1,024 bytes, and a byte in a range `[a-z]` counts as a number from 0 to 255.",
        "What one request costs is bounded. In Redis the order of bytes that are not text depends on the machine.",
        (),
        rb"\*.*",
        rb"-ERR the pattern has more than.*",
    ),
    Difference(
        ("scan",),
        "SCAN between MULTI and EXEC is an error, in its place among the replies of EXEC.",
        "A transaction is executed by all nodes alike, and a cursor is known to one of them.",
        ("MULTI", "SCAN 0", "EXEC"),
        rb"\*2\r\n\$.*",
        rb"-ERR SCAN cannot be in a transaction.*\r\n",
    ),
    Difference(
        ("randomkey",),
        "Which key comes is left to chance.",
        "Keys with few neighbours come more often: the cost does not grow with their number.",
        (),
        rb"\$[0-9]+\r\n.*",
        rb"\$[0-9]+\r\n.*",
    ),
    Difference(
        ("exec",),
        "Nil, although the watched keys did not change: possible for a key that was absent when it was watched.",
        "Erased keys are remembered in groups. Another key of the group was erased, or all of them. Try again.",
        ("SET other v", "WATCH k", "FLUSHDB", "MULTI", "SET k v", "EXEC"),
        rb"\*[0-9].*",
        rb"(\*-1|_)\r\n",
        keys_differ=True,
    ),
    Difference(
        ("exec",),
        "Executed, although a watched key that is absent was SET with a deadline that had passed. Redis answers nil.",
        "The key was absent all the time. Valkey does as dkv.",
        ("WATCH k", "SET k v EXAT 1", "MULTI", "PING", "EXEC"),
        rb"(\*-1|_)\r\n",
        rb"\*[0-9].*",
        keys_differ=True,
        only="redis",
    ),
    Difference(
        ("dbsize", "memory|usage"),
        "A key whose deadline has passed is not counted, unless more than 1,000 have just expired. Redis counts it "
        "until it has noticed.",
        "A key that has expired does not exist, for any command.",
        ("MULTI", "SET k v EXAT 1", "DBSIZE", "EXEC"),
        rb":[0-9]+\r\n",
        rb"(:[0-9]+|\$-1|_)\r\n",
        only="redis",
    ),
    Difference(
        ("eval", "eval_ro", "script|load"),
        "A script that is not in the catalogue is refused.",
        "There is no Lua interpreter: scripts of known libraries are native operations.",
        ("EVAL 'return 1' 0",),
        rb".*",
        rb"-ERR the script with the SHA1 [0-9a-f]{40} is not in the catalogue of dkv.*\r\n",
        keys_differ=True,
    ),
    Difference(
        ("evalsha", "evalsha_ro"),
        "The error for an unknown SHA1 names the page that lists the known ones.",
        "To load another one does not help.",
        ("EVALSHA x 0",),
        rb"-NOSCRIPT No matching script\..*\r\n",
        rb"-NOSCRIPT No matching script\..*\r\n",
    ),
    Difference(
        ("script|exists",),
        "The scripts of the catalogue are always there, and no others.",
        "They are part of the program.",
        (),
        rb"\*.*",
        rb"\*.*",
    ),
    Difference(
        ("eval", "evalsha", "eval_ro", "evalsha_ro"),
        "An error does not tell in which line of the script it was.",
        "No script is interpreted.",
        ("SET k v", "EVAL 'return redis.call(\"incrby\", KEYS[1], ARGV[1])' 1 k 1"),
        rb"-ERR (value is not an integer or out of range|increment or decrement would overflow|syntax error"
        rb"|invalid expire time in '[a-z]+' command) script: .*\r\n",
        rb"-ERR (value is not an integer or out of range|increment or decrement would overflow|syntax error"
        rb"|invalid expire time in '[a-z]+' command)\r\n",
    ),
    Difference(
        ("eval", "evalsha", "eval_ro", "evalsha_ro"),
        "The errors for arguments that are missing, or no numbers, have words of their own.",
        "Those of Redis come from its interpreter.",
        ("EVAL 'return redis.call(\"incrby\", KEYS[1], ARGV[1])' 1 k",),
        rb"-ERR (user_script:[0-9]+: attempt to (perform arithmetic|compare)|(Lua redis lib c|C)ommand arguments must)"
        rb".*\r\n",
        rb"-ERR (the script has too few keys or arguments|an argument of the script is not a number, or is missing)"
        rb"\r\n",
    ),
    Difference(
        ("eval_ro", "evalsha_ro"),
        "A script that may write is refused whatever it would do.",
        "What it does is known beforehand.",
        ("EVAL_RO 'return redis.call(\"incrby\", KEYS[1], ARGV[1])' 1 k 1",),
        rb".*",
        rb"-ERR Write commands are not allowed from read-only scripts\.\r\n",
    ),
    Difference(
        ("exec", "del", "unlink", "exists", "touch", "mget", "mset", "msetnx"),
        "What would hold a node up for long is refused, and nothing of it is done: a transaction of 10,000 `RANDOMKEY`,"
        " a `DEL` of 100 keys with values of 1 MiB. Redis does it, and everybody waits.",
        "All nodes do it at once, in bounded time and memory. Split it.",
        (),
        rb".*",
        rb"-ERR this would take too long at once.*\r\n",
        keys_differ=True,
    ),
    Difference(
        ("client|reply",),
        "Between MULTI and EXEC it is refused, and so is the whole transaction. Valkey does the same.",
        "The reply of EXEC would have fewer parts than it says.",
        ("MULTI", "CLIENT REPLY SKIP"),
        rb"(\+QUEUED|-ERR Command 'client\|reply' not allowed inside a transaction)\r\n",
        rb"-ERR Command not allowed inside a transaction\r\n",
    ),
    Difference(
        ("multi", "watch"),
        "Between MULTI and EXEC they are refused, and the rest is executed. Valkey refuses the rest, too.",
        "Redis does the same.",
        (),
        rb"-ERR Command '(multi|watch)' not allowed inside a transaction\r\n",
        rb"-ERR (MULTI calls can not be nested|WATCH inside MULTI is not allowed)\r\n",
        only="valkey",
    ),
    Difference(
        ("client|list", "client|info"),
        "Fields that say nothing of dkv are left out, such as `fd` and `events`.",
        "Every value that is there is true.",
        ("CLIENT INFO",),
        rb"[$=].*",
        rb"[$=].*",
    ),
    Difference(
        ("client|help", "command|help", "config|help", "latency|help", "memory", "object", "script|help"),
        "HELP lists the subcommands that are there.",
        "Others are refused.",
        ("CLIENT HELP",),
        rb"\*.*",
        rb"\*.*",
    ),
    Difference(
        ("wait",),
        "It answers at once, and says on how many other nodes the answered writes of the connection are.",
        "A write is answered when it is on the disks of a majority, so there is nothing to wait for.",
        ("WAIT 0 0",),
        rb":[0-9]+\r\n",
        rb":[0-9]+\r\n",
    ),
    Difference(
        ("waitaof",),
        "As WAIT, after a 1 for a first disk.",
        "Which nodes hold a write is not told.",
        (),
        rb"\*2\r\n:[0-9]+\r\n:[0-9]+\r\n",
        rb"\*2\r\n:1\r\n:[0-9]+\r\n",
    ),
    Difference(
        ("role",),
        "`master` on every node, with the last slot that the node has applied in place of an offset, and with the"
        " other voters that it reaches as replicas.",
        "Every node takes writes.",
        (),
        rb"\*3\r\n\$6\r\nmaster\r\n:[0-9]+\r\n\*0\r\n",
        rb"\*3\r\n\$6\r\nmaster\r\n:[0-9]+\r\n\*.*",
    ),
    Difference(
        ("sentinel",),
        "Every node answers, on the port of its clients, and names itself: the master of the name that the cluster has."
        " While it serves nothing, `MASTERS` flags it `s_down`, `MASTER` knows no such master, and"
        " `GET-MASTER-ADDR-BY-NAME` is nil.",
        "A client goes on to the next node then.",
        (),
        rb"-ERR unknown command 'sentinel'.*",
        rb".*",
    ),
    Difference(
        ("latency|doctor",),
        "It names the metrics of the node.",
        "dkv keeps no latency events.",
        ("LATENCY DOCTOR",),
        rb"[$=].*",
        rb"[$=].*DKV\.METRICS.*",
    ),
)

ABSENT: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("HSET", "LPUSH", "SADD", "ZADD", "XADD", "PFADD", "GEOADD", "SETBIT", "..."),
        "Values are strings. Hashes, lists, sets, sorted sets, streams and what is built on them are not there.",
    ),
    (("FUNCTION", "FCALL"), "There is no Lua interpreter: scripts are known by their SHA1."),
    (("SCRIPT KILL", "SCRIPT DEBUG"), "No script ever runs for long, and there is no interpreter to debug."),
    (("MONITOR",), "It would show every client's data to everybody, at the cost of each request."),
    (
        ("DUMP", "RESTORE", "MIGRATE"),
        "The stored form of a value is that of dkv, not of Redis. Use `dkv backup` or `dkv export`.",
    ),
    (("SWAPDB", "MOVE"), "None of the client libraries that were tried needs them."),
    (("CLIENT TRACKING",), "A node does not remember what its clients have read."),
    (
        ("ACL SETUSER", "ACL DELUSER", "ACL LOAD", "ACL SAVE", "ACL GENPASS", "ACL LOG"),
        "Users stand in a file of each node, and `dkv user` edits it.",
    ),
    (
        ("SENTINEL FAILOVER", "SENTINEL MONITOR", "SENTINEL SET", "SENTINEL RESET"),
        "Nodes watch each other by themselves. `dkv leader transfer` moves the lead.",
    ),
    (
        ("SAVE", "BGSAVE", "SHUTDOWN", "REPLICAOF", "CLUSTER", "DEBUG"),
        "They are about how Redis runs. The `dkv` command and the config file run dkv.",
    ),
)
"""Commands of Redis that dkv refuses, and why."""
