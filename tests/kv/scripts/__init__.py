"""Scripts that libraries send."""
