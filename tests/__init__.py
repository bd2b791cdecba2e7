"""The tests of dkv; a busy machine is not a bug, so hypothesis has no deadlines."""

from hypothesis import HealthCheck, settings

settings.register_profile("dkv", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("dkv")
