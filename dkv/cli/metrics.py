"""``dkv metrics``: a node's counters, in Prometheus's format or as JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import click

from dkv.cli.access import ANSWER_SECONDS, Access, looks
from dkv.cli.asking import FIRST, ask_first, not_understood
from dkv.cli.output import Status, answer, emit

_SAMPLE = re.compile(r"([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?\s*")
_LABEL = re.compile(r'\s*(\w+)\s*=\s*"((?:\\.|[^"\\])*)"\s*(?:,|\Z)')
_ESCAPED = {r"\n": "\n", r"\"": '"', r"\\": "\\"}

LOOKING = """\b
Exit status:
  0    done
  2    usage: the command line is wrong
  3    nobody reachable: no endpoint answered
  4    refused: the node that answered would not tell
  74   the answer could not be written to stdout
  130  interrupted"""


def samples(text: str) -> Iterator[dict[str, Any]]:
    """The samples in Prometheus's text format; other lines are left out.

    A value that JSON has no number for is its text: ``NaN``, ``+Inf``, ``-Inf``.
    """
    for line in text.splitlines():
        found = _SAMPLE.fullmatch(line)
        if found is None:
            continue
        name, labels, number = found.groups()
        try:
            value: float | int | str = float(number)
        except ValueError:
            continue
        if not abs(float(number)) < float("inf"):
            value = number
        elif number.lstrip("+-").isdigit():
            value = int(number)
        pairs = {key: re.sub(r"\\.", _unescape, text) for key, text in _LABEL.findall(labels or "")}
        yield {"name": name, "labels": pairs, "value": value}


def _unescape(found: re.Match[str]) -> str:
    return _ESCAPED.get(found[0], found[0])


@click.command(short_help="Print a node's metrics.", epilog=LOOKING)
@looks(FIRST, ANSWER_SECONDS)
def metrics(to: Access) -> int:
    """Print the metrics of the first endpoint that answers, in Prometheus's text format.

    Name a node with --endpoints to have its own. With --output json every sample is an object: "name", "labels",
    "value".
    """
    one, reply = ask_first(to, b"DKV.METRICS")
    if not isinstance(reply, bytes):
        raise not_understood(one, reply)
    if not to.as_json:
        emit(reply.removesuffix(b"\n"))
        return Status.DONE
    for sample in samples(reply.decode("utf-8", "replace")):
        answer(b"", sample, True)
    return Status.DONE
