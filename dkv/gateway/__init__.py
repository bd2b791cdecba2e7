"""The gateway: clients' requests on their way through the cluster, and their replies on the way back."""
