"""The config file of a cluster: its members, limits and timings."""
