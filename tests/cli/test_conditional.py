"""incr and cas: what is sent, what is printed, every exit status."""

from __future__ import annotations

from tests.cli.test_data import DataTestCase


class IncrTests(DataTestCase):
    def test_whole(self) -> None:
        """A counter goes up by one, or by what the user says."""
        self.assert_prints(self.run_against(b":5\r\n", "incr", "k"), 0, b"5\n")
        self.assertEqual(self.written(), b"$6\r\nINCRBY\r\n$1\r\nk\r\n$1\r\n1\r\n")
        self.run_against(b":5\r\n", "incr", "k", "--by", "-12")
        self.assertEqual(self.written(), b"$6\r\nINCRBY\r\n$1\r\nk\r\n$3\r\n-12\r\n")
        self.assertEqual(self.as_json(b":5\r\n", "incr", "k"), (0, {"key": "k", "value": 5}))

    def test_decimal(self) -> None:
        """A number with a point is added exactly, so it stays the text that the node answers."""
        self.assert_prints(self.run_against(b"$3\r\n0.3\r\n", "incr", "k", "--by", "+.1"), 0, b"0.3\n")
        self.assertEqual(self.written(), b"$11\r\nINCRBYFLOAT\r\n$1\r\nk\r\n$2\r\n.1\r\n")
        self.assertEqual(self.as_json(b"$3\r\n0.3\r\n", "incr", "k", "--by=0.1"), (0, {"key": "k", "value": "0.3"}))

    def test_mistakes(self) -> None:
        """Nothing is sent for what is no number; a value that is none is refused by the node."""
        for by in ("x", "", "1e3", "nan", "--1", "0x1"):
            self.assertEqual(self.run_against(b":1\r\n", "incr", "k", f"--by={by}").exit_code, 2, by)
            self.assertEqual(self.nodes.asked, [])
        error = b"-ERR value is not an integer or out of range\r\n"
        self.assertEqual(self.run_against(error, "incr", "k").exit_code, 4)
        self.assertEqual(self.run_against(b"+OK\r\n", "incr", "k").exit_code, 5)
        self.assertEqual(self.run_against(b":1\r\n", "incr", "k", "--by=.5").exit_code, 5)


class CasTests(DataTestCase):
    def test_expected(self) -> None:
        """The value is replaced if it is the expected one."""
        self.assert_prints(self.run_against(b"+OK\r\n", "cas", "k", "a", "b"), 0, b"OK\n")
        self.assertEqual(self.words_written(), ["SET", "k", "b", "IFEQ", "a"])
        self.assertEqual(self.as_json(b"+OK\r\n", "cas", "k", "a", "b"), (0, {"key": "k", "result": "OK"}))

    def test_lock(self) -> None:
        """A lock is taken if nobody has it, and kept by the one who has it."""
        self.run_against(b"+OK\r\n", "cas", "k", "--absent", "me", "--ttl", "30")
        self.assertEqual(self.words_written(), ["SET", "k", "me", "NX", "PX", "30000"])
        self.run_against(b"+OK\r\n", "cas", "k", "me", "me", "--ttl=0.5")
        self.assertEqual(self.words_written(), ["SET", "k", "me", "IFEQ", "me", "PX", "500"])

    def test_not_set(self) -> None:
        """1, and nothing on stdout that a script could take for success."""
        missed = "dkv: not set: the key does not have that value\n"
        self.assert_prints(self.run_against(b"$-1\r\n", "cas", "k", "a", "b"), 1, b"", missed)
        self.assert_prints(
            self.run_against(b"$-1\r\n", "cas", "k", "--absent", "b"), 1, b"", "dkv: not set: the key exists\n"
        )
        self.assertEqual(self.as_json(b"$-1\r\n", "cas", "k", "a", "b"), (1, {"key": "k", "result": None}))
        self.assertEqual(self.run_against(b":1\r\n", "cas", "k", "a", "b").exit_code, 5)

    def test_values(self) -> None:
        """They come from where the values of put come from."""
        self.run_against(b"+OK\r\n", "cas", "k", "@@a", "-", stdin=b"b\n")
        self.assertEqual(self.words_written(), ["SET", "k", "b\n", "IFEQ", "@a"])
        for words in (["-", "-"], ["a"], ["a", "b", "c"], ["--absent"], ["--absent", "a", "b"], ["@/no/such", "b"]):
            self.assertEqual(self.run_against(b"+OK\r\n", "cas", "k", *words).exit_code, 2, words)
            self.assertEqual(self.nodes.asked, [])
