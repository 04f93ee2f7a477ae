"""What lies in ``K2_HOME``: paths, locks, ports, disk space and the endpoints of a run."""
