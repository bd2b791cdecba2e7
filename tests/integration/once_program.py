"""Django's cache, django-redis and Flask-Session with a token on every write: ``python -m ... HOST:PORT,...``."""

from __future__ import annotations

import sys
from typing import Any

import django
import flask
from django.conf import settings
from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from flask_session import Session

from dkv.client.redis import Redis

NODES = sys.argv[1]


class OnceClient(RedisCacheClient):  # type: ignore[misc] # Django has no annotations
    """Django's client, which asks with tokens."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._client = Redis


class OnceCache(RedisCache):  # type: ignore[misc] # the same
    """Django's cache with that client."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._class = OnceClient


def count_in_django() -> None:
    """Two sorts of caches."""
    settings.configure(
        CACHES={
            "default": {
                "BACKEND": f"{__name__}.OnceCache",
                "LOCATION": [f"redis://{NODES}/1"],
                "OPTIONS": {"pool_class": "dkv.client.redis.ConnectionPool"},
            },
            "django-redis": {
                "BACKEND": "django_redis.cache.RedisCache",
                "LOCATION": [f"redis://{NODES}/3"],
                "OPTIONS": {
                    "CONNECTION_POOL_CLASS": "dkv.client.redis.ConnectionPool",
                    "REDIS_CLIENT_CLASS": "dkv.client.redis.Redis",
                },
            },
        },
        SECRET_KEY="not secret",
    )
    django.setup()
    from django.core.cache import caches

    for name in ("default", "django-redis"):
        count_in(caches[name])


def count_in(cache: Any) -> None:
    """A counter in a cache is right, and the cache does what a cache does."""
    cache.clear()
    cache.set("visits", 0, timeout=None)
    for visits in range(1, 201):
        assert cache.incr("visits") == visits
    cache.set_many({"a": 1, "b": 2}, timeout=300)
    assert cache.get_many(["a", "b"]) == {"a": 1, "b": 2}
    assert cache.add("a", 3) is False
    assert cache.touch("a", 600) is True
    cache.clear()
    assert cache.get("visits") is None


def keep_a_session() -> None:
    """A session of Flask is kept and forgotten."""
    application = flask.Flask(__name__)
    client = Redis.from_url(f"redis://{NODES}/2")
    application.config |= {"SESSION_TYPE": "redis", "SESSION_REDIS": client}
    Session(application)

    @application.route("/")
    def page() -> str:
        flask.session["visits"] = flask.session.get("visits", 0) + 1
        return str(flask.session["visits"])

    with application.test_client() as browser:
        assert [browser.get("/").text for _ in range(50)] == [str(visits) for visits in range(1, 51)]
    client.close()


count_in_django()
keep_a_session()
print("all well")
