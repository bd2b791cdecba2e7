"""django-redis: the cache with its additions to Django's own: patterns, locks, counters, deadlines, raw access."""

from __future__ import annotations

import django
from django.conf import settings

from tests.clients.programs.ride import URL, ride

settings.configure(
    CACHES={
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": f"{URL}/3",
            "OPTIONS": {"CLIENT_CLASS": "django_redis.client.DefaultClient"},
            "KEY_PREFIX": "site",
        }
    },
    SECRET_KEY="not secret",
)
django.setup()

from django.core.cache import cache  # noqa: E402 - it reads the settings as it is imported
from django_redis import get_redis_connection  # noqa: E402

cache.clear()
assert cache.set("page", {"title": "hello"}, timeout=300) is True
assert cache.get("page") == {"title": "hello"}
assert cache.set("page", "another", nx=True) is False
assert cache.add("fresh", "new", timeout=300) is True
assert 0 < cache.ttl("page") <= 300
assert cache.pttl("page") > 1_000
assert cache.expire("page", 600) and cache.ttl("page") > 300
assert cache.persist("page") and cache.ttl("page") is None
assert cache.touch("page", 60) is True
cache.set("counter", 40)
assert cache.incr("counter") == 41
assert cache.incr("counter", 10) == 51
assert cache.decr("counter") == 50
try:
    cache.incr("absent")
except ValueError:
    pass
else:
    raise AssertionError("an absent key was counted up")
assert cache.incr("absent", ignore_key_check=True) == 1
cache.set_many({"a": 1, "b": "two"}, timeout=300)
assert cache.get_many(["a", "b", "absent"]) == {"a": 1, "b": "two", "absent": 1}
assert sorted(cache.keys("*")) == ["a", "absent", "b", "counter", "fresh", "page"]
assert sorted(cache.iter_keys("?")) == ["a", "b"]
assert cache.delete_pattern("?") == 2
with cache.lock("seat", timeout=20):
    assert cache.lock("seat", timeout=20).acquire(blocking=False) is False
assert get_redis_connection("default").dbsize() == 4

ride(lambda number: cache.set(f"ride:{number}", number), lambda number: cache.get(f"ride:{number}") == number)
cache.clear()
print("all well")
