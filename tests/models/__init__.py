"""Random models of protocols: small enough to be read in one go, and run by the thousand before anything is built."""
