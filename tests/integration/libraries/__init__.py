"""Programs as users of Redis write them, with the libraries they use: each is run with the port of a dkv node.

Nothing in them knows of dkv. A program ends with status 0 and prints ``all well``.
"""
