"""What the commands of the log mean: deterministic, the same on every node."""
