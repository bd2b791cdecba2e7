"""Tests of publish/subscribe: the parts of ``dkv.pubsub``, by themselves."""
