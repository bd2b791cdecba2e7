"""The ``dkv`` command."""
