"""The forms in which a user names nodes and a database."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.client.admission import OPEN, Admission, Tls
from dkv.client.blocking import Endpoint
from dkv.client.url import DATABASE_MAX, Destination, without_secrets
from dkv.kv.codes import DATABASES


class DestinationTests(SynchronousTestCase):
    def test_forms(self) -> None:
        """A list as it always was, and a URL that was copied from another client's settings."""
        a, b = Endpoint("a", 1), Endpoint("::1", 2)
        for text, database in (
            ("a:1,[::1]:2", None),
            ("redis://a:1, redis://[::1]:2/", None),
            ("redis://a:1/3,[::1]:2", 3),
            ("a:1/3,redis://[::1]:2/3", 3),
            ("a:1/0,[::1]:2", 0),
        ):
            found = Destination.parse(text)
            self.assertEqual((found.endpoints, found.database), ((a, b), database), text)
            self.assertEqual({each.access for each in found.endpoints}, {OPEN}, text)

    def test_all_databases(self) -> None:
        """Those that a cluster has, which this package may not ask."""
        self.assertEqual(DATABASE_MAX, DATABASES - 1)

    def test_refused(self) -> None:
        """Keys must not land in another database than the user means, nor a password be ignored."""
        for text, words in (
            ("a:1/1,b:1/2", "one command uses one database"),
            ("a:1/16", "from 0 to 15, and the list names 16"),
            ("a:1/x", "is neither host:port nor"),
            ("http://a:1", "is neither host:port nor"),
            ("redis://a/1", "is not host:port"),
            ("dkvs://a:1,dkv://b:1", "with TLS (dkvs://, rediss://) or without"),
            ("dkv://x@a:1,dkv://y@b:1", "one user and one password"),
            ("", "is neither host:port nor"),
        ):
            with self.assertRaises(ValueError) as caught:
                Destination.parse(text)
            self.assertIn(words, str(caught.exception), text)

    def test_ways_in(self) -> None:
        """What a list says of TLS, user and password counts for all its nodes; what is not a letter may be %20."""
        for text, access in (
            ("dkvs://a:1,[::1]:2", Admission(Tls())),
            ("rediss://app:s%40cret@a:1/3,[::1]:2", Admission(Tls(), b"app", b"s@cret")),
            ("a:1,dkv://:secret@[::1]:2", Admission(None, None, b"secret")),
            ("redis://app@a:1,[::1]:2", Admission(None, b"app", None)),
            ("redis://app:@a:1,[::1]:2", Admission(None, b"app", b"")),
        ):
            self.assertEqual({each.access for each in Destination.parse(text).endpoints}, {access}, text)

    def test_told_apart(self) -> None:
        """What a program says beside the addresses is added to them, and must not contradict them."""
        files = Tls("ca.pem")
        found = Destination.of("dkvs://app@a:1", 2, files, password="secret")
        self.assertEqual(found.endpoints[0].access, Admission(files, b"app", b"secret"))
        self.assertEqual(found.endpoints[0].access.greeting, (b"AUTH", b"app", b"secret"))
        self.assertEqual(found.admitting(None, None, None), found)
        for text, tls, user, password in (
            ("dkv://a:1", files, None, None),
            ("app@a:1", None, "other", None),
            (":one@a:1", None, None, "other"),
            ("dkvs://app@a:1", files, None, None),  # else the program would be somebody else, and not know it
            ("a:1", None, "app", None),
        ):
            self.assertRaises(ValueError, Destination.of, text, None, tls, user, password)

    def test_secrets_stay_secret(self) -> None:
        """A password that was mistyped in a URL must not land in a log with the error, nor one in a repr."""
        for text in (
            "dkv://app:sec,ret@a:1",
            "dkv://app:sec/ret@a:1",
            "dkv://app:secret@a",
            "dkv://app:secret",
            "dkv://app:secret@a:1/x",
            "dkvs://app:secret@a:1,dkv://b:1",
            "dkv://app:secret@a:1,dkv://app:other@b:1",
            "http://app:secret@a:1",
        ):
            with self.assertRaises(ValueError) as caught:
                Destination.parse(text)
            for part in ("sec", "ret"):
                self.assertNotIn(part, str(caught.exception), text)
        self.assertEqual(
            without_secrets("--endpoints=dkvs://app:se/cr,et@a:1,rediss://b:2"),
            "--endpoints=dkvs://***@a:1,rediss://b:2",
        )
        found = Destination.parse("dkvs://app:secret@a:1")
        self.assertNotIn("secret", f"{found!r} {found.endpoints[0]!r} {found.endpoints[0].access!r} {found}")
