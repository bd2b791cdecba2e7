"""What the commands on several strings become."""

from __future__ import annotations

from dkv.kv.codes import MGET, MSET, MSETNX
from tests.kv.words.reading import ReadingCase


class ManyTests(ReadingCase):
    """One request is one entry: all of it happens, or nothing."""

    def test_entries(self) -> None:
        """Keys, or keys and values in turn, repeats included."""
        self.check_entries(MGET, ("MGET a", [b"a"]), ("mget a b a", [b"a", b"b", b"a"]))
        self.check_entries(MSET, ("MSET a 1", [b"a", b"1"]), ("MSET a 1 a 2", [b"a", b"1", b"a", b"2"]))
        self.check_entries(MSETNX, ("MSETNX a 1 b 2", [b"a", b"1", b"b", b"2"]))

    def test_errors(self) -> None:
        """A key without a value is refused; limits hold for each key and value, wherever it stands."""
        key, value = "k" * 11, "v" * 21
        for name in ("mset", "msetnx"):
            self.check_errors(
                *(
                    (f"{name} {words}", f"ERR wrong number of arguments for '{name}' command")
                    for words in ("a", "a 1 b")
                ),
                (f"{name} a 1 {key} 2", "ERR the key has 11 bytes, limits.key_bytes_max is 10"),
                (f"{name} a 1 {'k' * 10} {value}", "ERR the value has 21 bytes, limits.value_bytes_max is 20"),
            )
        self.check_errors((f"MGET a {key}", "ERR the key has 11 bytes, limits.key_bytes_max is 10"))
