"""Histories as files: what is written is read again, and what is no history is refused in one clear line."""

from __future__ import annotations

import json
from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.sim.fields import ERROR
from dkv.sim.history import HistoryError, Kind, Operation, history_line, read_history, readable

BYTES = st.binary(max_size=8)
INTEGERS = st.integers(-(10**30), 10**30)
ARGUMENTS: dict[str, st.SearchStrategy[Any]] = {
    "put": st.tuples(BYTES),
    "get": st.tuples(),
    "append": st.tuples(BYTES),
    "delete": st.lists(BYTES, max_size=2).map(tuple),
    "strlen": st.tuples(),
    "cas": st.tuples(st.none() | BYTES, BYTES),
    "incr": st.tuples(INTEGERS),
    "add": st.tuples(BYTES),
    "set": st.tuples(
        BYTES,
        st.sampled_from((None, "absent", "present")) | st.tuples(st.sampled_from(("equals", "differs")), BYTES),
        st.none() | st.just("keep") | st.floats(0, 1e9),
        st.just(False),
    ),
    "getrange": st.tuples(INTEGERS, INTEGERS),
    "setrange": st.tuples(st.integers(0, 100), BYTES),
    "exists": st.lists(BYTES, max_size=2).map(tuple),
    "expire": st.tuples(st.none() | st.floats(0, 1e9), st.sampled_from((None, "none", "some", "later", "earlier"))),
    "ttl": st.tuples(),
    "copy": st.tuples(BYTES, st.booleans()),
    "rename": st.tuples(BYTES, st.booleans()),
    "flush": st.tuples(),
    "atomic": st.just((("unchanged", b"a", 1.0, 2.0), ("get", b"\xff"), ("incr", b"a", 1), ("put", b"b", b""))),
}
RESULTS: dict[str, st.SearchStrategy[Any]] = {
    "put": st.none(),
    "get": st.none() | BYTES,
    "append": INTEGERS,
    "delete": st.none() | st.integers(0, 1),
    "strlen": st.integers(0, 10**30),
    "cas": st.booleans(),
    "incr": INTEGERS,
    "add": BYTES,
    "set": st.booleans(),
    "getrange": BYTES,
    "setrange": st.integers(0, 100),
    "exists": st.integers(0, 100),
    "expire": st.none() | st.booleans(),
    "ttl": st.none() | st.just(False) | st.floats(0, 1e9),
    "copy": st.booleans(),
    "rename": st.booleans(),
    "flush": st.none(),
    "atomic": st.none() | st.tuples(st.none() | BYTES, INTEGERS | st.just(ERROR), st.none()),
}
TIMES = st.floats(0, 1e9)


@st.composite
def operations(draw: st.DrawFn) -> Operation:
    """Any operation."""
    kind: Kind = draw(st.sampled_from(get_args(Kind)))
    called, duration, known = draw(TIMES), draw(TIMES), draw(st.booleans())
    returned, result = (called + duration, draw(RESULTS[kind])) if known else (None, None)
    client = draw(st.integers() | st.text(max_size=3))
    key = b"" if kind == "atomic" else draw(BYTES)
    return Operation(client, kind, key, draw(ARGUMENTS[kind]), called, returned, result)


