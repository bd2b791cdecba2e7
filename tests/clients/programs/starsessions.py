"""starsessions: the sessions of an ASGI application, over redis-py's asyncio client."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starsessions import SessionAutoloadMiddleware, SessionMiddleware
from starsessions.stores.redis import RedisStore

from tests.clients.programs.ride import HOST, PORT, ride_async


async def login(request: Request) -> PlainTextResponse:
    """Remember who it is."""
    request.session["name"] = request.path_params["name"]
    return PlainTextResponse("welcome")


async def name(request: Request) -> PlainTextResponse:
    """Who it is."""
    return PlainTextResponse(request.session.get("name", "nobody"))


async def logout(request: Request) -> PlainTextResponse:
    """Forget."""
    request.session.clear()
    return PlainTextResponse("bye")


async def get(app: Starlette, path: str, cookie: str = "") -> tuple[str, str]:
    """What the application answers to a GET, and the cookie that it sets."""
    text, cookies = b"", [cookie]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal text
        text += message.get("body", b"")
        headers = dict(message.get("headers", ()))
        if b"set-cookie" in headers:
            cookies.append(headers[b"set-cookie"].decode().partition(";")[0])

    headers = [(b"host", b"localhost"), (b"cookie", cookie.encode())]
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}
    await app({**scope, "headers": headers, "client": ("127.0.0.1", 1)}, receive, send)
    return text.decode(), cookies[-1]


async def main() -> None:
    """Ann and Bob come and go."""
    redis = Redis(host=HOST, port=PORT)
    app = Starlette(
        routes=[Route("/login/{name}", login), Route("/name", name), Route("/logout", logout)],
        middleware=[
            Middleware(SessionMiddleware, store=RedisStore(connection=redis), lifetime=300, cookie_https_only=False),
            Middleware(SessionAutoloadMiddleware),
        ],
    )
    assert await get(app, "/name") == ("nobody", "")
    _, ann = await get(app, "/login/ann")
    _, bob = await get(app, "/login/bob")
    assert ann.startswith("session=") and ann != bob, ann
    assert (await get(app, "/name", ann))[0] == "ann"
    assert (await get(app, "/name", bob))[0] == "bob"
    keys = [key async for key in redis.scan_iter("starsessions.*")]
    assert len(keys) == 2, keys
    for key in keys:
        assert 0 < await redis.ttl(key) <= 300
    await get(app, "/logout", ann)
    assert (await get(app, "/name", ann))[0] == "nobody"
    assert (await get(app, "/name", bob))[0] == "bob"

    cookies = {}

    async def visit(number: int) -> None:
        _, cookies[number] = await get(app, f"/login/{number}")

    async def is_known(number: int) -> bool:
        return (await get(app, "/name", cookies[number]))[0] == str(number)

    await ride_async(visit, is_known)
    await redis.aclose()


asyncio.run(main())
print("all well")
