"""``txredisapi_program.py HOST PORT CA USER``: get in over Twisted's own TLS, and say what comes of it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import txredisapi  # type: ignore[import-untyped]
from twisted.internet import defer, endpoints, ssl, task


async def main(reactor: Any) -> None:
    """One write, one read, and one that is refused."""
    host, port, ca, user = sys.argv[1:]
    trusted = ssl.trustRootFromCertificates([ssl.Certificate.loadPEM(Path(ca).read_bytes())])
    plain = endpoints.HostnameEndpoint(reactor, host, int(port))
    secured = endpoints.wrapClientTLS(ssl.optionsForClientTLS(host, trusted), plain)
    factory = txredisapi.RedisFactory(None, 0, 1, username=user, password=os.environ["DKV_PASSWORD"])
    factory.startConnecting(secured)
    client = await factory.deferred
    await client.set("app:txredisapi", "one")
    mine = await client.get("app:txredisapi")
    try:
        other = await client.get("other")
    except txredisapi.ResponseError as error:
        other = str(error)
    await client.disconnect()
    print(json.dumps([mine, other]))


task.react(lambda reactor: defer.ensureDeferred(main(reactor)))
