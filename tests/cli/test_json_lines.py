"""Keys as lines of JSON: what is written is read back, and what is wrong is refused with its line."""

from __future__ import annotations

import json
from io import BytesIO

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.cli import json_lines
from dkv.cli.json_lines import BadLine, Row, first_line, last_line, line_of, rows

keys = st.builds(Row, st.integers(0, 15), st.binary(), st.binary(), st.integers(0, 2**63 - 1))


def read(data: bytes) -> list[Row]:
    """The keys in the lines."""
    return [row for _, _, row in rows(BytesIO(data))]


class JsonLinesTests(SynchronousTestCase):
    def refused(self, data: bytes) -> str:
        """What is said of the lines."""
        with self.assertRaises(BadLine) as caught:
            read(data)
        return str(caught.exception)

    @given(st.lists(keys))
    def test_round_trip(self, made: list[Row]) -> None:
        """Any bytes come back, each key in one line, with and without the first and last line of an export."""
        lines = [line_of(row) for row in made]
        self.assertEqual([line.count(b"\n") for line in lines], [1] * len(lines))
        self.assertEqual(read(b"".join(lines)), made)
        whole = [first_line(cluster="c"), *lines, last_line(len(made))]
        self.assertEqual(read(b"".join(whole)), made)

    @given(st.lists(keys, min_size=1), st.data())
    def test_cut_anywhere(self, made: list[Row], data: st.DataObject) -> None:
        """Whatever byte an export ends at, it is noticed, and no key is made of a part of a line."""
        whole = b"".join([first_line(cluster="c"), *map(line_of, made), last_line(len(made))])
        cut = whole[: data.draw(st.integers(1, len(whole) - 1))]
        found: list[Row] = []
        with self.assertRaises(BadLine) as caught:
            found += [row for _, _, row in rows(BytesIO(cut))]
        self.assertEqual(caught.exception.number, cut.count(b"\n") + 1)
        self.assertEqual(found, made[: len(found)])

    def test_forms(self) -> None:
        """A line that a person or another program writes, and one that an export has."""
        line = b'{"db": 2, "key": "k", "value_base64": "/w==", "deadline_ms": 7}\n'
        self.assertEqual(line_of(Row(2, b"k", b"\xff", 7)), line)
        self.assertEqual(
            read(b'{"key":"\\u00e9","value":""}\n\n {"value":"v","key":"k","db":3,"ttl_ms":5} \r\n'),
            [
                Row(0, "é".encode(), b""),
                Row(3, b"k", b"v", ttl_ms=5),
            ],
        )
        numbers = [(number, length) for number, length, _ in rows(BytesIO(b'\n{"key":"k","value":"v"}\n'))]
        self.assertEqual(numbers, [(2, 24)])

    def test_broken_lines(self) -> None:
        """A slip must not become a key without its end, or another value: the line says what is wrong with it."""
        good = {"key": "k", "value": "v"}
        for fields, words in (
            ({"key": "k"}, "has no value"),
            ({"value": "v"}, "has no key"),
            (good | {"value_base64": "dg=="}, "has both value and value_base64"),
            (good | {"ttl": 5}, "has an unknown field: 'ttl'"),
            (good | {"db": 16}, "has db 16, which is not a whole number from 0 to 15"),
            (good | {"db": True}, "has db True"),
            (good | {"ttl_ms": 0}, "has ttl_ms 0"),
            (good | {"deadline_ms": 1.5}, "has deadline_ms 1.5"),
            (good | {"deadline_ms": 5, "ttl_ms": 5}, "leave one out"),
            ({"key": "k", "value": 5}, "has a value that is not text"),
            ({"key_base64": "?", "value": "v"}, "has a key_base64 that is not base64"),
            ({"key_base64": "é", "value": "v"}, "has a key_base64 that is not base64"),
            ({"key": "\ud800", "value": "v"}, "has a key that is not text"),
            ({"dkv_export": 1}, "which only the first line may have"),
            ({"dkv_export_end": 1}, "says that 1 keys came before it"),
        ):
            line = json.dumps(fields).encode()
            said = self.refused(line_of(Row(0, b"a", b"b")) + line + b"\n")
            self.assertTrue(said.startswith("line 2 "), said)
            self.assertIn(words, said)

    def test_no_lines_of_json(self) -> None:
        """Another file was named, or one whose bytes were changed."""
        for line, words in (
            (b"hello\n", "is not JSON"),
            (b'{"key":"\xff","value":"v"}\n', "is not JSON"),
            (b"[" * 100_000 + b"\n", "is not JSON"),
            (b"[]\n", "is not a JSON object"),
            (b'{"key":"k","key":"l","value":"v"}\n', "has a field twice"),
            (b'{"key":"k","value":"v"}', "does not end with a newline"),
            (b'{"dkv_export":2}\n', "only the first line may have, with the value 1"),
            (first_line() + line_of(Row(0, b"k", b"v")), "is missing: the file is cut"),
            (first_line() + last_line(0) + line_of(Row(0, b"k", b"v")), "comes after the line with dkv_export_end"),
            (first_line() + last_line(1), "there were 0"),
            (first_line() + first_line(), "only the first line may have"),
        ):
            self.assertIn(words, self.refused(line), line[:40])

    def test_long_lines(self) -> None:
        """A file without an end of a line does not fill the memory."""
        self.patch(json_lines, "LINE_BYTES_MAX", 100)
        self.assertIn("has more than 100 bytes", self.refused(b"x" * 1000))
        self.assertIn("is not JSON", self.refused(b"x" * 99 + b"\n"))
