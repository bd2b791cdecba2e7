"""The simulator: whole nodes on a simulated clock, network and disk, under faults; and the checker of histories."""
