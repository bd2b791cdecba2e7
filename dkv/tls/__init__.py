"""TLS: credentials, the policy of all ports, and the authority that issues certificates. Needs the extra ``tls``."""
