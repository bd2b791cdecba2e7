"""The table of what the matrix tries: one entry for each way to use a client or a library."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One program, and what the page says of it."""

    name: str
    program: str
    """In ``programs``; a name without suffix is a module."""
    package: str
    """Whose version the page tells; ``npm:`` in front of one of Node.js, ``tool:`` in front of a command."""
    tries: str
    options: tuple[str, ...] = ()
    knows_all: bool = False
    """It is given all addresses, and goes to the node first that is killed then. Others know one that survives."""
    old_redis: bool = False
    """It runs with redis-py 5, in an environment of its own."""
    refused: bool = False
    """It needs what is not there, and is to be told so at once."""
    in_ci: bool = False
    """CI runs it, too: with libraries that the tests install anyway, or with those of Node.js. It leaves out what
    ``tests.integration.test_sentinel`` has."""
    remark: str = ""
    """What there is to know for whoever uses it, although it works."""

    @property
    def of_node(self) -> bool:
        """Whether it is a program of Node.js."""
        return self.program.endswith(".cjs")


CLIENTS = (
    Entry("redis-cli", "redis_cli", "tool:redis-cli", "`-x`, `-3`, `-r`, `--csv`, `--pipe`, `--scan`, `--bigkeys`, "
          "`--memkeys`, `--stat`, `--latency`, `--eval` of a known script, MULTI, SUBSCRIBE", in_ci=True),
    Entry("redis-benchmark", "redis_benchmark", "tool:redis-benchmark",
          "`-t ping_inline,ping_mbulk,set,get,incr,mset`, `-P 16`, `-3`", in_ci=True),
    Entry("redis-py", "redis_py", "redis", "strings, scans, pipelines, transactions, WATCH, publish and subscribe",
          options=("python",), in_ci=True),
    Entry("redis-py with hiredis", "redis_py", "hiredis", "the same, with the parser of hiredis", options=("hiredis",)),
    Entry("redis-py, asyncio", "redis_py_asyncio", "redis", "100 requests at a time, pipelines, a subscriber in a task",
          in_ci=True),
    Entry("redis-py, Lock", "redis_py_lock", "redis", "acquire, extend, reacquire, release; blocking and asyncio",
          in_ci=True),
    Entry("redis-py, Sentinel", "redis_py_sentinel", "redis", "`master_for`, `slave_for`; blocking and asyncio",
          knows_all=True),
    Entry("redis-py, MultiDBClient", "redis_py_multidb", "redis", "three databases with weights, health checks",
          knows_all=True),
    Entry("redis-py 5", "redis_py", "redis", "as with redis-py 8", options=("python",), old_redis=True),
    Entry("redis-py 5, asyncio", "redis_py_asyncio", "redis", "as with redis-py 8", old_redis=True),
    Entry("redis-py 5, Lock", "redis_py_lock", "redis", "as with redis-py 8", old_redis=True),
    Entry("redis-py 5, Sentinel", "redis_py_sentinel", "redis", "as with redis-py 8", knows_all=True, old_redis=True),
    Entry("hiredis", "hiredis", "hiredis", "its parser alone, in RESP 2 and RESP 3"),
    Entry("valkey-py", "valkey_py", "valkey", "strings, pipelines, publish and subscribe, Lock; blocking and asyncio",
          in_ci=True),
    Entry("valkey-glide", "valkey_glide", "valkey-glide", "strings, atomic batches", knows_all=True,
          remark="with `STATIC`, and made anew after an error"),
    Entry("valkey-glide-sync", "valkey_glide_sync", "valkey-glide-sync", "strings", knows_all=True,
          remark="the same"),
    Entry("txredisapi", "txredisapi", "txredisapi", "a pool, 100 requests at a time, transactions, a subscriber",
          in_ci=True),
    Entry("coredis", "coredis", "coredis", "strings, pipelines, scans, a subscriber"),
    Entry("ioredis", "ioredis.cjs", "npm:ioredis", "strings, MULTI, 100 requests at a time, scans, a subscriber",
          in_ci=True),
    Entry("ioredis, Sentinel", "ioredis.cjs", "npm:ioredis", "the same, with `sentinels`", options=("sentinel",),
          knows_all=True),
    Entry("node-redis", "node_redis.cjs", "npm:redis", "strings, MULTI, WATCH, scans, a subscriber", in_ci=True),
    Entry("node-redis, Sentinel", "node_redis.cjs", "npm:redis", "strings, MULTI, with `createSentinel`",
          options=("sentinel",), knows_all=True),
)  # fmt: skip

