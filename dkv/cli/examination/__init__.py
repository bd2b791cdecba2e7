"""What ``dkv doctor`` looks at; each module examines one thing and yields findings."""
