"""Kafka, the registry and monitoring as child processes."""
