"""Libraries that need what is not there: what their user is told by the first thing that he tries, and how soon.

The option names the library. The first line that is printed is the error.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.clients.programs.ride import HOST, OPTIONS, PORT, URL

SECONDS_MAX = 5.0


def greet(whom: str) -> None:
    """What is to be done elsewhere."""


def rq() -> None:
    """A job for a worker."""
    from redis import Redis
    from rq import Queue

    Queue(connection=Redis(HOST, PORT)).enqueue(print, "hello")


def dramatiq() -> None:
    """A message for an actor."""
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker

    dramatiq.set_broker(RedisBroker(url=URL))
    dramatiq.actor(greet).send("ann")


def celery() -> None:
    """A task for a worker."""
    from celery import Celery

    Celery("tasks", broker=URL).task(greet).delay("ann")


def pottery() -> None:
    """A dictionary."""
    from pottery import RedisDict
    from redis import Redis

    RedisDict(redis=Redis(HOST, PORT), key="dictionary")["greeting"] = "hello"


tries: dict[str, Callable[[], None]] = {"rq": rq, "dramatiq": dramatiq, "celery": celery, "pottery": pottery}
begun = time.monotonic()
try:
    tries[OPTIONS[0]]()
except Exception as error:
    seconds = time.monotonic() - begun
    assert seconds < SECONDS_MAX, f"it was told after {seconds:.1f} s: {error}"
    told = str(error).splitlines()[0]
    assert "unknown command" in told or "catalogue" in told, told
    print(told)
    print("all well")