class FileTests(SynchronousTestCase):
    """Lines and operations."""

    def read(self, **fields: Any) -> Operation:
        """The operation of one line."""
        (operation,) = read_history([json.dumps(fields).encode()])
        return operation

    @given(st.lists(operations(), max_size=5))
    def test_round_trip(self, history: list[Operation]) -> None:
        """A run that is judged later from its file gets the same verdict."""
        self.assertEqual(read_history([f"{history_line(each)}\n".encode() for each in history]), history)

    def test_as_documented(self) -> None:
        """Histories that are written by the documentation are understood."""
        put = self.read(kind="put", key="x", arguments=["é"], called=1, returned=2, result="ok")
        self.assertEqual(put, Operation(0, "put", b"x", ("é".encode(),), 1.0, 2.0))
        get = self.read(client="a", kind="get", key={"base64": "/w=="}, called=1.5, returned=2, result=None)
        self.assertEqual(get, Operation("a", "get", b"\xff", (), 1.5, 2.0))
        cas = self.read(kind="cas", key="x", arguments=[None, "1"], called=1, returned=None)
        self.assertEqual(cas, Operation(0, "cas", b"x", (None, b"1"), 1.0))
        self.assertEqual(self.read(kind="delete", key="", called=1), Operation(0, "delete", b"", (), 1.0))
        lock = self.read(kind="set", key="x", arguments=["1", "absent", 10], called=1, returned=2, result=True)
        self.assertEqual(lock, Operation(0, "set", b"x", (b"1", "absent", 10.0, False), 1.0, 2.0, True))
        other = self.read(kind="set", key="x", arguments=["1", ["differs", "2"]], called=1)
        self.assertEqual(other.arguments, (b"1", ("differs", b"2"), None, False))
        for fields in ({"arguments": ["1"]}, {"arguments": ["1", None]}):
            self.assertEqual(self.read(kind="set", key="x", called=1, **fields).arguments, (b"1", None, None, False))
        self.assertEqual(self.read(kind="expire", key="x", arguments=[5], called=1).arguments, (5.0, None))
        for told in (None, False, 2.5):
            left = self.read(kind="ttl", key="x", called=1, returned=2, result=told)
            self.assertEqual(repr(left.result), repr(told))
        old = self.read(kind="set", key="x", arguments=["1", None, "keep", True], called=1, returned=2, result="0")
        self.assertEqual(old, Operation(0, "set", b"x", (b"1", None, "keep", True), 1.0, 2.0, b"0"))
        acts = [["unchanged", "x", 0, 0.5], ["incr", "x", 1], ["get", "y"]]
        both = self.read(kind="atomic", arguments=acts, called=1, returned=2, result=[{"error": "ERR"}, None])
        expected = (("unchanged", b"x", 0.0, 0.5), ("incr", b"x", 1), ("get", b"y"))
        self.assertEqual(both, Operation(0, "atomic", b"", expected, 1.0, 2.0, (ERROR, None)))
        self.assertEqual(both.keys, (b"x", b"y"))
        delete = self.read(kind="delete", key="x", arguments=["y", "x"], called=1, returned=2, result=2)
        self.assertEqual(delete, Operation(0, "delete", b"x", (b"y", b"x"), 1.0, 2.0, 2))
        self.assertEqual(delete.keys, (b"x", b"y"))

    def test_skipped(self) -> None:
        """Empty lines and failed operations mean nothing, whatever answer the failed one had."""
        failed = b'{"kind": "incr", "key": "x", "called": 1, "failed": true, "error": "not an integer"}'
        self.assertEqual(read_history([b"\n", failed, b""]), [])

    def test_not_lines_of_json(self) -> None:
        """A damaged file is never half read, and the user learns where it is damaged."""
        good = b'{"kind": "get", "key": "x", "called": 1}\n'
        cases = {
            b"\xff": "not UTF-8",
            b"{": "not JSON: Expecting property name enclosed in double quotes at column 2",
            b"[]": "not a JSON object",
            b"[" * 100_000: "not an operation: nested too deeply",
            b'{"called": NaN}': "not JSON: NaN",
            b'{"called": 1' + b"0" * 5_000 + b"}": "an integer has more than 1000 digits",
            b'{"key": "x", "key": "y"}': '"key" is there twice',
        }
        for line, message in cases.items():
            error = self.assertRaises(HistoryError, read_history, [good, b"\n", line])
            self.assertEqual(str(error), f"line 3: {message}")

    def test_not_operations(self) -> None:
        """A mistake in a field is named; taken as it is, it would make the verdict worthless."""
        base = {"kind": "get", "key": "x", "called": 1, "returned": 2, "result": None}
        cases: list[tuple[dict[str, Any], str]] = [
            ({"retuned": 2}, 'unknown field "retuned"'),
            ({"kind": "scan"}, f'"kind" must be one of {", ".join(get_args(Kind))}, not "scan"'),
            ({"kind": []}, f'"kind" must be one of {", ".join(get_args(Kind))}, not []'),
            (
                {"kind": "set", "arguments": ["1", "never"]},
                'condition in "arguments" must be null, "absent", "present"',
            ),
            ({"kind": "set", "arguments": ["1", None, "long"]}, 'life in "arguments" must be a number'),
            ({"kind": "set", "arguments": []}, '"arguments" of set must be [value, condition, life, get]'),
            (
                {"kind": "expire", "arguments": [1, "never"]},
                'condition in "arguments" must be null, "none", "some", "later"',
            ),
            ({"kind": "set", "arguments": ["1", None, None, 1]}, 'get in "arguments" must be true or false'),
            ({"kind": "expire", "arguments": [1], "result": 1}, '"result" must be true or false'),
            ({"kind": "ttl", "result": True}, '"result" must be a number'),
            ({"kind": "atomic"}, '"key" of atomic is in each of its acts'),
            ({"client": 1.5}, '"client" must be an integer or a string'),
            ({"key": 1}, '"key" must be a string or {"base64": "..."}'),
            ({"key": {"base64": "?"}}, '"key" is not base64: Only base64 data is allowed'),
            ({"key": "\ud800"}, '"key" has a character that UTF-8 has not; give {"base64": ...}'),
            ({"called": "1"}, '"called" must be a number'),
            ({"called": True}, '"called" must be a number'),
            ({"called": 10**400}, '"called" is too large'),
            ({"returned": 0.5}, '"returned" is before "called"'),
            ({"returned": None, "result": "1"}, 'there is a "result", but "returned" is missing or null'),
            ({"arguments": ["1"]}, '"arguments" of get must be []'),
            ({"kind": "cas", "arguments": ["1"]}, '"arguments" of cas must be [expected, new]'),
            ({"kind": "put", "arguments": [1]}, 'value in "arguments" must be a string or {"base64": "..."}'),
            ({"kind": "incr", "arguments": ["1"]}, 'by in "arguments" must be an integer'),
            ({"kind": "put", "arguments": ["1"], "result": False}, '"result" of put must be "ok"'),
            ({"kind": "delete", "result": 2}, '"result" is 2 of 1 key'),
            ({"kind": "delete", "arguments": ["x", "y"], "result": 3}, '"result" is 3 of 2 keys'),
            ({"kind": "delete", "arguments": [1], "result": 1}, 'other key in "arguments" must be a string or'),
            ({"kind": "delete", "result": -1}, '"result" must not be negative'),
            ({"kind": "strlen", "result": -1}, '"result" must not be negative'),
            ({"kind": "strlen", "result": None}, '"result" must be an integer'),
            ({"kind": "append", "arguments": ["1"], "result": "1"}, '"result" must be an integer'),
            ({"kind": "incr", "arguments": [1], "result": 10**1000}, "an integer has more than 1000 digits"),
            ({"kind": "cas", "arguments": ["1", "2"], "result": 1}, '"result" must be true or false'),
            ({"failed": 1}, '"failed" must be true or false'),
            ({"kind": "put", "arguments": ["1"], "result": True}, '"result" of put must be "ok"'),
        ]
        for fields, message in cases:
            error = self.assertRaises(HistoryError, read_history, [json.dumps(base | fields).encode()])
            self.assertTrue(str(error).startswith(f"line 1: {message}"), str(error))
        line = b'{"kind": "atomic", "arguments": [["get", "x"]], "called": 1, "returned": 2, "result": [%b]}'
        for result in (b'{"error": 1, "base64": ""}', b'{"err": 1}', b"1"):
            error = self.assertRaises(HistoryError, read_history, [line % result])
            self.assertEqual(str(error), 'line 1: "result" must be a string or {"base64": "..."}')
        for name in ("kind", "key", "called", "result"):
            line = json.dumps({field: value for field, value in base.items() if field != name}).encode()
            error = self.assertRaises(HistoryError, read_history, [line])
            self.assertEqual(str(error), f'line 1: "{name}" is missing')

    def test_readable(self) -> None:
        """A report shows what was written, on one line, and not megabytes of it."""
        self.assertEqual(str(Operation(1, "cas", b"k", (None, b"a\nb"), 0.0)), 'cas null "a\\nb"')
        self.assertEqual(readable(b"\xff"), "base64 /w==")
        self.assertEqual(readable(b"a" * 1000), f'"{"a" * 59}... (1000 bytes)')
