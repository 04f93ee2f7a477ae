"""The only way to write a table, in two implementations: Arrow with delta-rs, and Spark."""
