"""Silver: each valid trade once, with dead letters and duplicates in tables of their own."""
