"""A process that looks to ``dkv cluster`` like a node: ``python fake_node.py PORT [dumb] [deaf] [failing] [sore]``.

It answers requests with nil, but says that it is ready if asked for its status, and says what it does on stdout.
``dumb`` answers nothing, ``deaf`` ignores SIGTERM, ``failing`` ends at once with a reason, ``sore`` with status 4 when
told to end.
"""

from __future__ import annotations

import signal
import socket
import sys

STATUS = b'$15\r\n{"ready": true}\r\n'


def main(port: int, kinds: list[str]) -> None:
    """Serve until a SIGTERM."""
    if "failing" in kinds:
        print('{"event": "cannot_start"}')
        print("dkvnode: the data directory is on the moon")
        print("a last line of no interest", flush=True)
        sys.exit(3)
    signal.signal(signal.SIGINT, lambda *_: print("interrupted", flush=True))
    signal.signal(signal.SIGTERM, lambda *_: None if "deaf" in kinds else sys.exit(4 if "sore" in kinds else 0))
    with socket.create_server(("127.0.0.1", port), reuse_port=False) as server:
        print("serving", flush=True)
        try:
            while True:
                connection, _ = server.accept()
                with connection:
                    while "dumb" not in kinds and (request := connection.recv(65_536)):
                        connection.sendall(STATUS if b"DKV.STATUS" in request else b"$-1\r\n")
        finally:
            print("terminated", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
