"""dogpile.cache: one program makes a value while others wait for it, with a lock in Redis."""

from __future__ import annotations

import threading
import time

from dogpile.cache import make_region

from tests.clients.programs.ride import HOST, PORT, ride

region = make_region().configure(
    "dogpile.cache.redis",
    expiration_time=300,
    arguments={"host": HOST, "port": PORT, "redis_expiration_time": 600, "distributed_lock": True, "lock_timeout": 20,
               "thread_local_lock": False},
)  # fmt: skip
calls = []


def make() -> str:
    """A value that takes long to make."""
    calls.append(1)
    time.sleep(0.1)
    return "made"


region.delete_multi(["a", "b", "value"])
region.set("a", {"n": 1})
assert region.get("a") == {"n": 1}
region.set_multi({"b": 2, "c": [3]})
assert region.get_multi(["b", "c"]) == [2, [3]]
region.delete("b")
assert not region.get("b")
threads = [threading.Thread(target=region.get_or_create, args=("value", make)) for _ in range(5)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert region.get("value") == "made" and len(calls) == 1, calls


def make_another(number: int) -> None:
    """A new value, under its lock."""
    assert region.get_or_create(f"ride:{number}", lambda: number) == number


ride(make_another, lambda number: region.get(f"ride:{number}") == number)
print("all well")
