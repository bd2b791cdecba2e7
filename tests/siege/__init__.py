"""A siege: strangers open connections to a real cluster and stop in the middle, while its users are served."""
