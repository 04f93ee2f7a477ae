"""Feeds fill Kafka: live feeds, replays of recordings, and the simulator."""
