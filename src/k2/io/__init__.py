"""What touches the world: Spark, jars, Kafka, Delta, the schema registry and locks."""
