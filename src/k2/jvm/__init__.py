"""Java, jars, and the Spark session with its lifetime."""
