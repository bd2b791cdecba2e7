"""Durable storage: the ``Store`` interface and LevelDB behind it, and what guards a data directory."""
