"""Programs as users of Redis write them, each with the library that it is named after.

Nothing in them knows of dkv: they run against Redis as well. A program gets addresses and the name of the cluster as
arguments (``ride.ADDRESSES``, ``ride.NAME``). It tries out what the library is for, and then lets ``ride`` use it while
the leader is killed. It ends with status 0, and ``all well`` is the last that it prints.
"""
