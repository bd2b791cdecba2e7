"""Where a user's files are."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dkv.client.state import state_path


class StateTests(SynchronousTestCase):
    def test_where(self) -> None:
        """XDG's state directory, or its default; a relative one does not count, as the specification says."""
        self.assertEqual(state_path("it", {"XDG_STATE_HOME": "/s"}), Path("/s/dkv/it"))
        for environment in ({}, {"XDG_STATE_HOME": ""}, {"XDG_STATE_HOME": "s"}):
            self.assertEqual(state_path("it", environment | {"HOME": "/home/me"}), Path("/home/me/.local/state/dkv/it"))
        home = Path(pwd.getpwuid(os.getuid()).pw_dir)
        self.assertEqual(state_path("it", {}), home / ".local/state/dkv/it")

    def test_no_home(self) -> None:
        """A container runs as a uid that no passwd file lists: there is no place, and that is no error."""

        def unknown(uid: int) -> None:
            raise KeyError(uid)

        self.patch(pwd, "getpwuid", unknown)
        for environment in ({}, {"HOME": ""}, {"HOME": "here"}):
            self.assertIsNone(state_path("it", environment))
