"""Clients of the external services: Kafka's admin interface and the schema registry."""
