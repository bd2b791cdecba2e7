"""Clients get in at nodes with TLS and users: those of others, and ours."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from typing import Any

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError
from redis.retry import Retry
from twisted.trial.unittest import SkipTest, SynchronousTestCase

import dkv.client.redis
import dkv.client.redis.asyncio
from dkv.client import Client, Rejected, Tls
from dkv.client.addresses import present
from dkv.client.blocking import ServerError, connect
from dkv.client.endpoint import Endpoint
from tests.clients.page import PAGE, PRINTED, SECURED
from tests.integration.library_load import node_folders
from tests.integration.processes import HOST, child_environment
from tests.integration.secured_cluster import APP, BOSS, PASSWORDS, placed, secured_cluster

NO_KEY = "No permissions to access a key"
WRONG = "WRONGPASS invalid username-password pair or user is disabled."


class AccessTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = secured_cluster()

    def run_program(self, *command: str, user: str = APP, **variables: str) -> Any:
        """What a program says, with the password of ``user`` in DKV_PASSWORD; its errors, if it fails."""
        environment = {**child_environment(), "DKV_PASSWORD": PASSWORDS[user], **variables}
        ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=30, check=False)
        return ended.stdout if ended.returncode == 0 else ended.stderr

    def dkv(self, *words: str, user: str = APP, **variables: str) -> str:
        """What the command says, or its error, without the end of the line."""
        said: str = self.run_program(sys.executable, "-m", "dkv.cli.main", *words, user=user, **variables)
        return said.removesuffix("\n")

    # --- clients of others ---

    def options(self, user: str = APP) -> dict[str, Any]:
        """Those of redis-py."""
        return {"ssl": True, "ssl_ca_certs": self.cluster.ca, "username": user, "password": PASSWORDS[user]}

    def test_redis_py(self) -> None:
        """Its own classes, and ours with a token on each write; a user with rights on some keys."""
        host, port = HOST, self.cluster.tls_ports[0]
        nodes = self.cluster.addresses.split(",")
        for number, client in enumerate(
            (redis.Redis(host, port, **self.options()), dkv.client.redis.Redis(nodes=nodes, **self.options()))
        ):
            with client:
                self.assertTrue(client.set(f"app:py{number}", "one"))
                self.assertEqual(client.get(f"app:py{number}"), b"one")
                with client.pipeline() as pipeline:
                    pipeline.append(f"app:py{number}", "two")
                    pipeline.get(f"app:py{number}")
                    self.assertEqual(pipeline.execute(), [6, b"onetwo"])
                with self.assertRaisesRegex(NoPermissionError, NO_KEY):
                    client.set("other", "one")
        wrong = {**self.options(), "password": "wrong"}
        once = Retry(NoBackoff(), 0)  # redis-py alone would try it three times more
        for refused in (redis.Redis(host, port, retry=once, **wrong), dkv.client.redis.Redis(host, port, **wrong)):
            with refused, self.assertRaises(AuthenticationError):
                refused.set("app:py", "one")
        url = f"rediss://{APP}:{PASSWORDS[APP]}@{self.cluster.addresses}/0"
        with dkv.client.redis.Redis.from_url(url, ssl_ca_certs=self.cluster.ca) as client:
            self.assertEqual(client.get("app:py1"), b"onetwo")

    def test_redis_py_asyncio(self) -> None:
        """The same with asyncio."""

        async def check(kind: Any, key: str, **where: Any) -> None:
            async with kind(**where, **self.options()) as client:
                self.assertTrue(await client.set(key, "one"))
                self.assertEqual(await client.get(key), b"one")
                with self.assertRaisesRegex(NoPermissionError, NO_KEY):
                    await client.set("other", "one")

        asyncio.run(check(redis.asyncio.Redis, "app:aio", host=HOST, port=self.cluster.tls_ports[0]))
        nodes = self.cluster.addresses.split(",")
        asyncio.run(check(dkv.client.redis.asyncio.Redis, "app:own-aio", nodes=nodes))

    def test_redis_cli(self) -> None:
        """As everybody uses it; the password is in the variable that it has for that."""
        port = str(self.cluster.tls_ports[1])
        command = ["redis-cli", "--tls", "--cacert", self.cluster.ca, "-p", port, "--user", APP]
        secret = {"REDISCLI_AUTH": PASSWORDS[APP]}
        self.assertEqual(self.run_program(*command, "set", "app:cli", "one", **secret), "OK\n")
        self.assertIn("NOPERM", self.run_program(*command, "get", "other", **secret))
        self.assertIn("NOAUTH", self.run_program(*command[:-2], "get", "app:cli"))
        certificate = self.cluster.app_certificate
        shown = ["--cert", str(certificate.certificate), "--key", str(certificate.key)]
        self.assertEqual(self.run_program(*command[:-2], *shown, "get", "app:cli"), "one\n")
        self.assertIn("ERR this port takes TLS only", self.run_program("redis-cli", "-p", port, "ping"))

    def test_programs_of_the_page(self) -> None:
        """Whoever copies a program of docs/clients.md gets what the page shows."""
        programs = SECURED.findall(PAGE.read_text(encoding="utf-8"))
        self.assertEqual([name for name, *_ in programs], ["redis-py", "ioredis", "txredisapi"])
        for name, language, text in programs:
            if language != "js":
                said = self.run_program(sys.executable, "-c", placed(text))
                self.assertEqual(said.splitlines(), PRINTED.findall(text), name)

    def test_ioredis(self) -> None:
        """The same for the program in JavaScript, where Node.js and the library are installed."""
        program, folders = shutil.which("node"), os.pathsep.join(node_folders())
        environment = {**os.environ, "NODE_PATH": folders}
        seek = [program or "node", "-e", "require.resolve('ioredis')"]
        if not program or subprocess.run(seek, capture_output=True, env=environment, check=False).returncode:
            raise SkipTest("node finds no package ioredis: npm install --global ioredis")
        (text,) = [text for _, language, text in SECURED.findall(PAGE.read_text(encoding="utf-8")) if language == "js"]
        said = self.run_program(program, "-e", placed(text), NODE_PATH=folders)
        self.assertEqual(said.splitlines(), PRINTED.findall(text), said)

    # --- ours ---

    def test_clients_for_programs(self) -> None:
        """They learn of the other nodes as they reach the first one; whom a node turns away hears of it at once."""
        first = f"dkvs://{APP}@{HOST}:{self.cluster.tls_ports[1]}"
        with Client(first, tls=Tls(self.cluster.ca), password=PASSWORDS[APP]) as client:
            self.assertTrue(client.set("app:program", "one"))
            self.assertEqual(client.transaction(lambda tx, value: tx.append("app:program", value), "app:program"), [6])
            self.assertEqual(client.get("app:program"), b"oneone")
            self.assertEqual(self.assertRaises(Rejected, client.get, "other").word, "NOPERM")
        with Client(first, tls=Tls(self.cluster.ca), password="wrong") as refused:
            self.assertEqual(self.assertRaises(Rejected, refused.get, "app:program").word, "WRONGPASS")
        with Client(f"{HOST}:{self.cluster.ports[0]}") as nobody:
            self.assertEqual(self.assertRaises(Rejected, nobody.get, "app:program").word, "NOAUTH")
        given = Endpoint(HOST, self.cluster.tls_ports[0], self.cluster.access(APP))
        found = present([given], 5.0)
        self.assertEqual({each.port for each in found}, set(self.cluster.tls_ports))
        self.assertEqual({each.access for each in found}, {given.access})

    def test_tokens_of_a_restricted_user(self) -> None:
        """The client uses tokens up when answers are lost: that must be allowed to whoever may write one key."""
        given = Endpoint(HOST, self.cluster.tls_ports[0], self.cluster.access(APP))
        token = (b"IDMP", b"restricted", b"1")
        with connect(given, 5.0, 5.0) as connection:
            self.assertEqual(connection.call(b"MULTI"), "OK")
            self.assertEqual(connection.call(*token, b"EXEC"), [])
            with self.assertRaises(ServerError) as caught:
                connection.call(*token, b"SET", b"app:token", b"late")
        self.assertEqual(caught.exception.word, "IDMPMISMATCH")

    def test_client_for_twisted(self) -> None:
        """In a program with a reactor."""
        program = f"""
