"""Whom the guards of the admin ports let in."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.config.config import Config, parse_config
from dkv.console.admin_token import TokenError, parse_tokens
from dkv.net.securing import Secured, Shown
from dkv.node.admin_access import AdminAccess, read_tokens
from dkv.security.users import Users, parse_users

TOKEN = "0123456789abcdefghij"
TLS = {"ca": "ca.pem", "certificate": "node.pem", "key": "node.key", "client_certificates": "optional"}
USERS = parse_users(
    {
        "user": {
            "root": {"certificate": "root", "may": ["admin"]},
            "app": {"certificate": "app", "may": ["read", "write"], "keys": ["*"]},
        }
    }
)


class Connection(Secured):
    """One with TLS, and the certificate that the other end has shown."""

    def __init__(self, shown: Shown | None) -> None:
        self.shown = shown


def request(shown: Shown | None = None, token: str = "", secured: bool = True) -> Any:
    """What a visitor asks with: a certificate, or none, and a token, or none."""
    header = f"Bearer {token}".encode() if token else None
    connection = Connection(shown) if secured else object()
    channel = SimpleNamespace(transport=SimpleNamespace(transport=connection))
    return SimpleNamespace(channel=channel, getHeader=lambda name: header)


class GuardTests(SynchronousTestCase):
    def config(self, host: str = "127.0.0.1", **settings: Any) -> Config:
        node = {"id": 1, "client": "127.0.0.1:1", "peer": "127.0.0.1:2", "admin": f"{host}:3", "admin_tls": f"{host}:4"}
        return parse_config({"cluster": "c", "node": [node], "tls": TLS} | settings)

    def refused(self, name: str, asking: Any, users: Users | None = None, token: bool = False, **more: Any) -> int:
        """The status with which the port ``name`` turns a visitor away; 0 if the pages are shown."""
        config = self.config(**more)
        access = AdminAccess(config)
        if token:
            access._take(parse_tokens(TOKEN))
        refusal = access.guard(name, config.members[0].endpoints()[name], lambda: users)(asking)
        return 0 if refusal is None else refusal.status

    def test_neither_token_nor_certificate(self) -> None:
        """On the loopback address everybody is an operator; from elsewhere nobody is."""
        for name in ("admin", "admin_tls"):
            off: dict[str, Any] = {"tls": TLS | {"client_certificates": "off"}}
            self.assertEqual(self.refused(name, request(), **off), 0)
            self.assertEqual(self.refused(name, request(token=TOKEN), host="0.0.0.0", **off), 403)

    def test_a_certificate(self) -> None:
        """That of a user who may do what is `admin` opens the port with TLS, and no other does."""
        root, app, node = Shown(users=("root",)), Shown(users=("app",)), Shown(node=("c", 2))
        for host in ("127.0.0.1", "0.0.0.0"):
            for shown, status in ((root, 0), (app, 401), (node, 401), (Shown(users=("x",)), 401), (None, 401)):
                self.assertEqual(self.refused("admin_tls", request(shown), USERS, host=host), status, shown)
        self.assertEqual(self.refused("admin", request(root, secured=False), USERS, host="0.0.0.0"), 403)

    def test_a_certificate_without_users(self) -> None:
        """Without users whoever has a certificate of the cluster's CA may do everything, as at the client port."""
        self.assertEqual(self.refused("admin_tls", request(Shown(users=("x",)))), 0)
        self.assertEqual(self.refused("admin_tls", request(None)), 401)

    def test_either(self) -> None:
        """Where both are possible each is enough."""
        root, app = Shown(users=("root",)), Shown(users=("app",))
        for shown, token, status in (
            (root, "", 0),
            (app, TOKEN, 0),
            (None, TOKEN, 0),
            (app, "", 401),
            (None, "x", 401),
        ):
            self.assertEqual(self.refused("admin_tls", request(shown, token), USERS, token=True), status)
        self.assertEqual(self.refused("admin", request(root, secured=False), USERS, token=True), 401)
        self.assertEqual(self.refused("admin", request(token=TOKEN, secured=False), USERS, token=True), 0)


class FileTests(SynchronousTestCase):
    def test_what_is_no_file_of_tokens(self) -> None:
        """One line names the file and says what is wrong, and shows nothing of what is in it."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        path = folder / "token"
        for content, reason in (
            (b"short", f"the admin token file {path}: the token in line 1 has fewer than 20 characters"),
            (b"\xff" * 30, f"the admin token file {path} is no text"),
        ):
            path.write_bytes(content)
            self.assertEqual(str(self.assertRaises(TokenError, read_tokens, str(path))), reason)
        os.unlink(path)
        error = self.assertRaises(TokenError, read_tokens, str(path))
        self.assertEqual(str(error), f"cannot read the admin token file {path}: No such file or directory")
