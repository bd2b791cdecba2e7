"""A state that is larger than the memory of its nodes: it is served, started on and sent to a node that lacks it."""
