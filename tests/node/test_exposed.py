"""What a node says of its own open doors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from structlog.testing import capture_logs
from twisted.trial.unittest import SynchronousTestCase

from dkv.config.config import parse_config
from dkv.node.exposed import Exposed
from dkv.node.logs import get_logger
from dkv.security.users import Users, parse_users


class ExposedTests(SynchronousTestCase):
    def exposed(self, host: str, users: Users | None = None, readable: Sequence[str] = (), **settings: Any) -> Exposed:
        """Those of a node whose ports for clients are at ``host``."""
        node = {"id": 1, "client": f"{host}:5001", "client_tls": f"{host}:5101", "peer": "127.0.0.1:6001"}
        tls = {"ca": "ca.pem", "certificate": "node.pem", "key": "node.key"}
        config = parse_config({"cluster": "c", "node": [node], "tls": tls} | settings)
        return Exposed(config, config.members[0], lambda: users, lambda: readable)

    def test_told(self) -> None:
        """What somebody sees who looks is also in the log, from the start."""
        exposed = self.exposed("10.0.0.1")
        with capture_logs() as lines:
            exposed.tell(get_logger(1, "service"))
        told = [(line["event"], line["log_level"], line["exposure"], line["reason"]) for line in lines]
        self.assertEqual([name for _, _, name, _ in told], ["open_client", "unencrypted_client", "open_client"])
        self.assertEqual(told, [("exposed", "warning", name, text) for name, text in exposed.cautions()])

    def test_a_default_user_who_may_too_much(self) -> None:
        """A file of users keeps nobody out if everybody is one who may write."""
        for may, told in ((["read", "write"], "`write`"), (["all"], "`write`, `admin`, `fault`"), (["read"], "")):
            users = parse_users({"user": {"default": {"may": may, "keys": ["*"]}}})
            found = {each.name: each.text for each in self.exposed("10.0.0.1", users, users_file="u").cautions()}
            self.assertEqual("open_default" in found, bool(told))
            self.assertIn(f"for what is {told}:" if told else "", found.get("open_default", ""))
            self.assertEqual(list(self.exposed("127.0.0.1", users, users_file="u").cautions()), [])

    def test_secrets(self) -> None:
        """The operator is told what to do, until it is done."""
        readable = ["/run/token"]
        exposed = self.exposed("127.0.0.1", readable=readable, admin_token_file="/run/token")
        (caution,) = exposed.cautions()
        self.assertEqual(caution.name, "readable_secret")
        self.assertIn("/run/token: chmod 600 it", caution.text)
        readable.clear()
        self.assertEqual(list(exposed.cautions()), [])
