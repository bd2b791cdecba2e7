"""systemd is told that the node serves."""

from __future__ import annotations

import os
import socket

from twisted.trial.unittest import SynchronousTestCase

from dkv.node.notify import notify


class NotifyTests(SynchronousTestCase):
    def listen(self, address: str) -> socket.socket:
        """A socket such as systemd's."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.addCleanup(listener.close)
        listener.bind(address)
        return listener

    def test_tells_whoever_asked(self) -> None:
        """Without READY=1 a unit of Type=notify is killed after its start timeout."""
        name = f"dkv-test-{os.getpid()}"
        for variable, address in (("notify.sock", "notify.sock"), (f"@{name}", f"\0{name}")):
            listener = self.listen(address)
            self.patch(os, "environ", {"NOTIFY_SOCKET": variable})
            self.assertTrue(notify("READY=1"))
            self.assertEqual(listener.recv(100), b"READY=1")

    def test_nobody_asked(self) -> None:
        """A node in a terminal starts as well."""
        self.patch(os, "environ", {})
        self.assertFalse(notify("READY=1"))

    def test_a_socket_that_is_gone_stops_no_node(self) -> None:
        """A node must not fail to stop, or to start, because systemd does not listen."""
        self.patch(os, "environ", {"NOTIFY_SOCKET": os.path.abspath("absent.sock")})
        self.assertFalse(notify("STOPPING=1"))
