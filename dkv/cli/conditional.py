"""``dkv incr`` and ``dkv cas``: changes that depend on the value that is there."""

from __future__ import annotations

import re

import click

from dkv.cli.access import Access, Given, access, integer, statuses, tokened, unexpected
from dkv.cli.data import KEYS, VALUES, lifetime, milliseconds, value_bytes, word_bytes
from dkv.cli.output import Status, answer, bytes_field, complain
from dkv.cli.types import shown

_WHOLE = re.compile(rb"-?[0-9]{1,19}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,300}(?:\.[0-9]{0,300})?|\.[0-9]{1,300})")


def _number(_: click.Context, __: click.Parameter, text: str) -> bytes:
    if not _DECIMAL.fullmatch(text):
        raise click.BadParameter(f"{shown(text)} is no decimal number")
    return text.removeprefix("+").encode()


@click.command(
    short_help="Add to a number.",
    help=f"""Add a number to the value of KEY, which is 0 if absent, and print the sum.

    With --by 0.5, or any number with a point, the value may have one as well. {KEYS}""",
    epilog=statuses("never: an absent key is 0"),
)
@click.argument("key", callback=word_bytes)
@click.option("--by", callback=_number, default="1", show_default=True, metavar="NUMBER", help="May be negative.")
@access
@tokened
def incr(to: Access, token: Given | None, key: bytes, by: bytes) -> int:
    """Add to a number."""
    if _WHOLE.fullmatch(by):
        total = integer(to.write(token, b"INCRBY", key, by))
        answer(b"%d" % total, bytes_field("key", key) | {"value": total}, to.as_json)
        return Status.DONE
    text = to.write(token, b"INCRBYFLOAT", key, by)
    if not isinstance(text, bytes):
        raise unexpected(text)
    answer(text, bytes_field("key", key) | {"value": text.decode("utf-8", "replace")}, to.as_json)
    return Status.DONE


@click.command(
    short_help="Set a key if it has a certain value.",
    help="Set KEY to VALUE if it has the value EXPECTED; with --absent, if it does not exist. Else change nothing.\n\n"
    "`dkv cas lock --absent me --ttl 30` takes a lock for half a minute, and `dkv cas lock me me --ttl 30` keeps it "
    f"for half a minute from then on. Without --ttl the key does not expire. EXPECTED is read as VALUE is. {VALUES}",
    epilog=statuses("not set: KEY has another value; with --absent: it exists"),
)
@click.argument("key", callback=word_bytes)
@click.argument("values", metavar="[EXPECTED] VALUE", nargs=-1, required=True)
@click.option("--absent", is_flag=True, help="In place of EXPECTED: set KEY if it does not exist.")
@lifetime
@access
@tokened
@click.pass_context
def cas(
    context: click.Context,
    to: Access,
    token: Given | None,
    key: bytes,
    values: tuple[str, ...],
    absent: bool,
    ttl: float | None,
) -> int:
    """Set a key if it has a certain value."""
    if len(values) != (1 if absent else 2):
        raise click.UsageError("write KEY EXPECTED VALUE, or KEY --absent VALUE")
    if values.count("-") > 1:
        raise click.UsageError("only one of EXPECTED and VALUE can come from stdin")
    *expected, value = (value_bytes(context, context.command.params[1], text) for text in values)
    words = [b"SET", key, value, *([b"NX"] if absent else [b"IFEQ", *expected])]
    reply = to.write(token, *words, *([] if ttl is None else [b"PX", milliseconds(ttl)]))
    if reply not in ("OK", None):
        raise unexpected(reply)
    if reply is None:
        complain("not set: the key exists" if absent else "not set: the key does not have that value")
    if reply is not None or to.as_json:
        answer(b"OK", bytes_field("key", key) | {"result": reply}, to.as_json)
    return Status.ABSENT if reply is None else Status.DONE
