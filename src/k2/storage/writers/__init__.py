"""The one way into a table, in two implementations: Arrow with delta-rs, and Spark."""
