"""A soak: a cluster of real processes under load and faults for as long as wanted (docs/soak.md)."""
