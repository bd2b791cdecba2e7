"""The host: what runs a node's actors against a clock, a network and a disk."""
