"""Live feeds: trades of the exchanges' websockets to Kafka, and nothing lost unnoticed."""
