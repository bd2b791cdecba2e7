"""The config file: what is right is read as meant, what is wrong is one line that helps."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.config.config import Config, ConfigError, Member, load_config, parse_config, render_config
from dkv.config.listen_endpoint import ListenEndpoint, parse_endpoint
from dkv.config.tls_settings import TlsSettings
from dkv.settings import Limits, Timings

ETC = Path(__file__).resolve().parents[2] / "etc" / "cluster.toml"
ONE = """
cluster = "c"
[[node]]
id = 1
client = "127.0.0.1:5001"
peer = "127.0.0.1:5101"
"""


class LoadConfigTests(SynchronousTestCase):
    def load(self, text: str, *arguments: Any) -> Config:
        """Load a file that holds ``text``."""
        self.path = self.mktemp()
        Path(self.path).write_text(text, encoding="utf-8")
        return load_config(self.path, *arguments)

    def assertWrong(self, text: str, *words: str) -> None:
        """Loading fails with one line that names the file and has all the words."""
        error = self.assertRaises(ConfigError, self.load, text)
        self.assertNotIn("\n", str(error))
        for word in (self.path, *words):
            self.assertIn(word, str(error))

    def test_the_file_in_etc(self) -> None:
        """`make cluster` and the README say where its nodes are."""
        config = load_config(str(ETC))
        self.assertEqual((config.cluster, config.mode, config.allow_faults), ("dkv", "leader", True))
        self.assertEqual(
            config.members,
            tuple(
                Member(node, *(parse_endpoint(f"127.0.0.1:{port + node}") for port in (5000, 5100, 5200)))
                for node in (1, 2, 3)
            ),
        )
        self.assertEqual((config.limits, config.timings), (Limits(), Timings()))

    def test_the_settings_that_etc_shows_are_the_defaults(self) -> None:
        """Removing a comment sign must change nothing by itself."""
        shown = ETC.read_text(encoding="utf-8").replace("\n# value_bytes_max", "\nvalue_bytes_max")
        for name in (
            "fast_reactor",
            "connections_max",
            "request_seconds",
            "election_seconds_min",
            "election_seconds_max",
        ):
            self.assertIn(f"\n# {name} = ", shown)
            shown = shown.replace(f"\n# {name} = ", f"\n{name} = ")
        config = self.load(shown)
        self.assertEqual((config.fast_reactor, config.limits, config.timings), (True, Limits(), Timings()))

    def test_endpoints_in_full(self) -> None:
        """A node on a machine of its own listens on one address and is reached at another."""
        config = self.load(
            'cluster = "c"\n[[node]]\nid = 4294967295\nclient = "*:5001"\n'
            'peer = { bind = "tcp:5101", advertise = "node1.example:5101" }\n'
        )
        self.assertEqual(
            config.members,
            (
                Member(
                    2**32 - 1,
                    ListenEndpoint("tcp:5001", ""),
                    ListenEndpoint("tcp:5101", "tcp:host=node1.example:port=5101"),
                ),
            ),
        )

    def test_every_machine_may_bind_the_same_words(self) -> None:
        """Three machines with one file: each node listens on all addresses of its own."""
        tables = [
            f'[[node]]\nid = {n}\nclient = "*:5001"\npeer = {{ bind = "*:5101", advertise = "n{n}:5101" }}\n'
            for n in (1, 2, 3)
        ]
        self.assertEqual(len(self.load("\n".join(['cluster = "c"', *tables])).members), 3)

    def test_member(self) -> None:
        """A mistyped --node must be told which nodes there are."""
        config = load_config(str(ETC))
        self.assertEqual(config.member(2).id, 2)
        error = self.assertRaises(ConfigError, config.member, 4)
        self.assertEqual(str(error), "node 4 is not a member of cluster 'dkv'; its nodes are 1, 2, 3")

    def test_unknown_keys_come_with_a_suggestion(self) -> None:
        """A mistyped setting that is ignored is a default that nobody asked for."""
        self.assertWrong("clutser = 1\n" + ONE, "unknown key 'clutser' at the top level", "did you mean 'cluster'?")
        self.assertWrong(ONE + "adress = 1", "unknown key 'adress' in [[node]] number 1")
        self.assertWrong(ONE + "[limits]\nkey_byte_max = 1", "in [limits]; did you mean 'key_bytes_max'?")
        self.assertWrong(ONE + "[timings]\nrequest_second = 1", "in [timings]; did you mean 'request_seconds'?")
        self.assertWrong(ONE.replace('"127.0.0.1:5101"', '{ bnd = "a:1" }'), "[[node]] 1, peer; did you mean 'bind'?")

    def test_wrong_values(self) -> None:
        """Each mistake is told where it stands and what would be right."""
        self.assertWrong("cluster = c", "is not TOML", "line 1")
        self.assertWrong("cluster = " + "1" * 5000, "is not TOML")
        self.assertWrong("cluster = " + "[" * 100_000, "is not TOML")
        self.assertWrong('cluster = "c"', "there is no [[node]] table")
        self.assertWrong('cluster = "c"\nnode = 3', "[[node]]")
        self.assertWrong('cluster = "c"\nlimits = 3\n' + ONE.replace('cluster = "c"', ""), "[limits]")
        self.assertWrong(ONE.replace('cluster = "c"', ""), "cluster is missing")
        self.assertWrong(ONE.replace('"c"', '""'), "cluster = ''")
        self.assertWrong(ONE.replace('"c"', '"a b"'), "cluster = 'a b'", "letters, digits")
        self.assertWrong(
            'mode = "clasic"\n' + ONE, "mode = 'clasic'", "'leader' or 'classic'", "did you mean 'classic'?"
        )
        self.assertWrong("mode = 1\n" + ONE, "mode = 1", "'leader' or 'classic'")
        self.assertWrong("allow_faults = 1\n" + ONE, "allow_faults = 1 must be true or false")
        self.assertWrong('fast_reactor = "no"\n' + ONE, "fast_reactor = 'no' must be true or false")
        self.assertWrong(ONE.replace("id = 1", ""), "in [[node]] number 1: id is missing")
        for value in ("0", "4294967296", "-1", "1.0", "true", '"1"'):
            self.assertWrong(ONE.replace("id = 1", f"id = {value}"), "must be a whole number from 1 to 4294967295")
        self.assertWrong(ONE.replace('"127.0.0.1:5001"', "5001"), "in [[node]] 1, client: 5001 must be a string")
        self.assertWrong(ONE.replace("127.0.0.1:5001", "127.0.0.1:0"), "[[node]] 1, client", "from 1 to 65535")
        self.assertWrong(ONE.replace("127.0.0.1:5101", "*:5101"), "peer does not say", 'bind = "tcp:5101", advertise =')

    def test_wrong_settings(self) -> None:
        """A limit of a wrong type, or one that contradicts another, must not wait for the first large request."""
        for section, setting, word in (
            ("limits", 'key_bytes_max = "1"', "a whole number"),
            ("limits", "key_bytes_max = 1.5", "a whole number"),
            ("limits", "key_bytes_max = true", "a whole number"),
            ("limits", "key_bytes_max = 0", "greater than 0"),
            ("limits", "frame_bytes_max = 1000", "slot_bytes_max"),
            ("timings", 'request_seconds = "5"', "a number of seconds"),
            ("timings", "request_seconds = nan", "greater than 0"),
            ("timings", "request_seconds = inf", "to 86400"),
            ("timings", "retransmit_seconds = 1e-9", "from 0.001"),
            ("timings", f"request_seconds = 1{'0' * 400}", "too large"),
            ("limits", "connections_max = 10000000000000", "from 1 to"),
            ("timings", "election_seconds_min = 0.1", "heartbeat_seconds"),
        ):
            self.assertWrong(f"{ONE}[{section}]\n{setting}", setting.split(" ")[0], word)
        self.assertEqual(self.load(ONE + "[timings]\nrequest_seconds = 7").timings.request_seconds, 7.0)

    def test_members_must_differ(self) -> None:
        """Two members with one id would count as one vote each and be one acceptor."""
        second = ONE.replace('cluster = "c"', "")
        self.assertWrong(ONE + second, "two [[node]] tables have id = 1")
        second = second.replace("id = 1", "id = 2")
        self.assertWrong(ONE + second, "client of node 1 and client of node 2 are the same endpoint")
        second = second.replace("5001", "5101").replace('"127.0.0.1:5101"\npeer', '"127.0.0.1:5002"\npeer')
        self.assertWrong(ONE + second, "peer of node 1 and peer of node 2")
        self.assertWrong(ONE.replace("5101", "5001"), "client and peer of node 1 are the same endpoint")

    def test_a_file_that_cannot_be_read(self) -> None:
        """One line for a wrong path too."""
        error = self.assertRaises(ConfigError, load_config, "absent.toml")
        self.assertEqual(str(error), "cannot read the config file absent.toml: No such file or directory")
        path = Path(self.mktemp())
        path.write_bytes(b"\xff\xfe")
        self.assertIn("is not TOML", str(self.assertRaises(ConfigError, load_config, str(path))))


class PrecedenceTests(SynchronousTestCase):
    def load(
        self,
        file: str = "",
        environment: dict[str, str] | None = None,
        overrides: tuple[str, ...] = (),
        top: str = "",
    ) -> Config:
        """Load the config of one node with further settings."""
        path = self.mktemp()
        Path(path).write_text(top + ONE + file)
        return load_config(path, environment, overrides)

    def test_flag_then_environment_then_file_then_default(self) -> None:
        """Who overrides a setting for one start must not find the file stronger."""
        file = "[timings]\nrequest_seconds = 7\n"
        environment = {"DKV_TIMINGS_REQUEST_SECONDS": "8.5", "HOME": "/root", "DKV_NODE": "1"}
        seen = [
            self.load().timings.request_seconds,
            self.load(file).timings.request_seconds,
            self.load(file, environment).timings.request_seconds,
            self.load(file, environment, ("timings.request_seconds=9",)).timings.request_seconds,
        ]
        self.assertEqual(seen, [Timings().request_seconds, 7.0, 8.5, 9.0])

    def test_the_mode_too(self) -> None:
        """A cluster can be tried in the other mode without a change of its file."""
        environment = {"DKV_MODE": "classic"}
        seen = [
            self.load().mode,
            self.load("", environment).mode,
            self.load("", environment, ("mode=leader",)).mode,
        ]
        self.assertEqual(seen, ["leader", "classic", "leader"])
        for variables, overrides in (({"DKV_MODE": "classical"}, ()), ({}, ("mode=classical",))):
            error = self.assertRaises(ConfigError, self.load, "", variables, overrides)
            self.assertIn("'classical' must be 'leader' or 'classic'; did you mean 'classic'?", str(error))

    def test_the_reactor_too(self) -> None:
        """Whoever suspects the faster loop runs one node without it, and changes no file for that."""
        off = "fast_reactor = false\n"
        seen = [
            self.load().fast_reactor,
            self.load("", None, (), off).fast_reactor,
            self.load("", {"DKV_FAST_REACTOR": "false"}).fast_reactor,
            self.load("", {"DKV_FAST_REACTOR": "true"}, (), off).fast_reactor,
            self.load("", {"DKV_FAST_REACTOR": "true", "DKV_MODE": "leader"}, ("fast_reactor=false",)).fast_reactor,
        ]
        self.assertEqual(seen, [True, False, False, True, False])
        for variables, overrides in (({"DKV_FAST_REACTOR": "off"}, ()), ({}, ("fast_reactor=off",))):
            error = self.assertRaises(ConfigError, self.load, "", variables, overrides)
            self.assertIn("'off' must be true or false", str(error))

    def test_settings_are_judged_together(self) -> None:
        """Two settings that only fit together may come from two places."""
        with self.assertRaises(ConfigError):
            self.load("[limits]\nvalue_bytes_max = 9000000\n")
        config = self.load("[limits]\nvalue_bytes_max = 8000000\n", {"DKV_LIMITS_KEY_BYTES_MAX": "12"})
        self.assertEqual((config.limits.value_bytes_max, config.limits.key_bytes_max), (8_000_000, 12))

    def test_mistakes_in_the_environment(self) -> None:
        """A mistyped variable that is ignored is a default that nobody asked for."""
        for variable, value, words in (
            ("DKV_LIMITS_KEY_BYTE_MAX", "1", ("unknown environment variable", "mean 'DKV_LIMITS_KEY_BYTES_MAX'?")),
            ("DKV_TIMINGS_X", "1", ("unknown environment variable DKV_TIMINGS_X",)),
            ("DKV_LIMITS_KEY_BYTES_MAX", "many", ("DKV_LIMITS_KEY_BYTES_MAX: 'many' must be a whole number",)),
        ):
            error = self.assertRaises(ConfigError, self.load, "", {variable: value})
            for word in words:
                self.assertIn(word, str(error))
        self.load("", {"DKV_SOMETHING_ELSE": "1"})

    def test_mistakes_in_overrides(self) -> None:
        """So is a mistyped flag."""
        for override, word in (
            ("timings.request_second=1", "did you mean 'timings.request_seconds'?"),
            ("timings.request_seconds", "write --set timings.request_seconds=VALUE"),
            ("timings.request_seconds=soon", "'soon' must be a number of seconds"),
            ("=", "unknown setting ''"),
        ):
            error = self.assertRaises(ConfigError, self.load, "", None, (override,))
            self.assertIn(f"--set {override}: ", str(error))
            self.assertIn(word, str(error))


BOOL = st.booleans()
PORTS = st.integers(1, 65_535)
ENDPOINTS = st.builds("10.0.{}.{}:{}".format, st.integers(0, 255), st.integers(1, 255), PORTS)
ADVERTISED = st.builds("h{}.example:{}".format, st.integers(0, 10**9), PORTS)


PATHS = st.text(st.characters(codec="utf-8", exclude_characters="{}/\0"), min_size=1).map("/etc/x/y-{}".format)
TLS = st.builds(
    TlsSettings,
    PATHS,
    PATHS.map("{}-{{id}}".format),
    PATHS.map("{}-{{id}}".format),
    st.none() | PATHS,
    st.sampled_from(("off", "allow", "prefer", "require")),
    st.sampled_from(("off", "optional", "required")),
)


def protected(config: Config, data: st.DataObject) -> Config:
    """The same config with some of what keeps others out."""
    secret = data.draw(st.none() | PATHS)
    return replace(
        config,
        tls=data.draw(TLS),
        users_file=data.draw(st.none() | PATHS),
        peer_secret_file=secret,
        peer_secret="require" if secret is None else data.draw(st.sampled_from(("allow", "require"))),
        admin_token_file=data.draw(st.none() | PATHS),
    )


def with_tls(member: Member) -> list[Member]:
    """The same member with ports for TLS beside the plain ones, and with such ports alone."""
    client, admin = parse_endpoint("192.0.2.1:1"), parse_endpoint("192.0.2.1:2")
    beside = replace(member, admin=parse_endpoint("192.0.2.1:3"), client_tls=client, admin_tls=admin)
    return [beside, replace(member, client=client, admin=admin, client_is_tls=True, admin_is_tls=True)]


class RenderConfigTests(SynchronousTestCase):
    def test_reads_well(self) -> None:
        """What `dkv cluster` writes and --print-config shows is read by people."""
        text = render_config(load_config(str(ETC)))
        self.assertIn('cluster = "dkv"\nmode = "leader"\nallow_faults = true\nfast_reactor = true\n\n', text)
        self.assertIn("\n\n[[node]]\nid = 1\n", text)
        self.assertIn('\nclient = "127.0.0.1:5003"\npeer = "127.0.0.1:5103"\nadmin = "127.0.0.1:5203"\n', text)
        self.assertIn("\n[limits]\nkey_bytes_max = 65536\n", text)
        self.assertIn("\nrequest_seconds = 5.0\n", text)

    @given(st.sets(st.integers(1, 2**32 - 1), min_size=1, max_size=5), st.data())
    def test_round_trip(self, nodes: set[int], data: st.DataObject) -> None:
        """A config that was printed and used again must be the same config."""
        addresses = data.draw(st.sets(ENDPOINTS, min_size=2 * len(nodes), max_size=2 * len(nodes)).map(sorted))
        outside = data.draw(st.none() | ADVERTISED)
        members = []
        for node in nodes:
            client, peer = parse_endpoint(addresses.pop()), parse_endpoint(addresses.pop())
            members.append(Member(node, client, peer))
        if outside is not None:
            members[0] = Member(members[0].id, parse_endpoint(r"unix:/run/a\:b.sock"), parse_endpoint("tcp:9", outside))
        timings = Timings(request_seconds=data.draw(st.floats(2.0, 86_400.0)))
        members[-1] = data.draw(st.sampled_from((members[-1], *with_tls(members[-1]))))
        limits, flags = Limits(key_bytes_max=data.draw(st.integers(1, 2**20))), (data.draw(BOOL), data.draw(BOOL))
        config = Config("c", "leader", tuple(members), limits, timings, *flags)
        config = protected(config, data)
        self.assertEqual(parse_config(tomllib.loads(render_config(config))), config)
