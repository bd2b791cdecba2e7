"""Django's own Redis cache, and sessions kept in it."""

from __future__ import annotations

from importlib import import_module

import django
from django.conf import settings

from tests.clients.programs.ride import URL, ride

settings.configure(
    CACHES={
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": f"{URL}/1",
            "KEY_PREFIX": "site",
        }
    },
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    INSTALLED_APPS=["django.contrib.sessions"],
    SECRET_KEY="not secret",
)
django.setup()

from django.core.cache import cache  # noqa: E402 - it reads the settings as it is imported

cache.clear()
assert cache.get("absent", "default") == "default"
cache.set("page", {"title": "hello", "visits": 1}, timeout=300)
assert cache.get("page") == {"title": "hello", "visits": 1}
assert cache.add("page", "another") is False
assert cache.add("fresh", "new", timeout=300) is True
assert cache.touch("page", 600) is True
assert cache.touch("absent", 600) is False
assert cache.has_key("page")
cache.set("counter", 40)
assert cache.incr("counter") == 41
assert cache.incr("counter", 10) == 51
assert cache.decr("counter") == 50
assert cache.set_many({"a": 1, "b": "two", "c": None}, timeout=300) == []
assert cache.get_many(["a", "b", "c", "absent"]) == {"a": 1, "b": "two", "c": None}
cache.set_many({"x": 1, "y": 2}, timeout=None)
cache.delete_many(["a", "b"])
assert cache.get_many(["a", "b", "c"]) == {"c": None}
assert cache.delete("page") is True
assert cache.delete("page") is False
assert cache.get_or_set("made", lambda: 7, timeout=300) == 7
cache.set("forgotten", 1, timeout=0)
assert cache.get("forgotten") is None
cache.set("versioned", 1, version=1)
assert cache.incr_version("versioned") == 2
assert cache.get("versioned", version=2) == 1

store = import_module(settings.SESSION_ENGINE).SessionStore
session = store()
session["user"] = "ann"
session.set_expiry(300)
session.save()
again = store(session_key=session.session_key)
assert again["user"] == "ann"
assert store().exists(session.session_key)
again.cycle_key()
assert not store().exists(session.session_key)
assert store(session_key=again.session_key)["user"] == "ann"
again.flush()
assert store(session_key=again.session_key).get("user") is None

cache.clear()
assert cache.get("made") is None

sessions = {}


def visit(number: int) -> None:
    """A visitor gets a session, and a page is cached."""
    visitor = store()
    visitor["user"] = number
    visitor.save()
    cache.set(f"page:{number}", number)
    sessions[number] = visitor.session_key


ride(visit, lambda number: store(sessions[number])["user"] == cache.get(f"page:{number}") == number)
print("all well")
