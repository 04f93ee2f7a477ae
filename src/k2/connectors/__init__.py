"""Clients of the services outside: Kafka's control side and the schema registry."""
