"""Bytes to messages and commands, and back; no I/O."""
