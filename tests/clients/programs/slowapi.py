"""slowapi: Starlette and FastAPI routes with a limit."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from slowapi import Limiter, _rate_limit_exceeded_handler
from slowapi.errors import RateLimitExceeded

from tests.clients.programs.ride import URL, ride

limiter = Limiter(lambda request: request.query_params["who"], storage_uri=URL)
app = FastAPI()
app.state.limiter = limiter
app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)


@app.get("/dear")
@limiter.limit("3/minute")
def dear(request: Request) -> str:
    """Three times a minute for each visitor."""
    return "dear"


limiter.reset()
client = TestClient(app)
assert [client.get("/dear?who=ann").status_code for _ in range(4)] == [200, 200, 200, 429]
assert client.get("/dear?who=bob").status_code == 200


def visit(number: int) -> None:
    """Somebody new comes."""
    assert client.get(f"/dear?who=visitor{number}").status_code == 200


def is_counted(number: int) -> bool:
    """Two more are let in, and no third."""
    return [client.get(f"/dear?who=visitor{number}").status_code for _ in range(3)] == [200, 200, 429]


ride(visit, is_counted)
print("all well")
