"""Gold: the trades of all exchanges in one table."""
