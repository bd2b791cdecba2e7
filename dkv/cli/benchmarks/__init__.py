"""What ``dkv bench`` measures, and with what."""