import json
from twisted.internet import defer, task
from dkv.client import Rejected, Tls
from dkv.client.twisted import Client

async def main(reactor):
    client = Client({self.cluster.addresses!r}, tls=Tls({self.cluster.ca!r}), user="app", password="sesame")
    await client.set("app:twisted", "one")
    mine = await client.get("app:twisted")
    try:
        other = await client.get("other")
    except Rejected as error:
        other = str(error)
    await client.close()
    print(json.dumps([mine.decode(), other]))

task.react(lambda reactor: defer.ensureDeferred(main(reactor)))
"""
        self.assertEqual(json.loads(self.run_program(sys.executable, "-c", program)), ["one", f"NOPERM {NO_KEY}"])

    def test_dkv(self) -> None:
        """The command: by its options, by variables, by a URL, by a certificate."""
        to = ["--endpoints", self.cluster.addresses, "--ca", self.cluster.ca]
        app = [*to, "--user", APP]
        self.assertEqual(self.dkv("put", "app:dkv", "one", *app), "OK")
        variables = {"DKV_ENDPOINTS": self.cluster.addresses, "DKV_CA": self.cluster.ca, "DKV_USER": APP}
        self.assertEqual(self.dkv("get", "app:dkv", **variables), "one")
        file = self.cluster.nodes.directory / "password"
        file.write_text(f"{PASSWORDS[BOSS]}\n")
        boss = [*to, "--user", BOSS, "--password-file", str(file)]
        self.assertEqual(self.dkv("get", "app:dkv", *boss), "one")
        url = f"dkvs://{BOSS}:open%3Ait%40now@{self.cluster.addresses}"
        self.assertEqual(self.dkv("get", "app:dkv", "--endpoints", url, "--ca", self.cluster.ca), "one")
        pair = self.cluster.app_certificate
        shown = ["--cert", str(pair.certificate), "--key", str(pair.key)]
        self.assertEqual(self.dkv("get", "app:dkv", *to, *shown, DKV_PASSWORD=""), "one")
        self.assertIn("voter", self.dkv("member", "list", *boss))
        self.assertIn("leader", self.dkv("status", *boss))
        self.assertIn("healthy", self.dkv("health", *boss))

    def test_dkv_is_refused(self) -> None:
        """One line each, which says what to mend."""
        to = ["--endpoints", f"{HOST}:{self.cluster.tls_ports[2]}"]
        ca = ["--ca", self.cluster.ca]
        plain = ["--endpoints", f"{HOST}:{self.cluster.ports[0]}"]
        other = self.cluster.certificates.directory / "other"
        for words, variables, text in (
            ([*to, *ca], {"DKV_PASSWORD": ""}, "dkv: refused: NOAUTH Authentication required. (see --user)"),
            ([*to, *ca, "--user", APP], {"DKV_PASSWORD": "wrong"}, f"dkv: refused: {WRONG}"),
            ([*to, *ca, "--user", APP], {}, f"dkv: refused: NOPERM {NO_KEY}"),
            (to, {}, "dkv: refused: ERR this port takes TLS only"),
            ([*plain, *ca], {}, "it does not speak TLS: leave TLS out, or name its port for TLS"),
            ([*to, "--tls"], {}, "its certificate is not signed by a CA of this machine"),
            ([*to, "--ca", str(other)], {}, f"cannot read certificates of a CA in {other}: No such file or directory"),
            ([*to, *ca], {}, "Are you sure your configuration is correct? (see --user)"),
        ):
            said = self.dkv("get", "other", *words, **variables)
            self.assertIn(text, said)
            self.assertEqual(len(said.splitlines()), 1, said)
            self.assertNotIn(PASSWORDS[APP], said)
