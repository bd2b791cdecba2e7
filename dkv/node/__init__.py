"""A node: the host that runs the actors, the gateway to clients, configuration, logs and the service."""
