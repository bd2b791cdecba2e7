"""``dkv repl``: a line client. This module reads lines from a pipe; ``terminal.py`` asks a person for them."""

from __future__ import annotations

import json
import sys

import click

from dkv.cli.access import ANSWER_SECONDS, Access, looks
from dkv.cli.lines import UNKNOWN, ends, execute, parse
from dkv.cli.output import Failure, Status, emit
from dkv.cli.reply_text import as_json, raw
from dkv.client.blocking import NoAnswer, ServerError
from dkv.client.outcome import Unreachable
from dkv.client.session import Session


@click.command(
    short_help="Type commands, or pipe them in.",
    epilog="""\b
Exit status:
  0    done; on a terminal always
  1    some reply was an error
  2    usage: the command line is wrong; nothing was sent
  3    nobody reachable; the line it names was not executed, and those behind it were not sent
  5    outcome unknown: the write that it names may or may not happen; the lines behind it were not sent
  74   the answers could not be written to stdout
  130  interrupted""",
)
@looks("Nodes to connect to, in this order; when a connection is lost, the next one.", ANSWER_SECONDS, keys=True)
def repl(to: Access) -> int:
    """Send each line as one command, as telnet would, and print its reply.

    "..." quotes with escapes such as \\n and \\xff, '...' without. QUIT, EXIT or Ctrl-D ends.

    On a terminal there is a history, completion by Tab, and replies look as in redis-cli. If stdin or stdout is none,
    as in printf 'PUT x 1\\nGET x\\n' | dkv repl, replies are printed raw: a nil is an empty line, an array has a line
    for each item.
    With --output json every reply is {"reply": ...} or {"error": ...}, and what is no text is {"base64": ...}.

    When a connection is lost, a line that was not sent, only reads, or carries an IDMP token is sent to the next node.
    Any other may or may not have been executed, and the client says so.
    """
    session = Session(to.endpoints, to.answer_seconds, to.silence(), to.database)
    try:
        if not to.as_json and _is_terminal():
            from dkv.cli.terminal import converse  # prompt_toolkit takes long to import

            return converse(session)
        return _pipe(session, to.as_json)
    finally:
        session.close()


def _is_terminal() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def _pipe(session: Session, json_wanted: bool) -> int:
    """Execute all lines of stdin, and return the status."""
    status: int = Status.DONE
    if sys.stdin is None:
        raise Failure(Status.USAGE, "USAGE", "cannot read stdin: it is closed")
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            words = parse(line)
            if not words:
                continue
            if ends(words):
                break
            reply = execute(session, words)
        except ServerError as error:
            _say_error(error, json_wanted)
            status = Status.FAILED
            continue
        except NoAnswer as error:
            raise Failure(Status.UNCERTAIN, error.word, f"line {number}: {UNKNOWN}: {error}") from None
        except Unreachable as error:
            raise Failure(Status.UNREACHABLE, "UNREACHABLE", f"line {number}: nobody reachable: {error}") from None
        emit(json.dumps({"reply": as_json(reply)}, ensure_ascii=False).encode() if json_wanted else raw(reply))
    return status


def _say_error(error: ServerError, json_wanted: bool) -> None:
    emit(json.dumps({"error": error.text}).encode() if json_wanted else error.text.encode("utf-8", "replace"))
