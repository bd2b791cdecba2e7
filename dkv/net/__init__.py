"""Twisted protocols: the connections to peers and to clients."""
