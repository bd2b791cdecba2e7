"""The config file: who the members of a cluster are, and the limits and timings of a node.

It is TOML, with one ``[[node]]`` table for each member. Environment variables and flags override single settings. Any
mistake is a ``ConfigError`` of one line that says where it is, and what was probably meant.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from itertools import combinations
from typing import Any, get_type_hints

from dkv.config.listen_endpoint import EndpointError, ListenEndpoint, parse_endpoint, shortest
from dkv.settings import CLASSIC, LEADER, MODES, Limits, SettingsError, Timings

NODE_ID_MAX = 2**32 - 1
LOOPBACK = "127.0.0.1"
_SECTIONS: dict[str, type[Limits] | type[Timings]] = {"limits": Limits, "timings": Timings}
_TOP = ""
_TOP_SETTINGS = ("mode", "fast_reactor")
"""The settings outside of all sections that the environment and flags may override."""

_CLUSTER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

Settings = dict[str, dict[str, Any]]
"""By section, the settings that were given; those of ``_TOP_SETTINGS``, which are in none, under ``_TOP``."""


class ConfigError(ValueError):
    """The config is wrong. The text is one line for the person who wrote it."""


@dataclass(frozen=True, slots=True)
class Member:
    """One node of the cluster: its id, and where clients, peers and operators (if they are served) reach it."""

    id: int
    client: ListenEndpoint
    peer: ListenEndpoint
    admin: ListenEndpoint | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """What a config file says, with every default filled in. ``mode`` is the cluster's way to agree.

    ``allow_faults`` lets clients order nodes to drop and delay messages. ``fast_reactor`` lets a node use what is
    private to Twisted (``dkv/node/reactor.py``).
    """

    cluster: str
    mode: str
    members: tuple[Member, ...]
    limits: Limits
    timings: Timings
    allow_faults: bool = False
    fast_reactor: bool = True

    def member(self, node: int) -> Member:
        """The member with id ``node``; ``ConfigError`` if there is none."""
        for member in self.members:
            if member.id == node:
                return member
        known = ", ".join(str(member.id) for member in self.members)
        raise ConfigError(f"node {node} is not a member of cluster {self.cluster!r}; its nodes are {known}")


def load_config(path: str, environment: Mapping[str, str] | None = None, overrides: Iterable[str] = ()) -> Config:
    """Read the file at ``path``, then let ``environment``, then ``overrides``, replace single settings.

    The environment names a setting ``DKV_LIMITS_KEY_BYTES_MAX``, an override ``limits.key_bytes_max=4096``; one that is
    in no section is ``DKV_MODE`` and ``mode=classic``.
    """
    try:
        with open(path, "rb") as file:
            document = tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"cannot read the config file {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    settings = [_from_environment(environment or {}), _from_overrides(overrides)]
    try:
        return parse_config(document, settings)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def parse_config(document: Mapping[str, Any], later: Iterable[Settings] = ()) -> Config:
    """The config that a parsed TOML ``document`` describes, with the settings of ``later`` over its own."""
    _check_keys(document, ("cluster", "mode", "allow_faults", "fast_reactor", "node", *_SECTIONS), "at the top level")
    cluster = _text(document, "cluster", "at the top level")
    if not _CLUSTER.fullmatch(cluster):
        raise ConfigError(f"cluster = {cluster!r}: use up to 64 letters, digits, '.', '_' and '-'")
    top: dict[str, Any] = {"mode": _mode(document.get("mode", LEADER), "mode")}
    top["fast_reactor"] = _flag(document, "fast_reactor", True)
    allow_faults = _flag(document, "allow_faults", False)
    tables = document.get("node", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigError("node must be a list of tables, each under its own [[node]]")
    if not tables:
        raise ConfigError("there is no [[node]] table, so the cluster has no members")
    members = tuple(_member(table, f"in [[node]] number {number}") for number, table in enumerate(tables, 1))
    _check_distinct(members)
    given = {section: _section(document, section) for section in _SECTIONS}
    for settings in later:
        top |= settings.get(_TOP, {})
        for section in _SECTIONS:
            given[section] |= settings.get(section, {})
    try:
        limits, timings = Limits(**given["limits"]), Timings(**given["timings"])
        return Config(cluster, top["mode"], members, limits, timings, allow_faults, top["fast_reactor"])
    except SettingsError as error:
        raise ConfigError(str(error)) from None


def render_config(config: Config) -> str:
    """The TOML text from which ``load_config`` makes the same config, every setting written out."""
    lines = [f"cluster = {_quoted(config.cluster)}", f"mode = {_quoted(config.mode)}"]
    lines += [f"{name} = {json.dumps(getattr(config, name))}" for name in ("allow_faults", "fast_reactor")]
    for member in config.members:
        lines += ["", "[[node]]", f"id = {member.id}"]
        lines += [f"client = {_rendered(member.client)}", f"peer = {_rendered(member.peer)}"]
        lines += [f"admin = {_rendered(member.admin)}"] if member.admin is not None else []
    for section, settings in (("limits", config.limits), ("timings", config.timings)):
        lines += ["", f"[{section}]"]
        lines += [f"{name} = {value!r}" for name, value in asdict(settings).items()]
    return "\n".join(lines) + "\n"


def _mode(value: Any, where: str) -> str:
    if not isinstance(value, str) or value not in MODES:
        suggestion = _suggestion(value, MODES) if isinstance(value, str) else ""
        raise ConfigError(f"{where} = {value!r} must be {LEADER!r} or {CLASSIC!r}{suggestion}")
    return value


def _flag(document: Mapping[str, Any], name: str, default: bool) -> bool:
    value = document.get(name, default)
    if type(value) is not bool:
        raise ConfigError(f"{name} = {value!r} must be true or false")
    return value


# --- members ---


def _member(table: Mapping[str, Any], where: str) -> Member:
    _check_keys(table, ("id", "client", "peer", "admin"), where)
    node = _required(table, "id", where)
    if type(node) is not int or not 1 <= node <= NODE_ID_MAX:
        raise ConfigError(f"{where}: id = {node!r} must be a whole number from 1 to {NODE_ID_MAX}")
    where = f"in [[node]] {node}"
    peer = _endpoint(table, "peer", where)
    if not peer.advertise:
        raise ConfigError(
            f"{where}: peer does not say how the other nodes reach it; "
            f'write peer = {{ bind = {_quoted(peer.bind)}, advertise = "host:port" }}'
        )
    admin = _endpoint(table, "admin", where) if "admin" in table else None
    return Member(node, _endpoint(table, "client", where), peer, admin)


def _endpoint(table: Mapping[str, Any], name: str, where: str) -> ListenEndpoint:
    value = _required(table, name, where)
    where = f"{where}, {name}"
    if isinstance(value, dict):
        _check_keys(value, ("bind", "advertise"), where)
        bind = _text(value, "bind", where)
        advertise = _text(value, "advertise", where) if "advertise" in value else ""
    elif isinstance(value, str):
        bind, advertise = value, ""
        if name == "admin" and value.isdecimal():
            bind = f"{LOOPBACK}:{value}"  # an operator who wants other machines to reach it must say so
    else:
        raise ConfigError(f"{where}: {value!r} must be a string, or a table with bind and advertise")
    try:
        return parse_endpoint(bind, advertise)
    except EndpointError as error:
        raise ConfigError(f"{where}: {error}") from None


def _check_distinct(members: tuple[Member, ...]) -> None:
    """Refuse two equal ids, and two equal addresses. Nodes on different machines may well bind the same words."""
    nodes: set[int] = set()
    addresses: dict[str, str] = {}
    for member in members:
        if member.id in nodes:
            raise ConfigError(f"two [[node]] tables have id = {member.id}")
        nodes.add(member.id)
        endpoints = {"client": member.client, "peer": member.peer}
        if member.admin is not None:
            endpoints["admin"] = member.admin
        for (one, first), (two, second) in combinations(endpoints.items(), 2):
            if first.bind == second.bind:
                raise ConfigError(f"{one} and {two} of node {member.id} are the same endpoint, {first.bind}")
        for name, endpoint in endpoints.items():
            owner = f"{name} of node {member.id}"
            other = addresses.setdefault(endpoint.advertise or owner, owner)
            if other != owner:
                raise ConfigError(f"{other} and {owner} are the same endpoint, {endpoint.advertise}")


# --- settings ---


def _section(document: Mapping[str, Any], section: str) -> dict[str, Any]:
    """The settings that the file gives in ``section``, checked by name and type."""
    table = document.get(section, {})
    if not isinstance(table, dict):
        raise ConfigError(f"{section} must be a table, [{section}]")
    where = f"in [{section}]"
    kinds = get_type_hints(_SECTIONS[section])
    _check_keys(table, kinds, where)
    checked = {}
    for name, value in table.items():
        number = type(value) is int or (kinds[name] is float and type(value) is float)
        if not number:
            raise ConfigError(f"{where}: {name} = {value!r} must be {_KINDS[kinds[name]]}")
        try:
            checked[name] = kinds[name](value)
        except OverflowError:  # an integer beyond all floats
            raise ConfigError(f"{where}: {name} is too large") from None
    return checked


_KINDS = {int: "a whole number", float: "a number of seconds"}


def _setting(section: str, name: str, text: str, source: str) -> dict[str, Any]:
    """One setting given as text."""
    kind = get_type_hints(_SECTIONS[section])[name]
    try:
        return {name: kind(text)}
    except ValueError:
        raise ConfigError(f"{source}: {text!r} must be {_KINDS[kind]}") from None


def _top_setting(name: str, text: str, source: str) -> dict[str, Any]:
    """One of ``_TOP_SETTINGS`` given as text."""
    if name == "mode":
        return {name: _mode(text, source)}
    if text not in ("true", "false"):
        raise ConfigError(f"{source} = {text!r} must be true or false")
    return {name: text == "true"}


def _from_environment(environment: Mapping[str, str]) -> Settings:
    settings: Settings = {section: {} for section in (_TOP, *_SECTIONS)}
    known = {
        f"DKV_{section}_{field.name}".upper(): (section, field.name)
        for section, cls in _SECTIONS.items()
        for field in fields(cls)
    }
    top = {f"DKV_{name}".upper(): name for name in _TOP_SETTINGS}
    for variable, text in environment.items():
        if variable in known:
            section, name = known[variable]
            settings[section] |= _setting(section, name, text, f"environment variable {variable}")
        elif variable in top:
            settings[_TOP] |= _top_setting(top[variable], text, f"environment variable {variable}")
        elif variable.startswith(("DKV_LIMITS_", "DKV_TIMINGS_")):
            raise ConfigError(f"unknown environment variable {variable}{_suggestion(variable, known)}")
    return settings


def _from_overrides(overrides: Iterable[str]) -> Settings:
    settings: Settings = {section: {} for section in (_TOP, *_SECTIONS)}
    in_sections = (f"{section}.{field.name}" for section, cls in _SECTIONS.items() for field in fields(cls))
    known = {*_TOP_SETTINGS, *in_sections}
    for override in overrides:
        path, equals, text = override.partition("=")
        if path not in known:
            raise ConfigError(f"--set {override}: unknown setting {path!r}{_suggestion(path, known)}")
        if not equals:
            raise ConfigError(f"--set {override}: write --set {path}=VALUE")
        if path in _TOP_SETTINGS:
            settings[_TOP] |= _top_setting(path, text, f"--set {path}")
            continue
        section, name = path.split(".")
        settings[section] |= _setting(section, name, text, f"--set {override}")
    return settings


# --- helpers ---


def _check_keys(table: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    known = tuple(known)
    for key in table:
        if key not in known:
            raise ConfigError(f"unknown key {key!r} {where}{_suggestion(key, known)}")


def _suggestion(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _required(table: Mapping[str, Any], key: str, where: str) -> Any:
    if key not in table:
        raise ConfigError(f"{where}: {key} is missing")
    return table[key]


def _text(table: Mapping[str, Any], key: str, where: str) -> str:
    value = _required(table, key, where)
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{where}: {key} = {value!r} must be a string that is not empty")
    return value


def _rendered(endpoint: ListenEndpoint) -> str:
    short = shortest(endpoint)
    if short is not None:
        return _quoted(short)
    advertise = f", advertise = {_quoted(endpoint.advertise)}" if endpoint.advertise else ""
    return f"{{ bind = {_quoted(endpoint.bind)}{advertise} }}"


def _quoted(text: str) -> str:
    """A basic string of TOML, which escapes as JSON does."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
