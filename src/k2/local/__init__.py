"""The local stack without containers: Kafka and the registry as child processes."""
