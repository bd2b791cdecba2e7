"""EVAL and EVALSHA: a script is looked up in the catalogue, and becomes an entry with the operation that it means."""

from __future__ import annotations

from dkv.kv.codes import SCRIPT
from dkv.kv.registry import BadRequest, ByWords, Category, Context, LogCommand
from dkv.kv.scripts.catalogue import Meant, by_digest, by_text, digest_of
from dkv.kv.scripts.operations import DELETE_MATCHING, FINDS_KEYS, OPERATIONS
from dkv.kv.words.parsing import integer, keys_of, name_of, uniform, value_of
from dkv.records import Entry

PAGE = "docs/clients.md#scripts"
"""The page that lists the scripts, and says what to do about others."""

_NUMBER, _FIRST = 2, 3  # the places of the number of keys, and of the first one


def unknown_text(text: bytes) -> str:
    """The refusal of a text that is not in the catalogue."""
    return (
        f"ERR the script with the SHA1 {digest_of(text)} is not in the catalogue of dkv, which has those of known"
        f" libraries and no Lua interpreter: see {PAGE}"
    )


def unknown_script(words: list[bytes]) -> bytes | None:
    """The SHA1 of the script that a request of EVAL or EVALSHA names; None if the catalogue has it."""
    if _meant(words) is not None:
        return None
    return words[1] if words[0].lower().startswith(b"evalsha") else digest_of(words[1]).encode()


def _eval(words: list[bytes], context: Context) -> Entry:
    keys = _number_of_keys(words)
    found = by_text(words[1])
    if found is None:
        raise BadRequest(unknown_text(words[1]))
    return _entry(found, keys, words, context)


def _evalsha(words: list[bytes], context: Context) -> Entry:
    found = by_digest(words[1])
    if found is None:
        raise BadRequest(f"NOSCRIPT No matching script. dkv has those that are listed in {PAGE}")
    return _entry(found, _number_of_keys(words), words, context)


def _entry(found: Meant, keys: int, words: list[bytes], context: Context) -> Entry:
    operation = OPERATIONS[found.operation]
    if name_of(words).endswith("_ro") and not operation.reads:
        raise BadRequest("ERR Write commands are not allowed from read-only scripts.")
    behind = _FIRST + keys
    arguments = [value_of(word, context) for word in (*found.arguments, *words[behind:])]
    return uniform(SCRIPT, context, found.operation, [*keys_of(words[_FIRST:behind], context)], [*arguments])


def _number_of_keys(words: list[bytes]) -> int:
    number = integer(words[_NUMBER])
    if number > len(words) - _FIRST:
        raise BadRequest("ERR Number of keys can't be greater than number of args")
    if number < 0:
        raise BadRequest("ERR Number of keys can't be negative")
    return number


def _key_places(words: list[bytes]) -> range:
    """Where the keys are; nowhere if the number of keys is none."""
    try:
        return range(_FIRST, _FIRST + _number_of_keys(words))
    except BadRequest:
        return range(0)


def _meant(words: list[bytes]) -> Meant | None:
    """The script that a request names; None if the catalogue does not have it."""
    return by_digest(words[1]) if words[0].lower().startswith(b"evalsha") else by_text(words[1])


def _category(words: list[bytes]) -> Category:
    """What the script does, whichever of the four commands names it."""
    found = _meant(words)
    return "read" if found is not None and OPERATIONS[found.operation].reads else "write"


def _patterns(words: list[bytes]) -> list[bytes]:
    """The patterns by which the script finds keys: a word in the place of a key, or of the first argument."""
    found = _meant(words)
    if found is None or found.operation not in FINDS_KEYS:
        return []
    places = _key_places(words)
    if found.operation == DELETE_MATCHING:
        return [words[place] for place in places[:1]]
    return [*found.arguments, *words[_FIRST + len(places) :]][:1]


def _declared(name: str, since: str, arguments: str, summary: str) -> LogCommand:
    return LogCommand(
        name=name,
        arity=-3,
        keys=_key_places,
        category=ByWords(("read", "write"), _category),
        patterns=_patterns,
        flags=("noscript", "readonly" if name.endswith("_ro") else "write"),
        group="scripting",
        since=since,
        arguments=f"{arguments} numkeys [key ...] [arg ...]",
        summary=summary,
        complexity="Depends on the script",
        codes=(SCRIPT,),
        build=_evalsha if name.startswith("evalsha") else _eval,
    )


COMMANDS = (
    _declared("eval", "2.6.0", "script", "Execute a script of a known library."),
    _declared("evalsha", "2.6.0", "sha1", "The same, by the SHA1 of its text."),
    _declared("eval_ro", "7.0.0", "script", "As EVAL, if the script changes nothing."),
    _declared("evalsha_ro", "7.0.0", "sha1", "As EVALSHA, if the script changes nothing."),
)
