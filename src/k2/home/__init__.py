"""``K2_HOME``: its paths, locks, ports, disk space and the endpoints of a run."""
