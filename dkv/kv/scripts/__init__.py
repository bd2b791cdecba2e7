"""Scripts that libraries send, as operations of dkv: no text of a script is ever interpreted."""
