"""Tests of TLS: the authority, credentials and the policy of all ports."""
