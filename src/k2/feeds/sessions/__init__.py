"""The history of live feeds: their events, kept as ``ops_feed_sessions``."""
