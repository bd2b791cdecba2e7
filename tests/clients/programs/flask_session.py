"""Flask-Session: the sessions of a Flask application, with a signed id and a lifetime."""

from __future__ import annotations

from flask import Flask, session
from flask_session import Session
from redis import Redis

from tests.clients.programs.ride import HOST, PORT, ride

redis = Redis(HOST, PORT)
app = Flask(__name__)
app.config.update(SESSION_TYPE="redis", SESSION_REDIS=redis, SECRET_KEY="not secret", PERMANENT_SESSION_LIFETIME=300)
Session(app)


@app.get("/login/<name>")
def login(name: str) -> str:
    """Remember who it is."""
    session["name"] = name
    session["visits"] = session.get("visits", 0) + 1
    return str(session["visits"])


@app.get("/name")
def name() -> str:
    """Who it is."""
    return str(session.get("name", "nobody"))


@app.get("/logout")
def logout() -> str:
    """Forget."""
    session.clear()
    return "bye"


ann, bob = app.test_client(), app.test_client()
assert ann.get("/name").text == "nobody"
assert ann.get("/login/ann").text == "1"
assert bob.get("/login/bob").text == "1"
assert ann.get("/login/ann").text == "2"
assert (ann.get("/name").text, bob.get("/name").text) == ("ann", "bob")
kept = [key for key in redis.scan_iter("session:*") if 0 < redis.ttl(key) <= 300]
assert len(kept) == 2, kept
assert ann.get("/logout").text == "bye"
assert (ann.get("/name").text, bob.get("/name").text) == ("nobody", "bob")
assert len(list(redis.scan_iter("session:*"))) == 1

visitors = {}


def visit(number: int) -> None:
    """Somebody new logs in."""
    visitors[number] = app.test_client()
    answer = visitors[number].get(f"/login/{number}")
    if answer.status_code != 200:
        raise RuntimeError(answer.status)


ride(visit, lambda number: visitors[number].get("/name").text == str(number))
redis.close()
print("all well")
