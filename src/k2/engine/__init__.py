"""Streams and how they run: start, chain, watch, retry, stop. Knows no layer by name."""
