"""The streams: a source, transforms and tables under a name."""
