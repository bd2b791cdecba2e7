"""What a node says of itself to clients, operators and monitoring."""
