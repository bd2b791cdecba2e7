"""Who may do what: users, their passwords and their rights, as values."""
