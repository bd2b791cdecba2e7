"""The commands that travel through the log: the words of a client, and the entries that they become."""
