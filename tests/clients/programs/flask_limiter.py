"""Flask-Limiter: routes with a limit, by fixed and by sliding window."""

from __future__ import annotations

from flask import Flask, request
from flask_limiter import Limiter

from tests.clients.programs.ride import URL, ride


def make_site(strategy: str) -> Flask:
    """An application with two routes."""
    app = Flask(__name__)
    limiter = Limiter(
        lambda: f"{strategy}:{request.args['who']}", app=app, storage_uri=URL, strategy=strategy, headers_enabled=True
    )

    @app.get("/cheap")
    def cheap() -> str:
        return "cheap"

    @app.get("/dear")
    @limiter.limit("3/minute")
    def dear() -> str:
        return "dear"

    with app.app_context():
        limiter.reset()
    return app


for strategy in ("fixed-window", "sliding-window-counter"):
    client = make_site(strategy).test_client()
    assert [client.get("/dear?who=ann").status_code for _ in range(4)] == [200, 200, 200, 429], strategy
    assert client.get("/dear?who=bob").headers["X-RateLimit-Remaining"] == "2"
    assert client.get("/cheap?who=ann").status_code == 200


def visit(number: int) -> None:
    """Somebody new comes."""
    answer = client.get(f"/dear?who={number}")
    if (answer.status_code, answer.headers.get("X-RateLimit-Remaining")) != (200, "2"):
        raise RuntimeError(f"{answer.status} {dict(answer.headers)}")


ride(visit, lambda number: client.get(f"/dear?who={number}").headers["X-RateLimit-Remaining"] == "1")
print("all well")
