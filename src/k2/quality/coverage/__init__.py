"""The coverage ledger: what of each exchange, market and hour is there, and what is missing."""
