"""Flask-Caching: results of functions and views, many at once, and all forgotten."""

from __future__ import annotations

from flask import Flask
from flask_caching import Cache

from tests.clients.programs.ride import URL, ride

app = Flask(__name__)
cache = Cache(
    app,
    config={
        "CACHE_TYPE": "RedisCache",
        "CACHE_REDIS_URL": f"{URL}/2",
        "CACHE_KEY_PREFIX": "flask:",
        "CACHE_DEFAULT_TIMEOUT": 300,
    },
)
calls = 0


@app.get("/slow")
@cache.cached(timeout=60)  # typed in some versions only
def slow() -> str:
    """A page that takes long to make."""
    global calls
    calls += 1
    return f"made {calls}"


@cache.memoize(60)  # typed in some versions only
def square(number: int) -> int:
    """The square, remembered for each number."""
    global calls
    calls += 1
    return number * number


with app.app_context():
    cache.clear()
    client = app.test_client()
    assert client.get("/slow").text == "made 1"
    assert client.get("/slow").text == "made 1"
    assert [square(3), square(4), square(3)] == [9, 16, 9]
    assert calls == 3, calls
    cache.delete_memoized(square, 3)
    assert [square(3), square(4)] == [9, 16]
    assert calls == 4, calls
    assert cache.set("a", [1, 2]) is True
    assert cache.add("a", "another") is False
    assert cache.has("a") is True
    assert cache.set_many({"b": 1, "c": {"d": None}})
    assert cache.get_many("a", "b", "c", "absent") == [[1, 2], 1, {"d": None}, None]
    assert cache.get_dict("a", "b") == {"a": [1, 2], "b": 1}
    assert cache.delete("a") is True
    assert cache.delete_many("b", "c")
    assert cache.cache.inc("counter", 5) == 5
    assert cache.cache.dec("counter", 2) == 3
    cache.clear()
    assert cache.get("counter") is None
    assert client.get("/slow").text == "made 5"
    ride(
        lambda number: square(-number), lambda number: cache.cache.has(square.make_cache_key(square.uncached, -number))
    )
print("all well")
