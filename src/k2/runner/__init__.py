"""Which streams run, and their lifecycle."""
