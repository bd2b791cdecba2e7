"""What a node says of itself: to clients, to operators and to what monitors it."""
