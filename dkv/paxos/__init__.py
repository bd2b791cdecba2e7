"""Paxos: one role a file. Roles react to messages and touch nothing else."""
