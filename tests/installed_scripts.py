"""The texts of the scripts that libraries send, taken from the libraries as they are installed here.

They are read, and not imported: a text is a constant of a Python module, a file of its own, or a string in JavaScript.
Where a library changes a text before it sends it, the same is done here.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

CALL = re.compile(r"\b(?:redis|server)\.p?call\(")
NODE_MODULES = "DKV_NODE_MODULES"
"""The variable that names the folder of the installed Node libraries. If there is one, all of them must be in it."""

ALL_LIBRARIES = "DKV_ALL_LIBRARIES"
"""The variable that says that all Python libraries must be installed."""

PYTHON = {
    "redis": "redis-py, valkey-py",
    "valkey": "redis-py, valkey-py",
    "limits": "limits",
    "django_redis": "django-redis",
    "aiocache": "aiocache",
    "cashews": "cashews",
    "fastapi_cache": "fastapi-cache2",
    "pottery": "pottery",
    "dogpile.cache": "redis-py, valkey-py",
}
"""The packages, with the library whose scripts they send: valkey-py has taken over those of redis-py."""

LIGHT = ("redis", "valkey", "limits", "django_redis", "aiocache", "cashews", "dogpile.cache")
"""Those that are installed wherever tests run."""

NODE = {
    "redlock": "node-redlock",
    "rate-limit-redis": "rate-limit-redis",
    "rate-limiter-flexible": "rate-limiter-flexible",
}

_JAVASCRIPT_STRING = re.compile(
    r"`((?:[^`\\]|\\.)*)`([^;\n]*)|\"((?:[^\"\\\n]|\\.)*)\"|'((?:[^'\\\n]|\\.)*)'", re.DOTALL
)
_ESCAPE = re.compile(r"\\(\n|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "\n": ""}


def wanted_of_node() -> Iterable[str]:
    """The packages of Node that must be installed."""
    return NODE if _modules().is_dir() else ()


def _modules() -> Path:
    return Path(os.environ.get(NODE_MODULES) or os.devnull)


def installed(package: str) -> Path | None:
    """The folder of a Python package, or of one of Node."""
    if package in NODE:
        folder = _modules() / package
        return folder if folder.is_dir() else None
    try:
        spec = find_spec(package)
    except ModuleNotFoundError:
        return None
    return Path(next(iter(spec.submodule_search_locations))) if spec and spec.submodule_search_locations else None


def texts_of(package: str) -> list[str]:
    """The texts that a library sends, each once; none if it is not installed."""
    folder = installed(package)
    if folder is None:
        return []
    found: dict[str, None] = {}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        read = _READERS.get(path.suffix)
        if read is not None and not any(
            part.startswith((".", "test")) or part == "node_modules" for part in inside.parts
        ):
            found |= dict.fromkeys(read(path.read_text(encoding="utf-8")))
    return [text.replace("\n", " ") if package == "cashews" else text for text in found]


def _python_texts(source: str) -> Iterator[str]:
    tree = ast.parse(source)
    pieces = {id(piece) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for piece in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(each.value) if isinstance(each, ast.Constant) else "a" for each in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in pieces:
            text = node.value
        else:
            continue
        if CALL.search(text):
            yield text


def _javascript_texts(source: str) -> Iterator[str]:
    for match in _JAVASCRIPT_STRING.finditer(source):
        text = next(each for each in (match[1], match[3], match[4], "") if each is not None)
        if CALL.search(text):
            text = _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[1]), text)
            # rate-limit-redis takes the indentation away.
            yield re.sub(r"^\s+", "", text, flags=re.MULTILINE).strip() if "replace" in (match[2] or "") else text


_READERS: dict[str, Callable[[str], Iterator[str]]] = {
    ".py": _python_texts,
    ".lua": lambda source: iter((source,)),
    ".js": _javascript_texts,
    ".cjs": _javascript_texts,
}
