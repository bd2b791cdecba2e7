"""redis-cli, in each of its modes whose commands are there."""

from __future__ import annotations

import re
import subprocess
import tempfile

from redis.lock import Lock

from tests.clients.programs.ride import HOST, PORT, ride

CLI = ["redis-cli", "-h", HOST, "-p", str(PORT)]
SECONDS = 30


def cli(*words: str, text: str | None = None, database: int = 9) -> str:
    """Run it to its end; what it printed."""
    command = [*CLI, "-n", str(database), *words]
    ended = subprocess.run(command, input=text, capture_output=True, text=True, timeout=SECONDS, check=True)
    if ended.stderr or ended.stdout.startswith("ERR"):
        raise RuntimeError(ended.stderr or ended.stdout)
    return ended.stdout


def try_words() -> None:
    """One command as arguments, a value from standard input, several commands as a person types them."""
    assert cli("FLUSHDB") == "OK\n"
    assert cli("set", "a", "hello world") == "OK\n"
    assert cli("-3", "get", "a") == "hello world\n"
    assert cli("-x", "set", "b", text="from a file") == "OK\n"
    assert cli("--no-raw", "strlen", "b") == "(integer) 11\n"
    assert cli("--csv", "mget", "a", "absent") == '"hello world",NULL\n'
    assert cli("-r", "3", "incr", "n") == "1\n2\n3\n"
    typed = "multi\nincr n\nget a\nexec\nwatch n\nunwatch\nget n\n"
    assert cli(text=typed).split("\n") == ["OK", "QUEUED", "QUEUED", "4", "hello world", "OK", "OK", "4", ""]
    assert cli("-e", "object", "encoding", "n") == "int\n"


def try_walks() -> None:
    """What goes over all keys: their names, the largest by length, the largest by memory."""
    names = {f"key:{n:03}" for n in range(300)}
    assert cli("FLUSHDB") == "OK\n"
    cli("mset", *[word for name in sorted(names) for word in (name, "v")], "large", "x" * 5_000)
    assert set(cli("--scan").split()) == names | {"large"}
    assert len(cli("--scan", "--pattern", "key:29*").split()) == 10
    found = cli("--bigkeys")
    assert "Sampled 301 keys in the keyspace!" in found, found
    assert re.search("Biggest string found .*large.* has 5000 bytes", found), found
    found = cli("--memkeys")
    assert re.search("Biggest string found .*large.* has [0-9]{4} bytes", found), found


def try_pipe() -> None:
    """Data is loaded by the thousand, with a word at its end that says that all is answered."""
    assert cli("FLUSHDB") == "OK\n"
    requests = "".join(f"*3\r\n$3\r\nSET\r\n$5\r\nk{n:04}\r\n$1\r\nv\r\n" for n in range(1_000))
    assert "errors: 0, replies: 1000" in cli("--pipe", text=requests)
    assert cli("dbsize") == "1000\n"


def try_watching() -> None:
    """What goes on until it is stopped: a line each interval, latencies, a channel."""
    with subprocess.Popen([*CLI, "--stat", "-i", "0.05"], stdout=subprocess.PIPE, text=True) as stat:
        assert stat.stdout is not None
        lines = [stat.stdout.readline() for _ in range(4)]
        stat.terminate()
    keys, memory, clients, blocked, requests = lines[3].split()[:5]
    assert int(keys) >= 1 and int(clients) >= 1 and int(requests) >= 1 and blocked == "0", lines
    assert re.fullmatch("[0-9.]+M", memory), lines
    least, most, average, samples = cli("--latency", "-i", "0.2").split()
    assert float(least) <= float(average) <= float(most) and int(samples) > 1
    with subprocess.Popen([*CLI, "subscribe", "cli:news"], stdout=subprocess.PIPE, text=True) as listener:
        assert listener.stdout is not None
        assert [listener.stdout.readline() for _ in range(3)] == ["subscribe\n", "cli:news\n", "1\n"]
        assert cli("publish", "cli:news", "hello") == "1\n"
        assert [listener.stdout.readline() for _ in range(3)] == ["message\n", "cli:news\n", "hello\n"]
        listener.terminate()


def try_script() -> None:
    """A file with a script, which is one that a library sends: a lock is given back by who holds it."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(Lock.LUA_RELEASE_SCRIPT)
        script.flush()
        cli("set", "lock", "ann")
        assert cli("--eval", script.name, "lock", ",", "bob") == "0\n"
        assert cli("--eval", script.name, "lock", ",", "ann") == "1\n"
    assert cli("exists", "lock") == "0\n"


def write(number: int) -> None:
    """A write as a shell script does it."""
    reply = cli("set", f"ride:{number}", str(number))
    if reply != "OK\n":
        raise RuntimeError(reply)


try_words()
try_walks()
try_pipe()
try_watching()
try_script()
ride(write, lambda number: cli("get", f"ride:{number}") == f"{number}\n")
print("all well")
