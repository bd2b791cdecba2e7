"""The config file: who the members of a cluster are, and the limits and timings of a node.

It is TOML, with one ``[[node]]`` table for each member. Environment variables and flags override single settings. Any
mistake is a ``ConfigError`` of one line that says where it is, and what was probably meant.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, get_type_hints

from dkv.config.members import NODE_ID_MAX, Member, check_distinct, parse_member, render_member
from dkv.config.reading import ConfigError, check_keys, flag_of, quoted, suggestion, text_of, word_of
from dkv.config.tls_settings import ALLOW, REQUIRE, TlsSettings, absolute, parse_tls, render_tls
from dkv.settings import CLASSIC, LEADER, MODES, Limits, SettingsError, Timings

__all__ = (
    "NODE_ID_MAX",
    "Config",
    "ConfigError",
    "Member",
    "TlsSettings",
    "load_config",
    "parse_config",
    "render_config",
)

_FILES = ("users_file", "peer_secret_file", "admin_token_file")
_PEER_SECRET = (ALLOW, REQUIRE)
_SECTIONS: dict[str, type[Limits] | type[Timings]] = {"limits": Limits, "timings": Timings}
_KEYS = ("cluster", "mode", "allow_faults", "fast_reactor", *_FILES, "peer_secret", "tls", "node", *_SECTIONS)
_TOP = ""
_TOP_SETTINGS = ("mode", "fast_reactor")
"""The settings outside of all sections that the environment and flags may override."""

_CLUSTER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

Settings = dict[str, dict[str, Any]]
"""By section, the settings that were given; those of ``_TOP_SETTINGS``, which are in none, under ``_TOP``."""


@dataclass(frozen=True, slots=True)
class Config:
    """What a config file says, with every default filled in. ``mode`` is the cluster's way to agree.

    ``allow_faults`` lets clients order nodes to drop and delay messages. ``fast_reactor`` lets a node use what is
    private to Twisted (``dkv/node/reactor.py``).

    Without ``users_file`` there are no users, and everybody may do everything. ``peer_secret_file`` has the secret by
    which nodes know each other, and ``peer_secret`` says whether one without it is let in. All paths are absolute.
    """

    cluster: str
    mode: str
    members: tuple[Member, ...]
    limits: Limits
    timings: Timings
    allow_faults: bool = False
    fast_reactor: bool = True
    tls: TlsSettings | None = None
    users_file: str | None = None
    peer_secret_file: str | None = None
    peer_secret: str = REQUIRE
    admin_token_file: str | None = None

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
    except (ValueError, RecursionError) as error:  # some numbers are too long for an error of its own
        raise ConfigError(f"{path} is not TOML: {error}") from None
    settings = [_from_environment(environment or {}), _from_overrides(overrides)]
    try:
        return parse_config(document, settings, os.path.dirname(os.path.abspath(path)))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def parse_config(document: Mapping[str, Any], later: Iterable[Settings] = (), folder: str = "") -> Config:
    """The config that a parsed TOML ``document`` describes, with the settings of ``later`` over its own.

    Paths in it are relative to ``folder``, which is the current directory unless given.
    """
    check_keys(document, _KEYS, "at the top level")
    cluster = text_of(document, "cluster", "at the top level")
    if not _CLUSTER.fullmatch(cluster):
        raise ConfigError(f"cluster = {cluster!r}: use up to 64 letters, digits, '.', '_' and '-'")
    top: dict[str, Any] = {"mode": _mode(document.get("mode", LEADER), "mode")}
    top["fast_reactor"] = flag_of(document, "fast_reactor", True)
    allow_faults = flag_of(document, "allow_faults", False)
    tables = document.get("node", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigError("node must be a list of tables, each under its own [[node]]")
    if not tables:
        raise ConfigError("there is no [[node]] table, so the cluster has no members")
    members = tuple(parse_member(table, f"in [[node]] number {number}") for number, table in enumerate(tables, 1))
    check_distinct(members)
    given = {section: _section(document, section) for section in _SECTIONS}
    for settings in later:
        top |= settings.get(_TOP, {})
        for section in _SECTIONS:
            given[section] |= settings.get(section, {})
    try:
        limits, timings = Limits(**given["limits"]), Timings(**given["timings"])
    except SettingsError as error:
        raise ConfigError(str(error)) from None
    return Config(
        *(cluster, top["mode"], members, limits, timings, allow_faults, top["fast_reactor"]),
        **_protection(document, members, folder),
    )


def _protection(document: Mapping[str, Any], members: Iterable[Member], folder: str) -> dict[str, Any]:
    """The settings that keep others out."""
    found: dict[str, Any] = {
        name: absolute(text_of(document, name, "at the top level"), folder) for name in _FILES if name in document
    }
    found["peer_secret"] = word_of(document, "peer_secret", _PEER_SECRET, REQUIRE)
    if "peer_secret" in document and "peer_secret_file" not in document:
        raise ConfigError("peer_secret says how strict nodes are, but there is no peer_secret_file with the secret")
    found["tls"] = parse_tls(document["tls"], folder) if "tls" in document else None
    for member in members:
        if member.has_tls and found["tls"] is None:
            name = "client_tls" if "client_tls" in member.endpoints() else "admin_tls"
            raise ConfigError(f"in [[node]] {member.id}: {name} needs a section [tls] with ca, certificate and key")
    return found


def render_config(config: Config) -> str:
    """The TOML text from which ``load_config`` makes the same config, every setting written out."""
    lines = [f"cluster = {quoted(config.cluster)}", f"mode = {quoted(config.mode)}"]
    lines += [f"{name} = {json.dumps(getattr(config, name))}" for name in ("allow_faults", "fast_reactor")]
    lines += [f"{name} = {quoted(getattr(config, name))}" for name in _FILES if getattr(config, name) is not None]
    lines += [f"peer_secret = {quoted(config.peer_secret)}"] if config.peer_secret_file is not None else []
    for member in config.members:
        lines += render_member(member)
    lines += render_tls(config.tls) if config.tls is not None else []
    for section, settings in (("limits", config.limits), ("timings", config.timings)):
        lines += ["", f"[{section}]"]
        lines += [f"{name} = {value!r}" for name, value in asdict(settings).items()]
    return "\n".join(lines) + "\n"


def _mode(value: Any, where: str) -> str:
    if not isinstance(value, str) or value not in MODES:
        hint = suggestion(value, MODES) if isinstance(value, str) else ""
        raise ConfigError(f"{where} = {value!r} must be {LEADER!r} or {CLASSIC!r}{hint}")
    return value


# --- settings ---


def _section(document: Mapping[str, Any], section: str) -> dict[str, Any]:
    """The settings that the file gives in ``section``, checked by name and type."""
    table = document.get(section, {})
    if not isinstance(table, dict):
        raise ConfigError(f"{section} must be a table, [{section}]")
    where = f"in [{section}]"
    kinds = get_type_hints(_SECTIONS[section])
    check_keys(table, kinds, where)
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
            raise ConfigError(f"unknown environment variable {variable}{suggestion(variable, known)}")
    return settings


def _from_overrides(overrides: Iterable[str]) -> Settings:
    settings: Settings = {section: {} for section in (_TOP, *_SECTIONS)}
    in_sections = (f"{section}.{field.name}" for section, cls in _SECTIONS.items() for field in fields(cls))
    known = {*_TOP_SETTINGS, *in_sections}
    for override in overrides:
        path, equals, text = override.partition("=")
        if path not in known:
            raise ConfigError(f"--set {override}: unknown setting {path!r}{suggestion(path, known)}")
        if not equals:
            raise ConfigError(f"--set {override}: write --set {path}=VALUE")
        if path in _TOP_SETTINGS:
            settings[_TOP] |= _top_setting(path, text, f"--set {path}")
            continue
        section, name = path.split(".")
        settings[section] |= _setting(section, name, text, f"--set {override}")
    return settings
