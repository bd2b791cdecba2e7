"""The scenarios of ``dkv scenario``, one module each, and what they share."""
