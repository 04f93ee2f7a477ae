"""Measurements of K2 as a user runs it: whole processes, real Kafka, results checked for loss."""
