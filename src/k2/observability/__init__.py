"""Logs, progress and metrics."""
