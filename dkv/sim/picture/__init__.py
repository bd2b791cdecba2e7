"""Pictures of simulated runs."""
