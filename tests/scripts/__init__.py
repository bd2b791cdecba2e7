"""Scripts of the protocol: each ``.txt`` tells a story in commands and what followed each (docs/scripts.md)."""
