"""``dkv expire`` and ``dkv ttl``: when a key expires."""

from __future__ import annotations

import click

from dkv.cli.access import Access, Given, access, integer, statuses, tokened
from dkv.cli.data import KEYS, LIFETIME_SECONDS_MAX, milliseconds, word_bytes
from dkv.cli.output import Status, answer, bytes_field, complain
from dkv.cli.types import Number

TIME_SECONDS_MAX = 100_000_000_000.0
"""As a time of day, about three thousand years from now."""
NEVER, ABSENT = -1, -2
"""What PTTL answers for a key that does not expire, and for one that does not exist."""


@click.command(
    short_help="Let a key expire.",
    help=f"""Let KEY expire SECONDS from now, at another time (--at) or never.

    It expires by the time that all nodes agree on, so the clock of this machine does not matter. With 0 it is gone at
    once. {KEYS}""",
    epilog=statuses("absent: there is no such key; with --never also: it does not expire"),
)
@click.argument("key", callback=word_bytes)
@click.argument("seconds", required=False, type=Number(0.0, LIFETIME_SECONDS_MAX, "number of seconds"))
@click.option(
    "--at",
    type=Number(0.0, TIME_SECONDS_MAX, "number of seconds since 1970"),
    metavar="TIME",
    help="The time of day, in seconds since 1970 (UTC).",
)
@click.option("--never", is_flag=True, help="Remove its deadline: it never expires.")
@access
@tokened
def expire(to: Access, token: Given | None, key: bytes, seconds: float | None, at: float | None, never: bool) -> int:
    """Let a key expire."""
    if (seconds is not None) + (at is not None) + never != 1:
        raise click.UsageError("write one of SECONDS, --at TIME and --never")
    words: tuple[bytes, ...]
    if seconds is not None:
        words = (b"PEXPIRE", key, milliseconds(seconds))
    else:
        words = (b"PEXPIREAT", key, milliseconds(at)) if at is not None else (b"PERSIST", key)
    changed = integer(to.write(token, *words))
    if not changed:
        complain("there is no such key, or it does not expire" if never else "there is no such key")
    if changed or to.as_json:
        answer(b"OK", bytes_field("key", key) | {"changed": bool(changed)}, to.as_json)
    return Status.DONE if changed else Status.ABSENT


@click.command(
    short_help="Print in how many seconds a key expires.",
    help=f"""Print in how many seconds KEY expires, or "never".

    With --output json it is {{"key": ..., "ttl_ms": ...}} in milliseconds, with null for a key that does not expire.
    {KEYS}""",
    epilog=statuses("absent: there is no such key"),
)
@click.argument("key", callback=word_bytes)
@access
def ttl(to: Access, key: bytes) -> int:
    """Print in how many seconds a key expires."""
    left = integer(to.ask(b"PTTL", key))
    if left == ABSENT:
        complain("there is no such key")
        return Status.ABSENT
    text = "never" if left == NEVER else f"{left / 1000:.3f}"
    answer(text.encode(), bytes_field("key", key) | {"ttl_ms": None if left == NEVER else left}, to.as_json)
    return Status.DONE
