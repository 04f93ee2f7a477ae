"""Live feeds bring the trades of exchanges' websockets to Kafka, and notice every one that is missing."""
