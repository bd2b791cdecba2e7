"""The simulator: whole nodes on a simulated clock, network and disk, under faults; and what judges their histories."""
