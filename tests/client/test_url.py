"""The forms in which a user names nodes and a database."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.client.blocking import Endpoint
from dkv.client.url import DATABASE_MAX, Destination
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
            self.assertEqual(Destination.parse(text), Destination((a, b), database), text)

    def test_all_databases(self) -> None:
        """Those that a cluster has, which this package may not ask."""
        self.assertEqual(DATABASE_MAX, DATABASES - 1)

    def test_refused(self) -> None:
        """Keys must not land in another database than the user means, nor a password be ignored."""
        for text, words in (
            ("a:1/1,b:1/2", "one command uses one database"),
            ("a:1/16", "from 0 to 15, and the list names 16"),
            ("a:1/x", "is neither host:port nor"),
            ("rediss://a:1", "is neither host:port nor"),
            ("redis://user:word@a:1", "is not host:port"),
            ("redis://a/1", "is not host:port"),
            ("", "is neither host:port nor"),
        ):
            with self.assertRaises(ValueError) as caught:
                Destination.parse(text)
            self.assertIn(words, str(caught.exception), text)