LIBRARIES = (
    Entry("Django", "django", "Django", "its Redis cache, and sessions in it", in_ci=True),
    Entry("django-redis", "django_redis", "django-redis", "the cache, `incr`, deadlines, patterns, `lock`", in_ci=True),
    Entry("Flask-Session", "flask_session", "Flask-Session", "sessions of two visitors, with a lifetime", in_ci=True),
    Entry("Flask-Caching", "flask_caching", "Flask-Caching", "views, `memoize`, many keys, `clear`", in_ci=True),
    Entry("Flask-Limiter", "flask_limiter", "Flask-Limiter", "fixed window and sliding window"),
    Entry("cachelib", "cachelib", "cachelib", "RedisCache", in_ci=True),
    Entry("aiocache", "aiocache", "aiocache", "RedisCache, `cached`, RedLock, OptimisticLock"),
    Entry("dogpile.cache", "dogpile_cache", "dogpile.cache", "a region with `distributed_lock`"),
    Entry("cashews", "cashews", "cashews", "cache, patterns, `lock`, `locked`, `rate_limit`"),
    Entry("limits", "limits", "limits", "fixed window and sliding window, blocking and asyncio", options=("strings",),
          in_ci=True, remark="the moving window needs lists, which are not there"),
    Entry("slowapi", "slowapi", "slowapi", "a FastAPI route with a limit"),
    Entry("fastapi-cache2", "fastapi_cache", "fastapi-cache2", "`cache`, `clear` of a namespace"),
    Entry("starsessions", "starsessions", "starsessions", "sessions of a Starlette application", in_ci=True),
    Entry("celery, results", "celery", "celery", "results, errors, groups, `forget`; another broker", in_ci=True,
          remark="no chords, whose script needs sorted sets: who waits for one times out; "
          "no broker, which needs lists"),
    Entry("python-socketio", "socketio", "python-socketio", "two servers and a third program emit to each other"),
    Entry("pottery", "pottery", "pottery", "Redlock", remark="nothing else of it: it needs hashes, lists and sets"),
    Entry("connect-redis", "connect_redis.cjs", "npm:connect-redis", "sessions of Express", in_ci=True),
    Entry("keyv", "keyv.cjs", "npm:keyv", "values, namespaces, deadlines, `clear`", in_ci=True),
    Entry("redlock 5", "redlock.cjs", "npm:redlock", "two resources at once, extend, release", options=("5",),
          in_ci=True),
    Entry("redlock 4", "redlock.cjs", "npm:redlock4", "the same", options=("4",)),
    Entry("rate-limit-redis", "rate_limit_redis.cjs", "npm:rate-limit-redis", "the store of express-rate-limit",
          in_ci=True),
    Entry("rate-limiter-flexible", "rate_limiter_flexible.cjs", "npm:rate-limiter-flexible",
          "consume, penalty, reward, block"),
)  # fmt: skip

REFUSED = (
    Entry("celery, broker", "refused", "celery", "a task for a worker", options=("celery",), refused=True, in_ci=True),
    Entry("rq", "refused", "rq", "a job for a worker", options=("rq",), refused=True),
    Entry("dramatiq", "refused", "dramatiq", "a message for an actor", options=("dramatiq",), refused=True),
    Entry("pottery, RedisDict", "refused", "pottery", "a dictionary", options=("pottery",), refused=True),
    Entry("bullmq", "bullmq.cjs", "npm:bullmq", "a job for a worker", refused=True, in_ci=True),
)

ENTRIES = CLIENTS + LIBRARIES + REFUSED
