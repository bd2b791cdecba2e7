"""Durable storage: the ``Store`` interface, the keys of one node, and LevelDB behind them."""
