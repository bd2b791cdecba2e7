"""expire and ttl: what is sent, what is printed, every exit status; and put with a lifetime."""

from __future__ import annotations

from tests.cli.test_data import DataTestCase


class TtlTests(DataTestCase):
    def test_expire(self) -> None:
        """In so many seconds, at a time, or never: all in milliseconds, as a request has them."""
        for words, sent in (
            (["1.5"], ["PEXPIRE", "k", "1500"]),
            (["0"], ["PEXPIRE", "k", "0"]),
            (["--at", "1800000000"], ["PEXPIREAT", "k", "1800000000000"]),
            (["--never"], ["PERSIST", "k"]),
        ):
            self.assert_prints(self.run_against(b":1\r\n", "expire", "k", *words), 0, b"OK\n")
            self.assertEqual(self.words_written(), sent)
        self.assertEqual(self.as_json(b":1\r\n", "expire", "k", "1"), (0, {"key": "k", "changed": True}))

    def test_absent(self) -> None:
        """1: there was nothing to expire."""
        gone = "dkv: there is no such key\n"
        self.assert_prints(self.run_against(b":0\r\n", "expire", "k", "1"), 1, b"", gone)
        self.assert_prints(self.run_against(b":-2\r\n", "ttl", "k"), 1, b"", gone)
        lasting = "dkv: there is no such key, or it does not expire\n"
        self.assert_prints(self.run_against(b":0\r\n", "expire", "k", "--never"), 1, b"", lasting)
        self.assertEqual(self.as_json(b":0\r\n", "expire", "k", "1"), (1, {"key": "k", "changed": False}))

    def test_mistakes(self) -> None:
        """Nothing is sent unless exactly one time is named."""
        for words in ([], ["1", "--never"], ["--at=1", "1"], ["-1"], ["soon"], ["1e30"]):
            self.assertEqual(self.run_against(b":1\r\n", "expire", "k", *words).exit_code, 2, words)
            self.assertEqual(self.nodes.asked, [])
        said = self.run_against(b":1\r\n", "expire", "k", "--at", "2030-01-01").stderr
        self.assertIn("'2030-01-01' is not a number of seconds since 1970 from 0 to 100000000000.", said)

    def test_ttl(self) -> None:
        """The time that is left, or that there is no end."""
        self.assert_prints(self.run_against(b":9873\r\n", "ttl", "k"), 0, b"9.873\n")
        self.assert_prints(self.run_against(b":-1\r\n", "ttl", "k"), 0, b"never\n")
        self.assertEqual(self.as_json(b":9873\r\n", "ttl", "k"), (0, {"key": "k", "ttl_ms": 9873}))
        self.assertEqual(self.as_json(b":-1\r\n", "ttl", "k"), (0, {"key": "k", "ttl_ms": None}))
        self.assertEqual(self.nodes.requests, [b"*2\r\n$4\r\nPTTL\r\n$1\r\nk\r\n"])

    def test_put(self) -> None:
        """A key can be born with its end."""
        self.assert_prints(self.run_against(b"+OK\r\n", "put", "k", "v", "--ttl", "2"), 0, b"OK\n")
        self.assertEqual(self.words_written(), ["SET", "k", "v", "PX", "2000"])
