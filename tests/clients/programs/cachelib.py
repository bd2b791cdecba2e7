"""cachelib, the cache of Werkzeug's family."""

from __future__ import annotations

from cachelib import RedisCache

from tests.clients.programs.ride import HOST, PORT, ride

cache = RedisCache(HOST, PORT, key_prefix="lib:", default_timeout=300)
cache.clear()
assert cache.get("absent") is None
assert cache.set("a", {"n": 1}) is True
assert cache.get("a") == {"n": 1}
assert cache.add("a", 2) is False
assert cache.add("b", 2, timeout=60) is True
assert cache.has("a")
assert cache.set_many({"c": 3, "d": "four"}, timeout=60) == ["c", "d"]
assert cache.get_many("a", "c", "d", "absent") == [{"n": 1}, 3, "four", None]
assert cache.get_dict("c", "d") == {"c": 3, "d": "four"}
assert cache.inc("counter", 5) == 5
assert cache.dec("counter") == 4
assert cache.set("for ever", 1, timeout=0) is True
assert cache.delete("a") is True
assert cache.delete("a") is False
assert cache.delete_many("c", "d") == ["c", "d"]
assert cache.clear() is True
assert cache.get("for ever") is None

ride(lambda number: cache.set(f"ride:{number}", number), lambda number: cache.get(f"ride:{number}") == number)
print("all well")
