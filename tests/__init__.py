"""The tests of dkv; a busy machine is not a bug, so hypothesis has no deadlines.

With ``DKV_TESTS_SECONDS_MAX`` in the environment a run ends after that time and shows where each of its threads is. A
test that hangs would otherwise say nothing, and take the results of all others with it.
"""

import faulthandler
import os

from hypothesis import HealthCheck, settings

settings.register_profile("dkv", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("dkv")

if _seconds := os.environ.get("DKV_TESTS_SECONDS_MAX"):
    faulthandler.dump_traceback_later(float(_seconds), exit=True)
