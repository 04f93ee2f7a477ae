"""K2: a trade lakehouse for crypto exchanges."""
