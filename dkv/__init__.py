"""dkv: a fault-tolerant, strongly consistent key-value store replicated with Paxos."""

__version__ = "0.1.0"
