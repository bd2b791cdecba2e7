"""What each command of the log does, by family. ``dkv.kv.appliers.by_code`` has all of them, by code."""
