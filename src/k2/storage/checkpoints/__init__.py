"""Streaming checkpoints in Spark's own format."""
