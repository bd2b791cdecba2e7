"""dkv measured beside other systems, from its sources. Users measure dkv itself with ``dkv bench``."""
