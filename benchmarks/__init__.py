"""dkv beside other systems: for those who work on dkv, from its sources; what users measure is ``dkv bench``."""
