"""What fills Kafka: the simulator and replays of recordings."""
