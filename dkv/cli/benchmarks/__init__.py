"""What ``dkv bench`` measures, with what, and against whom."""
