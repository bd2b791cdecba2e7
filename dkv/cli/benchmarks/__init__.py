"""The measurements of ``dkv bench``."""
