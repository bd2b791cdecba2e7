"""Clients for Python programs. ``Client`` is the one to begin with; ``dkv.client.twisted`` has its like for Twisted."""

from dkv.client.admission import Tls
from dkv.client.failures import Contended, DkvError, NotApplied, Rejected, Unavailable, Unknown
from dkv.client.front import Client, Pipeline

__all__ = ("Client", "Contended", "DkvError", "NotApplied", "Pipeline", "Rejected", "Tls", "Unavailable", "Unknown")
