"""Bad days: killed processes, silent services, full disks."""
