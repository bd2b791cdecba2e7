"""Publish/subscribe: who subscribes to what, on this node and elsewhere, and how messages get there."""
