"""Pictures of what the simulator saw."""
