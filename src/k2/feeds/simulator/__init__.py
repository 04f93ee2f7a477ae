"""The simulated feed: markets, trades, repeated, late and bad records, and their manifest."""
